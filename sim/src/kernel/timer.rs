//! Timers: the exports. When they fire is in `sched::timer`.

// UNSAFETY: a timer is a structure in the driver's memory.
#![expect(
    unsafe_code,
    reason = "exports of the kernel over objects in the driver's memory"
)]

use core::sync::atomic::Ordering::SeqCst;

use wdk_sys::{_TIMER_TYPE, BOOLEAN, KTIMER, LARGE_INTEGER, LONG, PKDPC, PKTIMER, TIMER_TYPE};

use super::event::{expect_kind, initialise};
use super::irql::{DISPATCH, require};
use super::layout::{Timer, view};
use super::object::{NOTIFICATION_TIMER, Object, SYNCHRONIZATION_TIMER};
use super::time::{deadline, quad};
use crate::current::current;

const TIMERS: [u8; 2] = [NOTIFICATION_TIMER, SYNCHRONIZATION_TIMER];

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeInitializeTimer(timer: PKTIMER) {
    // SAFETY: the caller's promise is the same.
    unsafe { KeInitializeTimerEx(timer, _TIMER_TYPE::NotificationTimer) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeInitializeTimerEx(timer: PKTIMER, kind: TIMER_TYPE) {
    let kind = if kind == _TIMER_TYPE::SynchronizationTimer {
        SYNCHRONIZATION_TIMER
    } else {
        NOTIFICATION_TIMER
    };
    // SAFETY: the driver passes memory for a timer.
    unsafe { timer.write_bytes(0, 1) };
    // SAFETY: as above.
    unsafe { initialise(timer, kind, size_of::<KTIMER>(), 0) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeSetTimer(timer: PKTIMER, due: LARGE_INTEGER, dpc: PKDPC) -> BOOLEAN {
    // SAFETY: the caller's promise is the same.
    unsafe { KeSetTimerEx(timer, due, 0, dpc) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeSetTimerEx(
    timer: PKTIMER,
    due: LARGE_INTEGER,
    period: LONG,
    dpc: PKDPC,
) -> BOOLEAN {
    let me = current();
    require(&me, DISPATCH, "KeSetTimer");
    // SAFETY: the driver passes a timer that it keeps alive while it is set [ddi KeSetTimer].
    let object = unsafe { expect_kind(timer, &TIMERS, "KeSetTimer") };
    // SAFETY: the kind says that this is a timer.
    let view: &Timer = unsafe { view(timer) };
    view.dpc.store(dpc, SeqCst);
    dpc.expose_provenance();
    view.period.store(period.unsigned_abs(), SeqCst);
    let until = deadline(&me.sim, quad(due));
    let was_set = me.sim.sched.set_timer(object, until);
    me.sim.sched.point(&me);
    BOOLEAN::from(was_set)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeCancelTimer(timer: PKTIMER) -> BOOLEAN {
    let me = current();
    require(&me, DISPATCH, "KeCancelTimer");
    // SAFETY: the driver passes a timer that it keeps alive.
    let object: Object = unsafe { expect_kind(timer, &TIMERS, "KeCancelTimer") };
    me.sim.sched.point(&me);
    BOOLEAN::from(me.sim.sched.cancel_timer(object))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeReadStateTimer(timer: PKTIMER) -> BOOLEAN {
    // SAFETY: the driver passes a timer that it keeps alive.
    let object = unsafe { expect_kind(timer, &TIMERS, "KeReadStateTimer") };
    BOOLEAN::from(object.header().state.load(SeqCst) != 0)
}
