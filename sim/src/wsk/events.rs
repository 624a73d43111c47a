//! Event callbacks: which are enabled, which run, and how they end being called [wsk 6].
//!
//! An event is raised when its cause is there, and called a little later by a delivery: meanwhile
//! it may have been disabled, and the socket closed. While a callback runs, requests of its socket,
//! or of all, may be held up, because a callback must not wait for one [wsk 1.3].

use std::sync::Arc;

use wdk_sys::{
    NTSTATUS, STATUS_EVENT_PENDING, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
    STATUS_SUCCESS, ULONG,
};
use wsk_sys::{
    WSK_EVENT_ACCEPT, WSK_EVENT_DISABLE, WSK_EVENT_DISCONNECT, WSK_EVENT_RECEIVE,
    WSK_EVENT_RECEIVE_FROM, WSK_EVENT_SEND_BACKLOG, WSK_FLAG_AT_DISPATCH_LEVEL,
};

use super::call::Call;
use super::request::{Lane, Turn};
use super::socket::{ClientSide, Flow, Phase, Socket, State};
use super::tables::Category;
use super::{accept, callbacks, datagram_events, indication, inspect, progress};
use crate::current::current;
use crate::kernel::irql::{DISPATCH, PASSIVE};
use crate::sched::{Job, Thread, Work as Delivery};
use crate::sim::{Shared, lock, offence};
use crate::verifier::Rule;

/// The events of a connection.
pub(super) const OF_CONNECTIONS: ULONG =
    WSK_EVENT_RECEIVE | WSK_EVENT_DISCONNECT | WSK_EVENT_SEND_BACKLOG;
/// One callback in so many happens at `PASSIVE_LEVEL`.
const PASSIVE_ONE_IN: usize = 4;
/// An event goes before a pending request for the same once in so many times [wsk 7.1].
const RACE_ONE_IN: usize = 4;
/// Of so many callbacks one holds up the requests of all sockets, and three those of its own.
const HOLD_CHOICES: usize = 8;

/// The events of one socket.
#[derive(Default)]
pub(super) struct Events {
    /// None at first [wsk 6.1].
    enabled: ULONG,
    /// Enabled for all sockets: cannot be disabled [wsk 6.7].
    permanent: ULONG,
    /// Enabled on a listening socket for the connections that its accept event hands over
    /// [wsk 6.6].
    inherited: ULONG,
    /// The receive event, while another callback replaces it: enabled whatever `enabled` says
    /// [wsk 6.9].
    replaced: ULONG,
    /// Raised, and not called yet.
    raised: ULONG,
    /// One entry for each callback that runs; 0 for those that no bit stands for.
    running: Vec<ULONG>,
    /// How many of these hold the requests of the socket up.
    holding: usize,
    /// Disable requests that wait for callbacks to return: event and IRP.
    disabling: Vec<(ULONG, usize)>,
    /// The client was told that the socket is dead.
    death_reported: bool,
}

/// Callbacks that hold the requests of all sockets up, and the sockets that have noticed.
#[derive(Default)]
pub(super) struct HeldUp {
    by: usize,
    sockets: Vec<Arc<Socket>>,
}

/// What a callback holds up while it runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    Nothing,
    Socket,
    Everything,
}

/// A callback that is about to be called.
pub(super) struct Callback<'a> {
    pub(super) me: &'a Arc<Thread>,
    pub(super) socket: &'a Arc<Socket>,
    pub(super) client_side: ClientSide,
}

/// How disabling an event ended.
pub(super) enum Disabled {
    Now,
    /// When the callbacks that run have returned.
    Later,
}

impl Events {
    /// Enables events that were enabled for all sockets of this category, as far as it has them.
    pub(super) fn enable_statically(&mut self, events: ULONG, category: Category) {
        let own = match category {
            Category::Listen => WSK_EVENT_ACCEPT,
            other => valid(other),
        };
        self.permanent |= events & own;
        self.enabled |= self.permanent;
    }

    pub(super) fn enable(&mut self, events: ULONG) {
        self.enabled |= events;
    }

    pub(super) fn is_enabled(&self, event: ULONG) -> bool {
        (self.enabled | self.replaced) & event != 0
    }

    pub(super) fn is_permanent(&self, event: ULONG) -> bool {
        self.permanent & event != 0
    }

    /// Enabled, not raised, and no callback for it runs: for events that come one at a time.
    pub(super) fn is_due(&self, event: ULONG) -> bool {
        self.may_be_raised(event) && !self.running.contains(&event)
    }

    /// Enabled and not raised already.
    pub(super) fn may_be_raised(&self, event: ULONG) -> bool {
        self.is_enabled(event) && self.raised & event == 0
    }

    /// No callback runs, and no disable request waits for one.
    pub(super) fn is_quiet(&self) -> bool {
        self.running.is_empty() && self.disabling.is_empty()
    }

    pub(super) fn inherited(&self) -> ULONG {
        self.inherited
    }

    /// Another callback replaces that of the receive event, or does so no longer [wsk 6.9].
    pub(super) fn replace_receive(&mut self, on: bool) {
        self.replaced = if on { WSK_EVENT_RECEIVE } else { 0 };
    }

    /// How disabling an event ends: a request with an IRP waits for the callbacks that run, even if
    /// one of these waits for it [wsk 6.5].
    pub(super) fn await_callbacks(&mut self, event: ULONG, call: Option<&Call>) -> Disabled {
        if !self.running.contains(&event) {
            return Disabled::Now;
        }
        if let Some(call) = call {
            progress::mark_pending(call);
            self.disabling.push((event, call.irp.expose_provenance()));
        }
        Disabled::Later
    }

    /// Not called any more until it is enabled again.
    pub(super) fn switch_off(&mut self, event: ULONG) {
        self.enabled &= !event | self.permanent;
    }

    /// The IRP of a disable request that need not wait any more.
    pub(super) fn next_disabled(&mut self) -> Option<usize> {
        let ready = |(event, _): &(ULONG, usize)| !self.running.contains(event);
        let at = self.disabling.iter().position(ready)?;
        Some(self.disabling.remove(at).1)
    }

    /// True the first time: a dead socket is reported once.
    pub(super) fn report_death(&mut self) -> bool {
        !std::mem::replace(&mut self.death_reported, true)
    }

    pub(super) fn is_death_reported(&self) -> bool {
        self.death_reported
    }

    pub(super) fn describe(&self) -> String {
        match self.running.len() {
            0 => String::new(),
            count => format!(", {count} event callbacks running"),
        }
    }
}

/// The events that may be enabled for a category [wsk 6.3].
fn valid(category: Category) -> ULONG {
    match category {
        Category::Basic => 0,
        Category::Listen | Category::Stream => WSK_EVENT_ACCEPT | OF_CONNECTIONS,
        Category::Connection => OF_CONNECTIONS,
        Category::Datagram => WSK_EVENT_RECEIVE_FROM,
    }
}

/// The events that may be enabled for a socket as it is used.
fn valid_for(socket: &Socket, flow: Flow) -> ULONG {
    match flow {
        Flow::Connection => OF_CONNECTIONS,
        Flow::Listen | Flow::Undecided | Flow::Other => valid(socket.category),
    }
}

/// Whether a mask names events, of whatever categories [wsk 6.7].
pub(super) fn are_all_valid(mask: ULONG) -> bool {
    let known = Category::ALL
        .into_iter()
        .fold(0, |all, one| all | valid(one));
    mask != 0 && mask & !known == 0
}

/// Sets `SO_WSK_EVENT_CALLBACK` to enable events [wsk 6.2]; not those that are enabled for all
/// sockets [wsk 6.7].
pub(super) fn enable(socket: &Arc<Socket>, mask: ULONG) -> Result<(), NTSTATUS> {
    let sim = &current().sim;
    let mut state = lock(&socket.state);
    let possible = valid_for(socket, state.flow);
    if mask == 0 || mask & !possible != 0 || state.events.is_permanent(mask) {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let ready = match state.flow {
        Flow::Listen | Flow::Other => state.local.is_some(),
        Flow::Connection => state.connected,
        Flow::Undecided => false,
    };
    if !ready {
        return Err(STATUS_INVALID_DEVICE_STATE);
    }
    let own = if state.flow == Flow::Listen {
        state.events.inherited |= mask & OF_CONNECTIONS;
        mask & WSK_EVENT_ACCEPT
    } else {
        mask
    };
    if let Some(offered) = &state.offered {
        let client_side = offered.read(socket, &state);
        socket.set_client_side(sim, &mut state, client_side);
    }
    callbacks::expect_all(socket, &state, own);
    state.events.enable(own);
    drop(state);
    progress::schedule(sim, socket);
    Ok(())
}

/// Sets `SO_WSK_EVENT_CALLBACK` to disable one event [wsk 6.4].
pub(super) fn disable(
    socket: &Socket,
    mask: ULONG,
    call: Option<&Call>,
) -> Result<Disabled, NTSTATUS> {
    let event = mask & !WSK_EVENT_DISABLE;
    let mut state = lock(&socket.state);
    let inherited = state.flow == Flow::Listen && event & OF_CONNECTIONS != 0;
    let possible = event.is_power_of_two()
        && event & valid_for(socket, state.flow) != 0
        && !inherited
        && !state.events.is_permanent(event);
    if !possible {
        return Err(STATUS_INVALID_PARAMETER);
    }
    state.events.switch_off(event);
    Ok(state.events.await_callbacks(event, call))
}

/// The status of a disable request without an IRP.
pub(super) fn status_without_irp(disabled: &Disabled) -> NTSTATUS {
    match disabled {
        Disabled::Now => STATUS_SUCCESS,
        Disabled::Later => STATUS_EVENT_PENDING,
    }
}

/// Raises what is due on a socket whose state is locked.
pub(super) fn raise_due(sim: &Arc<Shared>, socket: &Arc<Socket>, state: &mut State) {
    if state.phase != Phase::Open {
        return;
    }
    match state.flow {
        Flow::Listen => {
            inspect::raise_due(sim, socket, state);
            accept::raise_due(sim, socket, state);
        }
        Flow::Connection => indication::raise_due(sim, socket, state),
        Flow::Other => datagram_events::raise_due(sim, socket, state),
        Flow::Undecided => {}
    }
}

/// Whether an event is raised although a request is pending for the same.
pub(super) fn wins_the_race(sim: &Shared, nothing_pending: bool) -> bool {
    nothing_pending || sim.sched.choose_below(RACE_ONE_IN) == 0
}

/// Whether the requests of a lane wait for an event that is raised for the same. They are looked at
/// again when it was delivered.
pub(super) fn goes_first(sim: &Shared, state: &State, lane: Lane) -> bool {
    let event = match lane {
        Lane::Accept => WSK_EVENT_ACCEPT,
        Lane::Receive => WSK_EVENT_RECEIVE | WSK_EVENT_RECEIVE_FROM,
        _ => 0,
    };
    state.events.raised & event != 0 && sim.sched.choose_below(2) == 0
}

/// Whether a callback that runs holds the requests of a socket up; they are moved when it has
/// returned.
pub(super) fn hold_up(turn: &Turn<'_>) -> bool {
    let mut held_up = lock(&turn.sim.wsk.held_up);
    if held_up.by == 0 {
        return turn.state.events.holding > 0;
    }
    if !held_up
        .sockets
        .iter()
        .any(|held| Arc::ptr_eq(held, turn.socket))
    {
        held_up.sockets.push(Arc::clone(turn.socket));
    }
    true
}

/// Has `body` called soon, unless the event is disabled or the socket closed by then. An event of 0
/// cannot be disabled.
pub(super) fn raise(
    sim: &Shared,
    socket: &Arc<Socket>,
    state: &mut State,
    event: ULONG,
    body: impl FnOnce(&Callback<'_>) + Send + 'static,
) {
    state.events.raised |= event;
    let passive = sim.sched.choose_below(PASSIVE_ONE_IN) == 0;
    let irql = if passive { PASSIVE } else { DISPATCH };
    let socket = Arc::clone(socket);
    let work = Delivery::Call(Box::new(move || deliver(&socket, event, body)));
    sim.sched.deliver(0, Job { irql, work });
}

fn deliver(socket: &Arc<Socket>, event: ULONG, body: impl FnOnce(&Callback<'_>)) {
    let me = current();
    let mut state = lock(&socket.state);
    state.events.raised &= !event;
    let wanted = event == 0 || state.events.is_enabled(event);
    if state.phase == Phase::Open && wanted {
        let callback = Callback {
            me: &me,
            socket,
            client_side: state.client_side,
        };
        let hold = Hold::choose(&me.sim);
        state.events.begin(event, hold);
        drop(state);
        hold.begin(&me.sim);
        callback.deliver(body);
        lock(&socket.state).events.end(event, hold);
        hold.end(&me.sim);
    } else {
        drop(state);
    }
    progress::poke(socket);
}

impl Events {
    fn begin(&mut self, event: ULONG, hold: Hold) {
        self.running.push(event);
        self.holding += usize::from(hold == Hold::Socket);
    }

    fn end(&mut self, event: ULONG, hold: Hold) {
        self.holding -= usize::from(hold == Hold::Socket);
        let at = self.running.iter().position(|one| *one == event);
        at.map(|at| self.running.swap_remove(at));
    }
}

impl Hold {
    fn choose(sim: &Shared) -> Self {
        match sim.sched.choose_below(HOLD_CHOICES) {
            0 => Self::Everything,
            1..=3 => Self::Socket,
            _ => Self::Nothing,
        }
    }

    fn begin(self, sim: &Shared) {
        if self == Self::Everything {
            lock(&sim.wsk.held_up).by += 1;
        }
    }

    fn end(self, sim: &Shared) {
        if self != Self::Everything {
            return;
        }
        let mut held_up = lock(&sim.wsk.held_up);
        held_up.by -= 1;
        let go_on = if held_up.by == 0 {
            std::mem::take(&mut held_up.sockets)
        } else {
            Vec::new()
        };
        drop(held_up);
        go_on.iter().for_each(progress::poke);
    }
}

impl Callback<'_> {
    /// Calls the client, as the driver that it is.
    fn deliver(&self, body: impl FnOnce(&Self)) {
        let client = self.socket.client;
        let mut registrations = lock(&self.me.sim.wsk.registrations);
        registrations.count_use(client);
        let driver = registrations.driver_of(client);
        drop(registrations);
        self.me.as_driver(driver, || body(self));
        lock(&self.me.sim.wsk.registrations).uncount_use(&self.me.sim, client);
    }

    /// The flag that may tell that a callback is called at `DISPATCH_LEVEL`, and need not [wsk
    /// 1.1].
    pub(super) fn flags(&self) -> ULONG {
        if self.me.irql() == DISPATCH && self.me.sim.sched.choose_below(2) == 0 {
            WSK_FLAG_AT_DISPATCH_LEVEL
        } else {
            0
        }
    }

    /// Reports a status that the event does not know.
    pub(super) fn expect_status(&self, status: NTSTATUS, event: &str, known: &[NTSTATUS]) {
        if !known.contains(&status) {
            let details = format!(
                "{event} returned {status:#010x} for the {}",
                self.socket.describe()
            );
            offence(Rule::EventStatus, &details);
        }
    }
}
