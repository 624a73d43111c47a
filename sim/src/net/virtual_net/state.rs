//! Which addresses are taken, which connections exist, and who is reached at an address.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use wdk_sys::{NTSTATUS, STATUS_ADDRESS_ALREADY_EXISTS, STATUS_INVALID_ADDRESS_COMPONENT};

use super::VirtualNet;
use super::addresses::Addresses;
use super::datagrams::{Mailbox, Unreliability};
use super::listen::{Listening, Undecided};
use super::stream::Endpoint;
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
    pub(super) addresses: Addresses,
    /// Nothing arrives: what should have waits here.
    pub(super) stalled: bool,
    pub(super) held_up: Vec<Arrival>,
    last: usize,
}

/// Something that reaches the other side.
pub(super) type Arrival = Box<dyn FnOnce(&VirtualNet) + Send>;

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
        if !self.addresses.has(bind.address.ip()) {
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
