//! The two directions of a connection.
//!
//! Bytes that were sent are in transit until an arrival, a delivery of the scheduler's, moves some
//! of them to the receiver. The sum of both is bounded by a window, so that a peer that does not
//! read stalls the sender. The ends of a connection and its resets travel like bytes do.

use std::collections::VecDeque;
use std::net::SocketAddr;

use wdk_sys::{
    NTSTATUS, STATUS_CONNECTION_ABORTED, STATUS_CONNECTION_RESET, STATUS_INVALID_DEVICE_STATE,
};

use super::state::State;
use super::{VirtualNet, notify, piece, schedule};
use crate::current::current;
use crate::net::{EndpointId, Received, Watcher};

/// Bytes that one direction of a connection holds before the sender stalls.
const WINDOW: usize = 64 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Connecting,
    Connected(EndpointId),
    Failed(NTSTATUS),
}

/// How the direction towards an endpoint ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Incoming {
    Open,
    /// The peer has ended its sending side; the end is under way.
    EndInTransit,
    /// The end has arrived.
    Ended,
    /// A reset is under way.
    ResetInTransit,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
pub(super) struct Endpoint {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    link: Link,
    /// It was connected once, whatever has become of it.
    established: bool,
    pub(super) watcher: Option<Watcher>,
    transit: VecDeque<u8>,
    arrived: VecDeque<u8>,
    incoming: Incoming,
    /// This side has ended its sending side.
    shut_down: bool,
    /// An arrival is scheduled.
    expecting: bool,
    /// It neither sends anything nor takes anything in.
    silent: bool,
}

impl Endpoint {
    pub(super) fn new(
        local: SocketAddr,
        remote: SocketAddr,
        link: Link,
        watcher: Option<Watcher>,
    ) -> Self {
        Self {
            local,
            remote,
            link,
            established: matches!(link, Link::Connected(_)),
            watcher,
            transit: VecDeque::new(),
            arrived: VecDeque::new(),
            incoming: Incoming::Open,
            shut_down: false,
            expecting: false,
            silent: false,
        }
    }

    /// How connecting ended; `None` while it goes on.
    pub(super) fn outcome(&self) -> Option<Result<(), NTSTATUS>> {
        match self.link {
            Link::Failed(status) if !self.established => Some(Err(status)),
            Link::Connecting => None,
            Link::Connected(_) | Link::Failed(_) => Some(Ok(())),
        }
    }

    pub(super) fn link(&self) -> Link {
        self.link
    }

    pub(super) fn set_link(&mut self, link: Link) {
        self.link = link;
        self.established |= matches!(link, Link::Connected(_));
    }

    fn peer(&self) -> Option<EndpointId> {
        if let Link::Connected(peer) = self.link {
            Some(peer)
        } else {
            None
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.arrived.len()
    }

    pub(super) fn silence(&mut self) {
        self.silent = true;
        self.arrived.clear();
    }

    /// Moves what arrives now; true if more is under way. What a silent endpoint does not
    /// acknowledge stays under way.
    fn arrive(&mut self) -> bool {
        if self.silent {
            return false;
        }
        if self.incoming == Incoming::ResetInTransit {
            self.fail(STATUS_CONNECTION_RESET);
            return false;
        }
        let count = piece(self.transit.len());
        self.arrived.extend(self.transit.drain(..count));
        if self.transit.is_empty() && self.incoming == Incoming::EndInTransit {
            self.incoming = Incoming::Ended;
            return false;
        }
        !self.transit.is_empty()
    }

    pub(super) fn fail(&mut self, status: NTSTATUS) {
        self.link = Link::Failed(status);
        self.transit.clear();
        self.arrived.clear();
    }

    pub(super) fn is_over(&self) -> bool {
        self.shut_down && self.incoming == Incoming::Ended && self.arrived.is_empty()
    }
}

impl VirtualNet {
    /// Something arrives at an endpoint.
    fn arrive(&self, id: EndpointId) {
        let mut state = self.state();
        let Some(endpoint) = state.endpoints.get_mut(&id) else {
            return;
        };
        endpoint.expecting = false;
        let reset = endpoint.incoming == Incoming::ResetInTransit;
        if reset && current().sim.sched.choose_below(2) == 0 && state.drop_arrival(id) {
            return;
        }
        let Some(endpoint) = state.endpoints.get_mut(&id) else {
            return;
        };
        let more = endpoint.arrive();
        let watcher = endpoint.watcher.clone();
        if more {
            state.expect_arrival(id);
        }
        drop(state);
        notify(watcher);
    }

    /// Room has become free for what an endpoint sends.
    fn tell(&self, id: EndpointId) {
        let watcher = self
            .state()
            .endpoints
            .get(&id)
            .and_then(|endpoint| endpoint.watcher.clone());
        notify(watcher);
    }
}

impl State {
    fn expect_arrival(&mut self, id: EndpointId) {
        if let Some(endpoint) = self.endpoints.get_mut(&id)
            && !endpoint.expecting
        {
            endpoint.expecting = true;
            schedule(move |net| net.arrive(id));
        }
    }

    fn reset_peer(&mut self, id: EndpointId) {
        let sender = self.endpoints.get(&id).filter(|sender| !sender.silent);
        if let Some(peer) = sender.and_then(Endpoint::peer) {
            self.send_reset(peer);
        }
    }

    /// A reset is under way to an endpoint.
    pub(super) fn send_reset(&mut self, to: EndpointId) {
        if let Some(endpoint) = self.endpoints.get_mut(&to) {
            endpoint.incoming = Incoming::ResetInTransit;
            self.expect_arrival(to);
        }
    }

    pub(super) fn send(&mut self, endpoint: EndpointId, data: &[u8]) -> Result<usize, NTSTATUS> {
        let sender = self
            .endpoints
            .get(&endpoint)
            .ok_or(STATUS_INVALID_DEVICE_STATE)?;
        let peer = match sender.link {
            Link::Connected(peer) if !sender.shut_down => peer,
            Link::Failed(status) => return Err(status),
            _ => return Err(STATUS_INVALID_DEVICE_STATE),
        };
        // A peer that is gone has sent a reset, which is still under way.
        let Some(receiver) = self.endpoints.get_mut(&peer) else {
            return Ok(data.len());
        };
        let room = WINDOW - (receiver.transit.len() + receiver.arrived.len()).min(WINDOW);
        let count = room.min(data.len());
        receiver.transit.extend(&data[..count]);
        if count > 0 {
            self.expect_arrival(peer);
        }
        Ok(count)
    }

    pub(super) fn receive(
        &mut self,
        endpoint: EndpointId,
        limit: usize,
        all: bool,
    ) -> Result<Received, NTSTATUS> {
        let receiver = self
            .endpoints
            .get_mut(&endpoint)
            .ok_or(STATUS_INVALID_DEVICE_STATE)?;
        let peer = match receiver.link {
            Link::Connected(peer) => peer,
            Link::Failed(status) => return Err(status),
            Link::Connecting => return Err(STATUS_INVALID_DEVICE_STATE),
        };
        if receiver.arrived.is_empty() {
            return Ok(if receiver.incoming == Incoming::Ended {
                Received::End
            } else {
                Received::Empty
            });
        }
        let available = receiver.arrived.len().min(limit);
        let count = if all { available } else { piece(available) };
        let was_full = receiver.transit.len() + receiver.arrived.len() >= WINDOW;
        let data = receiver.arrived.drain(..count).collect();
        if was_full {
            schedule(move |net| net.tell(peer));
        }
        Ok(Received::Data(data))
    }

    pub(super) fn shut_down(&mut self, endpoint: EndpointId) {
        let Some(sender) = self.endpoints.get_mut(&endpoint) else {
            return;
        };
        sender.shut_down = true;
        let Some(peer) = sender.peer() else { return };
        if let Some(receiver) = self.endpoints.get_mut(&peer)
            && receiver.incoming == Incoming::Open
        {
            receiver.incoming = Incoming::EndInTransit;
            self.expect_arrival(peer);
        }
    }

    pub(super) fn abort(&mut self, endpoint: EndpointId) {
        self.reset_peer(endpoint);
        if let Some(endpoint) = self.endpoints.get_mut(&endpoint) {
            endpoint.fail(STATUS_CONNECTION_ABORTED);
        }
    }

    pub(super) fn close(&mut self, endpoint: EndpointId) {
        self.give_up_requests_of(endpoint);
        let orderly = self.endpoints.get(&endpoint).is_none_or(Endpoint::is_over);
        if !orderly {
            self.reset_peer(endpoint);
        }
        self.endpoints.remove(&endpoint);
    }
}
