//! The user-mode side of UDP for tests: somebody whom the driver exchanges datagrams with.
//!
//! Blocking calls in the manner of `std::net::UdpSocket`, on simulated threads and in virtual time.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use wdk_sys::NTSTATUS;

use super::peer::{event, wait_for, wait_until};
use super::{Bind, BindingId, Datagram, Protocol};
use crate::kernel::layout::Header;
use crate::sim::Sim;

/// A user-mode UDP socket, which may send broadcasts.
pub struct DatagramPeer {
    sim: Sim,
    binding: BindingId,
    address: SocketAddr,
    changed: Arc<Header>,
}

impl Sim {
    /// Opens a user-mode UDP socket at an address of this host, or at a wildcard.
    ///
    /// # Errors
    ///
    /// `STATUS_ADDRESS_ALREADY_EXISTS` if the address is taken.
    pub fn datagram_peer(&self, address: SocketAddr) -> Result<DatagramPeer, NTSTATUS> {
        let (changed, watcher) = event();
        let net = &self.0.net;
        let (binding, address) = net.bind(Bind {
            address,
            protocol: Protocol::Udp,
            shared: false,
            both_families: false,
        })?;
        net.receive_datagrams(binding, None, watcher);
        net.allow_broadcast(binding, true);
        Ok(DatagramPeer {
            sim: self.clone(),
            binding,
            address,
            changed,
        })
    }
}

impl DatagramPeer {
    /// The address at which it receives.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Sends a datagram.
    ///
    /// # Errors
    ///
    /// Why it cannot be sent, for example `STATUS_BUFFER_OVERFLOW` if it is too long. That nobody
    /// receives it is no error.
    pub fn send_to(&self, data: &[u8], remote: SocketAddr) -> Result<(), NTSTATUS> {
        self.send(&Datagram::new(data, remote))
    }

    /// Sends a datagram, with all that is to travel with it.
    ///
    /// # Errors
    ///
    /// See [`DatagramPeer::send_to`].
    pub fn send(&self, datagram: &Datagram) -> Result<(), NTSTATUS> {
        wait_for(&self.changed, "DatagramPeer::send", || {
            let sent = self.sim.0.net.send_to(self.binding, datagram);
            (sent != Ok(false)).then(|| sent.map(|_| ()))
        })
    }

    /// Waits for a datagram; gives its data, and where it came from.
    #[must_use]
    pub fn receive_from(&self) -> (Vec<u8>, SocketAddr) {
        let datagram = self.receive();
        (datagram.data, datagram.remote)
    }

    /// Waits for a datagram; gives it with all that has travelled with it.
    #[must_use]
    pub fn receive(&self) -> Datagram {
        wait_for(&self.changed, "DatagramPeer::receive", || {
            self.sim.0.net.receive_from(self.binding)
        })
    }

    /// Waits for a datagram, but not for longer than `time`.
    #[must_use]
    pub fn receive_within(&self, time: Duration) -> Option<Datagram> {
        let sched = &self.sim.0.sched;
        let units = u64::try_from(time.as_nanos() / 100).unwrap_or(u64::MAX / 2);
        let deadline = Some(sched.now() + units);
        wait_until(
            &self.changed,
            "DatagramPeer::receive_within",
            deadline,
            || self.sim.0.net.receive_from(self.binding),
        )
    }

    /// Joins a multicast group, on whatever interface.
    ///
    /// # Errors
    ///
    /// `STATUS_INVALID_PARAMETER` if that is no multicast address, or was joined before.
    pub fn join(&self, group: IpAddr) -> Result<(), NTSTATUS> {
        self.sim.0.net.set_membership(self.binding, group, 0, true)
    }
}

impl Drop for DatagramPeer {
    fn drop(&mut self) {
        self.sim.0.net.unbind(self.binding);
    }
}
