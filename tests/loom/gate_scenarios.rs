//! One binding of the registrar, as its gate sees it: the attach callback publishes, calls go in
//! and out, the registrar detaches and cleans up.

// UNSAFETY: plays the attach callback, which publishes once.
#![expect(unsafe_code, reason = "plays the attach callback")]

use crate::gate::{Gate, Refused};
use loom::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
};

/// What the peer gave.
const PEER: u32 = 7;

/// A binding, and what belongs to both sides until it has been detached.
struct Binding {
    gate: Gate<u32>,
    /// The peer's context: read during a call, and freed by the one who says that the binding is
    /// detached. Loom complains if anybody reads it meanwhile or later.
    context: UnsafeCell<bool>,
    calls: AtomicU32,
    detached: AtomicU32,
}

impl Binding {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            gate: Gate::new(),
            context: UnsafeCell::new(true),
            calls: AtomicU32::new(0),
            detached: AtomicU32::new(0),
        })
    }

    fn attached() -> Arc<Self> {
        let binding = Self::new();
        binding.publish();
        binding
    }

    fn publish(&self) {
        // SAFETY: each scenario publishes once.
        unsafe { self.gate.publish(PEER) };
    }

    /// A call of the peer, from inside.
    fn call(&self) {
        self.calls.fetch_add(1, SeqCst);
        // SAFETY: loom watches this access, which is the point.
        let is_there = self.context.with(|context| unsafe { *context });
        assert!(is_there, "called after the detach");
    }

    fn enter_and_call(&self) {
        if let Ok(peer) = self.gate.enter() {
            assert_eq!(peer, PEER, "entered before it was published");
            self.call();
            self.leave();
        }
    }

    fn leave(&self) {
        if self.gate.leave() {
            self.say_detached();
        }
    }

    /// The detach callback.
    fn detach(&self) {
        self.gate.begin_detach();
        assert_eq!(self.gate.enter(), Err(Refused::Gone));
        self.leave();
    }

    /// `STATUS_SUCCESS` of the callback, or the completion function: the peer frees its context.
    fn say_detached(&self) {
        assert_eq!(self.detached.fetch_add(1, SeqCst), 0, "completed twice");
        // SAFETY: loom watches this access, which is the point.
        self.context.with_mut(|context| unsafe { *context = false });
    }

    fn check_end(&self) {
        assert_eq!(self.detached.load(SeqCst), 1, "never completed");
        assert_eq!(self.gate.enter(), Err(Refused::Gone));
    }
}

/// Runs these at the same time, in every order with up to three preemptions, and checks the end:
/// without a bound three of them take minutes.
fn explore(begin: fn() -> Arc<Binding>, sides: &'static [fn(&Binding)]) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let binding = begin();
        let (last, others) = sides.split_last().expect("several");
        let spawn = |side: &'static fn(&Binding)| {
            let binding = binding.clone();
            thread::spawn(move || side(&binding))
        };
        let threads: Vec<_> = others.iter().map(spawn).collect();
        last(&binding);
        for thread in threads {
            thread.join().expect("a side");
        }
        binding.check_end();
    });
}

// [wsk 12.10, 12.11]
#[test]
fn gate_call_and_detach_complete_once() {
    explore(
        Binding::attached,
        &[Binding::enter_and_call, Binding::detach],
    );
}

// [wsk 12.10, 12.11]
#[test]
fn gate_two_calls_and_detach_complete_once() {
    explore(
        Binding::attached,
        &[
            Binding::enter_and_call,
            Binding::enter_and_call,
            Binding::detach,
        ],
    );
}

/// Whoever is inside may let others in, who leave by themselves.
fn enter_and_share(binding: &Binding) {
    if binding.gate.enter().is_ok() {
        binding.gate.enter_again();
        binding.call();
        binding.leave();
        binding.call();
        binding.leave();
    }
}

// [wsk 12.11]
#[test]
fn gate_shared_entry_delays_the_detach_until_both_left() {
    explore(
        Binding::attached,
        &[enter_and_share, Binding::enter_and_call, Binding::detach],
    );
}

// [wsk 12.5]: in one step: whoever gets in sees what the peer gave.
#[test]
fn gate_publishing_lets_in_with_the_peer_or_not_at_all() {
    explore(
        Binding::new,
        &[Binding::publish, Binding::enter_and_call, Binding::detach],
    );
}

// [wsk 12.9, 12.10]: the registrar detaches what it attached, though nobody ever got in.
#[test]
fn gate_never_published_is_detached_at_once() {
    loom::model(|| {
        let binding = Binding::new();
        assert_eq!(binding.gate.enter(), Err(Refused::NotYet));
        binding.detach();
        assert_eq!(binding.calls.load(SeqCst), 0);
        binding.check_end();
    });
}
