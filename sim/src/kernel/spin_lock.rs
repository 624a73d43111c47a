//! Spin locks.
//!
//! A lock word is 0, or 1 + the number of the thread that holds it: so a recursive acquire and a
//! release by another thread are seen at once. Waiting for a lock is a state of the scheduler, not
//! a loop.

// UNSAFETY: a lock is a word in the driver's memory.
#![expect(
    unsafe_code,
    reason = "exports of the kernel over words in the driver's memory"
)]

use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::SeqCst;
use std::sync::Arc;

use wdk_sys::{
    BOOLEAN, KIRQL, KLOCK_QUEUE_HANDLE, KSPIN_LOCK_QUEUE, PKLOCK_QUEUE_HANDLE, PKSPIN_LOCK,
};

use super::irql::{DISPATCH, require};
use super::layout::view;
use crate::current::current;
use crate::sched::Thread;
use crate::sim::{lock, offence};
use crate::verifier::Rule;

/// Takes the lock, and remembers the IRQL that releasing it must restore.
pub(crate) fn acquire(me: &Arc<Thread>, word: &AtomicUsize, old_irql: Option<KIRQL>) {
    let address = core::ptr::from_ref(word).addr();
    me.sim.sched.point(me);
    while let Err(owner) = word.compare_exchange(0, me.id + 1, SeqCst, SeqCst) {
        if owner == me.id + 1 {
            let details = format!(
                "{} takes the spin lock at {address:#x} twice",
                me.describe()
            );
            offence(Rule::SpinLock, &details);
        }
        me.sim.sched.spin(me, address);
    }
    lock(&me.locks).push((address, old_irql));
}

/// Releases the lock and returns the IRQL that was remembered.
pub(crate) fn release(me: &Arc<Thread>, word: &AtomicUsize) -> Option<KIRQL> {
    let address = core::ptr::from_ref(word).addr();
    let held = {
        let mut locks = lock(&me.locks);
        let index = locks.iter().rposition(|(held, _)| *held == address);
        index.map(|index| locks.remove(index).1)
    };
    let Some(old_irql) = held else {
        let details = format!(
            "{} releases the spin lock at {address:#x}, which it does not hold",
            me.describe()
        );
        offence(Rule::SpinLock, &details);
    };
    word.store(0, SeqCst);
    me.sim.sched.stop_spinning(address);
    old_irql
}

/// Releases the lock and lowers the IRQL to `new`, which must be what the lock remembers.
pub(crate) fn release_and_lower(me: &Arc<Thread>, word: &AtomicUsize, new: KIRQL) {
    let old = release(me, word);
    if old != Some(new) {
        let details = format!("released with IRQL {new}, but it was taken at {old:?}");
        offence(Rule::SpinLock, &details);
    }
    me.set_irql(new);
    me.sim.sched.point(me);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeInitializeSpinLock(spin_lock: PKSPIN_LOCK) {
    // SAFETY: the driver passes the word that is to become a lock.
    let word: &AtomicUsize = unsafe { view(spin_lock) };
    word.store(0, SeqCst);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeAcquireSpinLockRaiseToDpc(spin_lock: PKSPIN_LOCK) -> KIRQL {
    let me = current();
    require(&me, DISPATCH, "KeAcquireSpinLock");
    let old = me.set_irql(DISPATCH);
    // SAFETY: the driver passes an initialised spin lock that it keeps alive.
    acquire(&me, unsafe { view(spin_lock) }, Some(old));
    old
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeReleaseSpinLock(spin_lock: PKSPIN_LOCK, new: KIRQL) {
    let me = current();
    // SAFETY: as in KeAcquireSpinLockRaiseToDpc.
    release_and_lower(&me, unsafe { view(spin_lock) }, new);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeAcquireSpinLockAtDpcLevel(spin_lock: PKSPIN_LOCK) {
    let me = current();
    require_dispatch(&me, "KeAcquireSpinLockAtDpcLevel");
    // SAFETY: as in KeAcquireSpinLockRaiseToDpc.
    acquire(&me, unsafe { view(spin_lock) }, None);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeReleaseSpinLockFromDpcLevel(spin_lock: PKSPIN_LOCK) {
    let me = current();
    require_dispatch(&me, "KeReleaseSpinLockFromDpcLevel");
    // SAFETY: as in KeAcquireSpinLockRaiseToDpc.
    if let Some(old) = release(&me, unsafe { view(spin_lock) }) {
        let details = format!(
            "taken by KeAcquireSpinLock at IRQL {old}, released by the AtDpcLevel function"
        );
        offence(Rule::SpinLock, &details);
    }
    me.sim.sched.point(&me);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeTryToAcquireSpinLockAtDpcLevel(spin_lock: PKSPIN_LOCK) -> BOOLEAN {
    let me = current();
    require_dispatch(&me, "KeTryToAcquireSpinLockAtDpcLevel");
    // SAFETY: as in KeAcquireSpinLockRaiseToDpc.
    let word: &AtomicUsize = unsafe { view(spin_lock) };
    if word.load(SeqCst) != 0 {
        me.sim.sched.point(&me);
        return 0;
    }
    acquire(&me, word, None);
    1
}

/// Writes which lock a handle of an in-stack queued spin lock stands for.
///
/// # Safety
///
/// `handle` points to memory for a handle.
unsafe fn remember(handle: PKLOCK_QUEUE_HANDLE, spin_lock: PKSPIN_LOCK, irql: KIRQL) {
    let value = KLOCK_QUEUE_HANDLE {
        LockQueue: KSPIN_LOCK_QUEUE {
            Next: core::ptr::null_mut(),
            Lock: spin_lock,
        },
        OldIrql: irql,
    };
    // SAFETY: promised by the caller.
    unsafe { handle.write(value) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeAcquireInStackQueuedSpinLock(
    spin_lock: PKSPIN_LOCK,
    handle: PKLOCK_QUEUE_HANDLE,
) {
    // SAFETY: the driver passes an initialised spin lock that it keeps alive.
    let irql = unsafe { KeAcquireSpinLockRaiseToDpc(spin_lock) };
    // SAFETY: the driver passes memory for a handle.
    unsafe { remember(handle, spin_lock, irql) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeReleaseInStackQueuedSpinLock(handle: PKLOCK_QUEUE_HANDLE) {
    // SAFETY: the driver passes the handle with which it took the lock.
    let handle = unsafe { handle.read() };
    // SAFETY: as in KeAcquireSpinLockRaiseToDpc.
    unsafe { KeReleaseSpinLock(handle.LockQueue.Lock, handle.OldIrql) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeAcquireInStackQueuedSpinLockAtDpcLevel(
    spin_lock: PKSPIN_LOCK,
    handle: PKLOCK_QUEUE_HANDLE,
) {
    // SAFETY: the driver passes an initialised spin lock that it keeps alive.
    unsafe { KeAcquireSpinLockAtDpcLevel(spin_lock) };
    // SAFETY: the driver passes memory for a handle.
    unsafe { remember(handle, spin_lock, DISPATCH) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeReleaseInStackQueuedSpinLockFromDpcLevel(handle: PKLOCK_QUEUE_HANDLE) {
    // SAFETY: the driver passes the handle with which it took the lock.
    let handle = unsafe { handle.read() };
    // SAFETY: as in KeAcquireSpinLockRaiseToDpc.
    unsafe { KeReleaseSpinLockFromDpcLevel(handle.LockQueue.Lock) };
}

fn require_dispatch(me: &Thread, function: &str) {
    if me.irql() < DISPATCH {
        offence(
            Rule::SpinLock,
            &format!(
                "{function} called at IRQL {}, below DISPATCH_LEVEL",
                me.irql()
            ),
        );
    }
}
