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

use super::address::Family;
use super::buffer::Buffer;
use super::call::Call;
use super::callbacks::Offered;
use super::control::options;
use super::events::{self, Callback};
use super::request::{Answer, Lane, Turn, Work};
use super::socket::{ClientSide, Flow, Phase, Socket, State};
use super::tables::Category::{Connection, Listen, Stream};
use super::{address, callbacks, close, progress};
use crate::kernel::pool::check_not_paged;
use crate::kernel::thread::Context;
use crate::net::Arrival;
use crate::sim::{Shared, lock, offence};
use crate::verifier::Rule;

/// Takes a connection; the new socket's context and table, and where its addresses go.
struct Accept {
    client_side: ClientSide,
    local: Context,
    remote: Context,
    memory: Buffer,
}

impl Accept {
    fn new(family: Family, client_side: ClientSide, local: PSOCKADDR, remote: PSOCKADDR) -> Self {
        let memory = Buffer::of(&[
            (local.cast(), family.address_size()),
            (remote.cast(), family.address_size()),
            (client_side.context.get(), 1),
            (client_side.dispatch.get(), 1),
        ]);
        Self {
            client_side,
            local: Context(local.cast()),
            remote: Context(remote.cast()),
            memory,
        }
    }
}

/// Begins to listen at the address that the socket has [wsk 4.8].
pub(super) fn listen(
    sim: &Shared,
    socket: &Arc<Socket>,
    state: &mut State,
) -> Result<(), NTSTATUS> {
    let binding = state.binding.ok_or(STATUS_INVALID_DEVICE_STATE)?;
    let inspect = options::is_conditional(state);
    if inspect {
        callbacks::expect_inspection(socket, state);
    }
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
    let client_side = ClientSide {
        context: Context(context),
        dispatch: Context(dispatch.cast_mut().cast()),
    };
    let family = call.socket.family;
    call.submit(Accept::new(family, client_side, local, remote))
}

impl Work for Accept {
    fn lane(&self) -> Lane {
        Lane::Accept
    }

    fn buffer(&self) -> Option<&Buffer> {
        Some(&self.memory)
    }

    fn attempt(&mut self, turn: &mut Turn<'_>) -> Option<Answer> {
        let (accepted, (local, remote)) = adopt(turn, self.client_side)?;
        address::write_out(self.local, local);
        address::write_out(self.remote, remote);
        progress::schedule(turn.sim, &accepted);
        Some(Answer::information(accepted.pointer().expose_provenance()))
    }
}

type Addresses = (SocketAddr, SocketAddr);

/// What `WskAcceptEvent` may return.
const KNOWN: [NTSTATUS; 2] = [STATUS_SUCCESS, STATUS_REQUEST_NOT_ACCEPTED];

/// Makes an accepted socket of a connection that has arrived, if any; what the listener has of
/// options passes to it [wsk 5.3].
fn adopt(turn: &mut Turn<'_>, client_side: ClientSide) -> Option<(Arc<Socket>, Addresses)> {
    let net = &turn.sim.net;
    let Arrival { endpoint, request } = net.accept(turn.state.binding?)?;
    let addresses = net.addresses(endpoint)?;
    let listener = turn.socket;
    let kind = (Connection, listener.family, listener.protocol);
    let accepted = Socket::create(turn.sim, kind, listener.client, client_side);
    net.watch(endpoint, accepted.watcher());
    let mut state = lock(&accepted.state);
    state.endpoint = Some(endpoint);
    state.connected = true;
    state.local = Some(addresses.0);
    state.options = options::inherited(turn.state);
    state
        .redirect
        .clone_from(&lock(&turn.sim.wsk.controls.redirect));
    state.inspected = request.and_then(|request| turn.state.inspections.let_in(request));
    drop(state);
    Some((accepted, addresses))
}

/// Raises the accept event if a connection is there.
pub(super) fn raise_due(sim: &Arc<Shared>, socket: &Arc<Socket>, state: &mut State) {
    let due = if state.dead {
        !state.events.is_death_reported()
    } else {
        state
            .binding
            .is_some_and(|binding| sim.net.has_arrived(binding))
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
            let nothing = Offered::new(sim);
            let status = callbacks::accept(callback, None, nothing.places());
            callback.expect_status(status, "WskAcceptEvent", &KNOWN);
            nothing.take_back();
        }
        return;
    }
    let inherited = state.events.inherited();
    let mut turn = Turn {
        sim,
        socket: listener,
        state: &mut state,
    };
    let accepted = adopt(&mut turn, ClientSide::NOBODY);
    drop(state);
    if let Some((accepted, addresses)) = accepted {
        offer(callback, &accepted, addresses, inherited);
    }
}

/// Offers a new connection to the client.
fn offer(callback: &Callback<'_>, accepted: &Arc<Socket>, addresses: Addresses, inherited: ULONG) {
    let sim = &callback.me.sim;
    let offered = Offered::new(sim);
    let places = offered.places();
    lock(&accepted.state).offered = Some(offered);
    let status = callbacks::accept(callback, Some((accepted, addresses)), places);
    callback.expect_status(status, "WskAcceptEvent", &KNOWN);
    let mut state = lock(&accepted.state);
    let offered = state.offered.take();
    if status == STATUS_SUCCESS {
        if let Some(offered) = &offered {
            let client_side = offered.read(accepted, &state);
            entrust(sim, accepted, &mut state, client_side, inherited);
        }
    } else {
        check_unused(accepted, &state);
        close::bury(sim, accepted, &mut state);
    }
    drop(state);
    offered.into_iter().for_each(Offered::take_back);
    progress::schedule(sim, accepted);
}

/// Reports a connection that the client refuses, and uses [wsk 7.2].
fn check_unused(accepted: &Socket, state: &State) {
    let called = state.phase != Phase::Open || accepted.running.load(SeqCst) > 0;
    if called || !close::is_quiet(state) || state.incoming.lists.has_retained() {
        let details = format!("refused, but in use: {}", accepted.describe_as(state));
        offence(Rule::CallAfterClose, &details);
    }
}

/// Gives the client a connection that its event has accepted; it may have closed it already.
fn entrust(
    sim: &Shared,
    accepted: &Socket,
    state: &mut State,
    client_side: ClientSide,
    inherited: ULONG,
) {
    if state.phase == Phase::Gone {
        return;
    }
    accepted.set_client_side(sim, state, client_side);
    let statically = lock(&sim.wsk.registrations).static_events(accepted.client);
    state.enable_statically(statically, accepted.category);
    callbacks::expect_all(accepted, state, inherited);
    state.events.enable(inherited);
}
