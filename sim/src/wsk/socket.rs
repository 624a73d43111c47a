//! A socket: what it is, and what is pending on it.
//!
//! The client holds the address of `object`, which is never reused within a simulation: the use of
//! a closed socket is found. `progress` moves the requests; the functions put them here.

use core::ffi::c_void;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicPtr, AtomicU32};
use std::sync::{Arc, Mutex, Weak};

use wdk_sys::ULONG;
use wsk_sys::PWSK_SOCKET;

use super::address::Family;
use super::callbacks::Offered;
use super::control::extension::Registered;
use super::control::redirect::Redirect;
use super::datagram::Datagrams;
use super::events::Events;
use super::indication::Incoming;
use super::inspect::{InspectId, Inspections};
use super::progress::Completion;
use super::request::{LANES, Lane, Request};
use super::tables::Category;
use super::{progress, sharing};
use crate::kernel::thread::Context;
use crate::net::{BindingId, EndpointId, Protocol, Watcher};
use crate::sim::{Shared, lock, offence};
use crate::verifier::{Rule, Site};

/// A socket of any category.
pub(super) struct Socket {
    /// What the client sees: a `WSK_SOCKET`, which is the pointer to the socket's table.
    object: AtomicPtr<c_void>,
    pub(super) category: Category,
    pub(super) family: Family,
    pub(super) protocol: Protocol,
    /// The registration it belongs to.
    pub(super) client: usize,
    /// How many calls are being executed.
    pub(super) running: AtomicU32,
    pub(super) state: Mutex<State>,
    site: Site,
}

/// What the client gave for a socket: its context, and its table of event callbacks or null.
#[derive(Clone, Copy)]
pub(super) struct ClientSide {
    pub(super) context: Context,
    pub(super) dispatch: Context,
}

impl ClientSide {
    pub(super) const NOBODY: Self = Self {
        context: Context(core::ptr::null_mut()),
        dispatch: Context(core::ptr::null_mut()),
    };
}

/// Whether a thread is moving the requests.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mover {
    #[default]
    Idle,
    Moving,
    /// It shall look again when it is through.
    MovingAgain,
}

/// How far the life of a socket has got.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Open,
    /// `WskCloseSocket` was called; how it will complete, while that is pending.
    Closing(Option<Completion>),
    /// The close has completed.
    Gone,
}

/// What a socket is used as; a stream socket decides by its first call that commits it [wsk 4.8].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Undecided,
    Listen,
    Connection,
    Other,
}

pub(super) struct State {
    pub(super) client_side: ClientSide,
    /// While `WskAcceptEvent` runs for it: where the client's side will be.
    pub(super) offered: Option<Offered>,
    pub(super) binding: Option<BindingId>,
    pub(super) local: Option<SocketAddr>,
    pub(super) flow: Flow,
    pub(super) endpoint: Option<EndpointId>,
    pub(super) connected: bool,
    /// Every further call fails, and the client should close [wsk 9.9].
    pub(super) dead: bool,
    pub(super) lanes: [VecDeque<Request>; LANES],
    pub(super) mover: Mover,
    pub(super) phase: Phase,
    pub(super) options: BTreeMap<(u32, u32), Vec<u8>>,
    pub(super) events: Events,
    pub(super) inspections: Inspections,
    pub(super) incoming: Incoming,
    pub(super) datagrams: Datagrams,
    /// The inspection that let this accepted socket in.
    pub(super) inspected: Option<InspectId>,
    pub(super) redirect: Option<Arc<Redirect>>,
    pub(super) extensions: Vec<Registered>,
}

impl State {
    fn new(client_side: ClientSide, category: Category) -> Self {
        let flow = match category {
            Category::Listen => Flow::Listen,
            Category::Connection => Flow::Connection,
            Category::Stream => Flow::Undecided,
            Category::Basic | Category::Datagram => Flow::Other,
        };
        Self {
            client_side,
            offered: None,
            binding: None,
            local: None,
            flow,
            endpoint: None,
            connected: false,
            dead: false,
            lanes: Default::default(),
            mover: Mover::Idle,
            phase: Phase::Open,
            options: BTreeMap::new(),
            events: Events::default(),
            inspections: Inspections::default(),
            incoming: Incoming::default(),
            datagrams: Datagrams::default(),
            inspected: None,
            redirect: None,
            extensions: Vec::new(),
        }
    }

    /// Enables what is enabled for all sockets of the client that have callbacks [wsk 6.7].
    pub(super) fn enable_statically(&mut self, events: ULONG, category: Category) {
        if !self.client_side.dispatch.get().is_null() {
            self.events.enable_statically(events, category);
        }
    }

    pub(super) fn lane(&mut self, lane: Lane) -> &mut VecDeque<Request> {
        &mut self.lanes[lane as usize]
    }

    /// Whether an option that is a `ULONG` used as a Boolean is set.
    pub(super) fn is_set(&self, option: (u32, u32)) -> bool {
        self.options
            .get(&option)
            .is_some_and(|value| value.iter().any(|byte| *byte != 0))
    }
}

impl Socket {
    /// Makes a socket and puts it into the books.
    pub(super) fn create(
        sim: &Arc<Shared>,
        (category, family, protocol): (Category, Family, Protocol),
        client: usize,
        client_side: ClientSide,
    ) -> Arc<Self> {
        let mut registrations = lock(&sim.wsk.registrations);
        registrations.count_socket(client);
        let statically = registrations.static_events(client);
        drop(registrations);
        let mut state = State::new(client_side, category);
        state.enable_statically(statically, category);
        let socket = Arc::new(Self {
            object: AtomicPtr::new(category.table(sim.wsk.windows).cast_mut()),
            category,
            family,
            protocol,
            client,
            running: AtomicU32::new(0),
            state: Mutex::new(state),
            site: Site::here(sim),
        });
        lock(&sim.wsk.sockets)
            .all
            .insert(socket.pointer().expose_provenance(), Arc::clone(&socket));
        socket.keep_client_memory(sim, client_side);
        socket
    }

    /// What the client knows the socket by.
    pub(super) fn pointer(&self) -> PWSK_SOCKET {
        core::ptr::from_ref(&self.object).cast_mut().cast()
    }

    pub(super) fn is_gone(&self) -> bool {
        lock(&self.state).phase == Phase::Gone
    }

    pub(super) fn describe(&self) -> String {
        self.describe_as(&lock(&self.state))
    }

    /// As `describe`, for whoever has the state locked.
    pub(super) fn describe_as(&self, state: &State) -> String {
        let phase = if state.phase == Phase::Open {
            "open"
        } else {
            "closed"
        };
        let pending: usize = state.lanes.iter().map(VecDeque::len).sum();
        let running = self.running.load(SeqCst);
        let local = state
            .local
            .map_or(String::new(), |address| format!(" at {address}"));
        let destinations = state.datagrams.describe();
        let callbacks = state.events.describe();
        format!(
            "{:?} socket {:p}{local}{destinations}, {phase}, {pending} requests pending, \
             {running} calls running{callbacks}, context {:p}, created{}",
            self.category,
            self.pointer(),
            state.client_side.context.get(),
            self.site
        )
    }

    /// Enters the client's memory that must stay while the socket is open [wsk 4.3, 10.3].
    fn keep_client_memory(&self, sim: &Shared, side: ClientSide) {
        let context = side.context.get();
        if lock(&sim.kernel.pool).is_paged(context.addr()) {
            let details = format!("socket context {context:p} is in paged pool");
            offence(Rule::PagedAtDispatch, &details);
        }
        self.keep(sim, side.memory(self.category));
    }

    /// Enters memory of the client's by its address, and what it is.
    pub(super) fn keep(&self, sim: &Shared, memory: Vec<(usize, &'static str)>) {
        let mut sockets = lock(&sim.wsk.sockets);
        for (memory, what) in memory {
            sockets.kept.insert((memory, self.pointer().addr()), what);
        }
    }

    fn forget(&self, sim: &Shared, memory: Vec<(usize, &'static str)>) {
        let mut sockets = lock(&sim.wsk.sockets);
        for (memory, _) in memory {
            sockets.kept.remove(&(memory, self.pointer().addr()));
        }
    }

    /// Gives it another context and table.
    pub(super) fn set_client_side(&self, sim: &Shared, state: &mut State, side: ClientSide) {
        self.forget(sim, state.client_side.memory(self.category));
        self.keep_client_memory(sim, side);
        state.client_side = side;
    }

    /// Calls `progress` when the network has news.
    pub(super) fn watcher(self: &Arc<Self>) -> Watcher {
        let weak: Weak<Self> = Arc::downgrade(self);
        Arc::new(move || {
            if let Some(socket) = weak.upgrade() {
                progress::poke(&socket);
            }
        })
    }

    /// Gives up what the socket has of the network.
    pub(super) fn leave_network(&self, sim: &Shared, state: &mut State) {
        if let Some(endpoint) = state.endpoint.take() {
            sim.net.close(endpoint);
        }
        if let Some(binding) = state.binding.take() {
            sharing::leave(sim, self);
            sim.net.unbind(binding);
        }
    }

    /// The end of the socket, but for its address: an abort, if it is connected [wsk 10.5]. The
    /// memory that the client knows it by is WSK's own [wsk 4.11].
    pub(super) fn dismantle(&self, sim: &Shared, state: &mut State) {
        self.leave_network(sim, state);
        self.forget(sim, state.client_side.memory(self.category));
        for registered in state.extensions.drain(..) {
            self.forget(sim, registered.client_memory());
            registered.end(sim);
        }
        state.phase = Phase::Gone;
    }
}
