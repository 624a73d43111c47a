//! Deferred procedure calls.
//!
//! A queued DPC is a delivery at `DISPATCH_LEVEL`; the scheduler says when and where. KDPC.DpcData
//! is not null while queued.

// UNSAFETY: a DPC is a structure in the driver's memory with a function of the driver's in it.
#![expect(
    unsafe_code,
    reason = "exports of the kernel that call the driver's routines"
)]

use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::SeqCst;

use wdk_sys::{BOOLEAN, KDPC, PKDEFERRED_ROUTINE, PRKDPC, PVOID};

use super::irql::{DISPATCH, require};
use super::layout::{Dpc, Header, view};
use super::object::{NOTIFICATION_EVENT, Object};
use super::wait::check_may_block;
use crate::current::current;
use crate::sched::baton::carry;
use crate::sched::{Job, Work};
use crate::sim::offence;
use crate::verifier::Rule;

/// KDPC.Type of an ordinary DPC.
const DPC_OBJECT: u8 = 19;

/// The deferred routines that run.
pub(crate) struct Dpcs {
    running: AtomicUsize,
    /// Signalled when one has returned.
    returned: Header,
}

impl Default for Dpcs {
    fn default() -> Self {
        Self {
            running: AtomicUsize::new(0),
            returned: Header::new(NOTIFICATION_EVENT, size_of::<Header>(), 0),
        }
    }
}

/// Marks the DPC queued; false if it is already.
pub(crate) fn mark_queued(dpc: *mut KDPC) -> bool {
    // SAFETY: the caller queues a DPC of the driver's, which stays alive until it has run [ddi
    // KeInsertQueueDpc].
    let dpc: &Dpc = unsafe { view(dpc) };
    dpc.queued.compare_exchange(0, 1, SeqCst, SeqCst).is_ok()
}

/// Delivers the DPC at `address`.
pub(crate) fn run(address: usize) {
    let pointer = core::ptr::with_exposed_provenance_mut::<KDPC>(address);
    // SAFETY: a queued DPC stays alive until it runs [ddi KeInsertQueueDpc].
    let dpc: &Dpc = unsafe { view(pointer) };
    let (routine, context) = (dpc.routine.get(), dpc.context.get());
    let (argument1, argument2) = (dpc.argument1.get(), dpc.argument2.get());
    dpc.queued.store(0, SeqCst);
    let me = current();
    let dpcs = &me.sim.kernel.dpcs;
    dpcs.running.fetch_add(1, SeqCst);
    if let Some(routine) = routine {
        // SAFETY: the driver registered this routine for this DPC; it runs at DISPATCH_LEVEL as it
        // expects.
        unsafe { routine(pointer, context, argument1, argument2) };
    }
    dpcs.running.fetch_sub(1, SeqCst);
    let returned = Object::of(&dpcs.returned);
    me.sim
        .sched
        .update(returned, || returned.header().state.store(1, SeqCst));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeInitializeDpc(dpc: PRKDPC, routine: PKDEFERRED_ROUTINE, context: PVOID) {
    // SAFETY: the driver passes memory for a DPC.
    unsafe { dpc.write_bytes(0, 1) };
    // SAFETY: as above.
    let dpc: &Dpc = unsafe { view(dpc) };
    dpc.kind.store(DPC_OBJECT, SeqCst);
    dpc.routine.set(routine);
    dpc.context.set(context);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeInsertQueueDpc(
    dpc: PRKDPC,
    argument1: PVOID,
    argument2: PVOID,
) -> BOOLEAN {
    let me = current();
    // SAFETY: the driver passes an initialised DPC.
    let view: &Dpc = unsafe { view(dpc) };
    if view.kind.load(SeqCst) != DPC_OBJECT {
        offence(
            Rule::UninitialisedObject,
            &format!("KeInsertQueueDpc at {dpc:p}"),
        );
    }
    if !mark_queued(dpc) {
        return 0;
    }
    view.argument1.set(argument1);
    view.argument2.set(argument2);
    let work = Work::Dpc(dpc.expose_provenance());
    me.sim.sched.deliver(
        0,
        Job {
            irql: DISPATCH,
            work,
        },
    );
    me.sim.sched.point(&me);
    1
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeRemoveQueueDpc(dpc: PRKDPC) -> BOOLEAN {
    let me = current();
    if !me.sim.sched.remove_dpc(dpc.addr()) {
        return 0;
    }
    // SAFETY: the DPC was queued, so it is alive.
    let view: &Dpc = unsafe { view(dpc) };
    view.queued.store(0, SeqCst);
    1
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeFlushQueuedDpcs() {
    let me = current();
    require(&me, super::irql::PASSIVE, "KeFlushQueuedDpcs");
    check_may_block(&me, "KeFlushQueuedDpcs");
    for delivery in me.sim.sched.take_dpcs() {
        carry(&me, delivery);
    }
    let dpcs = &me.sim.kernel.dpcs;
    loop {
        dpcs.returned.state.store(0, SeqCst);
        if dpcs.running.load(SeqCst) == 0 {
            return;
        }
        let returned = vec![Object::of(&dpcs.returned)];
        me.sim
            .sched
            .wait(&me, "KeFlushQueuedDpcs", returned, false, None);
    }
}
