//! Datagrams.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use mio::Registry;
use mio::net::UdpSocket;
use socket2::{InterfaceIndexOrAddress, SockRef, Socket};
use wdk_sys::{
    NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
};

use super::poller::Watched;
use super::state::{Local, State};
use super::{message, status};
use crate::net::{Bind, BindingId, Datagram, Watcher};

/// The largest datagrams of UDP over IPv4 and over IPv6.
const LARGEST_V4: usize = 65_507;
const LARGEST_V6: usize = 65_527;

/// A UDP socket.
pub(super) struct Mailbox {
    socket: Inbox,
    /// Datagrams from elsewhere are dropped.
    remote: Option<SocketAddr>,
    watcher: Option<Watcher>,
}

/// The socket, before and after it is waited for.
enum Inbox {
    Closed(UdpSocket),
    Open(Watched<UdpSocket>),
    Broken,
}

impl Mailbox {
    pub(super) fn new(socket: Socket, bind: &Bind) -> std::io::Result<Self> {
        message::ask_for_control_data(&socket, bind)?;
        Ok(Self {
            socket: Inbox::Closed(UdpSocket::from_std(socket.into())),
            remote: None,
            watcher: None,
        })
    }

    pub(super) fn news(&mut self, registry: &Registry) -> Option<Watcher> {
        if let Inbox::Open(socket) = &mut self.socket {
            socket.want_room(registry, false);
        }
        self.watcher.clone()
    }

    fn socket(&self) -> Option<&UdpSocket> {
        match &self.socket {
            Inbox::Closed(socket) => Some(socket),
            Inbox::Open(socket) => Some(&socket.socket),
            Inbox::Broken => None,
        }
    }

    fn open(&mut self, registry: &Registry, id: BindingId) {
        self.socket = match std::mem::replace(&mut self.socket, Inbox::Broken) {
            Inbox::Closed(socket) => {
                Watched::new(registry, id, socket).map_or(Inbox::Broken, Inbox::Open)
            }
            other => other,
        };
    }

    fn receive(&self) -> Option<Datagram> {
        let socket = self.socket()?;
        loop {
            match message::receive(socket) {
                Ok(datagram) if self.remote.is_none_or(|remote| remote == datagram.remote) => {
                    return Some(datagram);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                // From elsewhere; or what became of an earlier datagram, which nobody asked for.
                _ => {}
            }
        }
    }
}

impl State {
    fn mailbox(&mut self, binding: BindingId) -> Option<(&mut Mailbox, &Registry)> {
        match &mut self.bindings.get_mut(&binding)?.local {
            Local::Datagrams(mailbox) => Some((mailbox, &self.registry)),
            Local::Idle(_) | Local::Listening(_) => None,
        }
    }

    pub(super) fn receive_datagrams(
        &mut self,
        id: BindingId,
        remote: Option<SocketAddr>,
        watcher: Watcher,
    ) {
        if let Some((mailbox, registry)) = self.mailbox(id) {
            mailbox.open(registry, id);
            mailbox.remote = remote;
            mailbox.watcher = Some(watcher);
        }
    }

    pub(super) fn receive_from(&mut self, binding: BindingId) -> Option<Datagram> {
        self.mailbox(binding)?.0.receive()
    }

    pub(super) fn send_to(
        &mut self,
        binding: BindingId,
        datagram: &Datagram,
    ) -> Result<bool, NTSTATUS> {
        let mailbox = self.mailbox(binding);
        let (mailbox, registry) = mailbox.ok_or(STATUS_INVALID_DEVICE_STATE)?;
        let largest = if datagram.remote.ip().to_canonical().is_ipv4() {
            LARGEST_V4
        } else {
            LARGEST_V6
        };
        if datagram.data.len() > largest {
            return Err(STATUS_BUFFER_OVERFLOW);
        }
        let socket = mailbox.socket().ok_or(STATUS_INVALID_DEVICE_STATE)?;
        match message::send(socket, datagram) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if let Inbox::Open(socket) = &mut mailbox.socket {
                    socket.want_room(registry, true);
                }
                Ok(false)
            }
            Err(error) => Err(status::of(&error)),
        }
    }

    pub(super) fn allow_broadcast(&mut self, binding: BindingId, allow: bool) {
        let mailbox = self.mailbox(binding);
        if let Some(socket) = mailbox.and_then(|(mailbox, _)| mailbox.socket()) {
            // The host allows it for any UDP socket.
            let _ = SockRef::from(socket).set_broadcast(allow);
        }
    }

    pub(super) fn set_membership(
        &mut self,
        binding: BindingId,
        group: IpAddr,
        interface: u32,
        join: bool,
    ) -> Result<(), NTSTATUS> {
        let mailbox = self.mailbox(binding);
        let socket = mailbox.and_then(|(mailbox, _)| mailbox.socket());
        let socket = SockRef::from(socket.ok_or(STATUS_INVALID_DEVICE_STATE)?);
        let on = InterfaceIndexOrAddress::Index(interface);
        let result = match (group, join) {
            (IpAddr::V4(group), true) => socket.join_multicast_v4_n(&group, &on),
            (IpAddr::V4(group), false) => socket.leave_multicast_v4_n(&group, &on),
            (IpAddr::V6(group), true) => socket.join_multicast_v6(&group, interface),
            (IpAddr::V6(group), false) => socket.leave_multicast_v6(&group, interface),
        };
        result.map_err(|error| match error.kind() {
            // A member already, or not a member.
            ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable => STATUS_INVALID_PARAMETER,
            _ => status::of(&error),
        })
    }
}
