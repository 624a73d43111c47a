//! Accepting: by `WskAccept`, and by `WskAcceptEvent` [wsk 7].

// UNSAFETY: functions of the sockets' tables.
#![expect(unsafe_code, reason = "functions of the sockets' tables")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use wdk_sys::{
    NTSTATUS, PIRP, PVOID, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
    STATUS_REQUEST_NOT_ACCEPTED, STATUS_SUCCESS, ULONG,
};
use wsk_sys::{PSOCKADDR, PWSK_SOCKET, WSK_CLIENT_CONNECTION_DISPATCH, WSK_EVENT_ACCEPT};

use super::call::Call;
use super::control::options;
use super::events::{self, Callback};
use super::request::{Answer, Lane, Turn, Work};
use super::socket::{ClientSide, Flow, Phase, Socket, State};
use super::tables::Category::{Connection, Listen, Stream};
use super::{address, callbacks, close, progress};
use crate::kernel::pool::check_not_paged;
use crate::kernel::thread::Context;
use crate::net::{Arrival, Network};
use crate::sim::{Shared, lock, offence};
use crate::verifier::Rule;

/// Takes a connection; the new socket's context and table, and where its addresses go.
struct Accept {
    client_side: ClientSide,
    local: Context,
    remote: Context,
}

/// Begins to listen at the address that the socket has [wsk 4.8].
pub(super) fn listen(
    sim: &Shared,
    socket: &Arc<Socket>,
    state: &mut State,
) -> Result<(), NTSTATUS> {
    let binding = state.binding.ok_or(STATUS_INVALID_DEVICE_STATE)?;
    let inspect = options::is_conditional(state);
    sim.net.listen(binding, inspect, socket.watcher())
}

/// `WskListen` of a stream socket [wsk 4.8].
pub(super) unsafe extern "C" fn wsk_listen(socket: PWSK_SOCKET, irp: PIRP) -> NTSTATUS {
    let call = match Call::enter(socket, irp, "WskListen", &[Stream]) {
        Ok(call) => call,
        Err(status) => return status,
    };
    let mut state = lock(&call.socket.state);
    let result = if state.flow == Flow::Undecided && state.lane(Lane::Connect).is_empty() {
        listen(&call.me.sim, &call.socket, &mut state)
    } else {
        Err(STATUS_INVALID_DEVICE_STATE)
    };
    if result.is_ok() {
        state.flow = Flow::Listen;
    }
    drop(state);
    call.reply(result)
}

/// `WskAccept` [wsk 7.4].
pub(super) unsafe extern "C" fn wsk_accept(
    socket: PWSK_SOCKET,
    flags: ULONG,
    context: PVOID,
    dispatch: *const WSK_CLIENT_CONNECTION_DISPATCH,
    local: PSOCKADDR,
    remote: PSOCKADDR,
    irp: PIRP,
) -> NTSTATUS {
    let call = match Call::enter(socket, irp, "WskAccept", &[Listen, Stream]) {
        Ok(call) => call,
        Err(status) => return status,
    };
    let pool = lock(&call.me.sim.kernel.pool);
    let paged = [context.addr(), local.addr(), remote.addr()]
        .into_iter()
        .find(|at| pool.is_paged(*at));
    drop(pool);
    if let Some(paged) = paged {
        let details = format!("WskAccept with a context or address buffer at {paged:#x}");
        offence(Rule::PagedAtDispatch, &details);
    }
    check_not_paged(&call.me, dispatch.addr(), "a table of event callbacks");
    let mut state = lock(&call.socket.state);
    let listens = state.flow == Flow::Listen && state.local.is_some();
    let busy = !state.lane(Lane::Accept).is_empty();
    drop(state);
    if busy {
        let details = format!("WskAccept on the {}", call.socket.describe());
        offence(Rule::ParallelAccept, &details);
    }
    if !listens {
        return call.reply(Answer::status(STATUS_INVALID_DEVICE_STATE));
    }
    if flags != 0 {
        return call.reply(Answer::status(STATUS_INVALID_PARAMETER));
    }
    call.submit(Accept {
        client_side: ClientSide {
            context: Context(context),
            dispatch: Context(dispatch.cast_mut().cast()),
        },
        local: Context(local.cast()),
        remote: Context(remote.cast()),
    })
}

impl Work for Accept {
    fn lane(&self) -> Lane {
        Lane::Accept
    }

    fn attempt(&mut self, turn: &mut Turn<'_>) -> Option<Answer> {
        let arrival = turn.sim.net.accept(turn.state.binding?)?;
        let (accepted, addresses) = adopt(turn, arrival, self.client_side);
        if let Some((local, remote)) = addresses {
            address::write_out(self.local, local);
            address::write_out(self.remote, remote);
        }
        progress::schedule(turn.sim, &accepted);
        Some(Answer::information(accepted.pointer().expose_provenance()))
    }
}

type Addresses = (SocketAddr, SocketAddr);

/// Makes an accepted socket of a connection that has arrived; what the listener has of options
/// passes to it [wsk 5.3].
fn adopt(
    turn: &mut Turn<'_>,
    arrival: Arrival,
    client_side: ClientSide,
) -> (Arc<Socket>, Option<Addresses>) {
    let listener = turn.socket;
    let kind = (Connection, listener.family, listener.protocol);
    let accepted = Socket::create(turn.sim, kind, listener.client, client_side);
    let addresses = turn.sim.net.addresses(arrival.endpoint);
    turn.sim.net.watch(arrival.endpoint, accepted.watcher());
    let mut state = lock(&accepted.state);
    state.endpoint = Some(arrival.endpoint);
    state.connected = true;
    state.local = addresses.map(|(local, _)| local);
    state.options = options::inherited(turn.state);
    state.inspected = arrival
        .request
        .and_then(|request| turn.state.inspections.let_in(request));
    drop(state);
    (accepted, addresses)
}

/// Raises the accept event if a connection is there.
pub(super) fn raise_due(sim: &Arc<Shared>, socket: &Arc<Socket>, state: &mut State) {
    let Some(binding) = state.binding else { return };
    let due = if state.dead {
        !state.events.is_death_reported()
    } else {
        sim.net.has_arrived(binding)
    };
    if !due || !state.events.may_be_raised(WSK_EVENT_ACCEPT) {
        return;
    }
    let nobody_waits = state.lane(Lane::Accept).is_empty();
    if events::wins_the_race(sim, nobody_waits) {
        events::raise(sim, socket, state, WSK_EVENT_ACCEPT, accept_event);
    }
}

/// `WskAcceptEvent` for one connection [wsk 7.2, 7.3].
fn accept_event(callback: &Callback<'_>) {
    let (sim, listener) = (&callback.me.sim, callback.socket);
    let mut state = lock(&listener.state);
    if state.dead {
        let first = state.events.report_death();
        drop(state);
        if first {
            let (status, _) = callbacks::accept(callback, None);
            let known = [STATUS_SUCCESS, STATUS_REQUEST_NOT_ACCEPTED];
            callback.expect_status(status, "WskAcceptEvent", &known);
        }
        return;
    }
    let arrival = state.binding.and_then(|binding| sim.net.accept(binding));
    let inherited = state.events.inherited();
    let accepted = arrival.map(|arrival| {
        let mut turn = Turn {
            sim,
            socket: listener,
            state: &mut state,
        };
        adopt(&mut turn, arrival, ClientSide::NOBODY)
    });
    drop(state);
    if let Some((accepted, Some(addresses))) = accepted {
        offer(callback, &accepted, addresses, inherited);
    }
}

/// Offers a new connection to the client.
fn offer(callback: &Callback<'_>, accepted: &Arc<Socket>, addresses: Addresses, inherited: ULONG) {
    let sim = &callback.me.sim;
    let (status, client_side) = callbacks::accept(callback, Some((accepted, addresses)));
    let known = [STATUS_SUCCESS, STATUS_REQUEST_NOT_ACCEPTED];
    callback.expect_status(status, "WskAcceptEvent", &known);
    let mut state = lock(&accepted.state);
    if status == STATUS_SUCCESS {
        state.client_side = client_side;
        state.events.enable(inherited);
        drop(state);
        accepted.keep_client_memory(sim, client_side);
        progress::schedule(sim, accepted);
        return;
    }
    if state.phase != Phase::Open || accepted.running.load(SeqCst) > 0 {
        drop(state);
        let details = format!("refused, but in use: {}", accepted.describe());
        offence(Rule::CallAfterClose, &details);
    }
    close::bury(sim, accepted, &mut state);
}
