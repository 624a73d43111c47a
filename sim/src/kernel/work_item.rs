//! Work items: a routine of the driver's on a system worker thread, at `PASSIVE_LEVEL`.
//!
//! Two kinds: those of the I/O manager, allocated by it or initialised in the driver's memory, and
//! the older `WORK_QUEUE_ITEM`, which lies in the driver's memory and is known here only while it
//! is queued.

// UNSAFETY: a work item's routine is a function of the driver's.
#![expect(
    unsafe_code,
    reason = "exports of the kernel that call the driver's routines"
)]

use core::sync::atomic::Ordering::SeqCst;
use std::collections::BTreeMap;
use std::sync::Arc;

use wdk_sys::{
    PDEVICE_OBJECT, PIO_WORKITEM, PIO_WORKITEM_ROUTINE, PIO_WORKITEM_ROUTINE_EX, PVOID,
    PWORK_QUEUE_ITEM, ULONG, WORK_QUEUE_TYPE,
};

use super::irql::{DISPATCH, PASSIVE, require};
use super::layout::{WorkQueueItem, view};
use super::thread::Context;
use crate::current::current;
use crate::faults::Fault;
use crate::sched::{Job, Thread, Work};
use crate::sim::{lock, offence};
use crate::verifier::{DriverNumber, Rule, Site};

/// The bytes of a work item of the I/O manager, as `IoSizeofWorkItem` says.
const SIZE: ULONG = 0x58;
/// Where the addresses of allocated work items begin; they point to nothing.
const FIRST: usize = 0x7700_0000;

/// Where a work item is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// `IoAllocateWorkItem`.
    Allocated,
    /// `IoInitializeWorkItem` on memory of the driver's.
    Initialised,
    /// A `WORK_QUEUE_ITEM`.
    Queued,
}

struct Item {
    place: Place,
    device: usize,
    queued: bool,
    site: Site,
}

/// The work items of one simulation.
#[derive(Default)]
pub(crate) struct WorkItems {
    items: BTreeMap<usize, Item>,
    last: usize,
}

impl Item {
    fn describe(&self) -> String {
        let queued = if self.queued { ", queued" } else { "" };
        let what = match self.place {
            Place::Allocated => "allocated",
            Place::Initialised => "initialised",
            Place::Queued => "given to ExQueueWorkItem",
        };
        format!("work item{queued}, {what}{}", self.site)
    }
}

impl WorkItems {
    pub(crate) fn leaks(&self, driver: Option<DriverNumber>) -> Vec<String> {
        let left = self.items.values().filter(|item| item.site.is_of(driver));
        left.map(Item::describe).collect()
    }

    /// The work item in this range of memory, in words.
    pub(crate) fn find_in(&self, start: usize, length: usize) -> Option<String> {
        let mut inside = self.items.range(start..start + length);
        inside.next().map(|(_, item)| item.describe())
    }
}

/// Takes an item out that must be in `place`, and not queued.
fn remove(item: PIO_WORKITEM, place: Place, function: &str) {
    let me = current();
    require(&me, DISPATCH, function);
    let mut items = lock(&me.sim.kernel.work_items);
    let found = items.items.remove(&item.addr());
    drop(items);
    match found.filter(|found| found.place == place) {
        Some(found) if !found.queued => {}
        Some(found) => {
            let details = format!("{function} while queued: {}", found.describe());
            offence(Rule::WorkItem, &details)
        }
        None => {
            let details = format!("{function} of {item:p}, which is no such work item (any more)");
            offence(Rule::WorkItem, &details)
        }
    }
}

/// Marks an item of the I/O manager queued; returns its device.
fn mark_queued(me: &Thread, item: PIO_WORKITEM) -> PDEVICE_OBJECT {
    let mut items = lock(&me.sim.kernel.work_items);
    let details = match items.items.get_mut(&item.addr()) {
        Some(found) if !found.queued => {
            found.queued = true;
            return core::ptr::with_exposed_provenance_mut(found.device);
        }
        Some(found) => format!("queued while queued: {}", found.describe()),
        None => format!("{item:p} is no work item (any more)"),
    };
    drop(items);
    offence(Rule::WorkItem, &details)
}

/// Has `call` run on a system worker thread.
fn deliver(me: &Arc<Thread>, call: impl FnOnce() + Send + 'static) {
    let job = Job {
        irql: PASSIVE,
        work: Work::Call(Box::new(call)),
    };
    me.sim.sched.deliver(0, job);
    me.sim.sched.point(me);
}

fn queue(item: PIO_WORKITEM, call: impl FnOnce(PDEVICE_OBJECT) + Send + 'static) {
    let me = current();
    require(&me, DISPATCH, "IoQueueWorkItem");
    let device = Context(mark_queued(&me, item).cast());
    let address = item.addr();
    deliver(&me, move || {
        // The item is the driver's again before the routine runs: the routine may queue or free it.
        let sim = &current().sim;
        if let Some(item) = lock(&sim.kernel.work_items).items.get_mut(&address) {
            item.queued = false;
        }
        call(device.get().cast());
    });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoAllocateWorkItem(device: PDEVICE_OBJECT) -> PIO_WORKITEM {
    let me = current();
    require(&me, DISPATCH, "IoAllocateWorkItem");
    if me.sim.faults.strikes(Fault::Allocation) {
        return core::ptr::null_mut();
    }
    let mut items = lock(&me.sim.kernel.work_items);
    items.last += 16;
    let address = FIRST + items.last;
    let item = Item {
        place: Place::Allocated,
        device: device.expose_provenance(),
        queued: false,
        site: Site::here(&me.sim),
    };
    items.items.insert(address, item);
    core::ptr::without_provenance_mut(address)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoFreeWorkItem(item: PIO_WORKITEM) {
    remove(item, Place::Allocated, "IoFreeWorkItem");
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoSizeofWorkItem() -> ULONG {
    SIZE
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoInitializeWorkItem(device: PVOID, item: PIO_WORKITEM) {
    let me = current();
    require(&me, DISPATCH, "IoInitializeWorkItem");
    let known = lock(&me.sim.kernel.work_items).find_in(item.addr(), 1);
    if let Some(known) = known {
        offence(Rule::WorkItem, &format!("initialised again: {known}"));
    }
    // SAFETY: the driver passes memory of IoSizeofWorkItem bytes.
    unsafe { item.cast::<u8>().write_bytes(0, SIZE as usize) };
    let new = Item {
        place: Place::Initialised,
        device: device.expose_provenance(),
        queued: false,
        site: Site::here(&me.sim),
    };
    lock(&me.sim.kernel.work_items)
        .items
        .insert(item.addr(), new);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoUninitializeWorkItem(item: PIO_WORKITEM) {
    remove(item, Place::Initialised, "IoUninitializeWorkItem");
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoQueueWorkItem(
    item: PIO_WORKITEM,
    routine: PIO_WORKITEM_ROUTINE,
    _queue: WORK_QUEUE_TYPE,
    context: PVOID,
) {
    let context = Context(context);
    queue(item, move |device| {
        if let Some(routine) = routine {
            // SAFETY: the driver queued this routine with this context.
            unsafe { routine(device, context.get()) };
        }
    });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoQueueWorkItemEx(
    item: PIO_WORKITEM,
    routine: PIO_WORKITEM_ROUTINE_EX,
    _queue: WORK_QUEUE_TYPE,
    context: PVOID,
) {
    let (context, own) = (Context(context), Context(item.cast()));
    queue(item, move |device| {
        if let Some(routine) = routine {
            // SAFETY: the driver queued this routine with this context.
            unsafe { routine(device.cast(), context.get(), own.get().cast()) };
        }
    });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExQueueWorkItem(item: PWORK_QUEUE_ITEM, _queue: WORK_QUEUE_TYPE) {
    let me = current();
    require(&me, DISPATCH, "ExQueueWorkItem");
    // SAFETY: the driver passes an item that it keeps alive until its routine is called.
    let view: &WorkQueueItem = unsafe { view(item) };
    let new = Item {
        place: Place::Queued,
        device: 0,
        queued: true,
        site: Site::here(&me.sim),
    };
    let Some(routine) = view.routine.get() else {
        let details = format!("ExQueueWorkItem of {item:p}, which has no routine");
        offence(Rule::WorkItem, &details);
    };
    let old = lock(&me.sim.kernel.work_items)
        .items
        .insert(item.addr(), new);
    if let Some(old) = old {
        offence(
            Rule::WorkItem,
            &format!("queued while queued: {}", old.describe()),
        );
    }
    let (parameter, address) = (Context(view.parameter.get()), item.addr());
    view.list[0].store(address, SeqCst);
    let list = Context(item.cast());
    deliver(&me, move || {
        // The item is the driver's again before the routine runs: the routine may queue or free it.
        lock(&current().sim.kernel.work_items)
            .items
            .remove(&address);
        // SAFETY: a queued item stays alive until its routine is called [ddi ExQueueWorkItem].
        let item: &WorkQueueItem = unsafe { super::layout::view(list.get()) };
        item.list[0].store(0, SeqCst);
        // SAFETY: the driver queued this routine with this parameter.
        unsafe { routine(parameter.get()) };
    });
}
