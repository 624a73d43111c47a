//! Cancelling IRPs, and the lock under which it happens.
//!
//! Whoever exchanges an IRP's cancel routine for null decides: `IoCancelIrp` then calls it, an
//! owner who completes the IRP then may. The routine releases the cancel spin lock.

// UNSAFETY: a cancel routine is a function of a driver's.
#![expect(
    unsafe_code,
    reason = "exports of the kernel that call the driver's routines"
)]

use core::sync::atomic::Ordering::SeqCst;
use std::sync::Arc;

use wdk_sys::{BOOLEAN, DEVICE_OBJECT, KIRQL, PIRP, PKIRQL};

use super::driver;
use super::irp::{self, expect_known};
use super::irql::{DISPATCH, check_unchanged, require};
use super::spin_lock;
use crate::current::current;
use crate::sched::Thread;
use crate::sim::{lock, offence};
use crate::verifier::Rule;

type CancelRoutine = unsafe extern "C" fn(*mut DEVICE_OBJECT, PIRP);

fn acquire_cancel_lock(me: &Arc<Thread>) -> KIRQL {
    require(me, DISPATCH, "IoAcquireCancelSpinLock");
    let old = me.set_irql(DISPATCH);
    spin_lock::acquire(me, &me.sim.kernel.cancel_lock, Some(old));
    old
}

/// Releases the cancel lock, as a cancel routine must.
pub(crate) fn release_cancel_lock(me: &Arc<Thread>, irql: KIRQL) {
    spin_lock::release_and_lower(me, &me.sim.kernel.cancel_lock, irql);
}

/// Reports a cancel routine that has not released the cancel lock.
fn check_released(me: &Thread, irp: PIRP) {
    let word = core::ptr::from_ref(&me.sim.kernel.cancel_lock).addr();
    let held = lock(&me.locks).iter().any(|(held, _)| *held == word);
    if held {
        let details = format!("it kept the cancel spin lock, for IRP {irp:p}");
        offence(Rule::CancelRoutine, &details);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoCancelIrp(irp: PIRP) -> BOOLEAN {
    let me = current();
    require(&me, DISPATCH, "IoCancelIrp");
    cancel(&me, irp, || true).into()
}

/// Cancels an IRP if `is_there` says, under the cancel lock, that it still exists. True: its cancel
/// routine was called.
pub(super) fn cancel(me: &Arc<Thread>, irp: PIRP, is_there: impl FnOnce() -> bool) -> bool {
    let old = acquire_cancel_lock(me);
    if !is_there() {
        release_cancel_lock(me, old);
        return false;
    }
    let (packet, _) = expect_known(me, irp, "IoCancelIrp");
    packet.cancel.store(1, SeqCst);
    let routine = packet.cancel_routine.swap(0, SeqCst);
    if routine == 0 {
        release_cancel_lock(me, old);
        return false;
    }
    packet.cancel_irql.store(old, SeqCst);
    let device = irp::current_device(packet);
    let routine = core::ptr::with_exposed_provenance::<()>(routine);
    // SAFETY: the only thing stored in CancelRoutine is a cancel routine [ddi IoSetCancelRoutine].
    let routine: CancelRoutine = unsafe { core::mem::transmute(routine) };
    let driver = driver::number_of(me, device).unwrap_or(me.driver());
    // SAFETY: its owner set it for this IRP; the cancel lock is held, which the routine releases.
    me.as_driver(driver, || unsafe { routine(device, irp) });
    check_released(me, irp);
    check_unchanged(me, old, "a cancel routine");
    true
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoAcquireCancelSpinLock(irql: PKIRQL) {
    let old = acquire_cancel_lock(&current());
    // SAFETY: the driver passes a place for the IRQL.
    unsafe { irql.write(old) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoReleaseCancelSpinLock(irql: KIRQL) {
    release_cancel_lock(&current(), irql);
}
