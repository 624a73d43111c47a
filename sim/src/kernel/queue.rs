//! Kernel queues: `KQUEUE`.
//!
//! A queue is a dispatcher object whose state is the number of its entries. Windows lets about as
//! many threads go on as the queue was made for, and promises no more: here every thread that waits
//! may go on as soon as there is an entry.

// UNSAFETY: queues and entries are in the driver's memory.
#![expect(
    unsafe_code,
    reason = "exports of the kernel over objects in the driver's memory"
)]

use core::mem::offset_of;
use core::ptr::{null_mut, without_provenance_mut};
use core::sync::atomic::Ordering::SeqCst;
use std::sync::Arc;

use wdk_sys::{
    KPROCESSOR_MODE, KQUEUE, LIST_ENTRY, LONG, NTSTATUS, PLARGE_INTEGER, PLIST_ENTRY, PRKQUEUE,
    STATUS_ABANDONED, STATUS_TIMEOUT, ULONG,
};

use super::event::{expect_kind, initialise};
use super::irql::{DISPATCH, PASSIVE, require};
use super::layout::{Queue, view};
use super::list;
use super::object::{Object, QUEUE};
use super::time::{PROCESSORS, deadline};
use super::wait::{check_may_wait, read_timeout};
use crate::current::current;
use crate::sched::{Outcome, Thread};

/// The state of a queue that was run down: whoever waits, or will, goes on and finds no entry.
const RUN_DOWN: LONG = 1 << 30;

/// The head of a queue's entries.
fn entries(queue: PRKQUEUE) -> PLIST_ENTRY {
    queue.wrapping_byte_add(offset_of!(Queue, entries)).cast()
}

/// A status in the place of an entry, as `KeRemoveQueue` returns it.
fn status(status: NTSTATUS) -> PLIST_ENTRY {
    without_provenance_mut(usize::try_from(status).unwrap_or(0))
}

fn insert(queue: PRKQUEUE, function: &str, add: impl FnOnce(PLIST_ENTRY)) -> LONG {
    let me = current();
    require(&me, DISPATCH, function);
    // SAFETY: the driver passes a queue that it keeps alive.
    let object = unsafe { expect_kind(queue, &[QUEUE], function) };
    let old = me.sim.sched.update(object, || {
        add(entries(queue));
        object.header().state.fetch_add(1, SeqCst)
    });
    me.sim.sched.point(&me);
    old
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeInitializeQueue(queue: PRKQUEUE, count: ULONG) {
    // SAFETY: the driver passes memory for a queue.
    unsafe { initialise(queue, QUEUE, size_of::<KQUEUE>(), 0) };
    // SAFETY: as above.
    unsafe { list::initialise(entries(queue)) };
    // SAFETY: as above.
    unsafe {
        list::initialise(
            queue
                .wrapping_byte_add(offset_of!(Queue, threads))
                .cast::<LIST_ENTRY>(),
        );
    };
    // SAFETY: as above.
    let view: &Queue = unsafe { view(queue) };
    view.current.store(0, SeqCst);
    let maximum = if count == 0 { PROCESSORS } else { count };
    view.maximum.store(maximum, SeqCst);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeInsertQueue(queue: PRKQUEUE, entry: PLIST_ENTRY) -> LONG {
    // SAFETY: the driver passes memory for an entry; the list is the queue's.
    insert(queue, "KeInsertQueue", |head| unsafe {
        list::insert_tail(head, entry);
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeInsertHeadQueue(queue: PRKQUEUE, entry: PLIST_ENTRY) -> LONG {
    // SAFETY: the driver passes memory for an entry; the list is the queue's.
    insert(queue, "KeInsertHeadQueue", |head| unsafe {
        list::insert_head(head, entry);
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeReadStateQueue(queue: PRKQUEUE) -> LONG {
    // SAFETY: the driver passes a queue that it keeps alive.
    let object = unsafe { expect_kind(queue, &[QUEUE], "KeReadStateQueue") };
    object.header().state.load(SeqCst)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeRemoveQueue(
    queue: PRKQUEUE,
    _mode: KPROCESSOR_MODE,
    timeout: PLARGE_INTEGER,
) -> PLIST_ENTRY {
    let me = current();
    // SAFETY: the driver passes null or a time-out.
    let timeout = unsafe { read_timeout(timeout) };
    check_may_wait(&me, timeout, "KeRemoveQueue");
    // SAFETY: the driver passes a queue that it keeps alive.
    let object = unsafe { expect_kind(queue, &[QUEUE], "KeRemoveQueue") };
    remove(&me, queue, object, timeout)
}

fn remove(me: &Arc<Thread>, queue: PRKQUEUE, object: Object, timeout: Option<i64>) -> PLIST_ENTRY {
    let until = timeout.map(|timeout| deadline(&me.sim, timeout));
    let sched = &me.sim.sched;
    if sched.wait(me, "KeRemoveQueue", vec![object], false, until) == Outcome::Timeout {
        return status(STATUS_TIMEOUT);
    }
    // SAFETY: the list is the queue's. It is empty if the queue was run down.
    unsafe { list::remove_head(entries(queue)) }.unwrap_or(status(STATUS_ABANDONED))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeRundownQueue(queue: PRKQUEUE) -> PLIST_ENTRY {
    let me = current();
    require(&me, PASSIVE, "KeRundownQueue");
    // SAFETY: the driver passes a queue that it keeps alive.
    let object = unsafe { expect_kind(queue, &[QUEUE], "KeRundownQueue") };
    let first = me.sim.sched.update(object, || {
        object.header().state.store(RUN_DOWN, SeqCst);
        // SAFETY: the list is the queue's.
        unsafe { list::take_all(entries(queue)) }
    });
    me.sim.sched.point(&me);
    first.unwrap_or(null_mut())
}
