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

use wdk_sys::{NTSTATUS, STATUS_CONNECTION_ABORTED, STATUS_INVALID_DEVICE_STATE, STATUS_SUCCESS};
use wsk_sys::PWSK_SOCKET;

use super::address::{self, Family};
use super::progress;
use super::provider::{self, Category};
use super::request::{LANES, Lane, Request, Work};
use crate::kernel::thread::Context;
use crate::net::{EndpointId, Network, Received, Watcher};
use crate::sim::{Shared, lock};
use crate::verifier::Site;

/// A socket of any category.
pub(super) struct Socket {
    /// What the client sees: a `WSK_SOCKET`, which is the pointer to the socket's table.
    object: AtomicPtr<c_void>,
    pub(super) category: Category,
    pub(super) family: Family,
    /// The registration it belongs to.
    pub(super) client: usize,
    context: Context,
    /// How many calls are being executed.
    pub(super) running: AtomicU32,
    pub(super) state: Mutex<State>,
    site: Site,
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
    /// `WskCloseSocket` was called; its IRP, while that is pending.
    Closing(Option<usize>),
    /// The close has completed.
    Gone,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) bound: Option<SocketAddr>,
    /// The address was taken by `WskBind` and must be given back.
    owns_address: bool,
    pub(super) endpoint: Option<EndpointId>,
    pub(super) connected: bool,
    pub(super) lanes: [VecDeque<Request>; LANES],
    pub(super) mover: Mover,
    pub(super) phase: Phase,
    pub(super) options: BTreeMap<(u32, u32), Vec<u8>>,
}

impl Socket {
    /// Makes a socket and puts it into the books.
    pub(super) fn create(
        sim: &Arc<Shared>,
        category: Category,
        family: Family,
        client: usize,
        context: Context,
    ) -> Arc<Self> {
        let socket = Arc::new(Self {
            object: AtomicPtr::new(provider::table(category).cast_mut()),
            category,
            family,
            client,
            context,
            running: AtomicU32::new(0),
            state: Mutex::default(),
            site: Site::here(sim),
        });
        lock(&sim.wsk.registrations).count_socket(client);
        lock(&sim.wsk.sockets)
            .all
            .insert(socket.pointer().expose_provenance(), Arc::clone(&socket));
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
        let state = lock(&self.state);
        let phase = if state.phase == Phase::Open {
            "open"
        } else {
            "closed"
        };
        let pending: usize = state.lanes.iter().map(VecDeque::len).sum();
        let running = self.running.load(SeqCst);
        let bound = state
            .bound
            .map_or(String::new(), |address| format!(" at {address}"));
        format!(
            "{:?} socket {:p}{bound}, {phase}, {pending} requests pending, \
             {running} calls running, context {:p}, created{}",
            self.category,
            self.pointer(),
            self.context.get(),
            self.site
        )
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

    /// Binds; a listening socket listens from now on.
    pub(super) fn bind(
        self: &Arc<Self>,
        sim: &Shared,
        address: SocketAddr,
    ) -> Result<(), NTSTATUS> {
        let mut state = lock(&self.state);
        if state.bound.is_some() {
            return Err(STATUS_INVALID_DEVICE_STATE);
        }
        let address = sim.net.bind(address)?;
        if self.category == Category::Listen {
            sim.net.listen(address, self.watcher());
        }
        state.bound = Some(address);
        state.owns_address = true;
        Ok(())
    }

    /// The local address as `WskGetLocalAddress` gives it.
    pub(super) fn local_address(&self, sim: &Shared) -> Result<SocketAddr, NTSTATUS> {
        let state = lock(&self.state);
        let connected = state.endpoint.filter(|_| state.connected);
        let address = connected
            .and_then(|endpoint| sim.net.addresses(endpoint))
            .map(|(local, _)| local);
        address.or(state.bound).ok_or(STATUS_INVALID_DEVICE_STATE)
    }

    /// The address of the other side of a connection.
    pub(super) fn remote_address(&self, sim: &Shared) -> Result<SocketAddr, NTSTATUS> {
        let state = lock(&self.state);
        let connected = state.endpoint.filter(|_| state.connected);
        let address = connected
            .and_then(|endpoint| sim.net.addresses(endpoint))
            .map(|(_, remote)| remote);
        address.ok_or(STATUS_INVALID_DEVICE_STATE)
    }

    /// Resets the connection: what waits to be sent or received ends.
    pub(super) fn abort(&self, sim: &Shared) {
        let mut state = lock(&self.state);
        for lane in [Lane::Send, Lane::Receive] {
            state.lanes[lane as usize]
                .iter_mut()
                .for_each(|request| request.cancelled = true);
        }
        if let Some(endpoint) = state.endpoint {
            sim.net.abort(endpoint);
        }
    }

    /// Gives up what the socket has of the network. The books forget it when the close IRP
    /// completes.
    pub(super) fn dismantle(sim: &Shared, state: &mut State) {
        if let Some(endpoint) = state.endpoint.take() {
            sim.net.close(endpoint);
        }
        if let Some(address) = state.bound.take().filter(|_| state.owns_address) {
            sim.net.unbind(address);
        }
        state.phase = Phase::Gone;
    }

    /// Tries to finish a request. The answer is status and information.
    pub(super) fn attempt(
        self: &Arc<Self>,
        sim: &Arc<Shared>,
        state: &mut State,
        work: &mut Work,
    ) -> Option<(NTSTATUS, usize)> {
        match work {
            Work::Reply {
                status,
                information,
            } => Some((*status, *information)),
            Work::Accept {
                context,
                local,
                remote,
            } => {
                let endpoint = sim.net.accept(state.bound?)?;
                let accepted = Self::create(
                    sim,
                    Category::Connection,
                    self.family,
                    self.client,
                    *context,
                );
                accepted.adopt(sim, endpoint, *local, *remote);
                Some((STATUS_SUCCESS, accepted.pointer().expose_provenance()))
            }
            Work::Connect { remote } => self.connect(sim, state, *remote),
            Work::Send { buffer, done } => {
                let Some(endpoint) = state.endpoint else {
                    return Some((STATUS_INVALID_DEVICE_STATE, 0));
                };
                for piece in buffer.read_from(*done) {
                    match sim.net.send(endpoint, piece) {
                        Ok(count) => *done += count,
                        Err(status) => return Some((status, *done)),
                    }
                }
                (*done == buffer.length).then_some((STATUS_SUCCESS, *done))
            }
            Work::Receive { .. } => receive(sim, state, work),
            Work::Disconnect { buffer, done } => {
                let Some(endpoint) = state.endpoint else {
                    return Some((STATUS_INVALID_DEVICE_STATE, 0));
                };
                for piece in buffer.read_from(*done) {
                    match sim.net.send(endpoint, piece) {
                        Ok(count) => *done += count,
                        Err(status) => return Some((status, 0)),
                    }
                }
                if *done < buffer.length {
                    return None;
                }
                sim.net.shut_down(endpoint);
                Some((STATUS_SUCCESS, 0))
            }
        }
    }

    /// Makes an accepted socket of an endpoint.
    fn adopt(
        self: &Arc<Self>,
        sim: &Shared,
        endpoint: EndpointId,
        local_out: Context,
        remote_out: Context,
    ) {
        sim.net.watch(endpoint, self.watcher());
        if let Some((local, remote)) = sim.net.addresses(endpoint) {
            address::write_out(local_out, local);
            address::write_out(remote_out, remote);
            lock(&self.state).bound = Some(local);
        }
        let mut state = lock(&self.state);
        state.endpoint = Some(endpoint);
        state.connected = true;
    }

    fn connect(
        self: &Arc<Self>,
        sim: &Shared,
        state: &mut State,
        remote: SocketAddr,
    ) -> Option<(NTSTATUS, usize)> {
        let Some(local) = state.bound else {
            return Some((STATUS_INVALID_DEVICE_STATE, 0));
        };
        let endpoint = match state.endpoint {
            Some(endpoint) => endpoint,
            None => *state
                .endpoint
                .insert(sim.net.connect(local, remote, self.watcher())),
        };
        match sim.net.connected(endpoint)? {
            Ok(()) => {
                state.connected = true;
                Some((STATUS_SUCCESS, 0))
            }
            Err(status) => {
                state.endpoint = None;
                sim.net.close(endpoint);
                Some((status, 0))
            }
        }
    }
}

fn receive(sim: &Shared, state: &State, work: &mut Work) -> Option<(NTSTATUS, usize)> {
    let Work::Receive { buffer, done, all } = work else {
        return None;
    };
    let Some(endpoint) = state.endpoint else {
        return Some((STATUS_CONNECTION_ABORTED, 0));
    };
    match sim.net.receive(endpoint, buffer.length - *done, *all) {
        Ok(Received::Empty) => None,
        Ok(Received::End) => Some((STATUS_SUCCESS, *done)),
        Ok(Received::Data(data)) => {
            buffer.write_at(*done, &data);
            *done += data.len();
            (!*all || *done == buffer.length).then_some((STATUS_SUCCESS, *done))
        }
        Err(status) => Some((status, 0)),
    }
}
