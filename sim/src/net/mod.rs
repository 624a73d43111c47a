//! The network between drivers and the peers of a test.
//!
//! One trait, in terms of readiness as sockets of a host have it: calls never block, and a watcher
//! is called when trying again may get further. WSK sockets and peers sit on top of it; it knows
//! neither.
//!
//! - `virtual_net`: in memory, everything decided by the seed
//! - `peer`: the user-mode side for tests

mod peer;
mod virtual_net;

pub use peer::{Listener, Peer};
pub(crate) use virtual_net::VirtualNet;

use std::net::SocketAddr;
use std::sync::Arc;

use wdk_sys::NTSTATUS;

/// Called when something has changed; on an arbitrary thread at `DISPATCH_LEVEL` or below, with no
/// lock held.
pub(crate) type Watcher = Arc<dyn Fn() + Send + Sync>;

/// One end of a connection.
pub(crate) type EndpointId = usize;

/// What there is to receive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Data(Vec<u8>),
    /// Nothing yet.
    Empty,
    /// The peer has ended its sending side.
    End,
}

/// A network with TCP.
pub(crate) trait Network: Send + Sync {
    /// Takes a local address; a port of 0 is replaced by a free one.
    fn bind(&self, address: SocketAddr) -> Result<SocketAddr, NTSTATUS>;
    /// Gives a local address back; connections that were not accepted yet are reset.
    fn unbind(&self, address: SocketAddr);
    /// Accepts connections at a bound address.
    fn listen(&self, address: SocketAddr, watcher: Watcher);
    /// The next connection that has arrived at `address`.
    fn accept(&self, address: SocketAddr) -> Option<EndpointId>;
    /// Begins to connect.
    fn connect(&self, local: SocketAddr, remote: SocketAddr, watcher: Watcher) -> EndpointId;
    /// Replaces the watcher of an accepted endpoint.
    fn watch(&self, endpoint: EndpointId, watcher: Watcher);
    /// How connecting ended; `None` while it goes on.
    fn connected(&self, endpoint: EndpointId) -> Option<Result<(), NTSTATUS>>;
    /// The local and the remote address.
    fn addresses(&self, endpoint: EndpointId) -> Option<(SocketAddr, SocketAddr)>;
    /// Hands over as many bytes as the transport takes now.
    fn send(&self, endpoint: EndpointId, data: &[u8]) -> Result<usize, NTSTATUS>;
    /// Takes at most `limit` bytes; all that are there if `all`, else as many as the network cares
    /// to give.
    fn receive(&self, endpoint: EndpointId, limit: usize, all: bool) -> Result<Received, NTSTATUS>;
    /// Ends the sending side after what was sent.
    fn shut_down(&self, endpoint: EndpointId);
    /// Resets the connection.
    fn abort(&self, endpoint: EndpointId);
    /// Forgets the endpoint; resets the connection unless both sides have ended it.
    fn close(&self, endpoint: EndpointId);
}
