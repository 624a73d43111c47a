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
        ip.is_unspecified()
            || ip.is_loopback()
            || ip.is_multicast()
            || self.0.iter().any(|(own, _)| *own == ip)
    }

    /// The index of the interface that has it.
    pub(super) fn interface_of(&self, ip: IpAddr) -> u32 {
        let found = self.0.iter().find(|(own, _)| *own == ip);
        found.map_or(LOOPBACK, |(_, index)| *index)
    }

    /// The local address from which `remote` is reached.
    pub(super) fn source_for(&self, remote: IpAddr) -> IpAddr {
        if remote.is_loopback() {
            return remote;
        }
        let mut of_family = self
            .0
            .iter()
            .filter(|(ip, _)| ip.is_ipv4() == remote.is_ipv4());
        let found = of_family.find(|(_, index)| *index == OTHER);
        found.map_or(loopback(remote), |(ip, _)| *ip)
    }
}

/// The loopback address of the same family.
fn loopback(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}
