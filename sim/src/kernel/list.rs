//! Doubly linked lists in the driver's memory: `LIST_ENTRY`.
//!
//! What the inline functions of the headers do, for the exports that work on lists. It takes no
//! lock; the callers say what guards a list.

// UNSAFETY: heads and entries are in the driver's memory.
#![expect(unsafe_code, reason = "lists in the driver's memory")]

use core::sync::atomic::Ordering::SeqCst;

use wdk_sys::PLIST_ENTRY;

use super::layout::{Links, view};
use crate::sim::offence;
use crate::verifier::Rule;

/// The two links of a list's head or entry.
///
/// # Safety
///
/// `entry` points to a head or an entry of an initialised list.
unsafe fn links<'a>(entry: PLIST_ENTRY) -> &'a Links {
    // SAFETY: promised by the caller.
    unsafe { view(entry) }
}

/// Reports a list whose links do not lead back, as Windows does by stopping.
fn check_links(entry: PLIST_ENTRY, back: PLIST_ENTRY) {
    if entry != back {
        let details = format!("a neighbour of {entry:p} leads back to {back:p} instead");
        offence(Rule::CorruptList, &details);
    }
}

/// Makes `head` an empty list.
///
/// # Safety
///
/// `head` points to memory for a list's head.
pub(super) unsafe fn initialise(head: PLIST_ENTRY) {
    // SAFETY: promised by the caller.
    let links = unsafe { links(head) };
    links.next.store(head, SeqCst);
    links.previous.store(head, SeqCst);
}

/// The first entry; `None` if there is none.
///
/// # Safety
///
/// `head` is the head of an initialised list.
pub(super) unsafe fn first(head: PLIST_ENTRY) -> Option<PLIST_ENTRY> {
    // SAFETY: promised by the caller.
    let first = unsafe { links(head) }.next.load(SeqCst);
    (first != head).then_some(first)
}

/// The last entry; `None` if there is none.
///
/// # Safety
///
/// `head` is the head of an initialised list.
pub(super) unsafe fn last(head: PLIST_ENTRY) -> Option<PLIST_ENTRY> {
    // SAFETY: promised by the caller.
    let last = unsafe { links(head) }.previous.load(SeqCst);
    (last != head).then_some(last)
}

/// Inserts `entry` behind `before`, which may be the head.
///
/// # Safety
///
/// `before` is in an initialised list of live entries, `entry` is memory for one more.
unsafe fn insert_behind(before: PLIST_ENTRY, entry: PLIST_ENTRY) {
    // SAFETY: promised by the caller.
    let after = unsafe { links(before) }.next.load(SeqCst);
    // SAFETY: the neighbour of an entry is in the list.
    let back = unsafe { links(after) }.previous.load(SeqCst);
    check_links(before, back);
    // SAFETY: promised by the caller.
    let new = unsafe { links(entry) };
    new.next.store(after, SeqCst);
    new.previous.store(before, SeqCst);
    // SAFETY: as above.
    unsafe { links(before) }.next.store(entry, SeqCst);
    // SAFETY: as above.
    unsafe { links(after) }.previous.store(entry, SeqCst);
}

/// Inserts `entry` as the first.
///
/// # Safety
///
/// `head` is the head of an initialised list of live entries, `entry` is memory for one more.
pub(super) unsafe fn insert_head(head: PLIST_ENTRY, entry: PLIST_ENTRY) {
    // SAFETY: promised by the caller.
    unsafe { insert_behind(head, entry) };
}

/// Inserts `entry` as the last.
///
/// # Safety
///
/// As [`insert_head`].
pub(super) unsafe fn insert_tail(head: PLIST_ENTRY, entry: PLIST_ENTRY) {
    // SAFETY: promised by the caller.
    let last = unsafe { links(head) }.previous.load(SeqCst);
    // SAFETY: promised by the caller; the last entry is in the list.
    unsafe { insert_behind(last, entry) };
}

/// Takes the first entry out.
///
/// # Safety
///
/// `head` is the head of an initialised list of live entries.
pub(super) unsafe fn remove_head(head: PLIST_ENTRY) -> Option<PLIST_ENTRY> {
    // SAFETY: promised by the caller.
    let entry = unsafe { first(head) }?;
    // SAFETY: the entry is in the list.
    let after = unsafe { links(entry) }.next.load(SeqCst);
    // SAFETY: as above.
    let (back_to_head, next) = (unsafe { links(entry) }.previous.load(SeqCst), unsafe {
        links(after)
    });
    check_links(head, back_to_head);
    check_links(entry, next.previous.load(SeqCst));
    // SAFETY: promised by the caller.
    unsafe { links(head) }.next.store(after, SeqCst);
    next.previous.store(head, SeqCst);
    Some(entry)
}

/// Takes all entries out; the chain of them ends where it begins, without the head.
///
/// # Safety
///
/// `head` is the head of an initialised list of live entries.
pub(super) unsafe fn take_all(head: PLIST_ENTRY) -> Option<PLIST_ENTRY> {
    // SAFETY: promised by the caller.
    let first = unsafe { first(head) }?;
    // SAFETY: as above.
    let last = unsafe { links(head) }.previous.load(SeqCst);
    // SAFETY: both are in the list.
    unsafe { links(first) }.previous.store(last, SeqCst);
    // SAFETY: as above.
    unsafe { links(last) }.next.store(first, SeqCst);
    // SAFETY: promised by the caller.
    unsafe { initialise(head) };
    Some(first)
}
