//! How pending requests get further, complete, and are cancelled.
//!
//! One thread at a time moves the requests of a socket, one completion at a time, so that what was
//! asked for first is answered first. Completion routines are called with no lock held. A cancel
//! routine only marks its request; the mover completes it.

// UNSAFETY: the cancel routine is called by whoever cancels the IRP; IRPs are completed.
#![expect(unsafe_code, reason = "a cancel routine, and views of pending IRPs")]

use core::sync::atomic::Ordering::SeqCst;
use std::sync::Arc;

use wdk_sys::{IRP, NTSTATUS, PDEVICE_OBJECT, PIRP, STATUS_PENDING, STATUS_SUCCESS};

use super::Sockets;
use super::call::Call;
use super::request::{Request, Work};
use super::socket::{Mover, Phase, Socket, State};
use crate::current::current;
use crate::kernel::irp::{self, CANCELLED, SL_PENDING_RETURNED};
use crate::kernel::irql::{DISPATCH, PASSIVE};
use crate::kernel::layout::{Irp, view};
use crate::sched::{Job, Thread, Work as Delivery};
use crate::sim::{Shared, lock};

/// One move in so many happens at `PASSIVE_LEVEL`, on a system thread.
const PASSIVE_ONE_IN: usize = 4;

/// A completion that is due: the IRP's address, status and information.
type Completion = (usize, NTSTATUS, usize);

/// Starts a request on a socket that was made just now, for the client's IRP.
pub(super) fn submit_reply(
    me: &Arc<Thread>,
    socket: &Arc<Socket>,
    irp: PIRP,
    packet: &'static Irp,
    work: Work,
) -> NTSTATUS {
    let (me, socket) = (Arc::clone(me), Arc::clone(socket));
    socket.running.fetch_add(1, SeqCst);
    submit(
        &Call {
            me,
            socket,
            irp,
            packet,
        },
        work,
    )
}

/// Starts a request: completes it at once, or leaves it pending, as the schedule chooses.
pub(super) fn submit(call: &Call, mut work: Work) -> NTSTATUS {
    let (sim, socket) = (&call.me.sim, &call.socket);
    let lane = work.lane() as usize;
    let at_once = sim.wsk.inline_only || sim.sched.choose_below(2) == 0;
    let mut state = lock(&socket.state);
    let attempt = at_once && state.lanes[lane].is_empty() && state.mover == Mover::Idle;
    if attempt && let Some((status, information)) = socket.attempt(sim, &mut state, &mut work) {
        drop(state);
        return call.complete(status, information);
    }
    let idle = !attempt && state.lanes[lane].is_empty();
    let cancelled = pend(call, &work);
    state.lanes[lane].push_back(Request {
        irp: call.irp.addr(),
        work,
        cancelled,
    });
    drop(state);
    if idle || cancelled {
        schedule(sim, socket);
    }
    call.me.sim.sched.point(&call.me);
    STATUS_PENDING
}

/// Marks the IRP pending and enters the request into the books; true if it has been cancelled
/// already.
fn pend(call: &Call, work: &Work) -> bool {
    let stack = call.packet.stack(call.packet.current_location.get());
    stack.control.set(stack.control.get() | SL_PENDING_RETURNED);
    let mut sockets = lock(&call.me.sim.wsk.sockets);
    let irp = call.irp.expose_provenance();
    sockets.pending.insert(irp, Arc::clone(&call.socket));
    if let Some(buffer) = work.buffer() {
        sockets.buffers.extend(
            buffer
                .pieces
                .iter()
                .map(|(start, length)| ((*start, irp), start + length)),
        );
        sockets
            .mdls
            .extend(buffer.mdls.iter().map(|mdl| (*mdl, irp)));
    }
    drop(sockets);
    call.packet
        .cancel_routine
        .store(cancel as *const () as usize, SeqCst);
    call.packet.cancel.load(SeqCst) != 0 && call.packet.cancel_routine.swap(0, SeqCst) != 0
}

/// Starts the close; all calls on the socket are over, and everything pending is cancelled.
pub(super) fn close(call: &Call) -> NTSTATUS {
    let (sim, socket) = (&call.me.sim, &call.socket);
    let at_once = sim.wsk.inline_only || sim.sched.choose_below(2) == 0;
    let mut state = lock(&socket.state);
    let pending = state.lanes.iter().any(|lane| !lane.is_empty());
    if at_once && !pending && state.mover == Mover::Idle {
        Socket::dismantle(sim, &mut state);
        drop(state);
        lock(&sim.wsk.registrations).uncount_socket(sim, socket.client);
        return call.complete(STATUS_SUCCESS, 0);
    }
    for request in state.lanes.iter_mut().flatten() {
        request.cancelled = true;
    }
    let stack = call.packet.stack(call.packet.current_location.get());
    stack.control.set(stack.control.get() | SL_PENDING_RETURNED);
    state.phase = Phase::Closing(Some(call.irp.expose_provenance()));
    drop(state);
    schedule(sim, socket);
    sim.sched.point(&call.me);
    STATUS_PENDING
}

/// Has the requests moved soon.
pub(super) fn schedule(sim: &Shared, socket: &Arc<Socket>) {
    let irql = if sim.sched.choose_below(PASSIVE_ONE_IN) == 0 {
        PASSIVE
    } else {
        DISPATCH
    };
    let socket = Arc::clone(socket);
    let work = Delivery::Call(Box::new(move || run(&socket)));
    sim.sched.deliver(0, Job { irql, work });
}

/// The network has news: moves the requests here, or on a system thread.
pub(super) fn poke(socket: &Arc<Socket>) {
    let me = current();
    if me.sim.sched.choose_below(PASSIVE_ONE_IN) == 0 {
        schedule(&me.sim, socket);
    } else {
        let irql = me.set_irql(DISPATCH);
        run(socket);
        me.set_irql(irql);
    }
}

/// Moves the requests until none gets further.
fn run(socket: &Arc<Socket>) {
    let me = current();
    let mut state = lock(&socket.state);
    if state.mover != Mover::Idle {
        state.mover = Mover::MovingAgain;
        return;
    }
    loop {
        state.mover = Mover::Moving;
        if let Some(completion) = next(socket, &me.sim, &mut state) {
            drop(state);
            finish(&me, completion);
            state = lock(&socket.state);
        } else if state.mover == Mover::Moving {
            break;
        }
    }
    state.mover = Mover::Idle;
}

/// The next completion that is due.
fn next(socket: &Arc<Socket>, sim: &Arc<Shared>, state: &mut State) -> Option<Completion> {
    for lane in 0..state.lanes.len() {
        if let Some(index) = state.lanes[lane]
            .iter()
            .position(|request| request.cancelled && !request.work.made_a_socket())
        {
            return state.lanes[lane]
                .remove(index)
                .map(|request| (request.irp, CANCELLED, 0));
        }
        let Some(mut request) = state.lanes[lane].pop_front() else {
            continue;
        };
        if let Some((status, information)) = socket.attempt(sim, state, &mut request.work) {
            return Some((request.irp, status, information));
        }
        state.lanes[lane].push_front(request);
    }
    let Phase::Closing(Some(irp)) = state.phase else {
        return None;
    };
    Socket::dismantle(sim, state);
    lock(&sim.wsk.registrations).uncount_socket(sim, socket.client);
    Some((irp, STATUS_SUCCESS, 0))
}

fn finish(me: &Arc<Thread>, (irp, status, information): Completion) {
    lock(&me.sim.wsk.sockets).forget(irp);
    let pointer = core::ptr::with_exposed_provenance_mut::<IRP>(irp);
    // SAFETY: the IRP is the provider's until it completes it, below [wsk 3.5].
    let packet: &Irp = unsafe { view(pointer) };
    packet.cancel_routine.store(0, SeqCst);
    packet.status.set(status);
    packet.information.set(information);
    irp::complete(me, pointer);
    me.sim.sched.point(me);
}

impl Sockets {
    fn forget(&mut self, irp: usize) {
        self.pending.remove(&irp);
        self.buffers.retain(|(_, user), _| *user != irp);
        self.mdls.retain(|(_, user)| *user != irp);
    }
}

/// The cancel routine of every pending request.
unsafe extern "C" fn cancel(_device: PDEVICE_OBJECT, irp: PIRP) {
    let me = current();
    // SAFETY: whoever cancels holds the cancel lock, and the IRP is pending here.
    let irql = unsafe { view::<Irp>(irp) }.cancel_irql.load(SeqCst);
    let socket = lock(&me.sim.wsk.sockets).pending.get(&irp.addr()).cloned();
    irp::release_cancel_lock(&me, irql);
    let Some(socket) = socket else { return };
    let mut state = lock(&socket.state);
    let found = state
        .lanes
        .iter_mut()
        .flatten()
        .find(|request| request.irp == irp.addr());
    if let Some(request) = found {
        request.cancelled = true;
        drop(state);
        schedule(&me.sim, &socket);
    }
}
