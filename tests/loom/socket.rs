//! A whole socket: requests, their completion, cancellation and the close, on several threads.
//!
//! The model has the shape of `op::core`: a rundown around every call, a handshake for each request
//! and one for the close, and a count of what is outstanding, which lets the provider go. The
//! provider here is the least that keeps the contract: it completes each request once, inline, when
//! it is cancelled, later, or at the close, and notices calls that must not be.

// UNSAFETY: plays both sides of the handshakes.
#![expect(unsafe_code, reason = "plays both sides of the handshakes")]

use crate::handshake::{Handshake, Polled};
use crate::rundown::{Closing, Rundown};
use loom::{
    model::Builder,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed},
    },
    thread,
};

/// The index of the close among the requests.
const CLOSE: usize = 2;
const DONE: u32 = 1;
const CANCELLED: u32 = 2;

/// What the provider knows, under its lock.
#[derive(Default)]
struct Provider {
    pending: [bool; 2],
    running: u32,
    closed: bool,
}

struct Request {
    handshake: Handshake<u32, ()>,
    /// Sides that were told to be the last.
    last: AtomicU32,
}

struct Socket {
    calls: Rundown,
    requests: [Request; 3],
    /// One for the open socket and one for each request in flight.
    outstanding: AtomicU32,
    provider: Mutex<Provider>,
}

impl Socket {
    /// An open socket, whose close has begun but was not called.
    fn open() -> Arc<Self> {
        let request = || Request {
            handshake: Handshake::new(),
            last: AtomicU32::new(0),
        };
        let socket = Self {
            calls: Rundown::new(),
            requests: [request(), request(), request()],
            outstanding: AtomicU32::new(1),
            provider: Mutex::new(Provider::default()),
        };
        socket.requests[CLOSE].handshake.begin();
        Arc::new(socket)
    }

    fn provider<T>(&self, access: impl FnOnce(&mut Provider) -> T) -> T {
        access(&mut self.provider.lock().expect("not poisoned"))
    }

    /// Starts a request, as `calls::start` does. `false`: refused, the socket is being closed.
    fn start(&self, index: usize, inline: bool) -> bool {
        if !self.calls.acquire() {
            return false;
        }
        self.outstanding.fetch_add(1, Relaxed);
        self.requests[index].handshake.begin();
        self.provider(|provider| {
            assert!(!provider.closed, "called after the close");
            provider.running += 1;
            provider.pending[index] = !inline;
        });
        if inline {
            self.finish(index, DONE);
        }
        self.provider(|provider| provider.running -= 1);
        if self.calls.release() {
            self.submit_close();
        }
        true
    }

    /// The completion routine.
    fn finish(&self, index: usize, result: u32) {
        let request = &self.requests[index];
        // SAFETY: the provider completes each request once.
        let _waiter = unsafe { request.handshake.complete(result) };
        if request.handshake.release_irp() {
            self.recycle(index);
        }
        self.let_go();
    }

    /// The provider completes a request, if it has it.
    fn complete(&self, index: usize, result: u32) {
        if self.provider(|provider| core::mem::take(&mut provider.pending[index])) {
            self.finish(index, result);
        }
    }

    /// Drops one `Outstanding`; the last one lets the provider go.
    fn let_go(&self) {
        if self.outstanding.fetch_sub(1, AcqRel) == 1 {
            self.provider(|provider| {
                assert!(provider.closed, "let go while the socket is open");
                assert_eq!(provider.pending, [false; 2], "let go with a request");
            });
        }
    }

    /// Drops the handle: cancels what is in flight.
    fn drop_handle(&self, index: usize) {
        let handshake = &self.requests[index].handshake;
        if index != CLOSE && handshake.request_cancel() {
            self.complete(index, CANCELLED);
        }
        if handshake.release_handle() {
            self.recycle(index);
        }
    }

    fn begin_close(&self) {
        if self.calls.close() == Closing::Drained {
            self.submit_close();
        }
    }

    /// `WskCloseSocket`: every request in flight completes, then the close.
    fn submit_close(&self) {
        self.provider(|provider| {
            assert_eq!(provider.running, 0, "closed while a call runs");
            assert!(!provider.closed, "closed twice");
            provider.closed = true;
        });
        for index in 0..CLOSE {
            self.complete(index, CANCELLED);
        }
        self.finish(CLOSE, DONE);
    }

    fn recycle(&self, index: usize) {
        let request = &self.requests[index];
        assert_eq!(request.last.fetch_add(1, AcqRel), 0, "two were the last");
        // SAFETY: told to be the last.
        unsafe { request.handshake.take_result() };
        // SAFETY: told to be the last.
        unsafe { request.handshake.reset() };
    }

    /// All threads are through.
    fn check_end(&self, started: [bool; 2]) {
        let [first, second] = started.map(u32::from);
        for (request, expected) in self.requests.iter().zip([first, second, 1]) {
            let last = request.last.load(Acquire);
            assert_eq!(last, expected, "a request that nobody ended");
        }
        assert_eq!(self.outstanding.load(Acquire), 0, "the provider is kept");
        assert!(!self.calls.acquire(), "open after the close");
    }
}

/// Starts a request and ends it: takes the result if it is there, else abandons it.
fn use_once(socket: &Socket, index: usize, inline: bool) -> bool {
    let started = socket.start(index, inline);
    if started {
        let handshake = &socket.requests[index].handshake;
        let polled = handshake.poll(|waiter| *waiter = Some(()));
        if polled == Polled::Completed {
            // SAFETY: the handle side, which has seen the completion.
            let result = unsafe { handshake.take_result() };
            assert!(result.is_some(), "completed without a result");
        }
        socket.drop_handle(index);
    }
    started
}

/// Runs two users of a socket and its close at the same time, in every order with up to three
/// preemptions. Each more makes the run ten times as long; the parts by themselves are explored
/// without a bound in `scenarios`.
fn explore(first: fn(&Socket) -> bool, second: fn(&Socket) -> bool) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let socket = Socket::open();
        let users = [first, second].map(|user| {
            let socket = socket.clone();
            thread::spawn(move || user(&socket))
        });
        socket.begin_close();
        socket.drop_handle(CLOSE);
        let started = users.map(|user| user.join().expect("a user"));
        socket.check_end(started);
    });
}

/// Two requests that stay in flight, each abandoned by its own thread, and a close: each request
/// ends once, by cancellation or by the close; no call runs during the close or after it.
#[test]
fn socket_two_pending_requests_and_a_close() {
    explore(
        |socket| use_once(socket, 0, false),
        |socket| use_once(socket, 1, false),
    );
}

/// One request completes before its call returns, the other stays in flight: the call that runs
/// puts off the close, and its completion does not.
#[test]
fn socket_inline_completion_and_a_close() {
    explore(
        |socket| use_once(socket, 0, true),
        |socket| use_once(socket, 1, false),
    );
}

/// A request in flight that the provider completes on a thread of its own, while the socket is
/// closed: completed once, by one of them.
#[test]
fn socket_deferred_completion_and_a_close() {
    explore(
        |socket| use_once(socket, 0, false),
        |socket| {
            socket.complete(0, DONE);
            false
        },
    );
}

/// Closed by the last call that leaves or by one of two closers, while the owner waits for nothing.
#[test]
fn socket_two_closers_and_a_request() {
    explore(
        |socket| use_once(socket, 0, true),
        |socket| {
            socket.begin_close();
            false
        },
    );
}
