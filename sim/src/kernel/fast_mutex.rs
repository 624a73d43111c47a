//! Fast mutexes and guarded mutexes.
//!
//! One algorithm, the kernel's: a count that is 1 while the mutex is free, and an event through
//! which a thread that releases hands the mutex to one that waits. They differ in how APCs are held
//! back: by `APC_LEVEL`, by a guarded region, or by the caller (the `Unsafe` functions).

// UNSAFETY: mutexes are in the driver's memory.
#![expect(
    unsafe_code,
    reason = "exports of the kernel over objects in the driver's memory"
)]

use core::mem::offset_of;
use core::sync::atomic::Ordering::SeqCst;
use std::sync::Arc;

use wdk_sys::{BOOLEAN, PFAST_MUTEX, PKGUARDED_MUTEX};

use super::event;
use super::irql::{APC, require};
use super::layout::{FastMutex, Header, view};
use super::object::{GATE, Object, SYNCHRONIZATION_EVENT};
use super::region;
use crate::current::current;
use crate::sched::Thread;
use crate::sim::offence;
use crate::verifier::Rule;

/// The view of a mutex that must be initialised.
///
/// # Safety
///
/// `mutex` points to memory of a mutex's size.
unsafe fn expect<'a>(mutex: *mut impl Sized, kind: u8, function: &str) -> &'a FastMutex {
    // SAFETY: promised by the caller.
    let mutex: &FastMutex = unsafe { view(mutex) };
    let event = Object::of(&mutex.event);
    if !event.is_initialised() || event.kind() != kind {
        let details = format!("{function} with {:#x}", address(mutex));
        offence(Rule::UninitialisedObject, &details);
    }
    mutex
}

fn address(mutex: &FastMutex) -> usize {
    core::ptr::from_ref(mutex).addr()
}

fn acquire(me: &Arc<Thread>, mutex: &FastMutex, function: &'static str) {
    let thread = me.object().address();
    if mutex.owner.load(SeqCst) == thread {
        let details = format!(
            "{function} with {:#x}, which {} owns already: it would wait for itself",
            address(mutex),
            me.describe()
        );
        offence(Rule::FastMutex, &details);
    }
    me.sim.sched.point(me);
    if mutex.count.fetch_sub(1, SeqCst) != 1 {
        mutex.contention.fetch_add(1, SeqCst);
        let objects = vec![Object::of(&mutex.event)];
        me.sim.sched.wait(me, function, objects, false, None);
    }
    mutex.owner.store(thread, SeqCst);
}

fn try_acquire(me: &Arc<Thread>, mutex: &FastMutex) -> bool {
    me.sim.sched.point(me);
    let free = mutex.count.compare_exchange(1, 0, SeqCst, SeqCst).is_ok();
    if free {
        mutex.owner.store(me.object().address(), SeqCst);
    }
    free
}

fn release(me: &Arc<Thread>, mutex: &FastMutex, function: &str) {
    if mutex.owner.load(SeqCst) != me.object().address() {
        let details = format!(
            "{function} with {:#x}, which {} does not own",
            address(mutex),
            me.describe()
        );
        offence(Rule::FastMutex, &details);
    }
    mutex.owner.store(0, SeqCst);
    if mutex.count.fetch_add(1, SeqCst) != 0 {
        let event = Object::of(&mutex.event);
        me.sim
            .sched
            .update(event, || event.header().state.store(1, SeqCst));
    }
}

/// Raises to `APC_LEVEL`; returns the IRQL before.
fn raise(me: &Thread, function: &str) -> u32 {
    require(me, APC, function);
    u32::from(me.set_irql(APC))
}

/// Reports an `Unsafe` function called where APCs are delivered.
fn require_no_apcs(me: &Thread, function: &str) {
    require(me, APC, function);
    if !region::holds_back_apcs(me) {
        let details = format!("{function} at IRQL {} outside of any region", me.irql());
        offence(Rule::FastMutex, &details);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExAcquireFastMutex(mutex: PFAST_MUTEX) {
    let me = current();
    // SAFETY: the driver passes a fast mutex that it keeps alive.
    let mutex = unsafe { expect(mutex, SYNCHRONIZATION_EVENT, "ExAcquireFastMutex") };
    let irql = raise(&me, "ExAcquireFastMutex");
    acquire(&me, mutex, "ExAcquireFastMutex");
    mutex.old_irql.store(irql, SeqCst);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExTryToAcquireFastMutex(mutex: PFAST_MUTEX) -> BOOLEAN {
    let me = current();
    // SAFETY: the driver passes a fast mutex that it keeps alive.
    let mutex = unsafe { expect(mutex, SYNCHRONIZATION_EVENT, "ExTryToAcquireFastMutex") };
    let irql = raise(&me, "ExTryToAcquireFastMutex");
    let acquired = try_acquire(&me, mutex);
    if acquired {
        mutex.old_irql.store(irql, SeqCst);
    } else {
        me.set_irql(u8::try_from(irql).unwrap_or(APC));
    }
    BOOLEAN::from(acquired)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExReleaseFastMutex(mutex: PFAST_MUTEX) {
    let me = current();
    // SAFETY: the driver passes a fast mutex that it keeps alive.
    let mutex = unsafe { expect(mutex, SYNCHRONIZATION_EVENT, "ExReleaseFastMutex") };
    let irql = u8::try_from(mutex.old_irql.load(SeqCst)).unwrap_or(APC);
    if me.irql() != APC {
        let details = format!("ExReleaseFastMutex called at IRQL {}, not 1", me.irql());
        offence(Rule::FastMutex, &details);
    }
    release(&me, mutex, "ExReleaseFastMutex");
    me.set_irql(irql);
    me.sim.sched.point(&me);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExAcquireFastMutexUnsafe(mutex: PFAST_MUTEX) {
    let me = current();
    // SAFETY: the driver passes a fast mutex that it keeps alive.
    let mutex = unsafe { expect(mutex, SYNCHRONIZATION_EVENT, "ExAcquireFastMutexUnsafe") };
    require_no_apcs(&me, "ExAcquireFastMutexUnsafe");
    acquire(&me, mutex, "ExAcquireFastMutexUnsafe");
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExReleaseFastMutexUnsafe(mutex: PFAST_MUTEX) {
    let me = current();
    // SAFETY: the driver passes a fast mutex that it keeps alive.
    let mutex = unsafe { expect(mutex, SYNCHRONIZATION_EVENT, "ExReleaseFastMutexUnsafe") };
    require_no_apcs(&me, "ExReleaseFastMutexUnsafe");
    release(&me, mutex, "ExReleaseFastMutexUnsafe");
    me.sim.sched.point(&me);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeInitializeGuardedMutex(mutex: PKGUARDED_MUTEX) {
    // SAFETY: the driver passes memory for a guarded mutex.
    unsafe { mutex.write_bytes(0, 1) };
    let gate = mutex.wrapping_byte_add(offset_of!(FastMutex, event));
    // SAFETY: the gate is part of the mutex.
    unsafe { event::initialise(gate, GATE, size_of::<Header>(), 0) };
    // SAFETY: as above.
    let mutex: &FastMutex = unsafe { view(mutex) };
    mutex.count.store(1, SeqCst);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeAcquireGuardedMutex(mutex: PKGUARDED_MUTEX) {
    let me = current();
    // SAFETY: the driver passes a guarded mutex that it keeps alive.
    let mutex = unsafe { expect(mutex, GATE, "KeAcquireGuardedMutex") };
    require(&me, APC, "KeAcquireGuardedMutex");
    region::enter_guarded(&me);
    acquire(&me, mutex, "KeAcquireGuardedMutex");
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeTryToAcquireGuardedMutex(mutex: PKGUARDED_MUTEX) -> BOOLEAN {
    let me = current();
    // SAFETY: the driver passes a guarded mutex that it keeps alive.
    let mutex = unsafe { expect(mutex, GATE, "KeTryToAcquireGuardedMutex") };
    require(&me, APC, "KeTryToAcquireGuardedMutex");
    let acquired = try_acquire(&me, mutex);
    if acquired {
        region::enter_guarded(&me);
    }
    BOOLEAN::from(acquired)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeReleaseGuardedMutex(mutex: PKGUARDED_MUTEX) {
    let me = current();
    // SAFETY: the driver passes a guarded mutex that it keeps alive.
    let mutex = unsafe { expect(mutex, GATE, "KeReleaseGuardedMutex") };
    require(&me, APC, "KeReleaseGuardedMutex");
    release(&me, mutex, "KeReleaseGuardedMutex");
    region::leave_guarded(&me, "KeReleaseGuardedMutex");
    me.sim.sched.point(&me);
}
