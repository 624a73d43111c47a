//! Winsock Kernel: what a client sees of it.
//!
//! - `client`: who calls, and what it still has
//! - `registration`: `WskRegister`, `WskCaptureProviderNPI` and their counterparts
//! - `nmr`: the older way in, through the registrar of network modules
//! - `tables`, `provider`: the dispatch tables; the calls that make sockets
//! - `call`: what every call on a socket is checked for
//! - `socket`: a socket's state and its pending requests
//! - `request`, `buffer`, `address`: one request; what it points to
//! - `bind`, `sharing`, `accept`, `inspect`, `connect`, `send`, `receive`, `close`: the calls, and
//!   the events that belong to them
//! - `progress`: how requests get further and complete
//! - `events`, `callbacks`: which events are enabled and raised; calling the client
//! - `lists`, `chain`, `indication`: data that receive events hand over
//! - `datagram`, `datagram_send`, `datagram_events`, `datagram_options`, `control_data`: datagram
//!   sockets
//! - `death`: sockets that stop working
//! - `control`: options and other control operations
//! - `client_request`, `names`, `resolver`, `address_list`: name resolution
//!
//! The tables have null where the provider has nothing: a null slot is what an older Windows has
//! for a later function.

mod accept;
mod address;
mod address_list;
mod bind;
mod buffer;
mod call;
mod callbacks;
mod chain;
mod client;
mod client_request;
mod close;
mod connect;
mod control;
mod control_data;
mod datagram;
mod datagram_events;
mod datagram_options;
mod datagram_send;
#[cfg(not(windows))]
mod death;
mod events;
mod indication;
mod inspect;
mod lists;
mod names;
mod nmr;
mod progress;
mod provider;
mod receive;
mod registration;
mod request;
mod resolver;
mod send;
mod sharing;
mod socket;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use wdk_sys::{PEPROCESS, PETHREAD};

#[cfg(not(windows))]
use crate::sim::Sim;
use crate::sim::lock;
use crate::verifier::DriverNumber;
use client::Registrations;
use socket::Socket;

pub use control::extension::{Extension, ExtensionCall, ExtensionClient};
pub use control::transports::Transport;
pub(crate) use nmr::ON_DEMAND;
pub use tables::Windows;

/// The WSK of one simulation.
pub(crate) struct Wsk {
    inline_only: bool,
    windows: Windows,
    registrations: Mutex<Registrations>,
    sockets: Mutex<Sockets>,
    claims: Mutex<sharing::Claims>,
    held_up: Mutex<events::HeldUp>,
    /// Functions of sockets that this provider has not implemented.
    unimplemented: Mutex<BTreeSet<&'static str>>,
    client_requests: client_request::ClientRequests,
    address_lists: address_list::AddressLists,
    hosts: Mutex<resolver::Hosts>,
    /// The process and the thread that the last request named which has such an owner.
    owner: Mutex<(usize, usize)>,
    controls: control::Controls,
}

#[derive(Default)]
struct Sockets {
    /// All sockets there ever were, by address: a closed one keeps its address, so that its use is
    /// noticed.
    all: BTreeMap<usize, Arc<Socket>>,
    /// Pending requests, by the address of their IRP.
    pending: BTreeMap<usize, Pending>,
    /// Memory ranges of pending requests, by start and IRP.
    buffers: BTreeMap<(usize, usize), usize>,
    /// MDLs of pending requests, by address and IRP.
    mdls: BTreeSet<(usize, usize)>,
    /// Contexts and tables of open sockets, by address and socket.
    kept: BTreeMap<(usize, usize), &'static str>,
}

/// A pending request: its socket, unless it is to the client, and the memory it uses.
struct Pending {
    socket: Option<Arc<Socket>>,
    buffers: Vec<usize>,
    mdls: Vec<usize>,
}

#[cfg(not(windows))]
impl Sim {
    /// The process and the thread that were named last as the owner of a socket, or of a query for
    /// names; null for none.
    #[must_use]
    pub fn last_owner(&self) -> (PEPROCESS, PETHREAD) {
        let (process, thread) = *lock(&self.0.wsk.owner);
        (
            core::ptr::with_exposed_provenance_mut(process),
            core::ptr::with_exposed_provenance_mut(thread),
        )
    }
}

impl Wsk {
    pub(crate) fn new(inline_only: bool, windows: Windows) -> Self {
        Self {
            inline_only,
            windows,
            registrations: Mutex::default(),
            sockets: Mutex::default(),
            claims: Mutex::default(),
            held_up: Mutex::default(),
            unimplemented: Mutex::default(),
            client_requests: client_request::ClientRequests::default(),
            address_lists: address_list::AddressLists::default(),
            hosts: Mutex::default(),
            owner: Mutex::default(),
            controls: control::Controls::default(),
        }
    }

    fn note_owner(&self, process: PEPROCESS, thread: PETHREAD) {
        *lock(&self.owner) = (process.expose_provenance(), thread.expose_provenance());
    }

    /// The sockets that are not gone.
    fn open_sockets(&self) -> Vec<Arc<Socket>> {
        let all: Vec<_> = lock(&self.sockets).all.values().cloned().collect();
        all.into_iter().filter(|socket| !socket.is_gone()).collect()
    }

    /// Sockets, registrations and cached security descriptors that are left.
    pub(crate) fn leaks(&self, driver: Option<DriverNumber>) -> Vec<String> {
        let open = self.open_sockets();
        let registrations = lock(&self.registrations);
        let made = open
            .iter()
            .filter(|socket| registrations.is_of(socket.client, driver));
        let mut left: Vec<_> = made.map(|socket| socket.describe()).collect();
        left.extend(registrations.leaks(driver));
        left.extend(self.address_lists.leaks(driver));
        left.extend(lock(&self.controls.descriptors).leaks(driver));
        left
    }

    /// The pending request whose buffer is in this range.
    pub(crate) fn uses_memory(&self, start: usize, length: usize) -> Option<String> {
        let end = start + length;
        let sockets = lock(&self.sockets);
        let mut inside = sockets.buffers.range((start, 0)..(end, 0));
        let mut before = sockets.buffers.range(..(start, 0));
        let into = || before.next_back().filter(|(_, to)| **to > start);
        let hit = inside.next().or_else(into);
        hit.map(|((_, irp), _)| format!("a pending request, IRP {irp:#x}"))
    }

    /// The open socket, or the registration, that something in this range belongs to.
    pub(crate) fn keeps_memory(&self, start: usize, length: usize) -> Option<String> {
        let sockets = lock(&self.sockets);
        let mut kept = sockets.kept.range((start, 0)..(start + length, 0));
        let socket = kept
            .next()
            .map(|((_, socket), what)| format!("the open socket {socket:#x} as {what}"));
        socket.or_else(|| lock(&self.registrations).uses_memory(start, length))
    }

    /// The pending request that uses this MDL.
    pub(crate) fn uses_mdl(&self, mdl: usize) -> Option<String> {
        let sockets = lock(&self.sockets);
        let mut users = sockets.mdls.range((mdl, 0)..=(mdl, usize::MAX));
        users
            .next()
            .map(|(_, irp)| format!("a pending request, IRP {irp:#x}"))
    }
}
