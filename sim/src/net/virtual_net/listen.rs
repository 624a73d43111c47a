//! Connection requests: from `connect` on one side to `accept` on the other.
//!
//! A listener that inspects holds a request until it is decided on; the other side may give up at
//! any time before the connection is accepted.

use std::collections::VecDeque;
use std::net::SocketAddr;

use wdk_sys::STATUS_CONNECTION_REFUSED;

use super::state::{State, on_the_wire};
use super::stream::{Endpoint, Link};
use super::{VirtualNet, notify, schedule};
use crate::net::{Arrival, BindingId, EndpointId, Protocol, Request, RequestId, Watcher};

pub(super) struct Listening {
    watcher: Watcher,
    inspect: bool,
    pub(super) requests: VecDeque<Request>,
    pub(super) given_up: VecDeque<RequestId>,
    pub(super) arrived: VecDeque<Arrival>,
}

/// A request between its inspection and its connection.
pub(super) struct Undecided {
    listener: BindingId,
    client: EndpointId,
    accepted: bool,
}

impl VirtualNet {
    /// The request to connect reaches the other side.
    fn shake_hands(&self, client: EndpointId) {
        let mut state = self.state();
        let endpoint = state.endpoints.get(&client);
        let Some(endpoint) = endpoint.filter(|client| client.link() == Link::Connecting) else {
            return;
        };
        let target = on_the_wire(endpoint.remote);
        let listener = state.find(target, Protocol::Tcp, |binding| binding.listening.is_some());
        let watchers = match listener {
            None => [state.refuse(client), None],
            Some(listener) if state.inspects(listener) => {
                [state.ask_for_decision(client, listener), None]
            }
            Some(listener) => state.establish(client, listener, None),
        };
        drop(state);
        watchers.into_iter().for_each(notify);
    }

    /// What was decided about a request takes effect.
    fn carry_out(&self, request: RequestId) {
        let mut state = self.state();
        let Some(undecided) = state.undecided.remove(&request) else {
            return;
        };
        let watchers = if undecided.accepted {
            state.establish(undecided.client, undecided.listener, Some(request))
        } else {
            [state.refuse(undecided.client), None]
        };
        drop(state);
        watchers.into_iter().for_each(notify);
    }

    /// A request that was given up is no more.
    fn give_up(&self, listener: BindingId, request: RequestId) {
        let mut state = self.state();
        let listening = state.listening(listener);
        let watcher = listening.map(|listening| {
            listening.requests.retain(|waiting| waiting.id != request);
            listening.given_up.push_back(request);
            listening.watcher.clone()
        });
        drop(state);
        notify(watcher);
    }
}

impl State {
    pub(super) fn listening(&mut self, binding: BindingId) -> Option<&mut Listening> {
        self.bindings.get_mut(&binding)?.listening.as_mut()
    }

    fn inspects(&mut self, binding: BindingId) -> bool {
        self.listening(binding)
            .is_some_and(|listening| listening.inspect)
    }

    pub(super) fn listen(&mut self, binding: BindingId, inspect: bool, watcher: Watcher) {
        if let Some(binding) = self.bindings.get_mut(&binding) {
            binding.listening = Some(Listening {
                watcher,
                inspect,
                requests: VecDeque::new(),
                given_up: VecDeque::new(),
                arrived: VecDeque::new(),
            });
        }
    }

    pub(super) fn stop_listening(&mut self, binding: BindingId, listening: Listening) {
        for arrival in listening.arrived {
            self.close(arrival.endpoint);
        }
        let of_this = |undecided: &Undecided| undecided.listener == binding;
        let requests: Vec<_> = self
            .undecided
            .iter()
            .filter(|(_, undecided)| of_this(undecided))
            .map(|(id, _)| *id)
            .collect();
        for id in requests {
            self.decide(id, false);
        }
    }

    pub(super) fn connect(
        &mut self,
        binding: BindingId,
        remote: SocketAddr,
        watcher: Watcher,
    ) -> EndpointId {
        let bound = self
            .bindings
            .get(&binding)
            .map_or(remote, |binding| binding.bind.address);
        let ip = if bound.ip().is_unspecified() {
            self.addresses.source_for(remote.ip())
        } else {
            bound.ip()
        };
        let local = SocketAddr::new(ip, bound.port());
        let client = self.add(Endpoint::new(
            local,
            remote,
            Link::Connecting,
            Some(watcher),
        ));
        schedule(move |net| net.shake_hands(client));
        client
    }

    fn ask_for_decision(&mut self, client: EndpointId, listener: BindingId) -> Option<Watcher> {
        let (local, remote) = self.seen_by(listener, client)?;
        let id = self.next_id();
        let listening = self.listening(listener)?;
        listening.requests.push_back(Request { id, local, remote });
        let watcher = listening.watcher.clone();
        let undecided = Undecided {
            listener,
            client,
            accepted: false,
        };
        self.undecided.insert(id, undecided);
        Some(watcher)
    }

    pub(super) fn decide(&mut self, request: RequestId, accept: bool) {
        if let Some(undecided) = self.undecided.get_mut(&request) {
            undecided.accepted = accept;
            schedule(move |net| net.carry_out(request));
        }
    }

    /// The client's addresses from the listener's side: local first.
    fn seen_by(&self, listener: BindingId, client: EndpointId) -> Option<(SocketAddr, SocketAddr)> {
        let (binding, client) = (self.bindings.get(&listener)?, self.endpoints.get(&client)?);
        let (local, remote) = (on_the_wire(client.remote), on_the_wire(client.local));
        Some((binding.seen(local), binding.seen(remote)))
    }

    /// Connects both sides; gives the watchers of both.
    fn establish(
        &mut self,
        client: EndpointId,
        listener: BindingId,
        request: Option<RequestId>,
    ) -> [Option<Watcher>; 2] {
        let Some((local, remote)) = self.seen_by(listener, client) else {
            return [self.refuse(client), None];
        };
        let server = self.add(Endpoint::new(local, remote, Link::Connected(client), None));
        let told = self.listening(listener).map(|listening| {
            listening.arrived.push_back(Arrival {
                endpoint: server,
                request,
            });
            listening.watcher.clone()
        });
        [told, self.set_link(client, Link::Connected(server))]
    }

    fn refuse(&mut self, client: EndpointId) -> Option<Watcher> {
        self.set_link(client, Link::Failed(STATUS_CONNECTION_REFUSED))
    }

    pub(super) fn set_link(&mut self, endpoint: EndpointId, link: Link) -> Option<Watcher> {
        let endpoint = self.endpoints.get_mut(&endpoint)?;
        endpoint.set_link(link);
        endpoint.watcher.clone()
    }

    /// The client is gone: what it asked for is given up.
    pub(super) fn give_up_requests_of(&mut self, client: EndpointId) {
        let found = self
            .undecided
            .iter()
            .find(|(_, undecided)| undecided.client == client)
            .map(|(id, undecided)| (*id, undecided.listener));
        if let Some((request, listener)) = found {
            self.undecided.remove(&request);
            schedule(move |net| net.give_up(listener, request));
        }
    }

    /// An inspected connection that is reset before it was accepted may be given up instead of
    /// being accepted; true if so.
    pub(super) fn drop_arrival(&mut self, endpoint: EndpointId) -> bool {
        let found = self.bindings.iter_mut().find_map(|(id, binding)| {
            let arrived = &mut binding.listening.as_mut()?.arrived;
            let at = arrived
                .iter()
                .position(|arrival| arrival.endpoint == endpoint)?;
            let request = arrived[at].request?;
            arrived.remove(at);
            Some((*id, request))
        });
        let Some((listener, request)) = found else {
            return false;
        };
        self.endpoints.remove(&endpoint);
        schedule(move |net| net.give_up(listener, request));
        true
    }
}
