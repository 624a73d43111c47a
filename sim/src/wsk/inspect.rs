//! Conditional accept: connections are inspected before they are established [wsk 7.6, 7.7, 7.8,
//! 7.9, 7.10, 7.11, 7.12].
//!
//! The network says who wants to connect and who gave up; the client decides, in the callback or
//! later by `WskInspectComplete`. An abort may come at any time between a decision that lets a
//! connection in, or a pended one, and its acceptance.

// UNSAFETY: a function of the sockets' tables, with a pointer of the client's.
#![expect(unsafe_code, reason = "a function of the sockets' tables")]

use std::collections::BTreeMap;
use std::sync::Arc;

use wdk_sys::{NTSTATUS, PIRP, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use wsk_sys::{PWSK_INSPECT_ID, PWSK_SOCKET, WSK_INSPECT_ACTION, WSK_INSPECT_ID};

use super::call::Call;
use super::control::options;
use super::events::{self, Callback};
use super::request::Answer;
use super::socket::{Socket, State};
use super::tables::Category::Listen;
use super::{callbacks, progress};
use crate::kernel::pool::check_not_paged;
use crate::net::{Request, RequestId};
use crate::sim::{Shared, lock, offence};
use crate::verifier::Rule;

/// What names an inspection: neither member alone does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InspectId {
    pub(super) key: u64,
    pub(super) serial: u32,
}

/// Several inspections have the same key, and several the same serial number.
const KEYS: u64 = 3;
const FIRST_KEY: u64 = 0x1000;

/// The inspections of a listening socket.
#[derive(Default)]
pub(super) struct Inspections {
    made: u64,
    open: BTreeMap<InspectId, Inspection>,
    /// How the client has decided, also on those that are over.
    decisions: BTreeMap<InspectId, Decision>,
    /// The listener is dead, and the client was told.
    death_reported: bool,
}

/// An inspection whose connection was neither accepted nor refused yet.
struct Inspection {
    request: RequestId,
    stage: Stage,
    given_up: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The callback will be called.
    Raised,
    /// It runs.
    Inspecting,
    /// It has returned, and did not refuse.
    Inspected,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// By what the callback returned.
    InCallback,
    Pended,
    /// By `WskInspectComplete`, which is called once for each.
    Completed,
}

impl InspectId {
    fn new(number: u64) -> Self {
        Self {
            key: FIRST_KEY + number % KEYS,
            serial: u32::try_from(number / KEYS).unwrap_or(u32::MAX),
        }
    }

    pub(super) fn to_c(self) -> WSK_INSPECT_ID {
        WSK_INSPECT_ID {
            Key: self.key,
            SerialNumber: self.serial,
        }
    }
}

impl Inspections {
    fn begin(&mut self, request: RequestId) -> InspectId {
        let id = InspectId::new(self.made);
        self.made += 1;
        let inspection = Inspection {
            request,
            stage: Stage::Raised,
            given_up: false,
        };
        self.open.insert(id, inspection);
        id
    }

    fn of_request(&self, request: RequestId) -> Option<InspectId> {
        let found = self
            .open
            .iter()
            .find(|(_, inspection)| inspection.request == request);
        found.map(|(id, _)| *id)
    }

    /// The connection of a request is accepted: its inspection is over.
    pub(super) fn let_in(&mut self, request: RequestId) -> Option<InspectId> {
        let id = self.of_request(request)?;
        self.open.remove(&id);
        Some(id)
    }

    /// The callback is called; false if the request was given up before.
    fn enter(&mut self, id: InspectId) -> bool {
        let inspection = self.open.get_mut(&id);
        inspection.is_some_and(|inspection| {
            inspection.stage = Stage::Inspecting;
            true
        })
    }

    /// A request was given up; true if the client must be told now.
    fn give_up(&mut self, id: InspectId) -> bool {
        let Some(inspection) = self.open.get_mut(&id) else {
            return false;
        };
        if inspection.stage == Stage::Raised {
            self.open.remove(&id);
            return false;
        }
        let first = !std::mem::replace(&mut inspection.given_up, true);
        first && inspection.stage == Stage::Inspected
    }

    /// Enters what the callback returned; `Err` says what is wrong with it.
    fn inspected(&mut self, id: InspectId, decision: Decision) -> Result<(), &'static str> {
        if self.decisions.contains_key(&id) {
            let pended = decision == Decision::Pended;
            return pended.then_some(()).ok_or("which was not pended");
        }
        self.decisions.insert(id, decision);
        Ok(())
    }

    /// Enters a call of `WskInspectComplete`; `Err` says what is wrong with the ID.
    fn complete(&mut self, id: InspectId) -> Result<(), &'static str> {
        let inspecting = |inspection: &Inspection| inspection.stage == Stage::Inspecting;
        match self.decisions.get(&id) {
            Some(Decision::Pended) => {}
            Some(Decision::InCallback) => return Err("which was not pended"),
            Some(Decision::Completed) => return Err("which was completed before"),
            None if self.open.get(&id).is_some_and(inspecting) => {}
            None => return Err("which was never inspected"),
        }
        self.decisions.insert(id, Decision::Completed);
        Ok(())
    }
}

/// Raises an event for each new request, and for each that was given up.
pub(super) fn raise_due(sim: &Arc<Shared>, socket: &Arc<Socket>, state: &mut State) {
    if state.dead {
        raise_death(sim, socket, state);
        return;
    }
    let Some(binding) = state.binding else { return };
    while let Some(request) = sim.net.next_request(binding) {
        let id = state.inspections.begin(request.id);
        events::raise(sim, socket, state, 0, move |callback| {
            inspect(callback, id, request);
        });
    }
    while let Some(request) = sim.net.next_given_up(binding) {
        if let Some(id) = state.inspections.of_request(request)
            && state.inspections.give_up(id)
        {
            raise_abort(sim, socket, state, id);
        }
    }
}

fn raise_abort(sim: &Arc<Shared>, socket: &Arc<Socket>, state: &mut State, id: InspectId) {
    events::raise(sim, socket, state, 0, move |callback| abort(callback, id));
}

/// A dead listener is reported by an inspection without an ID [wsk 7.10].
fn raise_death(sim: &Arc<Shared>, socket: &Arc<Socket>, state: &mut State) {
    let conditional = options::is_conditional(state);
    if conditional && !std::mem::replace(&mut state.inspections.death_reported, true) {
        events::raise(sim, socket, state, 0, |callback| {
            callbacks::inspect(callback, None);
        });
    }
}

/// `WskInspectEvent` [wsk 7.8].
fn inspect(callback: &Callback<'_>, id: InspectId, request: Request) {
    let (sim, socket) = (&callback.me.sim, callback.socket);
    if !lock(&socket.state).inspections.enter(id) {
        return;
    }
    let addresses = (request.local, request.remote);
    let action = callbacks::inspect(callback, Some((id, addresses)));
    let decision = match action {
        WSK_INSPECT_ACTION::WskInspectReject | WSK_INSPECT_ACTION::WskInspectAccept => {
            Decision::InCallback
        }
        WSK_INSPECT_ACTION::WskInspectPend => Decision::Pended,
        other => {
            let details = format!(
                "WskInspectEvent returned {other} for the {}",
                socket.describe()
            );
            offence(Rule::EventStatus, &details)
        }
    };
    let mut state = lock(&socket.state);
    if let Err(what) = state.inspections.inspected(id, decision) {
        drop(state);
        blame(socket, id, what);
    }
    if action == WSK_INSPECT_ACTION::WskInspectReject {
        state.inspections.open.remove(&id);
        sim.net.decide(request.id, false);
        return;
    }
    let Some(inspection) = state.inspections.open.get_mut(&id) else {
        return;
    };
    inspection.stage = Stage::Inspected;
    if inspection.given_up {
        raise_abort(sim, socket, &mut state, id);
    } else if action == WSK_INSPECT_ACTION::WskInspectAccept {
        sim.net.decide(request.id, true);
    }
}

fn blame(socket: &Socket, id: InspectId, what: &str) -> ! {
    let details = format!(
        "WskInspectComplete for {id:x?}, {what}, on the {}",
        socket.describe()
    );
    offence(Rule::Inspection, &details)
}

/// `WskAbortEvent` [wsk 7.12].
fn abort(callback: &Callback<'_>, id: InspectId) {
    lock(&callback.socket.state).inspections.open.remove(&id);
    let status = callbacks::abort(callback, id);
    callback.expect_status(status, "WskAbortEvent", &[STATUS_SUCCESS]);
}

/// `WskInspectComplete` [wsk 7.11].
pub(super) unsafe extern "C" fn wsk_inspect_complete(
    socket: PWSK_SOCKET,
    id: PWSK_INSPECT_ID,
    action: WSK_INSPECT_ACTION::Type,
    irp: PIRP,
) -> NTSTATUS {
    let call = match Call::enter(socket, irp, "WskInspectComplete", &[Listen]) {
        Ok(call) => call,
        Err(status) => return status,
    };
    let accept = match action {
        WSK_INSPECT_ACTION::WskInspectAccept => true,
        WSK_INSPECT_ACTION::WskInspectReject => false,
        _ => return call.reply(Answer::status(STATUS_INVALID_PARAMETER)),
    };
    if id.is_null() {
        return call.reply(Answer::status(STATUS_INVALID_PARAMETER));
    }
    check_id(&call, id);
    // SAFETY: the client passes its copy of an ID [wsk 7.9].
    let id = unsafe { id.read() };
    let id = InspectId {
        key: id.Key,
        serial: id.SerialNumber,
    };
    complete(&call, id, accept);
    call.reply(Answer::SUCCESS)
}

/// Reports the ID that the event lent in place of a copy [wsk 7.9].
fn check_id(call: &Call, id: PWSK_INSPECT_ID) {
    check_not_paged(&call.me, id.addr(), "a WSK_INSPECT_ID");
    let freed = lock(&call.me.sim.kernel.pool).find_freed(id.addr());
    if let Some(freed) = freed {
        let details = format!("WskInspectComplete with an ID in freed memory, {freed}");
        offence(Rule::Inspection, &details);
    }
}

/// Decides. Nothing comes of it for an inspection that was given up.
fn complete(call: &Call, id: InspectId, accept: bool) {
    let (sim, socket) = (&call.me.sim, &call.socket);
    let mut state = lock(&socket.state);
    if let Err(what) = state.inspections.complete(id) {
        drop(state);
        blame(socket, id, what);
    }
    let Some(inspection) = state.inspections.open.get(&id) else {
        return;
    };
    let (request, given_up) = (inspection.request, inspection.given_up);
    if given_up {
        return;
    }
    if !accept {
        state.inspections.open.remove(&id);
    }
    drop(state);
    sim.net.decide(request, accept);
    progress::schedule(sim, socket);
}
