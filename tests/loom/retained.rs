//! Retained data: the event that brought it, its owner, who reads it and is done with it, and the
//! close of the socket, on several threads.
//!
//! The model has the shape of `op::retained`: the state of a list, its place among those of the
//! socket, and the socket's rundown, which the event holds and every reader enters. The memory is a
//! cell: loom complains of a reader that comes when it is WSK's again.

// UNSAFETY: a cell that two sides use.
#![expect(unsafe_code, reason = "a cell that two sides use")]

use crate::{
    retention::RetentionState,
    rundown::{Closing, Rundown},
};
use loom::{
    cell::UnsafeCell,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
};

struct Socket {
    state: RetentionState,
    /// Whether the list is among those that the close gives back.
    listed: Mutex<bool>,
    calls: Rundown,
    memory: UnsafeCell<u32>,
    /// How often WSK has got its memory back.
    returned: AtomicU32,
    closed: AtomicU32,
}

// SAFETY: `memory` is what the test is about: loom reports who uses it at the wrong time.
unsafe impl Sync for Socket {}
// SAFETY: as for `Sync`.
unsafe impl Send for Socket {}

impl Socket {
    /// In the event, which holds the socket and has retained its list.
    fn in_event() -> Arc<Self> {
        let socket = Self {
            state: RetentionState::new(),
            listed: Mutex::new(true),
            calls: Rundown::new(),
            memory: UnsafeCell::new(7),
            returned: AtomicU32::new(0),
            closed: AtomicU32::new(0),
        };
        assert!(socket.calls.acquire());
        Arc::new(socket)
    }

    /// `WskRelease`.
    fn wsk_release(&self) {
        assert_eq!(self.closed.load(SeqCst), 0, "released after the close");
        self.give_back();
    }

    /// WSK has its memory again, and uses it. An event may say so after the close has begun, which
    /// waits for it [wsk 10.2].
    fn give_back(&self) {
        assert_eq!(self.returned.fetch_add(1, SeqCst), 0, "given back twice");
        // SAFETY: WSK's again; that nobody else uses it is what loom checks.
        self.memory.with_mut(|memory| unsafe { *memory = 0 });
    }

    fn unlist(&self) -> bool {
        core::mem::take(&mut self.listed.lock().expect("not poisoned"))
    }

    /// `Received::conclude`, and the return to WSK, which has the list again unless it is retained.
    fn event_returns(&self) {
        let mut retained = self.state.event_returns();
        if self.calls.release() {
            if retained && self.state.take_back() {
                retained = false;
            }
            self.close();
        }
        if !retained {
            self.give_back();
        }
    }

    /// `Retention::read`.
    fn read(&self) {
        if !self.calls.acquire() {
            return;
        }
        // SAFETY: the list is retained; that WSK has not got it back is what loom checks.
        self.memory.with(|memory| assert_eq!(unsafe { *memory }, 7));
        self.leave();
    }

    /// `Retention::release`.
    fn release(&self) {
        if !self.calls.acquire() {
            return;
        }
        self.unlist();
        if self.state.give_up() {
            self.wsk_release();
        }
        self.leave();
    }

    fn leave(&self) {
        if self.calls.release() {
            self.close();
        }
    }

    fn begin_close(&self) {
        if self.calls.close() == Closing::Drained {
            self.close();
        }
    }

    /// `CoreRef::submit_close`.
    fn close(&self) {
        if self.unlist() && self.state.give_up() {
            self.wsk_release();
        }
        assert_eq!(self.closed.fetch_add(1, SeqCst), 0, "closed twice");
    }
}

/// Runs the event's return, the owner and `other` at the same time, in every order.
fn explore(owner: fn(&Socket), other: Option<fn(&Socket)>) {
    loom::model(move || {
        let socket = Socket::in_event();
        let threads = [Some(owner), other].map(|run| {
            run.map(|run| {
                let socket = socket.clone();
                thread::spawn(move || run(&socket))
            })
        });
        socket.event_returns();
        for thread in threads.into_iter().flatten() {
            thread.join().expect("a thread");
        }
        // Whoever forgets what it retained leaves it to the close.
        socket.begin_close();
        assert_eq!(socket.closed.load(SeqCst), 1);
        assert_eq!(socket.returned.load(SeqCst), 1, "never given back");
    });
}

/// [wsk 8.6]
#[test]
fn retained_data_is_given_back_once() {
    explore(Socket::release, None);
    explore(
        |socket| {
            socket.read();
            socket.release();
        },
        None,
    );
}

/// The owner forgets it: the close gives it back.
#[test]
fn retained_data_forgotten_is_given_back_by_the_close() {
    explore(Socket::read, None);
    explore(Socket::read, Some(Socket::begin_close));
}

/// Whoever is last gives it back, before the socket is closed.
#[test]
fn retained_data_released_while_the_socket_is_closed() {
    explore(Socket::release, Some(Socket::begin_close));
    explore(
        |socket| {
            socket.read();
            socket.release();
        },
        Some(Socket::begin_close),
    );
}
