//! Requests of a client's that belong to no socket. They take a while, and may be cancelled
//! meanwhile.

// UNSAFETY: the cancel routine is called by whoever cancels the IRP.
#![expect(unsafe_code, reason = "a cancel routine, and views of pending IRPs")]

use core::sync::atomic::Ordering::SeqCst;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use wdk_sys::{
    NTSTATUS, PDEVICE_OBJECT, PIRP, STATUS_CANCELLED, STATUS_INSUFFICIENT_RESOURCES, STATUS_PENDING,
};
use wsk_sys::PWSK_CLIENT;

use super::buffer::Buffer;
use super::call::{check_context, complete_inline};
use super::progress;
use super::registration;
use super::request::Answer;
use crate::current::current;
use crate::faults::Fault;
use crate::kernel::irp;
use crate::kernel::irql::{DISPATCH, PASSIVE};
use crate::kernel::layout::{Irp, view};
use crate::sched::{Job, Thread, Work as Delivery};
use crate::sim::{Shared, lock, offence};
use crate::verifier::Rule;

/// One request in so many takes long: up to `LONG` units of 100 ns.
const LONG_ONE_IN: usize = 2;
const LONG: usize = 10_000_000;
/// One request in so many completes at `PASSIVE_LEVEL`.
const PASSIVE_ONE_IN: usize = 4;

type Work = Box<dyn FnOnce(&Arc<Shared>) -> Answer + Send>;

/// The requests of all clients.
#[derive(Default)]
pub(super) struct ClientRequests(Mutex<State>);

#[derive(Default)]
struct State {
    last: u64,
    pending: BTreeMap<u64, Pending>,
    /// How many requests of each client are not over.
    unfinished: BTreeMap<usize, usize>,
}

struct Pending {
    client: usize,
    irp: usize,
    cancelled: bool,
    work: Work,
}

/// A call that makes such a request.
pub(super) struct ClientCall {
    pub(super) me: Arc<Thread>,
    pub(super) client: usize,
    irp: PIRP,
    packet: &'static Irp,
}

impl ClientCall {
    /// Enters a function of the provider's table; `Err` is its status if it ends here.
    pub(super) fn enter(
        client: PWSK_CLIENT,
        irp: PIRP,
        function: &'static str,
    ) -> Result<Self, NTSTATUS> {
        let me = current();
        check_context(&me, PASSIVE, function);
        let client = registration::expect_client(&me, client, function);
        if irp.is_null() {
            offence(Rule::IrpRequired, &format!("{function} without an IRP"));
        }
        let packet = irp::give_to_provider(&me, irp, function);
        me.sim.wsk.client_requests.begin(client);
        me.sim.sched.point(&me);
        let call = Self {
            me,
            client,
            irp,
            packet,
        };
        if call.me.sim.faults.strikes(Fault::ProviderCall) {
            return Err(call.complete(answer(STATUS_INSUFFICIENT_RESOURCES)));
        }
        Ok(call)
    }

    /// Completes the IRP before the call returns.
    pub(super) fn complete(&self, answer: Answer) -> NTSTATUS {
        self.me.sim.wsk.client_requests.end(self.client);
        complete_inline(&self.me, self.irp, self.packet, answer)
    }

    /// Has `work` done at once or later, unless the request is cancelled; `memory` is used until
    /// then.
    pub(super) fn submit(
        &self,
        memory: &Buffer,
        work: impl FnOnce(&Arc<Shared>) -> Answer + Send + 'static,
    ) -> NTSTATUS {
        let sim = &self.me.sim;
        let doom = sim.faults.completion();
        let work = move |sim: &Arc<Shared>| doom.map_or_else(|| work(sim), answer);
        if progress::at_once(sim) {
            let answer = work(sim);
            return self.complete(answer);
        }
        let irp = self.irp.expose_provenance();
        progress::mark_pending_for(sim, self.client, self.packet);
        lock(&sim.wsk.sockets).remember(irp, None, Some(memory));
        let number = sim.wsk.client_requests.add(Pending {
            client: self.client,
            irp,
            cancelled: false,
            work: Box::new(work),
        });
        let routine = &self.packet.cancel_routine;
        routine.store(cancel as *const () as usize, SeqCst);
        if self.packet.cancel.load(SeqCst) != 0 && routine.swap(0, SeqCst) != 0 {
            sim.wsk.client_requests.mark_cancelled(irp);
            deliver(sim, number, 0);
        } else {
            let long = sim.sched.choose_below(LONG_ONE_IN) == 0;
            let delay = if long {
                1 + sim.sched.choose_below(LONG)
            } else {
                0
            };
            deliver(sim, number, delay);
        }
        sim.sched.point(&self.me);
        STATUS_PENDING
    }
}

/// The status code of a request is its information, too [wsk 3b].
pub(super) fn answer(status: NTSTATUS) -> Answer {
    Answer {
        status,
        information: status.cast_unsigned() as usize,
    }
}

impl ClientRequests {
    fn begin(&self, client: usize) {
        *lock(&self.0).unfinished.entry(client).or_default() += 1;
    }

    fn end(&self, client: usize) {
        if let Some(count) = lock(&self.0).unfinished.get_mut(&client) {
            *count -= 1;
        }
    }

    /// How many requests of a client are not over.
    pub(super) fn unfinished(&self, client: usize) -> usize {
        lock(&self.0).unfinished.get(&client).copied().unwrap_or(0)
    }

    fn add(&self, pending: Pending) -> u64 {
        let mut state = lock(&self.0);
        state.last += 1;
        let number = state.last;
        state.pending.insert(number, pending);
        number
    }

    fn take(&self, number: u64) -> Option<Pending> {
        lock(&self.0).pending.remove(&number)
    }

    fn mark_cancelled(&self, irp: usize) -> Option<u64> {
        let mut state = lock(&self.0);
        let mut pending = state.pending.iter_mut();
        let (number, found) = pending.find(|(_, pending)| pending.irp == irp)?;
        found.cancelled = true;
        Some(*number)
    }
}

/// Has a request finished after a while.
fn deliver(sim: &Shared, number: u64, delay: usize) {
    let passive = sim.sched.choose_below(PASSIVE_ONE_IN) == 0;
    let job = Job {
        irql: if passive { PASSIVE } else { DISPATCH },
        work: Delivery::Call(Box::new(move || finish(number))),
    };
    sim.sched.deliver(delay as u64, job);
}

/// Finishes a request, unless that has been done.
fn finish(number: u64) {
    let me = current();
    let Some(pending) = me.sim.wsk.client_requests.take(number) else {
        return;
    };
    let result = if pending.cancelled {
        answer(STATUS_CANCELLED)
    } else {
        (pending.work)(&me.sim)
    };
    me.sim.wsk.client_requests.end(pending.client);
    progress::finish(&me, pending.client, (pending.irp, result));
}

/// The cancel routine of every pending request.
unsafe extern "C" fn cancel(_device: PDEVICE_OBJECT, irp: PIRP) {
    let me = current();
    // SAFETY: whoever cancels holds the cancel lock, and the IRP is pending here.
    let irql = unsafe { view::<Irp>(irp) }.cancel_irql.load(SeqCst);
    let found = me.sim.wsk.client_requests.mark_cancelled(irp.addr());
    irp::release_cancel_lock(&me, irql);
    if let Some(number) = found {
        deliver(&me.sim, number, 0);
    }
}
