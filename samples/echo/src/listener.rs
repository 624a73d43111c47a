//! The task that accepts: one session for each connection, up to the configured maximum.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use wdk::println;
use wsk::{Accepted, ErrorKind, ListenSocket, Spawner};

use crate::{session, statistics::Statistics};

/// What the task owns.
pub struct Listener {
    socket: ListenSocket,
    spawner: Spawner,
    statistics: Arc<Statistics>,
    sessions: Arc<AtomicU32>,
    most_connections: u32,
}

impl Listener {
    /// A listener that serves up to `most_connections` at a time.
    pub fn new(
        socket: ListenSocket,
        spawner: Spawner,
        statistics: Arc<Statistics>,
        most_connections: u32,
    ) -> Self {
        let sessions = Arc::new(AtomicU32::new(0));
        Self {
            socket,
            spawner,
            statistics,
            sessions,
            most_connections,
        }
    }

    /// Accepts until the socket is closed.
    pub async fn run(mut self) {
        loop {
            match self.socket.accept().await {
                Ok(accepted) => self.admit(accepted),
                Err(error) => match error.kind() {
                    ErrorKind::Cancelled | ErrorKind::Closed => return,
                    // A client that gave up before it was accepted.
                    ErrorKind::ConnectionLost => {}
                    _ => {
                        println!("wsk_echo: accepting stopped: {error}");
                        return;
                    }
                },
            }
        }
    }

    /// Spawns a session. A connection above the maximum is dropped, which resets it.
    fn admit(&self, accepted: Accepted) {
        if self.sessions.load(Ordering::Acquire) >= self.most_connections {
            self.statistics.refuse();
            return;
        }
        let number = self.statistics.serve();
        if cfg!(debug_assertions) {
            match accepted.remote {
                Some(remote) => println!("wsk_echo: connection {number} from {remote}"),
                None => println!("wsk_echo: connection {number}"),
            }
        }
        self.sessions.fetch_add(1, Ordering::AcqRel);
        let (sessions, statistics) = (self.sessions.clone(), self.statistics.clone());
        let session = async move {
            session::run(accepted.socket, number, &statistics).await;
            sessions.fetch_sub(1, Ordering::AcqRel);
        };
        if let Err(error) = self.spawner.spawn(session) {
            println!("wsk_echo: connection {number}: {error}");
        }
    }
}
