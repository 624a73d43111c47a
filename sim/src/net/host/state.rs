//! Which addresses are taken, and what is open.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use mio::Registry;
use socket2::{Domain, Socket, Type};
use wdk_sys::NTSTATUS;

use super::datagrams::Mailbox;
use super::listen::Listening;
use super::status;
use super::stream::Endpoint;
use crate::net::{Bind, BindingId, EndpointId, Protocol, Watcher};

pub(super) struct State {
    pub(super) registry: Registry,
    pub(super) bindings: BTreeMap<BindingId, Binding>,
    pub(super) endpoints: BTreeMap<EndpointId, Endpoint>,
    last: usize,
}

/// A local address that is taken.
pub(super) struct Binding {
    pub(super) bind: Bind,
    pub(super) local: Local,
}

/// What has a local address.
pub(super) enum Local {
    /// A socket that may listen or connect; none while a connection has it.
    Idle(Option<Socket>),
    Listening(Listening),
    Datagrams(Mailbox),
}

/// Makes a socket and binds it.
pub(super) fn bound(bind: &Bind) -> io::Result<Socket> {
    let kind = match bind.protocol {
        Protocol::Tcp => Type::STREAM,
        Protocol::Udp => Type::DGRAM,
    };
    let socket = Socket::new(Domain::for_address(bind.address), kind, None)?;
    socket.set_nonblocking(true)?;
    if bind.address.is_ipv6() {
        socket.set_only_v6(!bind.both_families)?;
    }
    // On Unix this lets a TCP socket have an address whose connections are not forgotten yet, as
    // Windows does without being asked; on Windows it shares the address.
    if bind.shared || (cfg!(unix) && bind.protocol == Protocol::Tcp) {
        socket.set_reuse_address(true)?;
    }
    #[cfg(unix)]
    if bind.shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&bind.address.into())?;
    Ok(socket)
}

fn address_of(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?;
    address.as_socket().ok_or(io::ErrorKind::Unsupported.into())
}

impl State {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            registry,
            bindings: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            last: 0,
        }
    }

    /// An identifier, of a binding or an endpoint, that was never used before.
    pub(super) fn next_id(&mut self) -> usize {
        self.last += 1;
        self.last
    }

    pub(super) fn endpoint(&mut self, id: EndpointId) -> Option<(&mut Endpoint, &Registry)> {
        let endpoint = self.endpoints.get_mut(&id)?;
        Some((endpoint, &self.registry))
    }

    pub(super) fn bind(&mut self, bind: Bind) -> Result<(BindingId, SocketAddr), NTSTATUS> {
        let make = || {
            let socket = bound(&bind)?;
            let address = address_of(&socket)?;
            let local = match bind.protocol {
                Protocol::Tcp => Local::Idle(Some(socket)),
                Protocol::Udp => Local::Datagrams(Mailbox::new(socket, &bind)?),
            };
            Ok((local, address))
        };
        let (local, address) = make().map_err(|error: io::Error| status::of(&error))?;
        let id = self.next_id();
        let bind = Bind { address, ..bind };
        self.bindings.insert(id, Binding { bind, local });
        Ok((id, address))
    }

    pub(super) fn unbind(&mut self, id: BindingId) {
        let binding = self.bindings.remove(&id);
        if let Some(Local::Listening(listening)) = binding.map(|binding| binding.local) {
            self.stop_listening(id, listening);
        }
    }

    /// Looks at what has happened at a socket; the watcher that is to be told.
    pub(super) fn news(&mut self, id: usize) -> Option<Watcher> {
        if let Some(binding) = self.bindings.get_mut(&id) {
            return match &mut binding.local {
                Local::Idle(_) => None,
                Local::Listening(listening) => Some(listening.watcher.clone()),
                Local::Datagrams(mailbox) => mailbox.news(&self.registry),
            };
        }
        let endpoint = self.endpoints.get_mut(&id)?;
        endpoint.news(&self.registry);
        match endpoint.listener {
            Some(listener) => self.look_for_giving_up(listener, id),
            None => endpoint.watcher.clone(),
        }
    }

    /// Closes everything; connections are reset.
    pub(super) fn clear(&mut self) {
        self.bindings.clear();
        for (_, endpoint) in std::mem::take(&mut self.endpoints) {
            endpoint.close();
        }
    }
}
