//! What a test does to the network as a whole: it loses connections, resets them, lets nothing
//! arrive for a while, and changes the addresses of the host.

use std::net::IpAddr;

use wdk_sys::{STATUS_CONNECTION_REFUSED, STATUS_IO_TIMEOUT};

use super::state::State;
use super::stream::Link;
use super::{VirtualNet, notify, schedule};
use crate::net::{EndpointId, Watcher};
use crate::sim::Sim;

impl Sim {
    /// Loses every connection of the network, without a word to either end: both have waited for
    /// too long and fail with `STATUS_IO_TIMEOUT`, also those that are being established.
    pub fn drop_connections(&self) {
        self.0.net.in_memory().end_all(State::lose);
    }

    /// Has every connection of the network reset from both ends, and those that are being
    /// established refused.
    pub fn reset_connections(&self) {
        self.0.net.in_memory().end_all(State::reset);
    }

    /// From now on nothing arrives, neither data nor requests to connect nor resets.
    pub fn stall_network(&self) {
        self.0.net.in_memory().state().stalled = true;
    }

    /// What should have arrived since [`stall_network`](Self::stall_network) does so soon.
    pub fn resume_network(&self) {
        let mut state = self.0.net.in_memory().state();
        state.stalled = false;
        let held_up = std::mem::take(&mut state.held_up);
        drop(state);
        held_up.into_iter().for_each(schedule);
    }
}

impl VirtualNet {
    /// Gives the second interface an address; false if the host has it.
    pub(crate) fn add_address(&self, ip: IpAddr) -> bool {
        self.state().addresses.add(ip)
    }

    /// Takes an address from the second interface; false if it has it not.
    pub(crate) fn remove_address(&self, ip: IpAddr) -> bool {
        self.state().addresses.remove(ip)
    }

    fn end_all(&self, end: fn(&mut State, EndpointId) -> Option<Watcher>) {
        let mut state = self.state();
        let all: Vec<_> = state.endpoints.keys().copied().collect();
        let watchers: Vec<_> = all.into_iter().map(|id| end(&mut state, id)).collect();
        drop(state);
        watchers.into_iter().for_each(notify);
    }
}

impl State {
    fn lose(&mut self, id: EndpointId) -> Option<Watcher> {
        self.give_up_requests_of(id);
        let endpoint = self.endpoints.get_mut(&id)?;
        match endpoint.link() {
            Link::Connected(_) if endpoint.is_over() => return None,
            Link::Failed(_) => return None,
            Link::Connecting | Link::Connected(_) => endpoint.fail(STATUS_IO_TIMEOUT),
        }
        endpoint.watcher.clone()
    }

    fn reset(&mut self, id: EndpointId) -> Option<Watcher> {
        self.give_up_requests_of(id);
        let endpoint = self.endpoints.get_mut(&id)?;
        match endpoint.link() {
            Link::Connecting => return self.set_link(id, Link::Failed(STATUS_CONNECTION_REFUSED)),
            Link::Connected(_) if !endpoint.is_over() => self.send_reset(id),
            Link::Connected(_) | Link::Failed(_) => {}
        }
        None
    }
}
