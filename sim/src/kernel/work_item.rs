//! I/O work items: a routine of the driver's on a system worker thread, at `PASSIVE_LEVEL`.

// UNSAFETY: a work item's routine is a function of the driver's.
#![expect(
    unsafe_code,
    reason = "exports of the kernel that call the driver's routines"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use wdk_sys::{
    PDEVICE_OBJECT, PIO_WORKITEM, PIO_WORKITEM_ROUTINE, PIO_WORKITEM_ROUTINE_EX, PVOID,
    WORK_QUEUE_TYPE,
};

use super::irql::{DISPATCH, PASSIVE, require};
use super::thread::Context;
use crate::current::current;
use crate::faults::Fault;
use crate::sched::{Job, Thread, Work};
use crate::sim::{lock, offence};
use crate::verifier::{Rule, Site};

struct Item {
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

impl WorkItems {
    pub(crate) fn leaks(&self) -> Vec<String> {
        self.items
            .values()
            .map(|item| format!("work item allocated{}", item.site))
            .collect()
    }
}

fn queue(me: &Arc<Thread>, item: PIO_WORKITEM, call: impl FnOnce(PDEVICE_OBJECT) + Send + 'static) {
    require(me, DISPATCH, "IoQueueWorkItem");
    let device = {
        let mut items = lock(&me.sim.kernel.work_items);
        match items.items.get_mut(&item.addr()) {
            Some(found) if !found.queued => {
                found.queued = true;
                found.device
            }
            Some(found) => {
                let details = format!("queued while queued; allocated{}", found.site);
                offence(Rule::WorkItem, &details)
            }
            None => offence(
                Rule::WorkItem,
                &format!("{item:p} is no work item (any more)"),
            ),
        }
    };
    let (sim, address) = (Arc::clone(&me.sim), item.addr());
    let work = Work::Call(Box::new(move || {
        // The item is the driver's again before the routine runs: the routine may queue or free it.
        if let Some(item) = lock(&sim.kernel.work_items).items.get_mut(&address) {
            item.queued = false;
        }
        call(core::ptr::with_exposed_provenance_mut(device));
    }));
    me.sim.sched.deliver(
        0,
        Job {
            irql: PASSIVE,
            work,
        },
    );
    me.sim.sched.point(me);
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
    let address = 0x7700_0000 + items.last;
    let item = Item {
        device: device.expose_provenance(),
        queued: false,
        site: Site::here(&me.sim),
    };
    items.items.insert(address, item);
    core::ptr::without_provenance_mut(address)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoFreeWorkItem(item: PIO_WORKITEM) {
    let me = current();
    require(&me, DISPATCH, "IoFreeWorkItem");
    match lock(&me.sim.kernel.work_items).items.remove(&item.addr()) {
        Some(found) if !found.queued => {}
        Some(found) => offence(
            Rule::WorkItem,
            &format!("freed while queued; allocated{}", found.site),
        ),
        None => offence(
            Rule::WorkItem,
            &format!("{item:p} is no work item (any more)"),
        ),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoQueueWorkItem(
    item: PIO_WORKITEM,
    routine: PIO_WORKITEM_ROUTINE,
    _queue: WORK_QUEUE_TYPE,
    context: PVOID,
) {
    let context = Context(context);
    queue(&current(), item, move |device| {
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
    queue(&current(), item, move |device| {
        if let Some(routine) = routine {
            // SAFETY: the driver queued this routine with this context.
            unsafe { routine(device.cast(), context.get(), own.get().cast()) };
        }
    });
}
