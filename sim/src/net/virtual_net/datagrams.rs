//! Datagrams: each arrives whole, in no particular order, or not at all when the receiver's queue
//! is full.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use wdk_sys::{
    NTSTATUS, STATUS_ACCESS_DENIED, STATUS_BUFFER_OVERFLOW, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER,
};

use super::state::{Binding, State, on_the_wire};
use super::{VirtualNet, notify, schedule};
use crate::current::current;
use crate::net::{BindingId, Datagram, Protocol, Watcher};

/// Bytes that wait for a receiver before further datagrams are dropped.
const QUEUE: usize = 64 * 1024;
/// The largest datagram of UDP over IPv4.
const LARGEST: usize = 65_507;
/// The transport is busy once in so many sends.
const BUSY_ONE_IN: usize = 16;
const DEFAULT_HOPS: u8 = 128;

pub(super) struct Mailbox {
    watcher: Watcher,
    /// Datagrams from elsewhere are dropped.
    remote: Option<SocketAddr>,
    queue: VecDeque<Datagram>,
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
    fn is_member(&self, group: IpAddr) -> bool {
        self.groups.iter().any(|(joined, _)| *joined == group)
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
        if datagram.data.len() > LARGEST {
            return Err(STATUS_BUFFER_OVERFLOW);
        }
        let remote = on_the_wire(datagram.remote);
        if is_broadcast(remote.ip()) && !from.broadcast {
            return Err(STATUS_ACCESS_DENIED);
        }
        if current().sim.sched.choose_below(BUSY_ONE_IN) == 0 {
            schedule(move |net| net.tell_sender(sender));
            return Ok(false);
        }
        let source = self.source(sender, datagram, remote.ip());
        for to in self.receivers(remote) {
            let seen = self.seen_at(to, datagram, source, remote);
            schedule(move |net| net.deliver(to, seen));
        }
        Ok(true)
    }

    fn source(&self, sender: BindingId, datagram: &Datagram, remote: IpAddr) -> SocketAddr {
        let bound = self.bindings[&sender].bind.address;
        let bound_ip = Some(bound.ip()).filter(|ip| !ip.is_unspecified() && !ip.is_multicast());
        let ip = datagram.local.or(bound_ip);
        let ip = ip.unwrap_or_else(|| self.addresses.source_for(remote));
        SocketAddr::new(ip.to_canonical(), bound.port())
    }

    fn receivers(&self, remote: SocketAddr) -> Vec<BindingId> {
        let receives = |binding: &Binding| {
            binding.bind.protocol == Protocol::Udp
                && binding.mailbox.is_some()
                && binding.bind.address.port() == remote.port()
        };
        let ip = remote.ip();
        if is_broadcast(ip) || ip.is_multicast() {
            let wanted = |binding: &Binding| is_broadcast(ip) || binding.is_member(ip);
            return self
                .bindings
                .iter()
                .filter(|(_, binding)| receives(binding) && wanted(binding))
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
        source: SocketAddr,
        target: SocketAddr,
    ) -> Datagram {
        let binding = &self.bindings[&receiver];
        Datagram {
            data: datagram.data.clone(),
            remote: binding.seen(source),
            local: Some(binding.seen(target).ip()),
            interface: self.addresses.interface_of(source.ip()),
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
        let binding = self
            .bindings
            .get_mut(&binding)
            .ok_or(STATUS_INVALID_DEVICE_STATE)?;
        let known = binding.groups.contains(&(group, interface));
        if !group.is_multicast() || known == join {
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
    ip == IpAddr::V4(Ipv4Addr::BROADCAST)
}
