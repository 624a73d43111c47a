//! The host's own network: real TCP and UDP sockets, never blocking.
//!
//! An ordinary client or server on loopback can talk to the driver. Calls go to the host at once;
//! what happens later is noticed by a thread of the host (`poller`), which has the watchers called
//! on simulated threads.
//!
//! - `state`: the addresses that are taken, and what is open
//! - `listen`: connections on their way to being accepted
//! - `stream`: established connections
//! - `datagrams`, `message`: UDP, and what travels with a datagram
//! - `poller`, `status`: readiness; errors
//!
//! What differs from a network of Windows: the host has established a connection before a listener
//! inspects it, so that its refusal is a reset; and a peer that ends its sending side before it was
//! accepted, with nothing sent, counts as one that has given up. Data is sent without delay
//! (`TCP_NODELAY`).

mod datagrams;
mod listen;
#[cfg_attr(not(target_os = "linux"), path = "plain_message.rs")]
mod message;
mod poller;
mod state;
mod status;
mod stream;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use wdk_sys::{NTSTATUS, STATUS_INVALID_DEVICE_STATE};

use super::{
    Arrival, Bind, BindingId, Datagram, EndpointId, Network, Received, Request, RequestId, Watcher,
};
use crate::current::current;
use crate::sim::{Shared, lock};
use poller::{Poller, tell_later};
use state::State;

/// The network of one simulation.
pub(crate) struct HostNet {
    poller: Poller,
    state: Mutex<State>,
}

impl HostNet {
    pub(crate) fn new() -> Self {
        let (poller, registry) = Poller::new()
            .expect("the host can wait for sockets: raise its limit of open files (ulimit -n)");
        Self {
            poller,
            state: Mutex::new(State::new(registry)),
        }
    }

    pub(crate) fn start(&self, sim: &Arc<Shared>) {
        self.poller.start(sim);
    }

    /// Closes everything.
    pub(crate) fn end(&self) {
        self.poller.end();
        self.state().clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Something has happened at a socket.
    fn tell(&self, id: usize) {
        let watcher = self.state().news(id);
        if let Some(watcher) = watcher {
            watcher();
        }
    }
}

impl Network for HostNet {
    fn bind(&self, bind: Bind) -> Result<(BindingId, SocketAddr), NTSTATUS> {
        self.state().bind(bind)
    }

    fn unbind(&self, binding: BindingId) {
        self.state().unbind(binding);
    }

    fn listen(&self, binding: BindingId, inspect: bool, watcher: Watcher) -> Result<(), NTSTATUS> {
        self.state().listen(binding, inspect, watcher)
    }

    fn next_request(&self, binding: BindingId) -> Option<Request> {
        self.state().next_request(binding)
    }

    fn decide(&self, request: RequestId, accept: bool) {
        if let Some(listener) = self.state().decide(request, accept) {
            tell_later(&current().sim, listener);
        }
    }

    fn next_given_up(&self, binding: BindingId) -> Option<RequestId> {
        self.state().listening(binding)?.given_up.pop_front()
    }

    fn has_arrived(&self, binding: BindingId) -> bool {
        self.state().has_arrived(binding)
    }

    fn accept(&self, binding: BindingId) -> Option<Arrival> {
        self.state().accept(binding)
    }

    fn connect(&self, binding: BindingId, remote: SocketAddr, watcher: Watcher) -> EndpointId {
        self.state().connect(binding, remote, watcher)
    }

    fn watch(&self, endpoint: EndpointId, watcher: Watcher) {
        if let Some(endpoint) = self.state().endpoints.get_mut(&endpoint) {
            endpoint.watcher = Some(watcher);
        }
    }

    fn connected(&self, endpoint: EndpointId) -> Option<Result<(), NTSTATUS>> {
        let mut state = self.state();
        let (endpoint, registry) = state.endpoint(endpoint)?;
        endpoint.connected(registry)
    }

    fn addresses(&self, endpoint: EndpointId) -> Option<(SocketAddr, SocketAddr)> {
        let state = self.state();
        let endpoint = state.endpoints.get(&endpoint)?;
        Some((endpoint.local, endpoint.remote))
    }

    fn send(&self, endpoint: EndpointId, data: &[u8]) -> Result<usize, NTSTATUS> {
        let mut state = self.state();
        let (endpoint, registry) = state
            .endpoint(endpoint)
            .ok_or(STATUS_INVALID_DEVICE_STATE)?;
        endpoint.send(registry, data)
    }

    fn receive(&self, endpoint: EndpointId, limit: usize, all: bool) -> Result<Received, NTSTATUS> {
        let mut state = self.state();
        let (endpoint, _) = state
            .endpoint(endpoint)
            .ok_or(STATUS_INVALID_DEVICE_STATE)?;
        endpoint.receive(limit, all)
    }

    fn waiting(&self, endpoint: EndpointId) -> usize {
        let mut state = self.state();
        state
            .endpoint(endpoint)
            .map_or(0, |(endpoint, _)| endpoint.waiting())
    }

    /// The host's sockets cannot.
    fn silence(&self, _endpoint: EndpointId) -> bool {
        false
    }

    fn shut_down(&self, endpoint: EndpointId) {
        if let Some((endpoint, _)) = self.state().endpoint(endpoint) {
            endpoint.shut_down();
        }
    }

    fn abort(&self, endpoint: EndpointId) {
        if let Some((endpoint, _)) = self.state().endpoint(endpoint) {
            endpoint.abort();
        }
    }

    fn close(&self, endpoint: EndpointId) {
        if let Some(endpoint) = self.state().endpoints.remove(&endpoint) {
            endpoint.close();
        }
    }

    fn receive_datagrams(&self, binding: BindingId, remote: Option<SocketAddr>, watcher: Watcher) {
        self.state().receive_datagrams(binding, remote, watcher);
    }

    fn send_to(&self, binding: BindingId, datagram: &Datagram) -> Result<bool, NTSTATUS> {
        self.state().send_to(binding, datagram)
    }

    fn receive_from(&self, binding: BindingId) -> Option<Datagram> {
        self.state().receive_from(binding)
    }

    fn allow_broadcast(&self, binding: BindingId, allow: bool) {
        self.state().allow_broadcast(binding, allow);
    }

    fn set_membership(
        &self,
        binding: BindingId,
        group: IpAddr,
        interface: u32,
        join: bool,
    ) -> Result<(), NTSTATUS> {
        self.state().set_membership(binding, group, interface, join)
    }

    fn local_addresses(&self) -> Vec<(IpAddr, u32)> {
        // A host that does not tell has no addresses to list.
        let all = if_addrs::get_if_addrs().unwrap_or_default();
        let index_of = |name: &str| {
            let mut of_interface = all.iter().filter(|other| other.name == name);
            of_interface.find_map(|other| other.index).unwrap_or(0)
        };
        all.iter()
            .map(|one| (one.ip(), one.index.unwrap_or_else(|| index_of(&one.name))))
            .collect()
    }
}
