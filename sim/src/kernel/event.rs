//! Events, semaphores and mutexes: how their state changes. Waiting for them is in `wait`.

// UNSAFETY: the objects are in the driver's memory.
#![expect(
    unsafe_code,
    reason = "exports of the kernel over objects in the driver's memory"
)]

use core::sync::atomic::Ordering::SeqCst;

use wdk_sys::{
    _EVENT_TYPE, BOOLEAN, EVENT_TYPE, KEVENT, KMUTANT, KPRIORITY, KSEMAPHORE, LONG, PRKEVENT,
    PRKMUTEX, PRKSEMAPHORE, ULONG,
};

use super::irql::{DISPATCH, require};
use super::layout::{Header, Mutant, Semaphore, view};
use super::object::{MUTANT, NOTIFICATION_EVENT, Object, SEMAPHORE, SYNCHRONIZATION_EVENT};
use crate::current::current;
use crate::sim::offence;
use crate::verifier::Rule;

/// Writes the header that a `KeInitialize` function writes.
///
/// # Safety
///
/// `address` points to writable memory of at least a header's size.
pub(super) unsafe fn initialise(address: *mut impl Sized, kind: u8, size: usize, state: i32) {
    let header = Header::new(kind, size, state);
    let list = address.addr() + core::mem::offset_of!(Header, wait_list);
    header
        .wait_list
        .iter()
        .for_each(|link| link.store(list, SeqCst));
    // SAFETY: promised by the caller.
    unsafe { address.cast::<Header>().write(header) };
}

/// Names an object of one of `kinds`, or reports it.
///
/// # Safety
///
/// As [`Object::at`], and not null.
pub(super) unsafe fn expect_kind(address: *mut impl Sized, kinds: &[u8], function: &str) -> Object {
    // SAFETY: promised by the caller.
    let object = unsafe { Object::at(address) };
    match object {
        Some(object) if object.is_initialised() && kinds.contains(&object.kind()) => object,
        _ => offence(
            Rule::UninitialisedObject,
            &format!("{function} at {:#x}", address.addr()),
        ),
    }
}

const EVENTS: [u8; 2] = [NOTIFICATION_EVENT, SYNCHRONIZATION_EVENT];

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeInitializeEvent(event: PRKEVENT, kind: EVENT_TYPE, state: BOOLEAN) {
    let kind = if kind == _EVENT_TYPE::SynchronizationEvent {
        SYNCHRONIZATION_EVENT
    } else {
        NOTIFICATION_EVENT
    };
    // SAFETY: the driver passes memory for an event.
    unsafe { initialise(event, kind, size_of::<KEVENT>(), i32::from(state != 0)) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeSetEvent(event: PRKEVENT, _increment: KPRIORITY, wait: BOOLEAN) -> LONG {
    let me = current();
    require(&me, DISPATCH, "KeSetEvent");
    if wait != 0 {
        super::wait::check_may_block(&me, "KeSetEvent with Wait");
    }
    // SAFETY: the driver passes an event that it keeps alive until the call has set it.
    let object = unsafe { expect_kind(event, &EVENTS, "KeSetEvent") };
    let old = me
        .sim
        .sched
        .update(object, || object.header().state.swap(1, SeqCst));
    me.sim.sched.point(&me);
    old
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeClearEvent(event: PRKEVENT) {
    // SAFETY: the caller's promise is that of KeResetEvent.
    unsafe { KeResetEvent(event) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeResetEvent(event: PRKEVENT) -> LONG {
    let me = current();
    require(&me, DISPATCH, "KeResetEvent");
    // SAFETY: the driver passes an event that it keeps alive.
    let object = unsafe { expect_kind(event, &EVENTS, "KeResetEvent") };
    object.header().state.swap(0, SeqCst)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeReadStateEvent(event: PRKEVENT) -> LONG {
    let me = current();
    // SAFETY: the driver passes an event that it keeps alive.
    let object = unsafe { expect_kind(event, &EVENTS, "KeReadStateEvent") };
    me.sim.sched.point(&me);
    object.header().state.load(SeqCst)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeInitializeSemaphore(semaphore: PRKSEMAPHORE, count: LONG, limit: LONG) {
    // SAFETY: the driver passes memory for a semaphore.
    unsafe { initialise(semaphore, SEMAPHORE, size_of::<KSEMAPHORE>(), count) };
    // SAFETY: initialised above.
    let view: &Semaphore = unsafe { view(semaphore) };
    view.limit.store(limit, SeqCst);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeReleaseSemaphore(
    semaphore: PRKSEMAPHORE,
    _increment: KPRIORITY,
    adjustment: LONG,
    _wait: BOOLEAN,
) -> LONG {
    let me = current();
    require(&me, DISPATCH, "KeReleaseSemaphore");
    // SAFETY: the driver passes a semaphore that it keeps alive.
    let object = unsafe { expect_kind(semaphore, &[SEMAPHORE], "KeReleaseSemaphore") };
    // SAFETY: the kind says that this is a semaphore.
    let limit = unsafe { view::<Semaphore>(semaphore) }.limit.load(SeqCst);
    let old = object.header().state.load(SeqCst);
    if adjustment <= 0 || old.checked_add(adjustment).is_none_or(|new| new > limit) {
        let details = format!(
            "{adjustment} added to {old}, limit {limit}: {}",
            object.describe()
        );
        offence(
            Rule::BugCheck,
            &format!("STATUS_SEMAPHORE_LIMIT_EXCEEDED: {details}"),
        );
    }
    let old = me.sim.sched.update(object, || {
        object.header().state.fetch_add(adjustment, SeqCst)
    });
    me.sim.sched.point(&me);
    old
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeReadStateSemaphore(semaphore: PRKSEMAPHORE) -> LONG {
    // SAFETY: the driver passes a semaphore that it keeps alive.
    let object = unsafe { expect_kind(semaphore, &[SEMAPHORE], "KeReadStateSemaphore") };
    object.header().state.load(SeqCst)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeInitializeMutex(mutex: PRKMUTEX, _level: ULONG) {
    // SAFETY: the driver passes memory for a mutex.
    unsafe { initialise(mutex, MUTANT, size_of::<KMUTANT>(), 1) };
    // SAFETY: initialised above.
    let mutant: &Mutant = unsafe { view(mutex) };
    mutant.owner.store(0, SeqCst);
    mutant.abandoned.store(0, SeqCst);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeReleaseMutex(mutex: PRKMUTEX, _wait: BOOLEAN) -> LONG {
    let me = current();
    require(&me, DISPATCH, "KeReleaseMutex");
    // SAFETY: the driver passes a mutex that it keeps alive.
    let object = unsafe { expect_kind(mutex, &[MUTANT], "KeReleaseMutex") };
    // SAFETY: the kind says that this is a mutex.
    let mutant: &Mutant = unsafe { view(mutex) };
    if mutant.owner.load(SeqCst) != me.object().address() {
        offence(
            Rule::MutexOwner,
            &format!("{} does not own the {}", me.describe(), object.describe()),
        );
    }
    let old = me.sim.sched.update(object, || {
        let old = object.header().state.fetch_add(1, SeqCst);
        if old == 0 {
            mutant.owner.store(0, SeqCst);
        }
        old
    });
    me.sim.sched.point(&me);
    old
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeReadStateMutex(mutex: PRKMUTEX) -> LONG {
    // SAFETY: the driver passes a mutex that it keeps alive.
    let object = unsafe { expect_kind(mutex, &[MUTANT], "KeReadStateMutex") };
    object.header().state.load(SeqCst)
}
