//! Conditional accept: connections are inspected before they are established [wsk 7.6 to 7.12].
//!
//! The network says who wants to connect and who gave up; the client decides, in the callback or
//! later by `WskInspectComplete`. An abort may come at any time between a decision that lets a
//! connection in, or a pended one, and its acceptance.

// UNSAFETY: a function of the sockets' tables, with a pointer of the client's.
#![expect(unsafe_code, reason = "a function of the sockets' tables")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wdk_sys::{NTSTATUS, PIRP, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use wsk_sys::{PWSK_INSPECT_ID, PWSK_SOCKET, WSK_INSPECT_ACTION, WSK_INSPECT_ID};

use super::call::Call;
use super::events::{self, Callback};
use super::request::Answer;
use super::socket::{Socket, State};
use super::tables::Category::Listen;
use super::{callbacks, progress};
use crate::net::{Network, Request, RequestId};
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
    /// Decided by `WskInspectComplete`, which is called once for each.
    completed: BTreeSet<InspectId>,
    /// The listener is dead, and the client was told.
    death_reported: bool,
}

struct Inspection {
    request: RequestId,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The callback will be called.
    Raised,
    /// It runs; has the request been given up meanwhile?
    Inspecting {
        given_up: bool,
    },
    Pended,
    /// The connection will be established, or given up.
    LetIn,
    /// Given up: the abort callback will be called, or was.
    Aborted,
}

impl InspectId {
    fn new(number: u64) -> Self {
        Self {
            key: FIRST_KEY + number % KEYS,
            serial: u32::try_from(number / KEYS).unwrap_or(u32::MAX),
        }
    }

    pub(super) fn to_c(self) -> WSK_INSPECT_ID {
        let mut id = WSK_INSPECT_ID::default();
        id.Key = self.key;
        id.SerialNumber = self.serial;
        id
    }
}

impl Inspections {
    fn begin(&mut self, request: RequestId) -> InspectId {
        let id = InspectId::new(self.made);
        self.made += 1;
        let stage = Stage::Raised;
        self.open.insert(id, Inspection { request, stage });
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

    fn was_made(&self, id: InspectId) -> bool {
        let number = id.key.wrapping_sub(FIRST_KEY) % KEYS + u64::from(id.serial) * KEYS;
        number < self.made && InspectId::new(number) == id
    }

    /// A request was given up; true if the client must be told now.
    fn give_up(&mut self, id: InspectId) -> bool {
        let Some(inspection) = self.open.get_mut(&id) else {
            return false;
        };
        match inspection.stage {
            Stage::Raised => {
                self.open.remove(&id);
                false
            }
            Stage::Inspecting { .. } => {
                inspection.stage = Stage::Inspecting { given_up: true };
                false
            }
            Stage::Pended | Stage::LetIn => {
                inspection.stage = Stage::Aborted;
                true
            }
            Stage::Aborted => false,
        }
    }
}

/// Raises an event for each new request, and for each that was given up.
pub(super) fn raise_due(sim: &Arc<Shared>, socket: &Arc<Socket>, state: &mut State) {
    let Some(binding) = state.binding else { return };
    if state.dead {
        raise_death(sim, socket, state);
        return;
    }
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
            events::raise(sim, socket, state, 0, move |callback| abort(callback, id));
        }
    }
}

/// A dead listener is reported by an inspection without an ID [wsk 7.10].
fn raise_death(sim: &Arc<Shared>, socket: &Arc<Socket>, state: &mut State) {
    let conditional = super::control::options::is_conditional(state);
    if conditional && !std::mem::replace(&mut state.inspections.death_reported, true) {
        events::raise(sim, socket, state, 0, |callback| {
            callbacks::inspect(callback, None);
        });
    }
}

/// `WskInspectEvent` [wsk 7.8].
fn inspect(callback: &Callback<'_>, id: InspectId, request: Request) {
    let mut state = lock(&callback.socket.state);
    let Some(inspection) = state.inspections.open.get_mut(&id) else {
        return;
    };
    inspection.stage = Stage::Inspecting { given_up: false };
    drop(state);
    let action = callbacks::inspect(callback, Some((id, request.local, request.remote)));
    let stage = match action {
        WSK_INSPECT_ACTION::WskInspectReject => None,
        WSK_INSPECT_ACTION::WskInspectAccept => Some(Stage::LetIn),
        WSK_INSPECT_ACTION::WskInspectPend => Some(Stage::Pended),
        other => {
            let details = format!(
                "WskInspectEvent returned {other} for the {}",
                callback.socket.describe()
            );
            offence(Rule::EventStatus, &details)
        }
    };
    decided(callback, id, stage);
}

/// What the callback has decided takes effect.
fn decided(callback: &Callback<'_>, id: InspectId, stage: Option<Stage>) {
    let (sim, socket) = (&callback.me.sim, callback.socket);
    let mut state = lock(&socket.state);
    let Some(inspection) = state.inspections.open.get_mut(&id) else {
        return;
    };
    let request = inspection.request;
    let given_up = inspection.stage == Stage::Inspecting { given_up: true };
    let Some(stage) = stage else {
        state.inspections.open.remove(&id);
        drop(state);
        sim.net.decide(request, false);
        return;
    };
    // WskInspectComplete may have been called before the callback returned.
    if inspection.stage != (Stage::Inspecting { given_up }) {
        return;
    }
    if given_up {
        inspection.stage = Stage::Aborted;
        events::raise(sim, socket, &mut state, 0, move |callback| {
            abort(callback, id)
        });
        return;
    }
    inspection.stage = stage;
    drop(state);
    if stage == Stage::LetIn {
        sim.net.decide(request, true);
    }
}

/// `WskAbortEvent` [wsk 7.12].
fn abort(callback: &Callback<'_>, id: InspectId) {
    let status = callbacks::abort(callback, id);
    callback.expect_status(status, "WskAbortEvent", &[STATUS_SUCCESS]);
    lock(&callback.socket.state).inspections.open.remove(&id);
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
    if id.is_null() {
        return call.reply(Answer::status(STATUS_INVALID_PARAMETER));
    }
    // SAFETY: the client passes its copy of an ID [wsk 7.9].
    let id = unsafe { id.read() };
    let id = InspectId {
        key: id.Key,
        serial: id.SerialNumber,
    };
    let accept = match action {
        WSK_INSPECT_ACTION::WskInspectAccept => true,
        WSK_INSPECT_ACTION::WskInspectReject => false,
        _ => return call.reply(Answer::status(STATUS_INVALID_PARAMETER)),
    };
    if let Err(what) = complete(&call, id, accept) {
        let details = format!(
            "WskInspectComplete for {id:?}, {what}, on the {}",
            call.socket.describe()
        );
        offence(Rule::Inspection, &details);
    }
    call.reply(Answer::SUCCESS)
}

/// Decides; `Err` says what is wrong with the ID. An aborted inspection is left as it is.
fn complete(call: &Call, id: InspectId, accept: bool) -> Result<(), &'static str> {
    let mut state = lock(&call.socket.state);
    let inspections = &mut state.inspections;
    if !inspections.was_made(id) {
        return Err("which was never inspected");
    }
    if !inspections.completed.insert(id) {
        return Err("which was completed before");
    }
    let Some(inspection) = inspections.open.get_mut(&id) else {
        return Ok(());
    };
    let request = inspection.request;
    match inspection.stage {
        Stage::Pended | Stage::Inspecting { given_up: false } => {}
        Stage::Inspecting { given_up: true } | Stage::Aborted => return Ok(()),
        Stage::Raised | Stage::LetIn => return Err("which was not pended"),
    }
    if accept {
        inspection.stage = Stage::LetIn;
    } else {
        inspections.open.remove(&id);
    }
    drop(state);
    call.me.sim.net.decide(request, accept);
    progress::schedule(&call.me.sim, &call.socket);
    Ok(())
}
