//! The user-mode side for tests: clients that connect to the driver, and servers that it connects
//! to.
//!
//! Blocking calls in the manner of `std::net`, on simulated threads and in virtual time.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use wdk_sys::NTSTATUS;

use super::{Bind, BindingId, EndpointId, Protocol, Received, Watcher};
use crate::current::current;
use crate::kernel::layout::Header;
use crate::kernel::object::{NOTIFICATION_EVENT, Object};
use crate::sched::Outcome;
use crate::sim::Sim;

/// A user-mode end of a connection. Dropping it closes it: with a reset, unless both sides have
/// ended it.
pub struct Peer {
    sim: Sim,
    endpoint: EndpointId,
    bound: Option<BindingId>,
    changed: Arc<Header>,
}

/// A connection that a user-mode client asks for. Dropping it gives up.
pub struct Connecting(Peer);

/// A user-mode listening socket.
pub struct Listener {
    sim: Sim,
    binding: BindingId,
    address: SocketAddr,
    changed: Arc<Header>,
}

/// An event, and a watcher that sets it.
pub(super) fn event() -> (Arc<Header>, Watcher) {
    let event = Arc::new(Header::new(NOTIFICATION_EVENT, size_of::<Header>(), 0));
    let header = Arc::clone(&event);
    let watcher = Arc::new(move || {
        let object = Object::of(&header);
        current()
            .sim
            .sched
            .update(object, || object.header().state.store(1, SeqCst));
    });
    (event, watcher)
}

fn tcp(address: SocketAddr) -> Bind {
    Bind {
        address,
        protocol: Protocol::Tcp,
        shared: false,
        both_families: false,
    }
}

/// Tries until something comes of it.
pub(super) fn wait_for<T>(
    event: &Header,
    function: &'static str,
    mut attempt: impl FnMut() -> Option<T>,
) -> T {
    loop {
        if let Some(value) = wait_until(event, function, None, &mut attempt) {
            return value;
        }
    }
}

/// Tries until something comes of it, or until the deadline.
pub(super) fn wait_until<T>(
    event: &Header,
    function: &'static str,
    deadline: Option<u64>,
    mut attempt: impl FnMut() -> Option<T>,
) -> Option<T> {
    let me = current();
    let mut outcome = Outcome::Signalled(0);
    loop {
        event.state.store(0, SeqCst);
        let value = attempt();
        if value.is_some() || outcome == Outcome::Timeout {
            me.sim.sched.point(&me);
            return value;
        }
        let objects = vec![Object::of(event)];
        outcome = me.sim.sched.wait(&me, function, objects, false, deadline);
    }
}

impl Sim {
    /// Connects to a listening socket of the driver, or of the test.
    ///
    /// # Errors
    ///
    /// The status of the connection attempt, for example `STATUS_CONNECTION_REFUSED`.
    pub fn connect(&self, remote: SocketAddr) -> Result<Peer, NTSTATUS> {
        self.begin_to_connect(remote)?.finish()
    }

    /// Begins to connect, and does not wait for the other side.
    ///
    /// # Errors
    ///
    /// `STATUS_ADDRESS_ALREADY_EXISTS` if there is no free port.
    pub fn begin_to_connect(&self, remote: SocketAddr) -> Result<Connecting, NTSTATUS> {
        self.begin_to_connect_from(remote.ip(), remote)
    }

    /// Begins to connect from an address of this host, and does not wait for the other side.
    ///
    /// # Errors
    ///
    /// `STATUS_ADDRESS_ALREADY_EXISTS` if there is no free port;
    /// `STATUS_INVALID_ADDRESS_COMPONENT` if the host has no such address.
    pub fn begin_to_connect_from(
        &self,
        local: IpAddr,
        remote: SocketAddr,
    ) -> Result<Connecting, NTSTATUS> {
        let (changed, watcher) = event();
        let net = &self.0.net;
        let (binding, _) = net.bind(tcp(SocketAddr::new(local, 0)))?;
        let endpoint = net.connect(binding, remote, watcher);
        Ok(Connecting(Peer {
            sim: self.clone(),
            endpoint,
            bound: Some(binding),
            changed,
        }))
    }

    /// Listens at a loopback or wildcard address.
    ///
    /// # Errors
    ///
    /// `STATUS_ADDRESS_ALREADY_EXISTS` if it is taken.
    pub fn listen(&self, address: SocketAddr) -> Result<Listener, NTSTATUS> {
        let (changed, watcher) = event();
        let (binding, address) = self.0.net.bind(tcp(address))?;
        let listener = Listener {
            sim: self.clone(),
            binding,
            address,
            changed,
        };
        self.0.net.listen(binding, false, watcher)?;
        Ok(listener)
    }
}

impl Connecting {
    /// The address from which it connects.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.0.addresses().0
    }

    /// Waits until the other side has answered.
    ///
    /// # Errors
    ///
    /// The status of the connection attempt, for example `STATUS_CONNECTION_REFUSED`.
    pub fn finish(self) -> Result<Peer, NTSTATUS> {
        let Self(peer) = self;
        let net = &peer.sim.0.net;
        wait_for(&peer.changed, "Sim::connect", || {
            net.connected(peer.endpoint)
        })?;
        Ok(peer)
    }
}

impl Listener {
    /// The address at which it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next connection.
    #[must_use]
    pub fn accept(&self) -> Peer {
        let net = &self.sim.0.net;
        let endpoint = wait_for(&self.changed, "Listener::accept", || {
            net.accept(self.binding)
        })
        .endpoint;
        let (changed, watcher) = event();
        net.watch(endpoint, watcher);
        Peer {
            sim: self.sim.clone(),
            endpoint,
            bound: None,
            changed,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.sim.0.net.unbind(self.binding);
    }
}

impl Peer {
    /// The addresses of this end and of the other.
    ///
    /// # Panics
    ///
    /// Never: an endpoint has its addresses from the beginning.
    #[must_use]
    pub fn addresses(&self) -> (SocketAddr, SocketAddr) {
        self.sim
            .0
            .net
            .addresses(self.endpoint)
            .expect("the endpoint exists until the peer is dropped")
    }

    /// Sends all of `data`.
    ///
    /// # Errors
    ///
    /// The status with which the connection ended.
    pub fn write_all(&self, data: &[u8]) -> Result<(), NTSTATUS> {
        let mut sent = 0;
        while sent < data.len() {
            sent += wait_for(&self.changed, "Peer::write_all", || {
                let result = self.sim.0.net.send(self.endpoint, &data[sent..]);
                (result != Ok(0)).then_some(result)
            })?;
        }
        Ok(())
    }

    /// Waits for bytes; at most `limit`. None come once the other side has ended its sending.
    ///
    /// # Errors
    ///
    /// The status with which the connection ended.
    pub fn read(&self, limit: usize) -> Result<Vec<u8>, NTSTATUS> {
        wait_for(&self.changed, "Peer::read", || {
            match self.sim.0.net.receive(self.endpoint, limit, false) {
                Ok(Received::Empty) => None,
                Ok(Received::End) => Some(Ok(Vec::new())),
                Ok(Received::Data(data)) => Some(Ok(data)),
                Err(status) => Some(Err(status)),
            }
        })
    }

    /// Waits for exactly `count` bytes, or fewer if the other side ends its sending before.
    ///
    /// # Errors
    ///
    /// The status with which the connection ended.
    pub fn read_exact(&self, count: usize) -> Result<Vec<u8>, NTSTATUS> {
        let mut data = Vec::new();
        while data.len() < count {
            let piece = self.read(count - data.len())?;
            if piece.is_empty() {
                break;
            }
            data.extend(piece);
        }
        Ok(data)
    }

    /// Waits for all bytes until the other side ends its sending.
    ///
    /// # Errors
    ///
    /// The status with which the connection ended.
    pub fn read_to_end(&self) -> Result<Vec<u8>, NTSTATUS> {
        self.read_exact(usize::MAX / 2)
    }

    /// Ends the sending side.
    pub fn shut_down(&self) {
        self.sim.0.net.shut_down(self.endpoint);
    }

    /// Resets the connection.
    pub fn reset(self) {
        self.sim.0.net.abort(self.endpoint);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.sim.0.net.close(self.endpoint);
        if let Some(binding) = self.bound {
            self.sim.0.net.unbind(binding);
        }
    }
}
