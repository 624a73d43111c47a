//! A TCP network in memory, in which the seed decides when and in what pieces things arrive.
//!
//! Bytes that were sent are in transit until an arrival, a delivery of the scheduler's, moves some
//! of them to the receiver. The sum of both is bounded by a window, so that a peer that does not
//! read stalls the sender. The ends of a connection and its resets travel like bytes do.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard};

use wdk_sys::{
    NTSTATUS, STATUS_ADDRESS_ALREADY_EXISTS, STATUS_CONNECTION_ABORTED, STATUS_CONNECTION_REFUSED,
    STATUS_CONNECTION_RESET, STATUS_INVALID_ADDRESS_COMPONENT, STATUS_INVALID_DEVICE_STATE,
};

use super::{EndpointId, Network, Received, Watcher};
use crate::current::current;
use crate::kernel::irql::DISPATCH;
use crate::sched::{Job, Work};
use crate::sim::lock;

/// Bytes that one direction of a connection holds before the sender stalls.
const WINDOW: usize = 64 * 1024;
const FIRST_EPHEMERAL_PORT: u16 = 49_152;
/// One arrival in so many is late, by up to `LATE` units of 100 ns.
const LATE_ONE_IN: usize = 8;
const LATE: usize = 200_000;

/// The network of one simulation.
#[derive(Default)]
pub(crate) struct VirtualNet(Mutex<State>);

#[derive(Default)]
struct State {
    bound: BTreeMap<SocketAddr, Option<Listening>>,
    endpoints: BTreeMap<EndpointId, Endpoint>,
    last: EndpointId,
}

struct Listening {
    watcher: Watcher,
    arrived: VecDeque<EndpointId>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    Connecting,
    Connected(EndpointId),
    Failed(NTSTATUS),
}

/// How the direction towards an endpoint ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Incoming {
    Open,
    /// The peer has ended its sending side; the end is under way.
    EndInTransit,
    /// The end has arrived.
    Ended,
    /// A reset is under way.
    ResetInTransit,
}

struct Endpoint {
    local: SocketAddr,
    remote: SocketAddr,
    link: Link,
    watcher: Option<Watcher>,
    transit: VecDeque<u8>,
    arrived: VecDeque<u8>,
    incoming: Incoming,
    /// This side has ended its sending side.
    shut_down: bool,
    /// An arrival is scheduled.
    expecting: bool,
}

impl Endpoint {
    fn new(local: SocketAddr, remote: SocketAddr, link: Link, watcher: Option<Watcher>) -> Self {
        Self {
            local,
            remote,
            link,
            watcher,
            transit: VecDeque::new(),
            arrived: VecDeque::new(),
            incoming: Incoming::Open,
            shut_down: false,
            expecting: false,
        }
    }

    fn peer(&self) -> Option<EndpointId> {
        if let Link::Connected(peer) = self.link {
            Some(peer)
        } else {
            None
        }
    }

    /// Moves what arrives now; true if more is under way.
    fn arrive(&mut self) -> bool {
        if self.incoming == Incoming::ResetInTransit {
            self.link = Link::Failed(STATUS_CONNECTION_RESET);
            self.transit.clear();
            self.arrived.clear();
            return false;
        }
        let count = piece(self.transit.len());
        self.arrived.extend(self.transit.drain(..count));
        if self.transit.is_empty() && self.incoming == Incoming::EndInTransit {
            self.incoming = Incoming::Ended;
            return false;
        }
        !self.transit.is_empty()
    }
}

/// How many of `available` bytes come in one piece: all of them every other time.
fn piece(available: usize) -> usize {
    let sched = &current().sim.sched;
    if available <= 1 || sched.choose_below(2) == 0 {
        return available;
    }
    1 + sched.choose_below(available)
}

/// Delivers `call` soon, or late.
fn schedule(call: impl FnOnce() + Send + 'static) {
    let sched = &current().sim.sched;
    let late = sched.choose_below(LATE_ONE_IN) == 0;
    let delay = if late {
        1 + sched.choose_below(LATE)
    } else {
        0
    };
    let job = Job {
        irql: DISPATCH,
        work: Work::Call(Box::new(call)),
    };
    sched.deliver(delay as u64, job);
}

/// The deliveries ask the current simulation for its network, so that they need not keep it alive.
fn with_net(call: impl FnOnce(&VirtualNet)) {
    call(&current().sim.net);
}

impl VirtualNet {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    fn notify(watcher: Option<Watcher>) {
        if let Some(watcher) = watcher {
            watcher();
        }
    }

    /// Something arrives at an endpoint.
    fn arrive(&self, id: EndpointId) {
        let mut state = self.state();
        let Some(endpoint) = state.endpoints.get_mut(&id) else {
            return;
        };
        endpoint.expecting = false;
        let more = endpoint.arrive();
        let watcher = endpoint.watcher.clone();
        if more {
            state.expect_arrival(id);
        }
        drop(state);
        Self::notify(watcher);
    }

    /// The request to connect reaches the other side.
    fn shake_hands(&self, id: EndpointId) {
        let mut state = self.state();
        let Some(client) = state.endpoints.get(&id) else {
            return;
        };
        let (local, remote) = (client.local, client.remote);
        let (link, listener) = match state.find_listener(remote) {
            None => (Link::Failed(STATUS_CONNECTION_REFUSED), None),
            Some(at) => {
                let server = state.add(Endpoint::new(remote, local, Link::Connected(id), None));
                let listening = state.bound.get_mut(&at).and_then(Option::as_mut);
                let watcher = listening.map(|listening| {
                    listening.arrived.push_back(server);
                    listening.watcher.clone()
                });
                (Link::Connected(server), watcher)
            }
        };
        let client = state.endpoints.get_mut(&id).and_then(|client| {
            client.link = link;
            client.watcher.clone()
        });
        drop(state);
        Self::notify(listener);
        Self::notify(client);
    }

    /// Room has become free for what an endpoint sends.
    fn tell(&self, id: EndpointId) {
        let watcher = self
            .state()
            .endpoints
            .get(&id)
            .and_then(|endpoint| endpoint.watcher.clone());
        Self::notify(watcher);
    }
}

impl State {
    fn add(&mut self, endpoint: Endpoint) -> EndpointId {
        self.last += 1;
        self.endpoints.insert(self.last, endpoint);
        self.last
    }

    fn expect_arrival(&mut self, id: EndpointId) {
        if let Some(endpoint) = self.endpoints.get_mut(&id)
            && !endpoint.expecting
        {
            endpoint.expecting = true;
            schedule(move || with_net(|net| net.arrive(id)));
        }
    }

    /// The bound address that a connection to `remote` reaches: the same, or the wildcard of its
    /// family.
    fn find_listener(&self, remote: SocketAddr) -> Option<SocketAddr> {
        let any: IpAddr = match remote.ip() {
            IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        let candidates = [remote, SocketAddr::new(any, remote.port())];
        candidates
            .into_iter()
            .find(|at| matches!(self.bound.get(at), Some(Some(_))))
    }

    fn free_port(&self, ip: IpAddr) -> Option<u16> {
        let free = |port: &u16| !self.bound.contains_key(&SocketAddr::new(ip, *port));
        (FIRST_EPHEMERAL_PORT..=u16::MAX).find(free)
    }

    fn reset_peer(&mut self, id: EndpointId) {
        let peer = self.endpoints.get(&id).and_then(Endpoint::peer);
        let Some(peer) = peer else { return };
        if let Some(endpoint) = self.endpoints.get_mut(&peer) {
            endpoint.incoming = Incoming::ResetInTransit;
            self.expect_arrival(peer);
        }
    }
}

impl Network for VirtualNet {
    fn bind(&self, address: SocketAddr) -> Result<SocketAddr, NTSTATUS> {
        let ip = address.ip();
        if !ip.is_loopback() && !ip.is_unspecified() {
            return Err(STATUS_INVALID_ADDRESS_COMPONENT);
        }
        let mut state = self.state();
        let mut address = address;
        if address.port() == 0 {
            let port = state.free_port(ip).ok_or(STATUS_ADDRESS_ALREADY_EXISTS)?;
            address.set_port(port);
        } else if state.bound.contains_key(&address) {
            return Err(STATUS_ADDRESS_ALREADY_EXISTS);
        }
        state.bound.insert(address, None);
        Ok(address)
    }

    fn unbind(&self, address: SocketAddr) {
        let mut state = self.state();
        let arrived = state
            .bound
            .remove(&address)
            .flatten()
            .map(|listening| listening.arrived);
        for id in arrived.into_iter().flatten() {
            state.reset_peer(id);
            state.endpoints.remove(&id);
        }
    }

    fn listen(&self, address: SocketAddr, watcher: Watcher) {
        let listening = Listening {
            watcher,
            arrived: VecDeque::new(),
        };
        self.state().bound.insert(address, Some(listening));
    }

    fn accept(&self, address: SocketAddr) -> Option<EndpointId> {
        let mut state = self.state();
        state.bound.get_mut(&address)?.as_mut()?.arrived.pop_front()
    }

    fn connect(&self, local: SocketAddr, remote: SocketAddr, watcher: Watcher) -> EndpointId {
        // A wildcard becomes the address from which the remote one is reached; here there is only
        // loopback.
        let ip = if local.ip().is_unspecified() {
            remote.ip()
        } else {
            local.ip()
        };
        let local = SocketAddr::new(ip, local.port());
        let id = self.state().add(Endpoint::new(
            local,
            remote,
            Link::Connecting,
            Some(watcher),
        ));
        schedule(move || with_net(|net| net.shake_hands(id)));
        id
    }

    fn watch(&self, endpoint: EndpointId, watcher: Watcher) {
        if let Some(endpoint) = self.state().endpoints.get_mut(&endpoint) {
            endpoint.watcher = Some(watcher);
        }
    }

    fn connected(&self, endpoint: EndpointId) -> Option<Result<(), NTSTATUS>> {
        match self.state().endpoints.get(&endpoint)?.link {
            Link::Connecting => None,
            Link::Connected(_) => Some(Ok(())),
            Link::Failed(status) => Some(Err(status)),
        }
    }

    fn addresses(&self, endpoint: EndpointId) -> Option<(SocketAddr, SocketAddr)> {
        let state = self.state();
        state
            .endpoints
            .get(&endpoint)
            .map(|endpoint| (endpoint.local, endpoint.remote))
    }

    fn send(&self, endpoint: EndpointId, data: &[u8]) -> Result<usize, NTSTATUS> {
        let mut state = self.state();
        let sender = state
            .endpoints
            .get(&endpoint)
            .ok_or(STATUS_INVALID_DEVICE_STATE)?;
        let peer = match sender.link {
            Link::Connected(peer) if !sender.shut_down => peer,
            Link::Failed(status) => return Err(status),
            _ => return Err(STATUS_INVALID_DEVICE_STATE),
        };
        // A peer that is gone has sent a reset, which is still under way.
        let Some(receiver) = state.endpoints.get_mut(&peer) else {
            return Ok(data.len());
        };
        let room = WINDOW - (receiver.transit.len() + receiver.arrived.len()).min(WINDOW);
        let count = room.min(data.len());
        receiver.transit.extend(&data[..count]);
        if count > 0 {
            state.expect_arrival(peer);
        }
        Ok(count)
    }

    fn receive(&self, endpoint: EndpointId, limit: usize, all: bool) -> Result<Received, NTSTATUS> {
        let mut state = self.state();
        let receiver = state
            .endpoints
            .get_mut(&endpoint)
            .ok_or(STATUS_INVALID_DEVICE_STATE)?;
        let peer = match receiver.link {
            Link::Connected(peer) => peer,
            Link::Failed(status) => return Err(status),
            Link::Connecting => return Err(STATUS_INVALID_DEVICE_STATE),
        };
        if receiver.arrived.is_empty() {
            return Ok(if receiver.incoming == Incoming::Ended {
                Received::End
            } else {
                Received::Empty
            });
        }
        let available = receiver.arrived.len().min(limit);
        let count = if all { available } else { piece(available) };
        let was_full = receiver.transit.len() + receiver.arrived.len() >= WINDOW;
        let data = receiver.arrived.drain(..count).collect();
        drop(state);
        if was_full {
            schedule(move || with_net(|net| net.tell(peer)));
        }
        Ok(Received::Data(data))
    }

    fn shut_down(&self, endpoint: EndpointId) {
        let mut state = self.state();
        let Some(sender) = state.endpoints.get_mut(&endpoint) else {
            return;
        };
        sender.shut_down = true;
        let Some(peer) = sender.peer() else { return };
        if let Some(receiver) = state.endpoints.get_mut(&peer)
            && receiver.incoming == Incoming::Open
        {
            receiver.incoming = Incoming::EndInTransit;
            state.expect_arrival(peer);
        }
    }

    fn abort(&self, endpoint: EndpointId) {
        let mut state = self.state();
        state.reset_peer(endpoint);
        if let Some(endpoint) = state.endpoints.get_mut(&endpoint) {
            endpoint.link = Link::Failed(STATUS_CONNECTION_ABORTED);
            endpoint.arrived.clear();
            endpoint.transit.clear();
        }
    }

    fn close(&self, endpoint: EndpointId) {
        let mut state = self.state();
        let orderly = state.endpoints.get(&endpoint).is_none_or(|endpoint| {
            endpoint.shut_down
                && endpoint.incoming == Incoming::Ended
                && endpoint.arrived.is_empty()
        });
        if !orderly {
            state.reset_peer(endpoint);
        }
        state.endpoints.remove(&endpoint);
    }
}
