//! A thread that waits for a request, as `Handle::wait` does, on an event that lies on its stack:
//! it is woken, and nobody touches the event when it has gone.

// UNSAFETY: plays both sides of the handshake.
#![expect(unsafe_code, reason = "plays both sides of the handshake")]

use crate::handshake::{Handshake, Polled};
use loom::{
    cell::UnsafeCell,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
};

const RESULT: u32 = 7;

/// An event, and the stack that it lies on.
struct Event {
    set: Mutex<bool>,
    changed: Condvar,
    stack: UnsafeCell<()>,
}

impl Event {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            set: Mutex::new(false),
            changed: Condvar::new(),
            stack: UnsafeCell::new(()),
        })
    }

    fn set(&self) {
        let mut set = self.set.lock().expect("not poisoned");
        self.stack.with(|_| ());
        *set = true;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let mut set = self.set.lock().expect("not poisoned");
        while !*set {
            set = self.changed.wait(set).expect("not poisoned");
        }
    }

    /// A wait whose time passes at once.
    fn is_set(&self) -> bool {
        *self.set.lock().expect("not poisoned")
    }

    /// The function that owns the stack returns: loom complains of whoever comes later.
    fn leave(&self) {
        self.stack.with_mut(|_| ());
    }
}

struct Request {
    handshake: Handshake<u32, Arc<Event>>,
    last: AtomicU32,
    results: AtomicU32,
}

impl Request {
    fn begun() -> Arc<Self> {
        let request = Self {
            handshake: Handshake::new(),
            last: AtomicU32::new(0),
            results: AtomicU32::new(0),
        };
        request.handshake.begin();
        Arc::new(request)
    }

    /// The completion routine: as `op::completion::finish`.
    fn complete(&self) {
        // SAFETY: each scenario completes once.
        let waiter = unsafe { self.handshake.complete(RESULT) };
        if self.handshake.release_irp() {
            self.recycle();
        }
        if let Some(event) = waiter {
            event.set();
        }
    }

    /// `Handle::wait`; `false`: the time passed first.
    fn wait(&self, limited: bool) -> bool {
        let event = Event::new();
        let completed = self.wait_on(&event, limited);
        event.leave();
        completed
    }

    fn wait_on(&self, event: &Arc<Event>, limited: bool) -> bool {
        loop {
            match self.handshake.poll(|cell| *cell = Some(event.clone())) {
                Polled::Completed => {
                    // SAFETY: the handle side, which has seen the completion.
                    let result = unsafe { self.handshake.take_result() };
                    assert_eq!(result, Some(RESULT));
                    self.results.fetch_add(1, SeqCst);
                    return true;
                }
                Polled::Completing => thread::yield_now(),
                Polled::Pending if !limited => event.wait(),
                Polled::Pending if event.is_set() => {}
                Polled::Pending => {
                    if self.handshake.withdraw() == Polled::Pending {
                        return false;
                    }
                    event.wait();
                }
            }
        }
    }

    fn drop_handle(&self) {
        if self.handshake.release_handle() {
            self.recycle();
        }
    }

    fn recycle(&self) {
        assert_eq!(self.last.fetch_add(1, SeqCst), 0, "two were the last");
        // SAFETY: told to be the last.
        if unsafe { self.handshake.take_result() }.is_some() {
            self.results.fetch_add(1, SeqCst);
        }
        // SAFETY: told to be the last.
        unsafe { self.handshake.reset() };
    }
}

/// Runs the waiting side and the completion at the same time.
fn explore(handle: fn(&Request)) {
    loom::model(move || {
        let request = Request::begun();
        let irp = request.clone();
        let completion = thread::spawn(move || irp.complete());
        handle(&request);
        request.drop_handle();
        completion.join().expect("the IRP side");
        assert_eq!(request.last.load(SeqCst), 1);
        assert_eq!(request.results.load(SeqCst), 1, "lost, or taken twice");
    });
}

/// Waits without limit: is woken, whenever the request completes.
#[test]
fn wait_without_limit_ends() {
    explore(|request| assert!(request.wait(false)));
}

/// Waits, and gives up when the time passes: the result, or the request is still in flight, which
/// then is abandoned.
#[test]
fn wait_with_a_limit_leaves_no_event_behind() {
    explore(|request| {
        request.wait(true);
    });
}

/// As `wait_timeout`: when the time has passed, cancels and waits on, on another event.
#[test]
fn wait_again_after_the_limit_uses_the_new_event() {
    explore(|request| {
        if !request.wait(true) {
            let _ = request.handshake.request_cancel();
            assert!(request.wait(false));
        }
    });
}

/// What `Slot::returned` relies on: when a request has completed in the call, it is not in flight
/// for the caller, whatever the handle side does to it elsewhere.
#[test]
fn completed_request_is_never_in_flight_again() {
    loom::model(|| {
        let request = Request::begun();
        let owner = request.clone();
        let handle = thread::spawn(move || owner.drop_handle());
        request.complete();
        assert!(
            !request.handshake.is_in_flight(),
            "completed, but in flight"
        );
        handle.join().expect("the handle side");
        assert!(!request.handshake.is_in_flight(), "over, but in flight");
        assert_eq!(request.last.load(SeqCst), 1);
    });
}
