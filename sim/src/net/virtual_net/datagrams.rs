//! Datagrams: each arrives whole, in no particular order, or not at all when the receiver's queue
//! is full; further ones are lost, and some arrive twice, if the test asks for that.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use wdk_sys::{
    NTSTATUS, STATUS_ACCESS_DENIED, STATUS_BUFFER_OVERFLOW, STATUS_INVALID_ADDRESS_COMPONENT,
    STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_NETWORK_UNREACHABLE,
};

use super::addresses::Addresses;
use super::state::{Binding, State, on_the_wire};
use super::{VirtualNet, notify, schedule};
use crate::current::current;
use crate::net::{BindingId, Datagram, Protocol, Watcher};
use crate::sim::Config;

/// Bytes that wait for a receiver before further datagrams are dropped.
const QUEUE: usize = 64 * 1024;
/// The largest datagrams of UDP over IPv4 and over IPv6.
const LARGEST_V4: usize = 65_507;
const LARGEST_V6: usize = 65_527;
/// The transport is busy once in so many sends.
const BUSY_ONE_IN: usize = 16;
const DEFAULT_HOPS: u8 = 128;

pub(super) struct Mailbox {
    watcher: Watcher,
    /// Datagrams from elsewhere are dropped.
    remote: Option<SocketAddr>,
    queue: VecDeque<Datagram>,
}

/// What happens to datagrams on their way: to one in so many, or never if that is 0.
#[derive(Default)]
pub(super) struct Unreliability {
    lost_one_in: usize,
    doubled_one_in: usize,
}

/// How a datagram leaves: from which address, and by which interface.
struct Route {
    source: SocketAddr,
    interface: u32,
}

impl Unreliability {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            lost_one_in: config.lose_datagrams_one_in,
            doubled_one_in: config.duplicate_datagrams_one_in,
        }
    }

    /// How many copies of a datagram arrive.
    fn copies(&self) -> usize {
        let happens = |one_in| one_in != 0 && current().sim.sched.choose_below(one_in) == 0;
        if happens(self.lost_one_in) {
            0
        } else {
            1 + usize::from(happens(self.doubled_one_in))
        }
    }
}

impl VirtualNet {
    fn deliver(&self, to: BindingId, datagram: Datagram) {
        let mut state = self.state();
        let mailbox = state
            .bindings
            .get_mut(&to)
            .and_then(|binding| binding.mailbox.as_mut());
        let watcher = mailbox.and_then(|mailbox| mailbox.take_in(datagram));
        drop(state);
        notify(watcher);
    }

    fn tell_sender(&self, binding: BindingId) {
        let state = self.state();
        let mailbox = state
            .bindings
            .get(&binding)
            .and_then(|binding| binding.mailbox.as_ref());
        let watcher = mailbox.map(|mailbox| mailbox.watcher.clone());
        drop(state);
        notify(watcher);
    }
}

impl Mailbox {
    fn take_in(&mut self, datagram: Datagram) -> Option<Watcher> {
        let waiting: usize = self.queue.iter().map(|waiting| waiting.data.len()).sum();
        let wanted = self.remote.is_none_or(|remote| remote == datagram.remote);
        if !wanted || waiting + datagram.data.len() > QUEUE {
            return None;
        }
        self.queue.push_back(datagram);
        Some(self.watcher.clone())
    }
}

impl Binding {
    fn may_send(&self, length: usize, remote: SocketAddr) -> Result<(), NTSTATUS> {
        let largest = if remote.is_ipv4() {
            LARGEST_V4
        } else {
            LARGEST_V6
        };
        if length > largest {
            return Err(STATUS_BUFFER_OVERFLOW);
        }
        if remote.ip().is_unspecified() || remote.port() == 0 {
            return Err(STATUS_INVALID_ADDRESS_COMPONENT);
        }
        if is_broadcast(remote.ip()) && !self.broadcast {
            return Err(STATUS_ACCESS_DENIED);
        }
        Ok(())
    }

    /// How a datagram gets to `remote`, which is an address on the wire.
    fn route(
        &self,
        addresses: &Addresses,
        datagram: &Datagram,
        remote: IpAddr,
    ) -> Result<Route, NTSTATUS> {
        let bound = self.bind.address;
        let mapped = bound.is_ipv6() && remote.is_ipv4();
        let there = match datagram.interface {
            0 => addresses.source_for(remote),
            index => addresses
                .on(index, remote)
                .ok_or(STATUS_NETWORK_UNREACHABLE)?,
        };
        let chosen = datagram.local.unwrap_or(bound.ip()).to_canonical();
        let source = if chosen.is_unspecified() {
            there
        } else {
            chosen
        };
        if source.is_ipv4() != remote.is_ipv4() || (mapped && !self.bind.both_families) {
            return Err(STATUS_NETWORK_UNREACHABLE);
        }
        let own = addresses
            .interface_of(source)
            .ok_or(STATUS_INVALID_ADDRESS_COMPONENT)?;
        Ok(Route {
            source: SocketAddr::new(source, bound.port()),
            interface: if datagram.interface == 0 {
                own
            } else {
                datagram.interface
            },
        })
    }

    /// Whether a datagram for many, which leaves by `interface`, gets here.
    fn hears(&self, addresses: &Addresses, target: IpAddr, interface: u32) -> bool {
        let own = self.bind.address.ip();
        let everywhere = own.is_unspecified();
        let own = own.to_canonical();
        let both = everywhere && self.bind.both_families;
        let here = everywhere || addresses.interface_of(own) == Some(interface);
        let joined = |(group, on): &(IpAddr, u32)| *group == target && [0, interface].contains(on);
        (both || own.is_ipv4() == target.is_ipv4())
            && here
            && (is_broadcast(target) || self.groups.iter().any(joined))
    }
}

impl State {
    pub(super) fn receive_datagrams(
        &mut self,
        binding: BindingId,
        remote: Option<SocketAddr>,
        watcher: Watcher,
    ) {
        let Some(binding) = self.bindings.get_mut(&binding) else {
            return;
        };
        let mut queue = binding
            .mailbox
            .take()
            .map(|mailbox| mailbox.queue)
            .unwrap_or_default();
        queue.retain(|datagram| remote.is_none_or(|remote| remote == datagram.remote));
        binding.mailbox = Some(Mailbox {
            watcher,
            remote,
            queue,
        });
    }

    pub(super) fn receive_from(&mut self, binding: BindingId) -> Option<Datagram> {
        let mailbox = self.bindings.get_mut(&binding)?.mailbox.as_mut()?;
        mailbox.queue.pop_front()
    }

    pub(super) fn send_to(
        &mut self,
        sender: BindingId,
        datagram: &Datagram,
    ) -> Result<bool, NTSTATUS> {
        let from = self
            .bindings
            .get(&sender)
            .ok_or(STATUS_INVALID_DEVICE_STATE)?;
        let remote = on_the_wire(datagram.remote);
        from.may_send(datagram.data.len(), remote)?;
        let route = from.route(&self.addresses, datagram, remote.ip())?;
        if current().sim.sched.choose_below(BUSY_ONE_IN) == 0 {
            schedule(move |net| net.tell_sender(sender));
            return Ok(false);
        }
        for to in self.receivers(remote, route.interface) {
            for _ in 0..self.unreliability.copies() {
                let seen = self.seen_at(to, datagram, &route, remote);
                schedule(move |net| net.deliver(to, seen));
            }
        }
        Ok(true)
    }

    fn receivers(&self, remote: SocketAddr, interface: u32) -> Vec<BindingId> {
        let receives = |binding: &Binding| {
            binding.bind.protocol == Protocol::Udp
                && binding.mailbox.is_some()
                && binding.bind.address.port() == remote.port()
        };
        let ip = remote.ip();
        if is_broadcast(ip) || ip.is_multicast() {
            let heard = |binding: &Binding| {
                receives(binding) && binding.hears(&self.addresses, ip, interface)
            };
            let bindings = self.bindings.iter();
            return bindings
                .filter(|(_, binding)| heard(binding))
                .map(|(id, _)| *id)
                .collect();
        }
        self.find(remote, Protocol::Udp, receives)
            .into_iter()
            .collect()
    }

    /// The datagram as the receiver sees it.
    fn seen_at(
        &self,
        receiver: BindingId,
        datagram: &Datagram,
        route: &Route,
        target: SocketAddr,
    ) -> Datagram {
        let binding = &self.bindings[&receiver];
        Datagram {
            data: datagram.data.clone(),
            remote: binding.seen(route.source),
            local: Some(binding.seen(target).ip()),
            interface: route.interface,
            hops: Some(datagram.hops.unwrap_or(DEFAULT_HOPS)),
            traffic_class: Some(datagram.traffic_class.unwrap_or(0)),
        }
    }

    pub(super) fn set_membership(
        &mut self,
        binding: BindingId,
        group: IpAddr,
        interface: u32,
        join: bool,
    ) -> Result<(), NTSTATUS> {
        let exists = interface == 0 || self.addresses.has_interface(interface);
        let binding = self
            .bindings
            .get_mut(&binding)
            .ok_or(STATUS_INVALID_DEVICE_STATE)?;
        let known = binding.groups.contains(&(group, interface));
        if !group.is_multicast() || known == join || !exists {
            return Err(STATUS_INVALID_PARAMETER);
        }
        if join {
            binding.groups.push((group, interface));
        } else {
            binding
                .groups
                .retain(|joined| *joined != (group, interface));
        }
        Ok(())
    }
}

fn is_broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(v4) if v4.is_broadcast())
}
