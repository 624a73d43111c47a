//! The end of sockets that the client has not closed: what the provider does when the transport
//! under them is gone [wsk 9.9].

use std::sync::Arc;

use super::progress;
use super::socket::{Phase, Socket};
use crate::sim::{Shared, Sim, lock};

impl Sim {
    /// Has every open WSK socket stop working for good, as when its transport goes away: requests
    /// end with `STATUS_FILE_FORCED_CLOSED`, and the events that tell it are raised. Peers are
    /// disconnected; sockets that are made from now on work.
    pub fn break_sockets(&self) {
        let all: Vec<_> = lock(&self.0.wsk.sockets).all.values().cloned().collect();
        for socket in all {
            end(&self.0, &socket);
        }
    }
}

/// The transport of a socket is gone.
pub(super) fn end(sim: &Arc<Shared>, socket: &Arc<Socket>) {
    let mut state = lock(&socket.state);
    if state.phase != Phase::Open || state.dead {
        return;
    }
    state.dead = true;
    socket.leave_network(sim, &mut state);
    drop(state);
    progress::schedule(sim, socket);
}
