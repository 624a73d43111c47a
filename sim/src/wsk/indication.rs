//! Events of connections: data, the end of it, and the ideal send backlog [wsk 8, 9.7].
//!
//! Data that the client does not accept stays here, to be received later. A list that it retains
//! stays until `WskRelease`. The bytes of a connection are handed to one at a time, a callback or a
//! request, so that none overtakes another.

// UNSAFETY: a function of the sockets' tables.
#![expect(unsafe_code, reason = "a function of the sockets' tables")]

use std::collections::VecDeque;
use std::sync::Arc;

use wdk_sys::{NTSTATUS, STATUS_CONNECTION_ABORTED, STATUS_PENDING, STATUS_SUCCESS, ULONG};
use wsk_sys::{
    PFN_WSK_RECEIVE_EX_EVENT, PWSK_DATA_INDICATION, PWSK_SOCKET, WSK_DATA_INDICATION,
    WSK_EVENT_DISCONNECT, WSK_EVENT_RECEIVE, WSK_EVENT_SEND_BACKLOG, WSK_FLAG_ABORTIVE,
    WSK_FLAG_ENTIRE_MESSAGE, WSK_FLAG_RELEASE_ASAP,
};

use super::chain::Chain;
use super::events::{self, Callback};
use super::lists::{self, List, Lists, Part};
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

/// What has come in on a connection.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
pub(super) struct Incoming {
    /// Indicated, but not accepted.
    unread: VecDeque<u8>,
    /// No events until a receive request has completed [wsk 8.2].
    stopped: bool,
    /// Who is being given bytes; nobody else gets any.
    handing_to: Taker,
    /// Somebody wanted bytes meanwhile.
    wanted: bool,
    /// A request waits for more than the bytes that it has.
    partly_filled: bool,
    pub(super) lists: Lists<Chain>,
    /// How the other side has ended it: 0, or `WSK_FLAG_ABORTIVE`.
    end: Option<ULONG>,
    end_reported: bool,
    silent: bool,
    backlog: usize,
    pub(super) receive_ex: PFN_WSK_RECEIVE_EX_EVENT,
}

/// Who is being given bytes of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taker {
    Nobody,
    Callback,
    /// A receive request, by the address of its IRP, until its completion routine has returned.
    Request(usize),
}

impl Default for Incoming {
    fn default() -> Self {
        Self {
            unread: VecDeque::new(),
            stopped: false,
            handing_to: Taker::Nobody,
            wanted: false,
            partly_filled: false,
            lists: Lists::default(),
            end: None,
            end_reported: false,
            silent: false,
            backlog: BACKLOGS[1],
            receive_ex: None,
        }
    }
}

impl Part for Chain {
    type Node = WSK_DATA_INDICATION;

    fn lists(state: &mut State) -> &mut Lists<Self> {
        &mut state.incoming.lists
    }

    fn node(&self, next: PWSK_DATA_INDICATION) -> WSK_DATA_INDICATION {
        WSK_DATA_INDICATION {
            Next: next,
            Buffer: self.describe(),
        }
    }

    fn data(&self) -> &Chain {
        self
    }

    fn take_back(self) {
        self.give_up();
    }
}

/// Cuts data into indications.
fn cut(sim: &Shared, data: &[u8]) -> List<Chain> {
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
    List::new(sim, chains)
}

impl Incoming {
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

    /// Whether the first receive request has got some bytes, and waits for more.
    pub(super) fn set_partly_filled(&mut self, partly: bool) {
        self.partly_filled = partly;
    }

    /// Whether bytes are being handed over; whoever asks is told when not any more.
    pub(super) fn is_busy(&mut self) -> bool {
        let busy = self.handing_to != Taker::Nobody;
        self.wanted |= busy;
        busy
    }

    /// A receive request completes with bytes.
    pub(super) fn hand_to_request(&mut self, irp: usize) {
        self.handing_to = Taker::Request(irp);
    }

    /// Its completion routine has returned. True if somebody waits for that.
    pub(super) fn was_handed_to_request(&mut self, irp: usize) -> bool {
        if self.handing_to != Taker::Request(irp) {
            return false;
        }
        self.handing_to = Taker::Nobody;
        std::mem::take(&mut self.wanted)
    }

    fn is_all_handed_over(&mut self) -> bool {
        !self.partly_filled && !self.is_busy()
    }

    fn may_be_indicated(&mut self) -> bool {
        !self.stopped && self.is_all_handed_over()
    }
}

/// Raises what is due on a connection, one callback at a time [wsk 8.3].
pub(super) fn raise_due(sim: &Arc<Shared>, socket: &Arc<Socket>, state: &mut State) {
    if !state.connected {
        return;
    }
    if state.dead {
        let told = state.events.is_death_reported();
        if !told && state.events.is_due(WSK_EVENT_RECEIVE) {
            events::raise(sim, socket, state, WSK_EVENT_RECEIVE, indicate_death);
        }
        return;
    }
    let wants_data = state.events.is_due(WSK_EVENT_RECEIVE) && state.incoming.may_be_indicated();
    let wants_end = state.events.is_due(WSK_EVENT_DISCONNECT) && !state.incoming.end_reported;
    if state.incoming.silent || !wants_data && !wants_end {
        return;
    }
    match look(sim, socket, state) {
        Ok(Received::Data(_)) => {
            let nobody_waits = state.lane(Lane::Receive).is_empty();
            if wants_data && events::wins_the_race(sim, nobody_waits) {
                events::raise(sim, socket, state, WSK_EVENT_RECEIVE, indicate);
            }
        }
        Ok(Received::End) if state.incoming.is_all_handed_over() => state.incoming.end = Some(0),
        // An abort by this side need not be told to it.
        Err(STATUS_CONNECTION_ABORTED) | Ok(Received::Empty | Received::End) => {}
        Err(_) => state.incoming.end = Some(WSK_FLAG_ABORTIVE),
    }
    if wants_end && state.incoming.end.is_some() {
        events::raise(sim, socket, state, WSK_EVENT_DISCONNECT, report_end);
    }
}

/// What would be received now, without taking it.
fn look(sim: &Arc<Shared>, socket: &Arc<Socket>, state: &mut State) -> Result<Received, NTSTATUS> {
    receive::take(&mut Turn { sim, socket, state }, 0, true)
}

/// `WskReceiveEvent` for a dead socket [wsk 8.1].
fn indicate_death(callback: &Callback<'_>) {
    let mut state = lock(&callback.socket.state);
    let first = state.events.report_death();
    let receive_ex = state.incoming.receive_ex;
    drop(state);
    if first {
        call_client(callback, receive_ex, 0, None);
    }
}

/// `WskReceiveEvent` for what is there [wsk 8.2, 8.4].
fn indicate(callback: &Callback<'_>) {
    let (sim, socket) = (&callback.me.sim, callback.socket);
    let mut state = lock(&socket.state);
    if state.dead || !state.incoming.may_be_indicated() {
        return;
    }
    let mut turn = Turn {
        sim,
        socket,
        state: &mut state,
    };
    let Ok(Received::Data(data)) = receive::take(&mut turn, MOST_INDICATED, false) else {
        return;
    };
    let length = data.len();
    let head = state.incoming.lists.show(cut(sim, &data));
    state.incoming.handing_to = Taker::Callback;
    let receive_ex = state.incoming.receive_ex;
    drop(state);
    let shown = Some((head, length));
    let (status, accepted) = call_client(callback, receive_ex, indication_flags(sim), shown);
    callback.expect_status(status, "WskReceiveEvent", &lists::ANSWERS);
    if status == STATUS_SUCCESS && accepted > length {
        let details = format!(
            "{accepted} of {length} bytes accepted by the {}",
            socket.describe()
        );
        offence(Rule::EventStatus, &details);
    }
    conclude(callback, head, &data, status, accepted);
}

/// Calls the one of the two receive events that is enabled.
fn call_client(
    callback: &Callback<'_>,
    receive_ex: PFN_WSK_RECEIVE_EX_EVENT,
    flags: ULONG,
    list: Option<(PWSK_DATA_INDICATION, usize)>,
) -> (NTSTATUS, usize) {
    let (head, length) = list.unwrap_or((core::ptr::null_mut(), 0));
    if receive_ex.is_some() {
        callbacks::receive_ex(callback, receive_ex, flags, head, length)
    } else {
        callbacks::receive(callback, flags, head, length)
    }
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

/// What becomes of data that was indicated.
fn conclude(
    callback: &Callback<'_>,
    head: PWSK_DATA_INDICATION,
    data: &[u8],
    status: NTSTATUS,
    accepted: usize,
) {
    let mut state = lock(&callback.socket.state);
    state.incoming.handing_to = Taker::Nobody;
    let list =
        lists::conclude::<Chain>(callback.socket, &mut state, head, status == STATUS_PENDING);
    let taken = match status {
        STATUS_PENDING => data.len(),
        STATUS_SUCCESS => accepted,
        _ => 0,
    };
    state.incoming.put_back(&data[taken..]);
    state.incoming.stopped |= taken < data.len();
    drop(state);
    if let Some(list) = list {
        list.take_back(&callback.me.sim);
    }
}

/// `WskDisconnectEvent` [wsk 9.7].
fn report_end(callback: &Callback<'_>) {
    let mut state = lock(&callback.socket.state);
    let end = state.incoming.end.unwrap_or(0);
    state.incoming.end_reported = true;
    drop(state);
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
    lists::release::<Chain>(socket, list, &[Connection, Stream])
}
