//! Which addresses are taken, which connections exist, and who is reached at an address.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use wdk_sys::{NTSTATUS, STATUS_ADDRESS_ALREADY_EXISTS, STATUS_INVALID_ADDRESS_COMPONENT};

use super::datagrams::{Mailbox, Unreliability};
use super::listen::{Listening, Undecided};
use super::stream::Endpoint;
use super::{LOCAL_ADDRESSES, LOOPBACK, OUTWARD};
use crate::current::current;
use crate::net::{Bind, BindingId, EndpointId, Protocol, RequestId};
use crate::sim::Config;

const FIRST_EPHEMERAL_PORT: u16 = 49_152;

#[derive(Default)]
pub(super) struct State {
    pub(super) bindings: BTreeMap<BindingId, Binding>,
    pub(super) endpoints: BTreeMap<EndpointId, Endpoint>,
    pub(super) undecided: BTreeMap<RequestId, Undecided>,
    pub(super) unreliability: Unreliability,
    last: usize,
}

/// A local address that is taken.
pub(super) struct Binding {
    pub(super) bind: Bind,
    pub(super) listening: Option<Listening>,
    pub(super) mailbox: Option<Mailbox>,
    pub(super) broadcast: bool,
    /// Multicast groups joined, by interface.
    pub(super) groups: Vec<(IpAddr, u32)>,
}

impl Binding {
    /// Whether it is reached at `remote`, and how precisely: an exact address goes before a
    /// wildcard, a wildcard of the family before one of both.
    fn reached_at(&self, remote: SocketAddr) -> Option<u8> {
        let own = self.bind.address;
        if own.port() != remote.port() {
            return None;
        }
        let ip = if self.bind.both_families {
            own.ip().to_canonical()
        } else {
            own.ip()
        };
        if ip == remote.ip() {
            Some(0)
        } else if own.ip().is_unspecified() && own.is_ipv4() == remote.is_ipv4() {
            Some(1)
        } else if own.ip().is_unspecified() && self.bind.both_families {
            Some(2)
        } else {
            None
        }
    }

    /// An address as the socket with this binding sees it: IPv4 is mapped into IPv6.
    pub(super) fn seen(&self, address: SocketAddr) -> SocketAddr {
        match address {
            SocketAddr::V4(v4) if self.bind.address.is_ipv6() => {
                SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
            }
            other => other,
        }
    }
}

/// An address on the wire: IPv4 is not mapped.
pub(super) fn on_the_wire(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    address.set_ip(address.ip().to_canonical());
    address
}

/// The local address from which `remote` is reached.
pub(super) fn source_for(remote: IpAddr) -> IpAddr {
    if remote.is_loopback() {
        return remote;
    }
    let fallback = match remote {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    address_at(OUTWARD, remote).unwrap_or(fallback)
}

/// The local address on an interface from which `remote` is reached.
pub(super) fn address_at(interface: u32, remote: IpAddr) -> Option<IpAddr> {
    let fits = |ip: IpAddr| ip.is_ipv4() == remote.is_ipv4();
    let found = LOCAL_ADDRESSES
        .iter()
        .find(|(ip, index)| *index == interface && fits(*ip));
    found.map(|(ip, _)| *ip)
}

/// The interface that has a local address.
pub(super) fn interface_of(local: IpAddr) -> Option<u32> {
    let found = LOCAL_ADDRESSES.iter().find(|(ip, _)| *ip == local);
    let index = found.map(|(_, index)| *index);
    index.or(local.is_loopback().then_some(LOOPBACK))
}

fn is_local(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_unspecified() || interface_of(ip).is_some()
}

impl State {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            unreliability: Unreliability::new(config),
            ..Self::default()
        }
    }

    /// An identifier that was never used before.
    pub(super) fn next_id(&mut self) -> usize {
        self.last += 1;
        self.last
    }

    pub(super) fn add(&mut self, endpoint: Endpoint) -> EndpointId {
        let id = self.next_id();
        self.endpoints.insert(id, endpoint);
        id
    }

    pub(super) fn bind(&mut self, bind: Bind) -> Result<(BindingId, SocketAddr), NTSTATUS> {
        if !is_local(bind.address.ip()) {
            return Err(STATUS_INVALID_ADDRESS_COMPONENT);
        }
        let mut bind = bind;
        if bind.address.port() == 0 {
            let port = self.free_port(&bind).ok_or(STATUS_ADDRESS_ALREADY_EXISTS)?;
            bind.address.set_port(port);
        } else if self.is_taken(&bind) {
            return Err(STATUS_ADDRESS_ALREADY_EXISTS);
        }
        let id = self.next_id();
        let binding = Binding {
            bind,
            listening: None,
            mailbox: None,
            broadcast: false,
            groups: Vec::new(),
        };
        self.bindings.insert(id, binding);
        Ok((id, bind.address))
    }

    pub(super) fn unbind(&mut self, id: BindingId) {
        let Some(binding) = self.bindings.remove(&id) else {
            return;
        };
        if let Some(listening) = binding.listening {
            self.stop_listening(id, listening);
        }
    }

    fn is_taken(&self, bind: &Bind) -> bool {
        self.bindings.values().any(|other| {
            other.bind.protocol == bind.protocol
                && other.bind.address == bind.address
                && !(other.bind.shared && bind.shared)
        })
    }

    fn free_port(&self, bind: &Bind) -> Option<u16> {
        let taken = |port: u16| {
            self.bindings.values().any(|other| {
                other.bind.protocol == bind.protocol && other.bind.address.port() == port
            })
        };
        (FIRST_EPHEMERAL_PORT..=u16::MAX).find(|port| !taken(*port))
    }

    /// The binding that is reached at `remote`; the seed chooses among equals.
    pub(super) fn find(
        &self,
        remote: SocketAddr,
        protocol: Protocol,
        ready: impl Fn(&Binding) -> bool,
    ) -> Option<BindingId> {
        let mut best = Vec::new();
        let mut precision = u8::MAX;
        for (id, binding) in &self.bindings {
            if binding.bind.protocol != protocol || !ready(binding) {
                continue;
            }
            let Some(found) = binding.reached_at(remote) else {
                continue;
            };
            if found < precision {
                precision = found;
                best.clear();
            }
            if found == precision {
                best.push(*id);
            }
        }
        match best.len() {
            0 => None,
            1 => Some(best[0]),
            several => Some(best[current().sim.sched.choose_below(several)]),
        }
    }
}
