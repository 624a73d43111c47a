//! The `ExInterlocked` functions: each is one step under a spin lock, at any IRQL.
//!
//! The lock must be used with these functions only, as Windows takes it with interrupts off.

// UNSAFETY: heads, entries and locks are in the driver's memory.
#![expect(
    unsafe_code,
    reason = "exports of the kernel over lists in the driver's memory"
)]

use core::ptr::null_mut;

use wdk_sys::{
    LARGE_INTEGER, PKSPIN_LOCK, PLARGE_INTEGER, PLIST_ENTRY, PSINGLE_LIST_ENTRY, PULONG, ULONG,
};

use super::irql::DISPATCH;
use super::layout::view;
use super::list::{first, insert_head, insert_tail, last, remove_head};
use super::spin_lock;
use super::time::quad;
use crate::current::current;

/// Runs `change` under a lock that may be taken at any IRQL.
///
/// # Safety
///
/// `spin_lock` is an initialised spin lock.
unsafe fn locked<T>(spin_lock: PKSPIN_LOCK, change: impl FnOnce() -> T) -> T {
    let me = current();
    let irql = me.irql();
    me.set_irql(irql.max(DISPATCH));
    // SAFETY: promised by the caller.
    let word = unsafe { view(spin_lock) };
    spin_lock::acquire(&me, word, None);
    let result = change();
    spin_lock::release(&me, word);
    me.set_irql(irql);
    me.sim.sched.point(&me);
    result
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExInterlockedInsertHeadList(
    head: PLIST_ENTRY,
    entry: PLIST_ENTRY,
    spin_lock: PKSPIN_LOCK,
) -> PLIST_ENTRY {
    let insert = || {
        // SAFETY: the driver passes an initialised list, which the lock guards.
        let first = unsafe { first(head) };
        // SAFETY: as above.
        unsafe { insert_head(head, entry) };
        first.unwrap_or(null_mut())
    };
    // SAFETY: the driver passes an initialised spin lock.
    unsafe { locked(spin_lock, insert) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExInterlockedInsertTailList(
    head: PLIST_ENTRY,
    entry: PLIST_ENTRY,
    spin_lock: PKSPIN_LOCK,
) -> PLIST_ENTRY {
    let insert = || {
        // SAFETY: the driver passes an initialised list, which the lock guards.
        let last = unsafe { last(head) };
        // SAFETY: as above.
        unsafe { insert_tail(head, entry) };
        last.unwrap_or(null_mut())
    };
    // SAFETY: the driver passes an initialised spin lock.
    unsafe { locked(spin_lock, insert) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExInterlockedRemoveHeadList(
    head: PLIST_ENTRY,
    spin_lock: PKSPIN_LOCK,
) -> PLIST_ENTRY {
    // SAFETY: the driver passes an initialised list, which the lock guards.
    let remove = || unsafe { remove_head(head) }.unwrap_or(null_mut());
    // SAFETY: the driver passes an initialised spin lock.
    unsafe { locked(spin_lock, remove) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExInterlockedPushEntryList(
    head: PSINGLE_LIST_ENTRY,
    entry: PSINGLE_LIST_ENTRY,
    spin_lock: PKSPIN_LOCK,
) -> PSINGLE_LIST_ENTRY {
    let push = || {
        // SAFETY: the driver passes a list, which the lock guards.
        let first = unsafe { (*head).Next };
        // SAFETY: as above.
        unsafe { (*entry).Next = first };
        // SAFETY: as above.
        unsafe { (*head).Next = entry };
        first
    };
    // SAFETY: the driver passes an initialised spin lock.
    unsafe { locked(spin_lock, push) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExInterlockedPopEntryList(
    head: PSINGLE_LIST_ENTRY,
    spin_lock: PKSPIN_LOCK,
) -> PSINGLE_LIST_ENTRY {
    let pop = || {
        // SAFETY: the driver passes a list, which the lock guards.
        let first = unsafe { (*head).Next };
        if !first.is_null() {
            // SAFETY: as above; the first entry is in the list.
            let second = unsafe { (*first).Next };
            // SAFETY: as above.
            unsafe { (*head).Next = second };
        }
        first
    };
    // SAFETY: the driver passes an initialised spin lock.
    unsafe { locked(spin_lock, pop) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExInterlockedAddUlong(
    addend: PULONG,
    increment: ULONG,
    spin_lock: PKSPIN_LOCK,
) -> ULONG {
    let add = || {
        // SAFETY: the driver passes its number, which the lock guards.
        let old = unsafe { addend.read() };
        // SAFETY: as above.
        unsafe { addend.write(old.wrapping_add(increment)) };
        old
    };
    // SAFETY: the driver passes an initialised spin lock.
    unsafe { locked(spin_lock, add) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExInterlockedAddLargeInteger(
    addend: PLARGE_INTEGER,
    increment: LARGE_INTEGER,
    spin_lock: PKSPIN_LOCK,
) -> LARGE_INTEGER {
    let add = || {
        // SAFETY: the driver passes its number, which the lock guards.
        let old = unsafe { addend.read() };
        let sum = quad(old).wrapping_add(quad(increment));
        // SAFETY: as above.
        unsafe { addend.write(LARGE_INTEGER { QuadPart: sum }) };
        old
    };
    // SAFETY: the driver passes an initialised spin lock.
    unsafe { locked(spin_lock, add) }
}
