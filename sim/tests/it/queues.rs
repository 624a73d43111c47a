//! Work items, kernel queues and interlocked lists: how work is handed from thread to thread.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "calls the exports of the kernel")]

use core::ptr;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;

use wdk_sys::ntddk::{
    ExFreePool, ExFreePoolWithTag, ExInterlockedAddLargeInteger, ExInterlockedAddUlong,
    ExInterlockedInsertHeadList, ExInterlockedInsertTailList, ExInterlockedPopEntryList,
    ExInterlockedPushEntryList, ExInterlockedRemoveHeadList, ExQueueWorkItem, IoAllocateWorkItem,
    IoFreeWorkItem, IoInitializeWorkItem, IoQueueWorkItem, IoQueueWorkItemEx, IoSizeofWorkItem,
    IoUninitializeWorkItem, KeGetCurrentIrql, KeInitializeQueue, KeInsertHeadQueue, KeInsertQueue,
    KeReadStateQueue, KeRemoveQueue, KeRundownQueue, KeSetEvent, KfRaiseIrql,
};
use wdk_sys::{
    _IO_WORKITEM, KQUEUE, KSPIN_LOCK, LARGE_INTEGER, LIST_ENTRY, PDEVICE_OBJECT, PIO_WORKITEM,
    PLIST_ENTRY, PRKQUEUE, PVOID, SINGLE_LIST_ENTRY, STATUS_ABANDONED, STATUS_SUCCESS,
    STATUS_TIMEOUT, WORK_QUEUE_ITEM,
};
use wsk_sim::{Rule, run, seeds};

use crate::common::TAG;
use crate::driver::{NON_PAGED, Shared, allocate, event, expect, wait, zeroed};

unsafe extern "C" fn nothing(_: PDEVICE_OBJECT, _: PVOID) {}

unsafe extern "C" fn set_context(context: PVOID) {
    // SAFETY: there are no conditions.
    assert_eq!(unsafe { KeGetCurrentIrql() }, 0);
    // SAFETY: the context is the event of the test.
    unsafe { KeSetEvent(context.cast(), 0, 0) };
}

/// A work item of the driver's memory, initialised.
fn own_item() -> PIO_WORKITEM {
    // SAFETY: there are no conditions.
    let size = unsafe { IoSizeofWorkItem() };
    let item = allocate(NON_PAGED, size as usize).cast::<_IO_WORKITEM>();
    // SAFETY: the memory is large enough; the device is not used.
    unsafe { IoInitializeWorkItem(ptr::null_mut(), item) };
    item
}

#[test]
fn work_item_in_own_memory_runs_with_its_context() {
    unsafe extern "C" fn routine(_: PVOID, context: PVOID, item: PIO_WORKITEM) {
        // SAFETY: the item is the driver's again when its routine runs.
        unsafe { IoUninitializeWorkItem(item) };
        // SAFETY: the memory is the driver's.
        unsafe { ExFreePoolWithTag(item.cast(), TAG) };
        // SAFETY: the context is the event of the test.
        unsafe { set_context(context) };
    }
    seeds(50, |_| {
        let mut event = event();
        // SAFETY: the item is initialised.
        unsafe { IoQueueWorkItemEx(own_item(), Some(routine), 1, (&raw mut *event).cast()) };
        assert_eq!(wait(&raw mut *event, None), STATUS_SUCCESS);
    });
}

#[test]
fn work_queue_item_runs_once_each_time_it_is_queued() {
    seeds(50, |sim| {
        let mut event = event();
        let mut item: Box<WORK_QUEUE_ITEM> = zeroed();
        item.WorkerRoutine = Some(set_context);
        item.Parameter = (&raw mut *event).cast();
        for _ in 0..2 {
            event.Header.SignalState = 0;
            // SAFETY: the item is initialised, and idle.
            sim.at_dispatch(|| unsafe { ExQueueWorkItem(&raw mut *item, 1) });
            assert_eq!(wait(&raw mut *event, None), STATUS_SUCCESS);
            assert!(item.List.Flink.is_null(), "it is the driver's again");
        }
    });
}

#[test]
fn work_item_freed_while_queued_is_reported() {
    expect(Rule::WorkItem, "while queued", |sim| {
        // SAFETY: within a simulation; the device is not used.
        let item = unsafe { IoAllocateWorkItem(ptr::null_mut()) };
        sim.at_dispatch(|| {
            // SAFETY: the item is idle.
            unsafe { IoQueueWorkItem(item, Some(nothing), 1, ptr::null_mut()) };
            // SAFETY: breaks the rule: the routine has not run yet under this schedule.
            unsafe { IoFreeWorkItem(item) };
        });
    });
}

#[test]
fn work_item_left_is_reported() {
    expect(Rule::Leak, "work item, allocated", |_| {
        // SAFETY: within a simulation; the device is not used.
        unsafe { IoAllocateWorkItem(ptr::null_mut()) };
    });
}

#[test]
fn work_item_initialised_and_freed_is_reported() {
    // SAFETY: breaks the rule: IoUninitializeWorkItem is its counterpart.
    expect(Rule::WorkItem, "IoFreeWorkItem", |_| unsafe {
        IoFreeWorkItem(own_item());
    });
}

#[test]
fn work_item_initialised_twice_is_reported() {
    expect(Rule::WorkItem, "initialised again", |_| {
        let item = own_item();
        // SAFETY: breaks the rule: initialised already.
        unsafe { IoInitializeWorkItem(ptr::null_mut(), item) };
    });
}

#[test]
fn work_item_in_freed_memory_is_reported() {
    // SAFETY: breaks the rule: not uninitialised.
    expect(Rule::FreedInUse, "work item, initialised", |_| unsafe {
        ExFreePool(own_item().cast());
    });
}

#[test]
fn work_queue_item_queued_twice_is_reported() {
    expect(Rule::WorkItem, "given to ExQueueWorkItem", |_| {
        let mut event = event();
        let mut item: Box<WORK_QUEUE_ITEM> = zeroed();
        item.WorkerRoutine = Some(set_context);
        item.Parameter = (&raw mut *event).cast();
        // SAFETY: breaks the rule as soon as the routine has not run in between.
        (0..100).for_each(|_| unsafe { ExQueueWorkItem(&raw mut *item, 1) });
    });
}

#[test]
fn work_item_returning_at_other_irql_is_reported() {
    expect(Rule::IrqlChanged, "work item", |_| {
        unsafe extern "C" fn raises(_: PDEVICE_OBJECT, _: PVOID) {
            // SAFETY: breaks the rule: never lowered.
            unsafe { KfRaiseIrql(2) };
        }
        // SAFETY: within a simulation; the device is not used.
        let item = unsafe { IoAllocateWorkItem(ptr::null_mut()) };
        // SAFETY: the item is idle.
        unsafe { IoQueueWorkItem(item, Some(raises), 1, ptr::null_mut()) };
        wait(&raw mut *event(), None);
    });
}

#[expect(clippy::unnecessary_box_returns, reason = "a queue does not move")]
fn queue() -> Box<KQUEUE> {
    let mut queue = zeroed();
    // SAFETY: the queue has its place.
    unsafe { KeInitializeQueue(&raw mut *queue, 0) };
    queue
}

fn remove(queue: PRKQUEUE, timeout: Option<i64>) -> PLIST_ENTRY {
    let mut timeout = timeout.map(|units| LARGE_INTEGER { QuadPart: units });
    let pointer = timeout.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
    // SAFETY: the queue is initialised.
    unsafe { KeRemoveQueue(queue, 0, pointer) }
}

fn status(entry: PLIST_ENTRY) -> i32 {
    i32::try_from(entry.addr()).unwrap_or(-1)
}

#[test]
fn queue_entries_are_removed_in_order() {
    run(|sim| {
        let mut queue = queue();
        let queue: PRKQUEUE = &raw mut *queue;
        let mut entries: [Box<LIST_ENTRY>; 3] = [zeroed(), zeroed(), zeroed()];
        let [first, second, third] = entries.each_mut().map(|entry| &raw mut **entry);
        // SAFETY: queue and entries live until the end.
        let insert = |entry| unsafe { KeInsertQueue(queue, entry) };
        // SAFETY: as above.
        let insert_head = |entry| unsafe { KeInsertHeadQueue(queue, entry) };
        let states = sim.at_dispatch(|| [insert(second), insert(third), insert_head(first)]);
        assert_eq!(states, [0, 1, 2]);
        // SAFETY: as above.
        assert_eq!(unsafe { KeReadStateQueue(queue) }, 3);
        let removed = [(); 3].map(|()| remove(queue, Some(0)));
        assert_eq!(removed, [first, second, third]);
        assert_eq!(status(remove(queue, Some(-10_000_000))), STATUS_TIMEOUT);
        assert!(sim.now().as_secs() >= 1);
    });
}

#[test]
fn queue_every_entry_wakes_one_thread() {
    seeds(50, |sim| {
        let mut queue = queue();
        let shared = Shared(&raw mut *queue);
        let tasks = [(); 3].map(|()| sim.spawn(move || Shared(remove(shared.get(), None))));
        let mut entries: [Box<LIST_ENTRY>; 3] = [zeroed(), zeroed(), zeroed()];
        let entries = entries.each_mut().map(|entry| &raw mut **entry);
        for entry in entries {
            // SAFETY: queue and entries live until the end.
            unsafe { KeInsertQueue(shared.get(), entry) };
        }
        let mut removed = tasks.map(|task| task.join().get());
        removed.sort_unstable();
        let mut inserted = entries;
        inserted.sort_unstable();
        assert_eq!(removed, inserted);
    });
}

#[test]
fn queue_run_down_gives_its_entries_and_ends_waits() {
    seeds(50, |sim| {
        let mut queue = queue();
        let shared = Shared(&raw mut *queue);
        let mut entries: [Box<LIST_ENTRY>; 2] = [zeroed(), zeroed()];
        let [first, second] = entries.each_mut().map(|entry| &raw mut **entry);
        // SAFETY: queue and entries live until the end.
        unsafe { KeInsertQueue(shared.get(), first) };
        // SAFETY: as above.
        unsafe { KeInsertQueue(shared.get(), second) };
        // SAFETY: as above.
        let chain = unsafe { KeRundownQueue(shared.get()) };
        // SAFETY: the chain of both entries, which ends where it begins.
        let LIST_ENTRY { Flink, Blink } = unsafe { *chain };
        assert_eq!((chain, Flink, Blink), (first, second, second));
        let task = sim.spawn(move || status(remove(shared.get(), None)));
        assert_eq!(task.join(), STATUS_ABANDONED);
        // SAFETY: as above.
        assert!(unsafe { KeRundownQueue(shared.get()) }.is_null());
    });
}

#[test]
fn queue_waited_for_at_dispatch_is_reported() {
    expect(Rule::BlockingAboveApc, "KeRemoveQueue", |sim| {
        let mut queue = queue();
        sim.at_dispatch(|| remove(&raw mut *queue, None));
    });
}

#[test]
fn queue_not_initialised_is_reported() {
    expect(Rule::UninitialisedObject, "KeInsertQueue", |_| {
        let (mut queue, mut entry): (Box<KQUEUE>, Box<LIST_ENTRY>) = (zeroed(), zeroed());
        // SAFETY: breaks the rule: zeroes are no queue.
        unsafe { KeInsertQueue(&raw mut *queue, &raw mut *entry) };
    });
}

/// An empty list.
#[expect(
    clippy::unnecessary_box_returns,
    reason = "a list's head does not move"
)]
fn list() -> Box<LIST_ENTRY> {
    let mut head: Box<LIST_ENTRY> = zeroed();
    let address = &raw mut *head;
    (head.Flink, head.Blink) = (address, address);
    head
}

#[test]
fn interlocked_list_keeps_its_order() {
    run(|sim| {
        let (mut head, mut lock) = (list(), Box::new(0));
        let (head, lock): (PLIST_ENTRY, *mut KSPIN_LOCK) = (&raw mut *head, &raw mut *lock);
        let mut entries: [Box<LIST_ENTRY>; 3] = [zeroed(), zeroed(), zeroed()];
        let [first, second, third] = entries.each_mut().map(|entry| &raw mut **entry);
        let null = ptr::null_mut();
        // SAFETY: list, lock and entries live until the end.
        let insert = |entry| unsafe { ExInterlockedInsertTailList(head, entry, lock) };
        // SAFETY: as above.
        let insert_head = |entry| unsafe { ExInterlockedInsertHeadList(head, entry, lock) };
        let before = sim.at_dispatch(|| [insert(second), insert(third), insert_head(first)]);
        assert_eq!(before, [null, second, second]);
        // SAFETY: as above.
        let remove = || unsafe { ExInterlockedRemoveHeadList(head, lock) };
        assert_eq!(
            [remove(), remove(), remove(), remove()],
            [first, second, third, null]
        );
    });
}

#[test]
fn interlocked_single_list_is_a_stack() {
    run(|_| {
        let (mut head, mut lock): (Box<SINGLE_LIST_ENTRY>, _) = (zeroed(), Box::new(0));
        let (head, lock): (_, *mut KSPIN_LOCK) = (&raw mut *head, &raw mut *lock);
        let mut entries: [Box<SINGLE_LIST_ENTRY>; 2] = [zeroed(), zeroed()];
        let [first, second] = entries.each_mut().map(|entry| &raw mut **entry);
        // SAFETY: list, lock and entries live until the end.
        let push = |entry| unsafe { ExInterlockedPushEntryList(head, entry, lock) };
        assert_eq!([push(first), push(second)], [ptr::null_mut(), first]);
        // SAFETY: as above.
        let pop = || unsafe { ExInterlockedPopEntryList(head, lock) };
        assert_eq!([pop(), pop(), pop()], [second, first, ptr::null_mut()]);
    });
}

#[test]
fn interlocked_numbers_add_up_under_any_schedule() {
    seeds(20, |sim| {
        let (mut small, mut large) = (Box::new(0), Box::new(LARGE_INTEGER { QuadPart: 0 }));
        let mut lock: Box<KSPIN_LOCK> = Box::new(0);
        let (small, large) = (Shared(&raw mut *small), Shared(&raw mut *large));
        let lock = Shared(&raw mut *lock);
        let tasks = [(); 3].map(|()| {
            sim.spawn(move || {
                for _ in 0..5 {
                    // SAFETY: numbers and lock live until the tasks have ended.
                    unsafe { ExInterlockedAddUlong(small.get(), 2, lock.get()) };
                    let three = LARGE_INTEGER { QuadPart: 3 };
                    // SAFETY: as above.
                    unsafe { ExInterlockedAddLargeInteger(large.get(), three, lock.get()) };
                }
            })
        });
        tasks.into_iter().for_each(wsk_sim::Task::join);
        // SAFETY: the tasks have ended.
        assert_eq!(unsafe { small.get().read() }, 30);
        // SAFETY: as above.
        let large = unsafe { large.get().read() };
        // SAFETY: every bit pattern is a valid QuadPart.
        assert_eq!(unsafe { large.QuadPart }, 45);
    });
}

#[test]
fn interlocked_list_with_broken_link_is_reported() {
    expect(Rule::CorruptList, "leads back", |_| {
        let (mut head, mut other, mut entry) = (list(), list(), list());
        let mut lock: KSPIN_LOCK = 0;
        // Breaks the rule: the head leads to an entry that does not lead back.
        head.Flink = &raw mut *other;
        let (head, entry) = (&raw mut *head, &raw mut *entry);
        // SAFETY: the links lead to live entries.
        unsafe { ExInterlockedInsertHeadList(head, entry, &raw mut lock) };
    });
}

#[test]
fn work_item_runs_on_a_system_thread_not_on_the_queuing_one() {
    static THREADS: AtomicU32 = AtomicU32::new(0);
    unsafe extern "C" fn routine(_: PDEVICE_OBJECT, context: PVOID) {
        // SAFETY: there are no conditions.
        let thread = unsafe { wdk_sys::ntddk::PsGetCurrentThreadId() };
        THREADS.store(u32::try_from(thread.addr()).unwrap(), SeqCst);
        // SAFETY: the context is the event of the test.
        unsafe { set_context(context) };
    }
    run(|_| {
        let mut event = event();
        // SAFETY: within a simulation; the device is not used.
        let item = unsafe { IoAllocateWorkItem(ptr::null_mut()) };
        // SAFETY: the item is idle.
        unsafe { IoQueueWorkItem(item, Some(routine), 1, (&raw mut *event).cast()) };
        wait(&raw mut *event, None);
        // SAFETY: the item has run.
        unsafe { IoFreeWorkItem(item) };
        // SAFETY: there are no conditions.
        let own = unsafe { wdk_sys::ntddk::PsGetCurrentThreadId() };
        assert_ne!(THREADS.load(SeqCst) as usize, own.addr());
    });
}
