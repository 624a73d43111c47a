//! The scenarios: handshake first, rundown below.

// UNSAFETY: plays both sides of the handshake, whose functions each side may call only so often.
#![expect(unsafe_code, reason = "plays both sides of the handshake")]

use crate::handshake::{Handshake, Polled};
use crate::rundown::{Closing, Rundown};
use loom::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
};

const RESULT: u32 = 7;

/// A request between two threads: counts what must happen exactly once.
#[derive(Default)]
struct Request {
    handshake: Option<Handshake<u32, u32>>,
    /// Sides that were told to be the last.
    last: AtomicU32,
    /// The waiter that completion gave back; 0 is none.
    woken: AtomicU32,
    /// Results that anybody took.
    results: AtomicU32,
}

impl Request {
    fn begun() -> Arc<Self> {
        let request = Self {
            handshake: Some(Handshake::new()),
            ..Self::default()
        };
        request.handshake().begin();
        Arc::new(request)
    }

    fn handshake(&self) -> &Handshake<u32, u32> {
        self.handshake.as_ref().expect("made in `begun`")
    }

    /// What the completion routine does.
    fn complete(&self) {
        // SAFETY: the IRP side of each scenario calls this once.
        let waiter = unsafe { self.handshake().complete(RESULT) };
        if self.handshake().release_irp() {
            self.be_last();
        }
        if let Some(waiter) = waiter {
            self.woken.store(waiter, SeqCst);
        }
    }

    fn poll(&self, waiter: u32) -> Polled {
        self.handshake().poll(|cell| *cell = Some(waiter))
    }

    fn take_result(&self) {
        // SAFETY: callers are the handle side and have seen completion.
        assert_eq!(unsafe { self.handshake().take_result() }, Some(RESULT));
        self.results.fetch_add(1, SeqCst);
    }

    fn drop_handle(&self) {
        if self.handshake().release_handle() {
            self.be_last();
        }
    }

    fn be_last(&self) {
        assert_eq!(
            self.last.fetch_add(1, SeqCst),
            0,
            "two sides were told to be the last"
        );
        // SAFETY: told to be the last.
        if unsafe { self.handshake().take_result() }.is_some() {
            self.results.fetch_add(1, SeqCst);
        }
        // SAFETY: told to be the last.
        unsafe { self.handshake().reset() };
    }

    /// Both sides are done.
    fn check_end(&self) {
        assert_eq!(self.last.load(SeqCst), 1, "nobody was told to be the last");
        assert_eq!(
            self.results.load(SeqCst),
            1,
            "the result was lost, or taken twice"
        );
    }
}

/// Runs both sides at the same time, in every order, to their end.
fn explore(handle: fn(&Request)) {
    loom::model(move || {
        let request = Request::begun();
        let irp = request.clone();
        let completion = thread::spawn(move || irp.complete());
        handle(&request);
        completion.join().expect("the IRP side");
        request.check_end();
    });
}

/// The handle is dropped at any time before, while or after the request completes.
#[test]
fn handshake_dropped_handle_and_completion_agree_on_the_last() {
    explore(Request::drop_handle);
}

/// Runs the handle, the completion and somebody who cancels from elsewhere at the same time, in
/// every order with up to three preemptions: without a bound that takes minutes.
fn explore_three(handle: fn(&Request)) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let request = Request::begun();
        let (irp, third) = (request.clone(), request.clone());
        let completion = thread::spawn(move || irp.complete());
        let canceller = thread::spawn(move || {
            if third.handshake().hold() && third.handshake().release_hold() {
                third.be_last();
            }
        });
        handle(&request);
        completion.join().expect("the IRP side");
        canceller.join().expect("the third party");
        request.check_end();
    });
}

/// One of the three is the last.
#[test]
fn handshake_held_by_a_third_party_agrees_on_the_last() {
    explore_three(Request::drop_handle);
}

/// When the handle finds the request completed it is the last, whoever else held the slot.
#[test]
fn handshake_held_is_not_ready_before_it_is_let_go() {
    explore_three(|request| {
        if request.poll(1) == Polled::Completed {
            request.take_result();
            assert!(request.handshake().release_handle(), "not alone");
            request.be_last();
        } else {
            request.drop_handle();
        }
    });
}

/// Polled once: either ready, or the waiter comes back from completion, and a second poll is ready.
#[test]
fn handshake_polled_once_gives_the_result_or_wakes_the_waiter() {
    loom::model(|| {
        let request = Request::begun();
        let irp = request.clone();
        let completion = thread::spawn(move || irp.complete());
        let first = request.poll(1);
        completion.join().expect("the IRP side");
        if first == Polled::Pending {
            assert_eq!(request.woken.load(SeqCst), 1, "the waiter was not woken");
        }
        assert_eq!(request.poll(1), Polled::Completed);
        request.take_result();
        request.drop_handle();
        request.check_end();
    });
}

/// Polled by two waiters in turn: if none of the polls was ready, the second waiter is woken.
#[test]
fn handshake_polled_twice_wakes_the_last_waiter() {
    loom::model(|| {
        let request = Request::begun();
        let irp = request.clone();
        let completion = thread::spawn(move || irp.complete());
        let pending = request.poll(1) == Polled::Pending && request.poll(2) == Polled::Pending;
        completion.join().expect("the IRP side");
        if pending {
            assert_eq!(
                request.woken.load(SeqCst),
                2,
                "the last waiter was not woken"
            );
        }
        request.take_result();
        request.drop_handle();
        request.check_end();
    });
}

/// Polled, and taken if ready, else dropped in flight.
#[test]
fn handshake_polled_then_dropped_loses_no_result() {
    explore(|request| {
        if request.poll(1) == Polled::Completed {
            request.take_result();
        }
        request.drop_handle();
    });
}

/// Found complete while the completion routine runs, in flight, or when that is through: only then
/// the slot is the handle side's alone, and is given back by it.
#[test]
fn handshake_completed_means_that_the_handle_is_the_last() {
    explore(|request| {
        let completed = request.poll(1) == Polled::Completed;
        if completed {
            request.take_result();
        }
        let last = request.handshake().release_handle();
        assert!(
            last || !completed,
            "completed, but still held by the other side"
        );
        if last {
            request.be_last();
        }
    });
}

/// Used again at once when it was found complete: the old IRP side does not touch it any more.
#[test]
fn handshake_reused_at_once_does_not_meet_the_old_irp_side() {
    loom::model(|| {
        let request = Request::begun();
        let irp = request.clone();
        let completion = thread::spawn(move || irp.complete());
        let _ = request.poll(1);
        if request.poll(2) == Polled::Completed {
            request.take_result();
            request.drop_handle();
            request.handshake().begin();
            assert_eq!(request.poll(3), Polled::Pending);
        }
        completion.join().expect("the IRP side");
    });
}

/// A waiter that is withdrawn after a time-out: either it is gone, or it is woken.
#[test]
fn handshake_withdrawn_waiter_is_not_woken_late() {
    loom::model(|| {
        let request = Request::begun();
        let irp = request.clone();
        let completion = thread::spawn(move || irp.complete());
        let registered = request.poll(1) == Polled::Pending;
        let withdrawn = request.handshake().withdraw() == Polled::Pending;
        completion.join().expect("the IRP side");
        let woken = request.woken.load(SeqCst) == 1;
        assert_eq!(woken, registered && !withdrawn);
        request.take_result();
        request.drop_handle();
        request.check_end();
    });
}

/// Cancelled before, while and after it completes: asked for once at most, never when completion
/// was seen before.
#[test]
fn handshake_cancelled_requests_it_at_most_once() {
    explore(|request| {
        let completed = !request.handshake().is_in_flight();
        let asked = request.handshake().request_cancel();
        assert!(
            !(completed && asked),
            "cancelled what was seen to be complete"
        );
        assert!(!request.handshake().request_cancel(), "cancelled twice");
        request.drop_handle();
    });
}

/// Forgotten: the IRP side finishes alone, nobody is the last, and nothing is touched by two.
#[test]
fn handshake_forgotten_handle_leaves_the_slot_alone() {
    loom::model(|| {
        let request = Request::begun();
        let irp = request.clone();
        let completion = thread::spawn(move || irp.complete());
        let _ = request.poll(1);
        completion.join().expect("the IRP side");
        assert_eq!(request.last.load(SeqCst), 0);
    });
}

/// Completed before the call returns: the handle side finds it ready.
#[test]
fn handshake_inline_completion_is_ready_at_the_first_poll() {
    loom::model(|| {
        let request = Request::begun();
        request.complete();
        assert_eq!(request.poll(1), Polled::Completed);
        request.take_result();
        request.drop_handle();
        request.check_end();
    });
}

/// Used again after its end: the second request knows nothing of the first.
#[test]
fn handshake_recycled_begins_anew() {
    loom::model(|| {
        let request = Request::begun();
        assert!(request.handshake().request_cancel());
        let irp = request.clone();
        let completion = thread::spawn(move || irp.complete());
        request.drop_handle();
        completion.join().expect("the IRP side");
        request.check_end();
        request.last.store(0, SeqCst);
        request.results.store(0, SeqCst);
        request.handshake().begin();
        assert_eq!(request.poll(3), Polled::Pending);
        assert!(request.handshake().request_cancel(), "not cancelled yet");
        request.complete();
        assert_eq!(request.woken.load(SeqCst), 3);
        request.take_result();
        request.drop_handle();
        request.check_end();
    });
}

/// What stands for the socket: how many do what follows the rundown, and how many are inside.
#[derive(Default)]
struct Socket {
    closed: AtomicU32,
    inside: AtomicU32,
}

impl Socket {
    fn close(&self) {
        assert_eq!(self.inside.load(SeqCst), 0, "closed while a call runs");
        assert_eq!(self.closed.fetch_add(1, SeqCst), 0, "closed twice");
    }

    fn call(&self, rundown: &Rundown) {
        if !rundown.acquire() {
            return;
        }
        self.inside.fetch_add(1, SeqCst);
        assert_eq!(self.closed.load(SeqCst), 0, "called after the close");
        self.inside.fetch_sub(1, SeqCst);
        if rundown.release() {
            self.close();
        }
    }

    fn begin_close(&self, rundown: &Rundown) {
        if rundown.close() == Closing::Drained {
            self.close();
        }
    }
}

fn explore_rundown(sides: [fn(&Socket, &Rundown); 3]) {
    loom::model(move || {
        let shared = Arc::new((Socket::default(), Rundown::new()));
        let [first, others @ ..] = sides;
        let others = others.map(|side| {
            let shared = shared.clone();
            thread::spawn(move || side(&shared.0, &shared.1))
        });
        first(&shared.0, &shared.1);
        for side in others {
            side.join().expect("a side");
        }
        assert_eq!(shared.0.closed.load(SeqCst), 1, "nobody closed");
        assert!(shared.1.is_drained(), "somebody is inside");
        assert!(!shared.1.acquire(), "let in after the close");
    });
}

/// Two calls and a close: the close comes once, when no call runs [wsk 10.1].
#[test]
fn rundown_two_calls_and_a_close() {
    explore_rundown([Socket::begin_close, Socket::call, Socket::call]);
}

/// Two closes and a call: one of the three closes.
#[test]
fn rundown_two_closes_and_a_call() {
    explore_rundown([Socket::call, Socket::begin_close, Socket::begin_close]);
}

/// A reference that is cloned while another side closes: the last of them drains.
#[test]
fn rundown_cloned_reference_counts_after_close() {
    loom::model(|| {
        let shared = Arc::new((AtomicU32::new(0), Rundown::new()));
        assert!(shared.1.acquire());
        let other = shared.clone();
        let closer = thread::spawn(move || other.1.close());
        shared.1.acquire_again();
        for _ in 0..2 {
            if shared.1.release() {
                shared.0.fetch_add(1, SeqCst);
            }
        }
        let found = closer.join().expect("the closer");
        let drained = u32::from(found == Closing::Drained);
        assert_eq!(
            shared.0.load(SeqCst) + drained,
            1,
            "drained not exactly once"
        );
    });
}
