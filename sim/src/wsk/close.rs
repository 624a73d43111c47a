//! Closing: everything pending is cancelled, callbacks that run are waited for, then the close
//! completes and the socket is gone [wsk 10].

// UNSAFETY: a function of the sockets' tables.
#![expect(unsafe_code, reason = "a function of the sockets' tables")]

use core::sync::atomic::Ordering::SeqCst;
use std::collections::VecDeque;

use wdk_sys::{NTSTATUS, PIRP, STATUS_PENDING};
use wsk_sys::PWSK_SOCKET;

use super::call::{Call, Entry};
use super::progress::{self, Completion};
use super::request::{Answer, Turn};
use super::socket::{Mover, Phase, Socket, State};
use super::tables::Category;
use crate::sim::{Shared, lock, offence};
use crate::verifier::Rule;

/// `WskCloseSocket`, also at `DISPATCH_LEVEL` and in event callbacks [wsk 10.6].
pub(super) unsafe extern "C" fn wsk_close_socket(socket: PWSK_SOCKET, irp: PIRP) -> NTSTATUS {
    let call = Entry::new(socket, "WskCloseSocket", &Category::ALL).take(irp);
    let mut state = lock(&call.socket.state);
    let broken = if state.phase != Phase::Open {
        Some(Rule::CallAfterClose)
    } else if call.socket.running.load(SeqCst) > 1 {
        Some(Rule::CloseDuringCall)
    // [wsk 10.4]
    } else if state.incoming.lists.has_retained() || state.datagrams.lists.has_retained() {
        Some(Rule::RetainedAtClose)
    } else {
        None
    };
    if let Some(rule) = broken {
        drop(state);
        let details = format!("WskCloseSocket on the {}", call.socket.describe());
        offence(rule, &details);
    }
    state.phase = Phase::Closing(None);
    drop(state);
    close(&call)
}

/// Nothing is pending, and no callback runs [wsk 10.2].
pub(super) fn is_quiet(state: &State) -> bool {
    state.lanes.iter().all(VecDeque::is_empty) && state.events.is_quiet()
}

fn close(call: &Call) -> NTSTATUS {
    let (sim, socket) = (&call.me.sim, &call.socket);
    let at_once = progress::at_once(sim);
    let answer = sim.faults.close().map_or(Answer::SUCCESS, Answer::status);
    let mut state = lock(&socket.state);
    if at_once && is_quiet(&state) && state.mover == Mover::Idle {
        bury(sim, socket, &mut state);
        drop(state);
        return call.complete(answer);
    }
    progress::cancel_all(state.lanes.iter_mut().flatten());
    progress::mark_pending(call);
    state.phase = Phase::Closing(Some((call.irp.expose_provenance(), answer)));
    drop(state);
    progress::schedule(sim, socket);
    sim.sched.point(&call.me);
    STATUS_PENDING
}

/// The completion of the close, once nothing is left.
pub(super) fn next(turn: &mut Turn<'_>) -> Option<Completion> {
    let Phase::Closing(Some(completion)) = turn.state.phase else {
        return None;
    };
    if !is_quiet(turn.state) {
        return None;
    }
    bury(turn.sim, turn.socket, turn.state);
    Some(completion)
}

/// The socket is gone.
pub(super) fn bury(sim: &Shared, socket: &Socket, state: &mut State) {
    socket.dismantle(sim, state);
    lock(&sim.wsk.registrations).uncount_socket(sim, socket.client);
}
