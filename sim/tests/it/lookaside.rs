//! Lookaside lists, and the singly linked lists in front of them.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "calls the exports of the kernel")]

use core::ptr;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;

use wdk_sys::ntddk::{
    ExDeleteLookasideListEx, ExDeleteNPagedLookasideList, ExFreePool, ExFreePoolWithTag,
    ExInitializeLookasideListEx, ExInitializeNPagedLookasideList, ExQueryDepthSList,
    ExpInterlockedFlushSList, ExpInterlockedPopEntrySList, ExpInterlockedPushEntrySList,
    InitializeSListHead,
};
use wdk_sys::{
    _POOL_TYPE, EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL, LOOKASIDE_LIST_EX, NPAGED_LOOKASIDE_LIST,
    PALLOCATE_FUNCTION_EX, PFREE_FUNCTION_EX, PLOOKASIDE_LIST_EX, POOL_TYPE, PVOID, SIZE_T,
    SLIST_ENTRY, SLIST_HEADER, STATUS_INVALID_PARAMETER_5, STATUS_SUCCESS, ULONG,
};
use wsk_sim::{Fault, Rule, builder, every_fault, run, seeds};

use crate::common::TAG;
use crate::driver::{NON_PAGED, PAGED, Shared, allocate, expect, zeroed};

const ENTRY: u64 = 40;

/// `ExAllocateFromLookasideListEx`, which is inline in the headers.
unsafe fn take(list: PLOOKASIDE_LIST_EX) -> PVOID {
    // SAFETY: the tests pass a live list, whose first member is the list's header.
    let entry = unsafe { ExpInterlockedPopEntrySList(list.cast()) };
    if !entry.is_null() {
        return entry.cast();
    }
    // SAFETY: as above.
    let inner = unsafe { (*list).L };
    // SAFETY: the member is AllocateEx in this kind of list.
    let allocate = unsafe { inner.__bindgen_anon_4.AllocateEx };
    // SAFETY: the list's routine, with the list's own arguments.
    unsafe { allocate.unwrap()(inner.Type, u64::from(inner.Size), inner.Tag, list) }
}

/// `ExFreeToLookasideListEx`, which is inline in the headers.
unsafe fn give_back(list: PLOOKASIDE_LIST_EX, entry: PVOID) {
    // SAFETY: the tests pass a live list, whose first member is the list's header.
    let depth = unsafe { ExQueryDepthSList(list.cast()) };
    // SAFETY: as above.
    let inner = unsafe { (*list).L };
    if depth < inner.Depth {
        // SAFETY: as above.
        unsafe { ExpInterlockedPushEntrySList(list.cast(), entry.cast()) };
        return;
    }
    // SAFETY: the member is FreeEx in this kind of list.
    let free = unsafe { inner.__bindgen_anon_5.FreeEx };
    // SAFETY: the list's routine.
    unsafe { free.unwrap()(entry, list) };
}

/// `ExAllocateFromNPagedLookasideList`, which is inline in the headers.
unsafe fn take_older(list: *mut NPAGED_LOOKASIDE_LIST) -> PVOID {
    // SAFETY: the tests pass a live list, whose first member is the list's header.
    let entry = unsafe { ExpInterlockedPopEntrySList(list.cast()) };
    if !entry.is_null() {
        return entry.cast();
    }
    // SAFETY: as above.
    let inner = unsafe { (*list).L };
    // SAFETY: the member is Allocate in this kind of list.
    let allocate = unsafe { inner.__bindgen_anon_4.Allocate };
    // SAFETY: the list's routine, with the list's own arguments.
    unsafe { allocate.unwrap()(inner.Type, u64::from(inner.Size), inner.Tag) }
}

/// `ExFreeToNPagedLookasideList`, which is inline in the headers.
unsafe fn give_back_older(list: *mut NPAGED_LOOKASIDE_LIST, entry: PVOID) {
    // SAFETY: the tests pass a live list, whose first member is the list's header.
    let depth = unsafe { ExQueryDepthSList(list.cast()) };
    // SAFETY: as above.
    let inner = unsafe { (*list).L };
    assert!(
        depth >= inner.Depth,
        "a list of the simulator caches nothing"
    );
    // SAFETY: the member is Free in this kind of list.
    let free = unsafe { inner.__bindgen_anon_5.Free };
    // SAFETY: the list's routine.
    unsafe { free.unwrap()(entry) };
}

fn initialise(
    list: PLOOKASIDE_LIST_EX,
    allocate: PALLOCATE_FUNCTION_EX,
    free: PFREE_FUNCTION_EX,
    flags: ULONG,
) -> i32 {
    let pool = _POOL_TYPE::NonPagedPool;
    // SAFETY: the list has its place.
    unsafe { ExInitializeLookasideListEx(list, allocate, free, pool, flags, ENTRY, TAG, 0) }
}

/// A list with the kernel's routines.
#[expect(clippy::unnecessary_box_returns, reason = "a list does not move")]
fn list() -> Box<LOOKASIDE_LIST_EX> {
    let mut list = zeroed();
    assert_eq!(initialise(&raw mut *list, None, None, 0), STATUS_SUCCESS);
    list
}

fn delete(list: &mut LOOKASIDE_LIST_EX) {
    // SAFETY: initialised before.
    unsafe { ExDeleteLookasideListEx(&raw mut *list) };
}

#[test]
fn entry_taken_and_given_back_leaves_nothing() {
    run(|sim| {
        let mut list = list();
        let list: PLOOKASIDE_LIST_EX = &raw mut *list;
        // SAFETY: initialised above.
        let first = unsafe { take(list) };
        // SAFETY: as above.
        let second = sim.at_dispatch(|| unsafe { take(list) });
        assert_ne!(first, second);
        // SAFETY: an entry has this size.
        unsafe { first.cast::<u8>().write_bytes(1, 40) };
        // SAFETY: taken above.
        unsafe { give_back(list, first) };
        // SAFETY: as above.
        sim.at_dispatch(|| unsafe { give_back(list, second) });
        // SAFETY: initialised above.
        unsafe { ExDeleteLookasideListEx(list) };
    });
}

#[test]
fn entry_of_older_list_is_taken_from_the_list_at_hand() {
    seeds(50, |sim| {
        let mut lists: [Box<NPAGED_LOOKASIDE_LIST>; 2] = [zeroed(), zeroed()];
        for list in &mut lists {
            // SAFETY: the list has its place.
            unsafe {
                ExInitializeNPagedLookasideList(&raw mut **list, None, None, 0, ENTRY, TAG, 0);
            };
        }
        let tasks = lists.each_mut().map(|list| {
            let list = Shared(&raw mut **list);
            sim.spawn(move || {
                for _ in 0..5 {
                    // SAFETY: the list lives until the tasks have ended.
                    let entry = unsafe { take_older(list.get()) };
                    // SAFETY: taken above.
                    unsafe { give_back_older(list.get(), entry) };
                }
            })
        });
        tasks.into_iter().for_each(wsk_sim::Task::join);
        for list in &mut lists {
            // SAFETY: initialised above.
            unsafe { ExDeleteNPagedLookasideList(&raw mut **list) };
        }
    });
}

#[test]
fn routines_of_the_driver_are_called_for_its_list() {
    static CALLED: AtomicU32 = AtomicU32::new(0);
    unsafe extern "C" fn take_memory(
        _: POOL_TYPE,
        size: SIZE_T,
        _: ULONG,
        _: PLOOKASIDE_LIST_EX,
    ) -> PVOID {
        CALLED.fetch_add(1, SeqCst);
        allocate(NON_PAGED, usize::try_from(size).unwrap()).cast()
    }
    unsafe extern "C" fn free_memory(entry: PVOID, _: PLOOKASIDE_LIST_EX) {
        CALLED.fetch_add(10, SeqCst);
        // SAFETY: allocated above.
        unsafe { ExFreePoolWithTag(entry, TAG) };
    }
    run(|_| {
        let mut list = zeroed();
        let list: PLOOKASIDE_LIST_EX = &raw mut *list;
        let status = initialise(list, Some(take_memory), Some(free_memory), 0);
        assert_eq!(status, STATUS_SUCCESS);
        // SAFETY: initialised above.
        let entry = unsafe { take(list) };
        // SAFETY: taken above.
        unsafe { give_back(list, entry) };
        // SAFETY: initialised above.
        unsafe { ExDeleteLookasideListEx(list) };
    });
    assert_eq!(CALLED.load(SeqCst), 11);
}

#[test]
fn list_with_unknown_flags_is_refused() {
    run(|_| {
        let mut list = zeroed();
        let status = initialise(&raw mut *list, None, None, 8);
        assert_eq!(status, STATUS_INVALID_PARAMETER_5);
    });
}

#[test]
fn entry_without_memory_is_null() {
    every_fault(|_| {
        let mut list = list();
        // SAFETY: initialised above.
        let entry = unsafe { take(&raw mut *list) };
        if !entry.is_null() {
            // SAFETY: taken above.
            unsafe { give_back(&raw mut *list, entry) };
        }
        delete(&mut list);
    });
}

#[test]
fn entry_without_memory_raises_if_asked_for() {
    let report = builder().fail(Fault::Allocation, 1).offence(|_| {
        let mut list = zeroed();
        let flags = EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL;
        assert_eq!(
            initialise(&raw mut *list, None, None, flags),
            STATUS_SUCCESS
        );
        // SAFETY: initialised above.
        unsafe { take(&raw mut *list) };
    });
    assert_eq!(report.rule, Rule::BugCheck, "{report}");
}

#[test]
fn list_left_is_reported() {
    expect(Rule::Leak, "lookaside list", |_| {
        let _ = Box::leak(list());
    });
}

#[test]
fn list_deleted_with_entry_in_use_is_reported() {
    expect(Rule::LookasideList, "1 entries in use", |_| {
        let mut list = list();
        // SAFETY: initialised above.
        unsafe { take(&raw mut *list) };
        delete(&mut list);
    });
}

#[test]
fn list_deleted_twice_is_reported() {
    expect(Rule::LookasideList, "no lookaside list", |_| {
        let mut list = list();
        delete(&mut list);
        delete(&mut list);
    });
}

#[test]
fn list_initialised_twice_is_reported() {
    expect(Rule::LookasideList, "initialised again", |_| {
        let mut list = list();
        initialise(&raw mut *list, None, None, 0);
    });
}

#[test]
fn list_used_after_delete_is_reported() {
    expect(Rule::LookasideList, "no lookaside list", |_| {
        let mut list = list();
        delete(&mut list);
        // SAFETY: breaks the rule: deleted.
        unsafe { take(&raw mut *list) };
    });
}

#[test]
fn list_in_paged_pool_is_reported() {
    expect(Rule::LookasideList, "in paged pool", |_| {
        let list = allocate(PAGED, size_of::<LOOKASIDE_LIST_EX>());
        initialise(list.cast(), None, None, 0);
    });
}

#[test]
fn list_in_freed_memory_is_reported() {
    expect(Rule::FreedInUse, "lookaside list", |_| {
        let memory = allocate(NON_PAGED, size_of::<LOOKASIDE_LIST_EX>());
        initialise(memory.cast(), None, None, 0);
        // SAFETY: breaks the rule: the list was not deleted.
        unsafe { ExFreePool(memory.cast()) };
    });
}

#[test]
fn entry_given_to_another_list_is_reported() {
    expect(
        Rule::LookasideList,
        "is an entry of the lookaside list",
        |_| {
            let (mut first, mut second) = (list(), list());
            // SAFETY: initialised above.
            let entry = unsafe { take(&raw mut *first) };
            // SAFETY: breaks the rule: another list.
            unsafe { give_back(&raw mut *second, entry) };
        },
    );
}

#[test]
fn entry_given_back_twice_is_reported() {
    expect(Rule::LookasideList, "was freed already", |_| {
        let mut list = list();
        // SAFETY: initialised above.
        let entry = unsafe { take(&raw mut *list) };
        // SAFETY: taken above.
        unsafe { give_back(&raw mut *list, entry) };
        // SAFETY: breaks the rule: given back already.
        unsafe { give_back(&raw mut *list, entry) };
    });
}

#[test]
fn entry_freed_to_pool_is_reported() {
    expect(Rule::BadFree, "an entry of the lookaside list", |_| {
        let mut list = list();
        // SAFETY: initialised above.
        let entry = unsafe { take(&raw mut *list) };
        // SAFETY: breaks the rule: the entry is the list's.
        unsafe { ExFreePool(entry) };
    });
}

#[test]
fn slist_pushed_entries_are_popped_in_reverse() {
    run(|_| {
        let mut header: Box<SLIST_HEADER> = zeroed();
        let header = &raw mut *header;
        let mut entries: [Box<SLIST_ENTRY>; 3] = [zeroed(), zeroed(), zeroed()];
        let [first, second, third] = entries.each_mut().map(|entry| &raw mut **entry);
        // SAFETY: the header has its place.
        unsafe { InitializeSListHead(header) };
        // SAFETY: the entries live as long as the list.
        let push = |entry| unsafe { ExpInterlockedPushEntrySList(header, entry) };
        assert_eq!([push(first), push(second)], [ptr::null_mut(), first]);
        // SAFETY: initialised above.
        assert_eq!(unsafe { ExQueryDepthSList(header) }, 2);
        // SAFETY: as above.
        let pop = || unsafe { ExpInterlockedPopEntrySList(header) };
        assert_eq!([pop(), pop(), pop()], [second, first, ptr::null_mut()]);
        push(first);
        push(third);
        // SAFETY: as above.
        let all = unsafe { ExpInterlockedFlushSList(header) };
        // SAFETY: the chain of the two entries.
        assert_eq!((all, unsafe { (*all).Next }), (third, first));
        assert_eq!(pop(), ptr::null_mut());
    });
}

#[test]
fn slist_entry_at_odd_address_is_reported() {
    expect(Rule::InterlockedList, "InterlockedPushEntrySList", |_| {
        let mut header: Box<SLIST_HEADER> = zeroed();
        let mut entries: Box<[SLIST_ENTRY; 2]> = zeroed();
        let odd = (&raw mut *entries).wrapping_byte_add(8).cast();
        // SAFETY: breaks the rule: no multiple of 16.
        unsafe { ExpInterlockedPushEntrySList(&raw mut *header, odd) };
    });
}
