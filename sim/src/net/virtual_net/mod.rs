//! A network in memory, in which the seed decides when, and in what pieces, things arrive.
//!
//! - `state`: the addresses that are taken, the connections, and who reaches whom
//! - `listen`: connection requests on their way to being accepted
//! - `stream`: the two directions of a connection
//! - `datagrams`: UDP
//! - `addresses`: the host's own
//! - `links`: what a test does to all connections at once

mod addresses;
mod datagrams;
mod links;
mod listen;
mod state;
mod stream;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard};

use wdk_sys::NTSTATUS;

use super::{
    Arrival, Bind, BindingId, Datagram, EndpointId, Net, Network, Received, Request, RequestId,
    Watcher,
};
use crate::current::current;
use crate::kernel::irql::DISPATCH;
use crate::sched::{Job, Work};
use crate::sim::{Config, lock};
use state::State;
use stream::Endpoint;

/// One arrival in so many is late, by up to `LATE` units of 100 ns.
const LATE_ONE_IN: usize = 8;
const LATE: usize = 200_000;

/// The network of one simulation.
pub(crate) struct VirtualNet(Mutex<State>);

/// How many of `available` bytes come in one piece: all of them every other time.
fn piece(available: usize) -> usize {
    let sched = &current().sim.sched;
    if available <= 1 || sched.choose_below(2) == 0 {
        return available;
    }
    1 + sched.choose_below(available)
}

/// Delivers `call` soon, or late. It gets the network of the simulation in which it then runs, so
/// that a delivery need not keep a network alive.
fn schedule(call: impl FnOnce(&VirtualNet) + Send + 'static) {
    let sched = &current().sim.sched;
    let late = sched.choose_below(LATE_ONE_IN) == 0;
    let delay = if late {
        1 + sched.choose_below(LATE)
    } else {
        0
    };
    let job = Job {
        irql: DISPATCH,
        work: Work::Call(Box::new(|| {
            if let Net::Virtual(net) = &current().sim.net {
                net.carry(call);
            }
        })),
    };
    sched.deliver(delay as u64, job);
}

impl VirtualNet {
    pub(crate) fn new(config: &Config) -> Self {
        Self(Mutex::new(State::new(config)))
    }

    /// Lets something arrive, unless the network is stalled.
    fn carry(&self, call: impl FnOnce(&Self) + Send + 'static) {
        let mut state = self.state();
        if state.stalled {
            state.held_up.push(Box::new(call));
            return;
        }
        drop(state);
        call(self);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

/// Calls a watcher, with no lock held.
fn notify(watcher: Option<Watcher>) {
    if let Some(watcher) = watcher {
        watcher();
    }
}

impl Network for VirtualNet {
    fn bind(&self, bind: Bind) -> Result<(BindingId, SocketAddr), NTSTATUS> {
        self.state().bind(bind)
    }

    fn unbind(&self, binding: BindingId) {
        self.state().unbind(binding);
    }

    fn listen(&self, binding: BindingId, inspect: bool, watcher: Watcher) -> Result<(), NTSTATUS> {
        self.state().listen(binding, inspect, watcher);
        Ok(())
    }

    fn next_request(&self, binding: BindingId) -> Option<Request> {
        self.state().listening(binding)?.requests.pop_front()
    }

    fn decide(&self, request: RequestId, accept: bool) {
        self.state().decide(request, accept);
    }

    fn next_given_up(&self, binding: BindingId) -> Option<RequestId> {
        self.state().listening(binding)?.given_up.pop_front()
    }

    fn has_arrived(&self, binding: BindingId) -> bool {
        let mut state = self.state();
        let listening = state.listening(binding);
        listening.is_some_and(|listening| !listening.arrived.is_empty())
    }

    fn accept(&self, binding: BindingId) -> Option<Arrival> {
        self.state().listening(binding)?.arrived.pop_front()
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
        self.state().endpoints.get(&endpoint)?.outcome()
    }

    fn addresses(&self, endpoint: EndpointId) -> Option<(SocketAddr, SocketAddr)> {
        let state = self.state();
        let endpoint = state.endpoints.get(&endpoint)?;
        Some((endpoint.local, endpoint.remote))
    }

    fn send(&self, endpoint: EndpointId, data: &[u8]) -> Result<usize, NTSTATUS> {
        self.state().send(endpoint, data)
    }

    fn receive(&self, endpoint: EndpointId, limit: usize, all: bool) -> Result<Received, NTSTATUS> {
        self.state().receive(endpoint, limit, all)
    }

    fn waiting(&self, endpoint: EndpointId) -> usize {
        let state = self.state();
        state.endpoints.get(&endpoint).map_or(0, Endpoint::waiting)
    }

    fn silence(&self, endpoint: EndpointId) -> bool {
        if let Some(endpoint) = self.state().endpoints.get_mut(&endpoint) {
            endpoint.silence();
        }
        true
    }

    fn shut_down(&self, endpoint: EndpointId) {
        self.state().shut_down(endpoint);
    }

    fn abort(&self, endpoint: EndpointId) {
        self.state().abort(endpoint);
    }

    fn close(&self, endpoint: EndpointId) {
        self.state().close(endpoint);
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
        if let Some(binding) = self.state().bindings.get_mut(&binding) {
            binding.broadcast = allow;
        }
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
        self.state().addresses.all()
    }
}
