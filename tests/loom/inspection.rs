//! A pended inspection: its callback, its owner, the abort and the close of its listener, on
//! several threads.
//!
//! The model has the shape of `event::inspect`: a ticket, a place in the list of those that wait,
//! a slot that was set aside for `WskInspectComplete`, and the listener's rundown around that call.

use crate::{
    rundown::{Closing, Rundown},
    ticket::{Decided, Decision, Ticket},
};
use loom::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
};

/// What the callback has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Returned {
    Decided(Decision),
    Pend,
}

/// What WSK has seen of the inspection.
#[derive(Default)]
struct Wsk {
    returned: Option<Returned>,
    completed: Option<Decision>,
    closed: bool,
}

struct Inspection {
    ticket: Ticket,
    /// Whether it is in the listener's list.
    waiting: Mutex<bool>,
    /// Slots: set aside, and given back or used.
    slots: AtomicU32,
    calls: Rundown,
    wsk: Mutex<Wsk>,
}

impl Inspection {
    /// `InspectRequest::pend`.
    fn pend() -> Arc<Self> {
        Arc::new(Self {
            ticket: Ticket::new(),
            waiting: Mutex::new(true),
            slots: AtomicU32::new(1),
            calls: Rundown::new(),
            wsk: Mutex::new(Wsk::default()),
        })
    }

    fn wsk<R>(&self, access: impl FnOnce(&mut Wsk) -> R) -> R {
        access(&mut self.wsk.lock().expect("not poisoned"))
    }

    fn take_from_list(&self) -> bool {
        core::mem::take(&mut self.waiting.lock().expect("not poisoned"))
    }

    fn use_slot(&self) {
        assert_eq!(self.slots.fetch_sub(1, SeqCst), 1, "no slot is left");
    }

    /// The callback returns its verdict.
    fn callback_returns(&self) {
        let decision = self.ticket.callback_returns();
        let returned = decision.map_or(Returned::Pend, Returned::Decided);
        self.wsk(|wsk| wsk.returned = Some(returned));
    }

    /// `Inspection::decide`.
    fn decide(&self, decision: Decision) -> Decided {
        let decided = self.ticket.decide(decision);
        match decided {
            Decided::Complete => {
                self.take_from_list();
                self.complete(decision);
            }
            Decided::ByCallback => {
                self.take_from_list();
            }
            Decided::Aborted => {}
        }
        decided
    }

    /// `WskInspectComplete`, unless the listener is being closed.
    fn complete(&self, decision: Decision) {
        self.use_slot();
        if !self.calls.acquire() {
            return;
        }
        self.wsk(|wsk| {
            assert!(!wsk.closed, "completed after the close");
            let before = wsk.completed.replace(decision);
            assert_eq!(before, None, "completed twice");
        });
        if self.calls.release() {
            self.close();
        }
    }

    /// `WskAbortEvent`.
    fn abort(&self) {
        if self.take_from_list() {
            self.ticket.abort();
        }
    }

    fn begin_close(&self) {
        if self.calls.close() == Closing::Drained {
            self.close();
        }
    }

    fn close(&self) {
        self.wsk(|wsk| {
            assert!(!wsk.closed, "closed twice");
            wsk.closed = true;
        });
    }

    /// Everybody is through; `decided` is what the owner was told.
    fn check(&self, decision: Decision, decided: Decided) {
        let wsk = self.wsk.lock().expect("not poisoned");
        let returned = wsk.returned.expect("the callback has returned");
        match decided {
            Decided::ByCallback => {
                assert_eq!(
                    returned,
                    Returned::Decided(decision),
                    "the decision is lost"
                );
                assert_eq!(wsk.completed, None, "decided twice");
            }
            Decided::Complete => {
                assert_eq!(returned, Returned::Pend, "decided twice");
                let expected = if wsk.closed {
                    wsk.completed
                } else {
                    Some(decision)
                };
                assert_eq!(wsk.completed, expected, "the decision is lost");
                assert!(wsk.completed.is_none_or(|completed| completed == decision));
            }
            Decided::Aborted => {
                assert!(self.ticket.is_aborted(), "nobody gave up");
                assert_eq!(wsk.completed, None, "completed after the abort");
            }
        }
        let left = u32::from(decided != Decided::Complete);
        assert_eq!(self.slots.load(SeqCst), left, "the slot goes back once");
        assert!(
            !*self.waiting.lock().expect("not poisoned"),
            "still waiting"
        );
    }
}

/// Runs the callback's return, the owner's decision and `disturbance` at the same time, in every
/// order.
fn explore(decision: Decision, disturbance: Option<fn(&Inspection)>) {
    loom::model(move || {
        let inspection = Inspection::pend();
        let owner = {
            let inspection = inspection.clone();
            thread::spawn(move || inspection.decide(decision))
        };
        let disturber = disturbance.map(|disturb| {
            let inspection = inspection.clone();
            thread::spawn(move || disturb(&inspection))
        });
        inspection.callback_returns();
        let decided = owner.join().expect("the owner");
        if let Some(disturber) = disturber {
            disturber.join().expect("the disturber");
        }
        inspection.check(decision, decided);
    });
}

/// A decision reaches WSK once: by the callback or by a call. Dropping an inspection rejects.
#[test]
fn inspection_decided_reaches_wsk_once() {
    explore(Decision::Accept, None);
    explore(Decision::Reject, None);
}

/// An abort before, during or after the decision [wsk 7.11].
#[test]
fn inspection_decided_and_aborted() {
    explore(Decision::Accept, Some(Inspection::abort));
    explore(Decision::Reject, Some(Inspection::abort));
}

/// The listener is closed meanwhile: no call runs then, and none comes after it [wsk 10.1].
#[test]
fn inspection_decided_and_its_listener_closed() {
    explore(Decision::Accept, Some(Inspection::begin_close));
    explore(Decision::Reject, Some(Inspection::begin_close));
}

/// An abort and then the close on the provider's thread.
#[test]
fn inspection_decided_aborted_and_its_listener_closed() {
    explore(
        Decision::Accept,
        Some(|inspection| {
            inspection.abort();
            inspection.begin_close();
        }),
    );
}

/// The abort is seen by the owner, who has not decided, whatever the callback does.
#[test]
fn inspection_aborted_before_the_decision_calls_nobody() {
    loom::model(|| {
        let inspection = Inspection::pend();
        let provider = {
            let inspection = inspection.clone();
            thread::spawn(move || inspection.abort())
        };
        inspection.callback_returns();
        provider.join().expect("the provider");
        assert!(inspection.ticket.is_aborted());
        let decided = inspection.decide(Decision::Accept);
        assert_eq!(decided, Decided::Aborted);
        inspection.check(Decision::Accept, decided);
    });
}
