//! Events of connections: data, the end of it, and the ideal send backlog [wsk 8, 9.7].
//!
//! Data that the client does not accept stays here, to be received later. A list that it retains
//! stays until `WskRelease`.

// UNSAFETY: a function of the sockets' tables; lists that the client reads.
#![expect(unsafe_code, reason = "a function of the sockets' tables")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use wdk_sys::{NTSTATUS, STATUS_DATA_NOT_ACCEPTED, STATUS_PENDING, STATUS_SUCCESS, ULONG};
use wsk_sys::{
    PFN_WSK_RECEIVE_EX_EVENT, PWSK_DATA_INDICATION, PWSK_SOCKET, WSK_DATA_INDICATION,
    WSK_EVENT_DISCONNECT, WSK_EVENT_RECEIVE, WSK_EVENT_SEND_BACKLOG, WSK_FLAG_ABORTIVE,
    WSK_FLAG_ENTIRE_MESSAGE, WSK_FLAG_RELEASE_ASAP,
};

use super::call::Entry;
use super::chain::Chain;
use super::events::{self, Callback};
use super::request::{Lane, Turn};
use super::socket::{Socket, State};
use super::tables::Category::{Connection, Stream};
use super::{callbacks, receive};
use crate::net::Received;
use crate::sim::{Shared, lock, offence};
use crate::verifier::Rule;

/// At most so many bytes are indicated at once.
const MOST_INDICATED: usize = 16 * 1024;
/// At most so many indications make a list.
const MOST_INDICATIONS: usize = 3;
/// One list in so many should be released soon.
const ASAP_ONE_IN: usize = 8;
/// The ideal backlog changes once in so many sends.
const BACKLOG_CHANGES_ONE_IN: usize = 8;
const BACKLOGS: [usize; 4] = [8 * 1024, 64 * 1024, 128 * 1024, 1024 * 1024];
/// Lists given back stay in memory, spoilt, so that their use is seen: so many of them.
const SPENT: usize = 32;

/// What has come in on a connection.
pub(super) struct Incoming {
    /// Indicated, but not accepted.
    unread: VecDeque<u8>,
    /// No events until a receive request has completed [wsk 8.2].
    stopped: bool,
    retained: BTreeMap<usize, List>,
    spent: VecDeque<List>,
    /// How the other side has ended it: 0, or `WSK_FLAG_ABORTIVE`.
    end: Option<ULONG>,
    end_reported: bool,
    silent: bool,
    backlog: usize,
    pub(super) receive_ex: PFN_WSK_RECEIVE_EX_EVENT,
}

impl Default for Incoming {
    fn default() -> Self {
        Self {
            unread: VecDeque::new(),
            stopped: false,
            retained: BTreeMap::new(),
            spent: VecDeque::new(),
            end: None,
            end_reported: false,
            silent: false,
            backlog: BACKLOGS[1],
            receive_ex: None,
        }
    }
}

/// A list of indications.
struct List {
    nodes: Vec<Box<WSK_DATA_INDICATION>>,
    chains: Vec<Chain>,
}

// SAFETY: the pointers in it lead to memory that it owns itself.
unsafe impl Send for List {}

impl List {
    fn new(sim: &Shared, data: &[u8]) -> Self {
        let mut chains = Vec::new();
        let mut rest = data;
        while !rest.is_empty() {
            let last = chains.len() + 1 == MOST_INDICATIONS;
            let count = if last {
                rest.len()
            } else {
                1 + sim.sched.choose_below(rest.len())
            };
            let (piece, later) = rest.split_at(count);
            chains.push(Chain::new(sim, piece));
            rest = later;
        }
        let mut nodes = Vec::new();
        let mut next: PWSK_DATA_INDICATION = core::ptr::null_mut();
        for chain in chains.iter().rev() {
            let mut node = Box::new(WSK_DATA_INDICATION::default());
            node.Next = next;
            node.Buffer = chain.describe();
            next = &raw mut *node;
            nodes.push(node);
        }
        nodes.reverse();
        Self { nodes, chains }
    }

    fn head(&mut self) -> PWSK_DATA_INDICATION {
        self.nodes
            .first_mut()
            .map_or(core::ptr::null_mut(), |node| &raw mut **node)
    }

    fn length(&self) -> usize {
        self.chains.iter().map(Chain::length).sum()
    }

    fn data(&self) -> Vec<u8> {
        self.chains.iter().flat_map(Chain::data).collect()
    }
}

impl Incoming {
    pub(super) fn has_retained(&self) -> bool {
        !self.retained.is_empty()
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    pub(super) fn set_silent(&mut self) {
        self.silent = true;
    }

    pub(super) fn ideal_backlog(&self) -> usize {
        self.backlog
    }

    /// How much waits to be received, as far as it was indicated already.
    pub(super) fn unread(&self) -> usize {
        self.unread.len()
    }

    pub(super) fn take_unread(&mut self, limit: usize) -> Option<Vec<u8>> {
        let count = self.unread.len().min(limit);
        (!self.unread.is_empty()).then(|| self.unread.drain(..count).collect())
    }

    pub(super) fn put_back(&mut self, data: &[u8]) {
        for byte in data.iter().rev() {
            self.unread.push_front(*byte);
        }
    }

    /// A receive request has completed: events may come again.
    pub(super) fn resume(&mut self) {
        self.stopped = false;
    }

    fn spend(&mut self, mut list: List) {
        list.chains.iter_mut().for_each(Chain::spoil);
        self.spent.push_back(list);
        if self.spent.len() > SPENT {
            self.spent.pop_front();
        }
    }
}

/// Raises what is due on a connection.
pub(super) fn raise_due(sim: &Arc<Shared>, socket: &Arc<Socket>, state: &mut State) {
    if !state.connected {
        return;
    }
    let wants_data = state.events.is_due(WSK_EVENT_RECEIVE) && !state.incoming.stopped;
    let wants_end = state.events.is_due(WSK_EVENT_DISCONNECT) && !state.incoming.end_reported;
    if !wants_data && !wants_end {
        return;
    }
    if state.dead {
        if wants_data && state.events.report_death() {
            events::raise(sim, socket, state, WSK_EVENT_RECEIVE, indicate_death);
        }
        return;
    }
    match look(sim, socket, state) {
        Ok(Received::Data(_)) => {
            let nobody_waits = state.lane(Lane::Receive).is_empty();
            if wants_data && events::wins_the_race(sim, nobody_waits) {
                events::raise(sim, socket, state, WSK_EVENT_RECEIVE, indicate);
            }
        }
        Ok(Received::Empty) => {}
        Ok(Received::End) => state.incoming.end = Some(0),
        Err(_) => state.incoming.end = Some(WSK_FLAG_ABORTIVE),
    }
    if wants_end && state.incoming.end.is_some() {
        state.incoming.end_reported = true;
        events::raise(sim, socket, state, WSK_EVENT_DISCONNECT, report_end);
    }
}

/// What would be received now, without taking it.
fn look(sim: &Arc<Shared>, socket: &Arc<Socket>, state: &mut State) -> Result<Received, NTSTATUS> {
    receive::take(&mut Turn { sim, socket, state }, 0, true)
}

/// `WskReceiveEvent` for a dead socket [wsk 8.1].
fn indicate_death(callback: &Callback<'_>) {
    callbacks::receive(callback, 0, core::ptr::null_mut(), 0);
}

/// `WskReceiveEvent` for what is there [wsk 8.2, 8.4].
fn indicate(callback: &Callback<'_>) {
    let (sim, socket) = (&callback.me.sim, callback.socket);
    let mut state = lock(&socket.state);
    let mut turn = Turn {
        sim,
        socket,
        state: &mut state,
    };
    let Ok(Received::Data(data)) = receive::take(&mut turn, MOST_INDICATED, false) else {
        return;
    };
    let receive_ex = state.incoming.receive_ex;
    drop(state);
    let mut list = List::new(sim, &data);
    let (head, length) = (list.head(), list.length());
    let (status, accepted) = if receive_ex.is_some() {
        callbacks::receive_ex(callback, receive_ex, indication_flags(sim), head, length)
    } else {
        callbacks::receive(callback, indication_flags(sim), head, length)
    };
    let known = [STATUS_SUCCESS, STATUS_PENDING, STATUS_DATA_NOT_ACCEPTED];
    callback.expect_status(status, "WskReceiveEvent", &known);
    if status == STATUS_SUCCESS && accepted > length {
        let details = format!(
            "{accepted} of {length} bytes accepted by the {}",
            socket.describe()
        );
        offence(Rule::EventStatus, &details);
    }
    conclude(&mut lock(&socket.state), list, status, accepted);
}

fn indication_flags(sim: &Shared) -> ULONG {
    let mut flags = 0;
    if sim.sched.choose_below(ASAP_ONE_IN) == 0 {
        flags |= WSK_FLAG_RELEASE_ASAP;
    }
    if sim.sched.choose_below(2) == 0 {
        flags |= WSK_FLAG_ENTIRE_MESSAGE;
    }
    flags
}

/// What becomes of a list that was indicated.
fn conclude(state: &mut State, mut list: List, status: NTSTATUS, accepted: usize) {
    let incoming = &mut state.incoming;
    match status {
        STATUS_PENDING => {
            let head = list.head().addr();
            incoming.retained.insert(head, list);
            return;
        }
        STATUS_SUCCESS => {
            incoming.put_back(&list.data()[accepted..]);
            incoming.stopped = accepted < list.length();
        }
        _ => {
            incoming.put_back(&list.data());
            incoming.stopped = true;
        }
    }
    incoming.spend(list);
}

/// `WskDisconnectEvent` [wsk 9.7].
fn report_end(callback: &Callback<'_>) {
    let end = lock(&callback.socket.state).incoming.end.unwrap_or(0);
    let status = callbacks::disconnect(callback, end);
    callback.expect_status(status, "WskDisconnectEvent", &[STATUS_SUCCESS]);
}

/// The ideal backlog may change with what was sent [wsk 9.1].
pub(super) fn change_backlog(turn: &mut Turn<'_>) {
    let sched = &turn.sim.sched;
    if !turn.state.events.is_due(WSK_EVENT_SEND_BACKLOG)
        || sched.choose_below(BACKLOG_CHANGES_ONE_IN) != 0
    {
        return;
    }
    let ideal = BACKLOGS[sched.choose_below(BACKLOGS.len())];
    turn.state.incoming.backlog = ideal;
    events::raise(
        turn.sim,
        turn.socket,
        turn.state,
        WSK_EVENT_SEND_BACKLOG,
        move |callback| callbacks::send_backlog(callback, ideal),
    );
}

/// `WskRelease` of a connection [wsk 8.6].
pub(super) unsafe extern "C" fn wsk_release(
    socket: PWSK_SOCKET,
    list: PWSK_DATA_INDICATION,
) -> NTSTATUS {
    let entry = Entry::new(socket, "WskRelease", &[Connection, Stream]);
    let mut state = lock(&entry.socket.state);
    let Some(list) = state.incoming.retained.remove(&list.addr()) else {
        drop(state);
        let details = format!("{list:p} released to the {}", entry.socket.describe());
        offence(Rule::ReleaseUnknown, &details);
    };
    state.incoming.spend(list);
    drop(state);
    entry.me.sim.sched.point(&entry.me);
    STATUS_SUCCESS
}
