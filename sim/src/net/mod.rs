//! The network between drivers and the peers of a test.
//!
//! One trait, in terms of readiness as sockets of a host have it: calls never block, and a watcher
//! is called when trying again may get further. WSK sockets and peers sit on top of it; it knows
//! neither.
//!
//! - `virtual_net`: in memory, everything decided by the seed
//! - `host`: sockets of the host
//! - `peer`, `datagram_peer`: the user-mode side for tests

#[cfg(not(windows))]
mod datagram_peer;
mod host;
#[cfg(not(windows))]
mod peer;
#[cfg(not(windows))]
mod virtual_net;

#[cfg(not(windows))]
pub use datagram_peer::DatagramPeer;
#[cfg(not(windows))]
pub use peer::{Connecting, Listener, Peer};

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;

use wdk_sys::NTSTATUS;

#[cfg(not(windows))]
use crate::sim::Config;
use crate::sim::Shared;
use host::HostNet;
#[cfg(not(windows))]
use virtual_net::VirtualNet;

/// The network of one simulation.
pub(crate) enum Net {
    #[cfg(not(windows))]
    Virtual(VirtualNet),
    Host(HostNet),
}

impl Net {
    #[cfg(not(windows))]
    pub(crate) fn new(config: &Config) -> Self {
        if config.host_network {
            Self::Host(HostNet::new())
        } else {
            Self::Virtual(VirtualNet::new(config))
        }
    }

    #[cfg(windows)]
    pub(crate) fn new() -> Self {
        Self::Host(HostNet::new())
    }

    fn host(&self) -> Option<&HostNet> {
        match self {
            #[cfg(not(windows))]
            Self::Virtual(_) => None,
            Self::Host(net) => Some(net),
        }
    }

    /// The network in memory.
    ///
    /// # Panics
    ///
    /// With the host's network, with which a test can do less.
    #[cfg(not(windows))]
    pub(crate) fn in_memory(&self) -> &VirtualNet {
        match self {
            Self::Virtual(net) => net,
            Self::Host(_) => {
                panic!("only connections of the virtual network can be broken or held up")
            }
        }
    }

    /// Begins to deliver what happens to `sim`.
    pub(crate) fn start(&self, sim: &Arc<Shared>) {
        if let Some(net) = self.host() {
            net.start(sim);
        }
    }

    /// The simulation is over: nothing of the network is left.
    pub(crate) fn end(&self) {
        if let Some(net) = self.host() {
            net.end();
        }
    }
}

impl Deref for Net {
    type Target = dyn Network;

    fn deref(&self) -> &Self::Target {
        match self {
            #[cfg(not(windows))]
            Self::Virtual(net) => net,
            Self::Host(net) => net,
        }
    }
}

/// Called when something has changed; on an arbitrary thread at `DISPATCH_LEVEL` or below, with no
/// lock held.
pub(crate) type Watcher = Arc<dyn Fn() + Send + Sync>;

/// A local address that was taken.
pub(crate) type BindingId = usize;

/// One end of a connection.
pub(crate) type EndpointId = usize;

/// A connection that waits for a decision on it.
pub(crate) type RequestId = usize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

/// What a local address is taken for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bind {
    /// A port of 0 is replaced by a free one.
    pub(crate) address: SocketAddr,
    pub(crate) protocol: Protocol,
    /// Others may have the same address; whether they may is decided above the network.
    pub(crate) shared: bool,
    /// An IPv6 address that also stands for IPv4: the wildcard, or an IPv4-mapped address.
    pub(crate) both_families: bool,
}

/// Somebody wants to connect, and has not been answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) id: RequestId,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

/// A connection that is established and can be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) endpoint: EndpointId,
    /// The request that was decided on, at a listener that inspects.
    pub(crate) request: Option<RequestId>,
}

/// What there is to receive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Data(Vec<u8>),
    /// Nothing yet.
    Empty,
    /// The peer has ended its sending side.
    End,
}

/// A datagram and what travels with it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram {
    /// What it carries.
    pub data: Vec<u8>,
    /// The other side: where it came from, or goes to.
    pub remote: SocketAddr,
    /// The local address that it was sent to, or is to be sent from.
    pub local: Option<IpAddr>,
    /// The interface that it arrived at, or shall leave by; 0 leaves that to the network.
    pub interface: u32,
    /// Time to live, or hop limit.
    pub hops: Option<u8>,
    /// Type of service, or traffic class; the lowest two bits are ECN.
    pub traffic_class: Option<u8>,
}

impl Datagram {
    /// A datagram to be sent, about which the network decides the rest.
    #[must_use]
    pub fn new(data: &[u8], remote: SocketAddr) -> Self {
        Self {
            data: data.to_vec(),
            remote,
            local: None,
            interface: 0,
            hops: None,
            traffic_class: None,
        }
    }
}

/// A network with TCP and UDP.
pub(crate) trait Network: Send + Sync {
    /// Takes a local address, and tells which port it got.
    fn bind(&self, bind: Bind) -> Result<(BindingId, SocketAddr), NTSTATUS>;
    /// Gives a local address back; connections that were not accepted yet are reset.
    fn unbind(&self, binding: BindingId);

    /// Accepts connections; with `inspect` each waits for a decision before it is established.
    fn listen(&self, binding: BindingId, inspect: bool, watcher: Watcher) -> Result<(), NTSTATUS>;
    /// The next connection that wants a decision.
    fn next_request(&self, binding: BindingId) -> Option<Request>;
    /// Has the connection of a request established, or refused. Does nothing for one that was given
    /// up.
    fn decide(&self, request: RequestId, accept: bool);
    /// The next request that the other side gave up before its connection could be accepted, also
    /// after a favourable decision. Refused ones do not come.
    fn next_given_up(&self, binding: BindingId) -> Option<RequestId>;
    /// Whether `accept` would give a connection now.
    fn has_arrived(&self, binding: BindingId) -> bool;
    /// The next connection that is established.
    fn accept(&self, binding: BindingId) -> Option<Arrival>;

    /// Begins to connect.
    fn connect(&self, binding: BindingId, remote: SocketAddr, watcher: Watcher) -> EndpointId;
    /// Replaces the watcher of an accepted endpoint.
    fn watch(&self, endpoint: EndpointId, watcher: Watcher);
    /// How connecting ended, whatever became of the connection later; `None` while it goes on.
    fn connected(&self, endpoint: EndpointId) -> Option<Result<(), NTSTATUS>>;
    /// The local and the remote address.
    fn addresses(&self, endpoint: EndpointId) -> Option<(SocketAddr, SocketAddr)>;
    /// Hands over as many bytes as the transport takes now.
    fn send(&self, endpoint: EndpointId, data: &[u8]) -> Result<usize, NTSTATUS>;
    /// Takes at most `limit` bytes; all that are there if `all`, else as many as the network cares
    /// to give. A limit of 0 only looks: data is told by no bytes, its end by the end.
    fn receive(&self, endpoint: EndpointId, limit: usize, all: bool) -> Result<Received, NTSTATUS>;
    /// How many bytes could be received now.
    fn waiting(&self, endpoint: EndpointId) -> usize;
    /// Sends nothing any more, not even acknowledgements, and drops what comes; false if the
    /// network cannot do that.
    fn silence(&self, endpoint: EndpointId) -> bool;
    /// Ends the sending side after what was sent.
    fn shut_down(&self, endpoint: EndpointId);
    /// Resets the connection.
    fn abort(&self, endpoint: EndpointId);
    /// Forgets the endpoint; resets the connection unless both sides have ended it.
    fn close(&self, endpoint: EndpointId);

    /// Begins to receive datagrams; with a `remote`, only from there.
    fn receive_datagrams(&self, binding: BindingId, remote: Option<SocketAddr>, watcher: Watcher);
    /// Sends a datagram; false if the transport cannot take it now.
    fn send_to(&self, binding: BindingId, datagram: &Datagram) -> Result<bool, NTSTATUS>;
    /// The next datagram that has arrived.
    fn receive_from(&self, binding: BindingId) -> Option<Datagram>;
    /// Allows sending to broadcast addresses.
    fn allow_broadcast(&self, binding: BindingId, allow: bool);
    /// Joins or leaves a multicast group on an interface (0: any).
    fn set_membership(
        &self,
        binding: BindingId,
        group: IpAddr,
        interface: u32,
        join: bool,
    ) -> Result<(), NTSTATUS>;

    /// The addresses of this host's interfaces, with the index of each interface.
    fn local_addresses(&self) -> Vec<(IpAddr, u32)>;
}
