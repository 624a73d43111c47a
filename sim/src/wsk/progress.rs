//! How pending requests get further, complete, and are cancelled.
//!
//! One thread at a time moves the requests of a socket, one completion at a time, so that what was
//! asked for first is answered first. Completion routines are called with no lock held. A cancel
//! routine only marks its request; the mover completes it.

// UNSAFETY: the cancel routine is called by whoever cancels the IRP; IRPs are completed.
#![expect(unsafe_code, reason = "a cancel routine, and views of pending IRPs")]

use core::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, MutexGuard};

use wdk_sys::{
    IRP, NTSTATUS, PDEVICE_OBJECT, PIRP, STATUS_CANCELLED, STATUS_FILE_FORCED_CLOSED,
    STATUS_PENDING,
};

use super::buffer::Buffer;
use super::call::Call;
use super::request::{Answer, Request, Turn, Work};
use super::socket::{Mover, Socket, State};
use super::{Pending, Sockets};
use super::{close, events};
use crate::current::current;
use crate::kernel::irp::{self, SL_PENDING_RETURNED};
use crate::kernel::irql::{DISPATCH, PASSIVE};
use crate::kernel::layout::{Irp, view};
use crate::sched::{Job, Thread, Work as Delivery};
use crate::sim::{Shared, lock};

/// One move in so many happens at `PASSIVE_LEVEL`, on a system thread.
const PASSIVE_ONE_IN: usize = 4;

/// A completion that is due: the IRP's address, and its answer.
pub(super) type Completion = (usize, Answer);

/// Whether what can be done at once is done before the call returns.
pub(super) fn at_once(sim: &Shared) -> bool {
    sim.wsk.inline_only || sim.sched.choose_below(2) == 0
}

/// Starts a request: completes it at once, or leaves it pending, as the schedule chooses.
pub(super) fn submit(call: &Call, mut work: Box<dyn Work>) -> NTSTATUS {
    let (sim, socket) = (&call.me.sim, &call.socket);
    let lane = work.lane() as usize;
    let at_once = at_once(sim);
    let mut state = lock(&socket.state);
    let free = state.lanes[lane].is_empty() && state.mover == Mover::Idle;
    let attempt = at_once && free && !state.dead && !events::goes_first(sim, &state, work.lane());
    if attempt && let Some(answer) = work.attempt(&mut turn(sim, socket, &mut state)) {
        return complete_at_once(call, state, work.hands_bytes_over(), answer);
    }
    let idle = !attempt && state.lanes[lane].is_empty();
    let cancelled = pend(call, work.as_ref());
    state.lanes[lane].push_back(Request {
        irp: call.irp.addr(),
        work,
        cancelled,
    });
    drop(state);
    if idle || cancelled {
        schedule(sim, socket);
    }
    sim.sched.point(&call.me);
    STATUS_PENDING
}

/// Completes a request before its call returns. Events may be due when it has taken bytes.
fn complete_at_once(
    call: &Call,
    mut state: MutexGuard<'_, State>,
    hands_bytes_over: bool,
    answer: Answer,
) -> NTSTATUS {
    let irp = call.irp.addr();
    if !hands_bytes_over {
        drop(state);
        return call.complete(answer);
    }
    state.incoming.hand_to_request(irp);
    drop(state);
    let status = call.complete(answer);
    let mut state = lock(&call.socket.state);
    let wanted = state.incoming.was_handed_to_request(irp);
    let watched = state.events.is_enabled(events::OF_CONNECTIONS);
    drop(state);
    if wanted || watched {
        schedule(&call.me.sim, &call.socket);
    }
    status
}

fn turn<'a>(sim: &'a Arc<Shared>, socket: &'a Arc<Socket>, state: &'a mut State) -> Turn<'a> {
    Turn { sim, socket, state }
}

/// Marks the IRP pending and enters the request into the books; true if it has been cancelled
/// already.
fn pend(call: &Call, work: &dyn Work) -> bool {
    mark_pending(call);
    let mut sockets = lock(&call.me.sim.wsk.sockets);
    let irp = call.irp.expose_provenance();
    sockets.remember(irp, Some(&call.socket), work.buffer());
    drop(sockets);
    call.packet
        .cancel_routine
        .store(cancel as *const () as usize, SeqCst);
    call.packet.cancel.load(SeqCst) != 0 && call.packet.cancel_routine.swap(0, SeqCst) != 0
}

/// Marks the IRP of a call pending; its completion will be counted as a use of the registration.
pub(super) fn mark_pending(call: &Call) {
    mark_pending_for(&call.me.sim, call.socket.client, call.packet);
}

/// As `mark_pending`, for a client's request that is not to a socket.
pub(super) fn mark_pending_for(sim: &Shared, client: usize, packet: &Irp) {
    let stack = packet.stack(packet.current_location.get());
    stack.control.set(stack.control.get() | SL_PENDING_RETURNED);
    lock(&sim.wsk.registrations).count_use(client);
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
        if let Some(completion) = next(&mut turn(&me.sim, socket, &mut state)) {
            drop(state);
            finish(&me, socket.client, completion);
            state = lock(&socket.state);
            state.incoming.was_handed_to_request(completion.0);
        } else if state.mover == Mover::Moving {
            break;
        }
    }
    state.mover = Mover::Idle;
}

/// The next completion that is due.
fn next(turn: &mut Turn<'_>) -> Option<Completion> {
    events::raise_due(turn.sim, turn.socket, turn.state);
    if let Some(irp) = turn.state.events.next_disabled() {
        return Some((irp, Answer::SUCCESS));
    }
    if events::hold_up(turn) {
        return None;
    }
    for lane in 0..turn.state.lanes.len() {
        if let Some(completion) = next_cancelled(turn, lane).or_else(|| next_done(turn, lane)) {
            return Some(completion);
        }
    }
    close::next(turn)
}

/// A request that was cancelled, or that ends because the socket is dead [wsk 9.9].
fn next_cancelled(turn: &mut Turn<'_>, lane: usize) -> Option<Completion> {
    let dead = turn.state.dead;
    let ends = |request: &Request| (dead || request.cancelled) && !request.work.is_decided();
    let index = turn.state.lanes[lane].iter().position(ends)?;
    let mut request = turn.state.lanes[lane].remove(index)?;
    let status = if dead {
        STATUS_FILE_FORCED_CLOSED
    } else {
        STATUS_CANCELLED
    };
    let answer = request.work.cancel(turn);
    Some((request.irp, answer.unwrap_or(Answer::status(status))))
}

fn next_done(turn: &mut Turn<'_>, lane: usize) -> Option<Completion> {
    let mut request = turn.state.lanes[lane].pop_front()?;
    let waits = events::goes_first(turn.sim, turn.state, request.work.lane());
    if !waits && let Some(answer) = request.work.attempt(turn) {
        if request.work.hands_bytes_over() {
            turn.state.incoming.hand_to_request(request.irp);
        }
        return Some((request.irp, answer));
    }
    turn.state.lanes[lane].push_front(request);
    None
}

/// Completes a pending IRP.
pub(super) fn finish(me: &Arc<Thread>, client: usize, (irp, answer): Completion) {
    lock(&me.sim.wsk.sockets).forget(irp);
    let pointer = core::ptr::with_exposed_provenance_mut::<IRP>(irp);
    // SAFETY: the IRP is the provider's until it completes it, below [wsk 3.5].
    let packet: &Irp = unsafe { view(pointer) };
    packet.cancel_routine.store(0, SeqCst);
    packet.status.set(answer.status);
    packet.information.set(answer.information);
    irp::complete(me, pointer);
    lock(&me.sim.wsk.registrations).uncount_use(&me.sim, client);
    me.sim.sched.point(me);
}

impl Sockets {
    /// Enters a pending request and the memory it uses.
    pub(super) fn remember(
        &mut self,
        irp: usize,
        socket: Option<&Arc<Socket>>,
        buffer: Option<&Buffer>,
    ) {
        let memory: Vec<_> = buffer.into_iter().flat_map(Buffer::memory).collect();
        let mdls = buffer.map_or(&[][..], |buffer| &buffer.mdls);
        let pending = Pending {
            socket: socket.cloned(),
            buffers: memory.iter().map(|(start, _)| *start).collect(),
            mdls: mdls.to_vec(),
        };
        self.pending.insert(irp, pending);
        let ends = memory
            .iter()
            .map(|(start, length)| ((*start, irp), start + length));
        self.buffers.extend(ends);
        self.mdls.extend(mdls.iter().map(|mdl| (*mdl, irp)));
    }

    /// The socket on which the request with this IRP is pending.
    fn socket_of(&self, irp: usize) -> Option<Arc<Socket>> {
        self.pending.get(&irp)?.socket.clone()
    }

    fn forget(&mut self, irp: usize) {
        let Some(pending) = self.pending.remove(&irp) else {
            return;
        };
        for start in pending.buffers {
            self.buffers.remove(&(start, irp));
        }
        for mdl in pending.mdls {
            self.mdls.remove(&(mdl, irp));
        }
    }
}

/// The cancel routine of every pending request [wsk 3.11].
unsafe extern "C" fn cancel(_device: PDEVICE_OBJECT, irp: PIRP) {
    let me = current();
    // SAFETY: whoever cancels holds the cancel lock, and the IRP is pending here.
    let irql = unsafe { view::<Irp>(irp) }.cancel_irql.load(SeqCst);
    let socket = lock(&me.sim.wsk.sockets).socket_of(irp.addr());
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

/// Cancels what is pending in a lane, or in all.
pub(super) fn cancel_all<'a>(requests: impl Iterator<Item = &'a mut Request>) {
    requests.for_each(|request| request.cancelled = true);
}
