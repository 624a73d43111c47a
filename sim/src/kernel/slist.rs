//! Singly linked lists that are changed as one step: `SLIST_HEADER`.
//!
//! They are also the front of every lookaside list; which list a thread has looked at last is
//! remembered for `lookaside`.

// UNSAFETY: headers and entries are in the driver's memory.
#![expect(
    unsafe_code,
    reason = "exports of the kernel over lists in the driver's memory"
)]

use core::ptr::null_mut;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::SeqCst;
use std::sync::Arc;

use wdk_sys::{PSLIST_ENTRY, PSLIST_HEADER, SLIST_ENTRY, USHORT};

use super::layout::{SListHeader, view};
use crate::current::current;
use crate::sched::Thread;
use crate::sim::offence;
use crate::verifier::Rule;

/// Headers and entries lie at multiples of this.
const ALIGNMENT: usize = 16;

/// The view of a list's header. Others may have changed the list when this returns.
fn header<'a>(me: &Arc<Thread>, list: PSLIST_HEADER, function: &str) -> &'a SListHeader {
    check_aligned(list.addr(), function);
    me.sim.sched.point(me);
    me.last_list.store(list.addr(), SeqCst);
    // SAFETY: the driver passes a header that it keeps alive.
    unsafe { view(list) }
}

fn check_aligned(address: usize, function: &str) {
    if !address.is_multiple_of(ALIGNMENT) {
        let details = format!("{function} with {address:#x}, no multiple of {ALIGNMENT}");
        offence(Rule::InterlockedList, &details);
    }
}

/// The link in an entry.
fn link<'a>(entry: PSLIST_ENTRY) -> &'a AtomicPtr<SLIST_ENTRY> {
    // SAFETY: the entry is in a list, or about to be: its memory is the list's.
    unsafe { view(entry) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn InitializeSListHead(list: PSLIST_HEADER) {
    check_aligned(list.addr(), "InitializeSListHead");
    // SAFETY: the driver passes memory for a header.
    unsafe { list.write_bytes(0, 1) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExQueryDepthSList(list: PSLIST_HEADER) -> USHORT {
    let depth = header(&current(), list, "ExQueryDepthSList")
        .depth
        .load(SeqCst);
    USHORT::try_from(depth).unwrap_or(USHORT::MAX)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExpInterlockedPushEntrySList(
    list: PSLIST_HEADER,
    entry: PSLIST_ENTRY,
) -> PSLIST_ENTRY {
    check_aligned(entry.addr(), "InterlockedPushEntrySList");
    let header = header(&current(), list, "InterlockedPushEntrySList");
    let first = header.first.swap(entry, SeqCst);
    link(entry).store(first, SeqCst);
    header.depth.fetch_add(1, SeqCst);
    first
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExpInterlockedPopEntrySList(list: PSLIST_HEADER) -> PSLIST_ENTRY {
    let header = header(&current(), list, "InterlockedPopEntrySList");
    let first = header.first.load(SeqCst);
    if !first.is_null() {
        header.first.store(link(first).load(SeqCst), SeqCst);
        header.depth.fetch_sub(1, SeqCst);
    }
    first
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExpInterlockedFlushSList(list: PSLIST_HEADER) -> PSLIST_ENTRY {
    let header = header(&current(), list, "InterlockedFlushSList");
    header.depth.store(0, SeqCst);
    header.first.swap(null_mut(), SeqCst)
}
