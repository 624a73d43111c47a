//! Established connections, and those that are being made.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::Registry;
use mio::net::TcpStream;
use socket2::SockRef;
use wdk_sys::{NTSTATUS, STATUS_CONNECTION_ABORTED, STATUS_INVALID_DEVICE_STATE};

use super::poller::Watched;
use super::state::{Local, State, bound};
use super::status;
use crate::net::{BindingId, EndpointId, Received, Watcher};

/// At most so many bytes are read at a time.
const PIECE: usize = 64 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    Connecting,
    Connected,
    Failed(NTSTATUS),
}

pub(super) struct Endpoint {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) watcher: Option<Watcher>,
    /// The listener that inspects it, until it is accepted.
    pub(super) listener: Option<BindingId>,
    /// None once it has failed.
    stream: Option<Watched<TcpStream>>,
    link: Link,
    /// This side has ended its sending side.
    shut_down: bool,
    /// The end of the other side's sending was received.
    ended: bool,
}

impl Endpoint {
    fn new(local: SocketAddr, remote: SocketAddr, stream: Option<Watched<TcpStream>>) -> Self {
        Self {
            local,
            remote,
            watcher: None,
            listener: None,
            stream,
            link: Link::Connecting,
            shut_down: false,
            ended: false,
        }
    }

    pub(super) fn accepted(
        registry: &Registry,
        id: EndpointId,
        stream: TcpStream,
        remote: SocketAddr,
        listener: Option<BindingId>,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        let stream = Watched::new(registry, id, stream)?;
        Ok(Self {
            link: Link::Connected,
            listener,
            ..Self::new(local, remote, Some(stream))
        })
    }

    /// Something has happened.
    pub(super) fn news(&mut self, registry: &Registry) {
        if self.link == Link::Connecting {
            self.connected(registry);
        } else if let Some(stream) = &mut self.stream {
            stream.want_room(registry, false);
        }
    }

    fn fail(&mut self, error: &io::Error) -> NTSTATUS {
        let status = status::of(error);
        self.link = Link::Failed(status);
        self.stream = None;
        status
    }

    pub(super) fn connected(&mut self, registry: &Registry) -> Option<Result<(), NTSTATUS>> {
        match (self.link, &mut self.stream) {
            (Link::Failed(status), _) => Some(Err(status)),
            (Link::Connecting, Some(stream)) => match finish_connecting(&stream.socket) {
                Ok(true) => {
                    self.local = stream.socket.local_addr().unwrap_or(self.local);
                    stream.want_room(registry, false);
                    self.link = Link::Connected;
                    Some(Ok(()))
                }
                Ok(false) => {
                    stream.want_room(registry, true);
                    None
                }
                Err(error) => Some(Err(self.fail(&error))),
            },
            _ => Some(Ok(())),
        }
    }

    /// The stream, if it is established.
    fn established(&mut self) -> Result<&mut Watched<TcpStream>, NTSTATUS> {
        match (self.link, &mut self.stream) {
            (Link::Failed(status), _) => Err(status),
            (Link::Connected, Some(stream)) => Ok(stream),
            _ => Err(STATUS_INVALID_DEVICE_STATE),
        }
    }

    pub(super) fn send(&mut self, registry: &Registry, data: &[u8]) -> Result<usize, NTSTATUS> {
        if self.shut_down {
            return Err(STATUS_INVALID_DEVICE_STATE);
        }
        let stream = self.established()?;
        let sent = loop {
            match stream.socket.write(data) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break 0,
                Err(error) => return Err(self.fail(&error)),
                Ok(count) => break count,
            }
        };
        if sent < data.len() {
            stream.want_room(registry, true);
        }
        Ok(sent)
    }

    /// Whether there is anything to receive: no bytes stand for some.
    pub(super) fn look(&mut self) -> Result<Received, NTSTATUS> {
        let stream = self.established()?;
        match stream.socket.peek(&mut [0]) {
            Ok(0) => Ok(Received::End),
            Ok(_) => Ok(Received::Data(Vec::new())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Received::Empty),
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// How many bytes there are to receive, as far as one look tells.
    pub(super) fn waiting(&mut self) -> usize {
        let mut bytes = vec![0; PIECE];
        let stream = self.established();
        stream.map_or(0, |stream| stream.socket.peek(&mut bytes).unwrap_or(0))
    }

    pub(super) fn receive(&mut self, limit: usize, all: bool) -> Result<Received, NTSTATUS> {
        if limit == 0 {
            return self.look();
        }
        let mut data = Vec::new();
        loop {
            let (start, room) = (data.len(), PIECE.min(limit - data.len()));
            data.resize(start + room, 0);
            let result = self.established()?.socket.read(&mut data[start..]);
            data.truncate(start + *result.as_ref().unwrap_or(&0));
            match result {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(_) if all && data.len() < limit => {}
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    let status = self.fail(&error);
                    if data.is_empty() {
                        return Err(status);
                    }
                    break;
                }
            }
        }
        Ok(if !data.is_empty() {
            Received::Data(data)
        } else if self.ended {
            Received::End
        } else {
            Received::Empty
        })
    }

    pub(super) fn shut_down(&mut self) {
        self.shut_down = true;
        if let Ok(stream) = self.established() {
            // It fails only where the connection has: the next call tells.
            let _ = stream.socket.shutdown(Shutdown::Write);
        }
    }

    pub(super) fn abort(&mut self) {
        self.reset();
        self.link = Link::Failed(STATUS_CONNECTION_ABORTED);
    }

    /// The other side has gone before it was accepted.
    pub(super) fn is_given_up(&mut self) -> bool {
        !matches!(self.look(), Ok(Received::Empty | Received::Data(_)))
    }

    /// Resets the connection unless both sides have ended it.
    pub(super) fn close(mut self) {
        let over = self.shut_down && (self.ended || self.look() == Ok(Received::End));
        if !over {
            self.reset();
        }
    }

    fn reset(&mut self) {
        if let Some(stream) = self.stream.take() {
            // A connection that has failed needs no reset.
            let _ = SockRef::from(&stream.socket).set_linger(Some(Duration::ZERO));
        }
    }
}

/// Whether a connection is established by now.
fn finish_connecting(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) if status::is_in_progress(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

impl State {
    pub(super) fn connect(
        &mut self,
        binding: BindingId,
        remote: SocketAddr,
        watcher: Watcher,
    ) -> EndpointId {
        let id = self.next_id();
        let local = self.bindings.get(&binding);
        let local = local.map_or(remote, |binding| binding.bind.address);
        let mut endpoint = Endpoint::new(local, remote, None);
        endpoint.watcher = Some(watcher);
        match self.begin_connecting(id, binding, remote) {
            Ok(stream) => endpoint.stream = Some(stream),
            Err(error) => {
                endpoint.fail(&error);
            }
        }
        self.endpoints.insert(id, endpoint);
        id
    }

    fn begin_connecting(
        &mut self,
        id: EndpointId,
        binding: BindingId,
        remote: SocketAddr,
    ) -> io::Result<Watched<TcpStream>> {
        let binding = self.bindings.get_mut(&binding);
        let binding = binding.ok_or(ErrorKind::NotConnected)?;
        let Local::Idle(socket) = &mut binding.local else {
            return Err(ErrorKind::NotConnected.into());
        };
        let socket = socket.take().map_or_else(|| bound(&binding.bind), Ok)?;
        socket.set_tcp_nodelay(true)?;
        if let Err(error) = socket.connect(&remote.into())
            && !status::is_in_progress(&error)
        {
            return Err(error);
        }
        let stream = TcpStream::from_std(socket.into());
        let mut stream = Watched::new(&self.registry, id, stream)?;
        stream.want_room(&self.registry, true);
        Ok(stream)
    }
}
