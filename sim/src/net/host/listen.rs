//! Listening: connections that the host has accepted, on their way to the driver.
//!
//! They stay in the host's own queue until somebody asks. One that a listener inspects is an
//! endpoint already, whose identifier is also that of the request.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use mio::net::TcpListener;
use wdk_sys::{NTSTATUS, STATUS_INVALID_DEVICE_STATE};

use super::poller::Watched;
use super::state::{Local, State, bound};
use super::status;
use super::stream::Endpoint;
use crate::net::{Arrival, BindingId, EndpointId, Request, RequestId, Watcher};

/// How many connections the host may keep for a listener.
const BACKLOG: i32 = 4096;

pub(super) struct Listening {
    listener: Watched<TcpListener>,
    inspect: bool,
    pub(super) watcher: Watcher,
    pub(super) given_up: VecDeque<RequestId>,
    arrived: VecDeque<EndpointId>,
}

impl Listening {
    /// The next connection of the host's queue.
    fn take(&self) -> Option<(mio::net::TcpStream, std::net::SocketAddr)> {
        loop {
            match self.listener.socket.accept() {
                Ok(connection) => return Some(connection),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return None,
                    ErrorKind::Interrupted
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::ConnectionReset => {}
                    _ => {
                        eprintln!(
                            "wsk-sim: the host accepts no connection: {error}\n  what to do: if \
                             there are too many open files, raise their limit (ulimit -n)"
                        );
                        return None;
                    }
                },
            }
        }
    }
}

impl State {
    pub(super) fn listening(&mut self, binding: BindingId) -> Option<&mut Listening> {
        match &mut self.bindings.get_mut(&binding)?.local {
            Local::Listening(listening) => Some(listening),
            Local::Idle(_) | Local::Datagrams(_) => None,
        }
    }

    pub(super) fn listen(
        &mut self,
        id: BindingId,
        inspect: bool,
        watcher: Watcher,
    ) -> Result<(), NTSTATUS> {
        let found = self.bindings.get_mut(&id);
        let binding = found.ok_or(STATUS_INVALID_DEVICE_STATE)?;
        let Local::Idle(socket) = &mut binding.local else {
            return Err(STATUS_INVALID_DEVICE_STATE);
        };
        let socket = socket.take().map_or_else(|| bound(&binding.bind), Ok);
        let listen = |socket: socket2::Socket| {
            socket.listen(BACKLOG)?;
            let listener = TcpListener::from_std(socket.into());
            Watched::new(&self.registry, id, listener)
        };
        let listener = socket
            .and_then(listen)
            .map_err(|error: io::Error| status::of(&error))?;
        binding.local = Local::Listening(Listening {
            listener,
            inspect,
            watcher,
            given_up: VecDeque::new(),
            arrived: VecDeque::new(),
        });
        Ok(())
    }

    pub(super) fn stop_listening(&mut self, id: BindingId, listening: Listening) {
        let undecided = self.endpoints.iter();
        let undecided = undecided.filter(|(_, endpoint)| endpoint.listener == Some(id));
        let mut open: Vec<_> = undecided.map(|(id, _)| *id).collect();
        open.extend(listening.arrived);
        for id in open {
            if let Some(endpoint) = self.endpoints.remove(&id) {
                endpoint.close();
            }
        }
    }

    /// Makes an endpoint of the next connection.
    fn take_connection(&mut self, binding: BindingId) -> Option<EndpointId> {
        let listening = self.listening(binding)?;
        let inspected = listening.inspect;
        let (stream, remote) = listening.take()?;
        let id = self.next_id();
        let listener = inspected.then_some(binding);
        // A connection that is broken already is like one that never came.
        let endpoint = Endpoint::accepted(&self.registry, id, stream, remote, listener).ok()?;
        self.endpoints.insert(id, endpoint);
        Some(id)
    }

    pub(super) fn next_request(&mut self, binding: BindingId) -> Option<Request> {
        if !self.listening(binding)?.inspect {
            return None;
        }
        let id = self.take_connection(binding)?;
        let endpoint = &self.endpoints[&id];
        Some(Request {
            id,
            local: endpoint.local,
            remote: endpoint.remote,
        })
    }

    /// The listener that is to be told, if any.
    pub(super) fn decide(&mut self, request: RequestId, accept: bool) -> Option<BindingId> {
        let listener = self.endpoints.get(&request)?.listener?;
        if accept {
            self.listening(listener)?.arrived.push_back(request);
            return Some(listener);
        }
        self.endpoints.remove(&request)?.close();
        None
    }

    /// Something has happened at a connection that is not accepted yet; the watcher to tell if it
    /// was given up.
    pub(super) fn look_for_giving_up(
        &mut self,
        listener: BindingId,
        request: RequestId,
    ) -> Option<Watcher> {
        if !self.endpoints.get_mut(&request)?.is_given_up() {
            return None;
        }
        self.endpoints.remove(&request);
        let listening = self.listening(listener)?;
        listening.arrived.retain(|arrived| *arrived != request);
        listening.given_up.push_back(request);
        Some(listening.watcher.clone())
    }

    pub(super) fn has_arrived(&mut self, binding: BindingId) -> bool {
        let Some(listening) = self.listening(binding) else {
            return false;
        };
        if listening.inspect || !listening.arrived.is_empty() {
            return !listening.arrived.is_empty();
        }
        let Some(connection) = self.take_connection(binding) else {
            return false;
        };
        self.listening(binding).is_some_and(|listening| {
            listening.arrived.push_back(connection);
            true
        })
    }

    pub(super) fn accept(&mut self, binding: BindingId) -> Option<Arrival> {
        if !self.has_arrived(binding) {
            return None;
        }
        let listening = self.listening(binding)?;
        let inspected = listening.inspect;
        let endpoint = listening.arrived.pop_front()?;
        self.endpoints.get_mut(&endpoint)?.listener = None;
        Some(Arrival {
            endpoint,
            request: inspected.then_some(endpoint),
        })
    }
}
