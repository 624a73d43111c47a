//! The addresses of the host: the loopback interface's, and those of one other, which reaches
//! itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const LOOPBACK: u32 = 1;
const OTHER: u32 = 2;

/// Addresses, with the index of the interface that has each.
pub(super) struct Addresses(Vec<(IpAddr, u32)>);

impl Default for Addresses {
    fn default() -> Self {
        let other = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        Self(vec![
            (Ipv4Addr::LOCALHOST.into(), LOOPBACK),
            (Ipv6Addr::LOCALHOST.into(), LOOPBACK),
            (Ipv4Addr::new(192, 0, 2, 1).into(), OTHER),
            (other.into(), OTHER),
        ])
    }
}

impl Addresses {
    pub(super) fn all(&self) -> Vec<(IpAddr, u32)> {
        self.0.clone()
    }

    pub(super) fn add(&mut self, ip: IpAddr) -> bool {
        let new = self.0.iter().all(|(own, _)| *own != ip);
        if new {
            self.0.push((ip, OTHER));
        }
        new
    }

    pub(super) fn remove(&mut self, ip: IpAddr) -> bool {
        let before = self.0.len();
        self.0.retain(|own| *own != (ip, OTHER));
        self.0.len() < before
    }

    /// Whether a socket can be bound to it.
    pub(super) fn has(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_unspecified() || self.interface_of(ip).is_some()
    }

    /// The interface that has it.
    pub(super) fn interface_of(&self, ip: IpAddr) -> Option<u32> {
        let found = self.0.iter().find(|(own, _)| *own == ip);
        let index = found.map(|(_, index)| *index);
        index.or(ip.is_loopback().then_some(LOOPBACK))
    }

    pub(super) fn has_interface(&self, index: u32) -> bool {
        self.0.iter().any(|(_, own)| *own == index)
    }

    /// The address on an interface from which `remote` is reached.
    pub(super) fn on(&self, interface: u32, remote: IpAddr) -> Option<IpAddr> {
        let fits = |ip: IpAddr| ip.is_ipv4() == remote.is_ipv4();
        let found = self
            .0
            .iter()
            .find(|(ip, index)| *index == interface && fits(*ip));
        found.map(|(ip, _)| *ip)
    }

    /// The local address from which `remote` is reached.
    pub(super) fn source_for(&self, remote: IpAddr) -> IpAddr {
        if remote.is_loopback() {
            return remote;
        }
        self.on(OTHER, remote).unwrap_or(loopback(remote))
    }
}

/// The loopback address of the same family.
fn loopback(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}
