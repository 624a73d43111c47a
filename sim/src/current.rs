//! Which simulation, and which of its threads, is running here.
//!
//! `cargo test` runs many tests in one process, each with a simulation of its own. A thread belongs
//! to at most one simulation; the exports, which get no context from their caller, find theirs
//! through this thread-local.

use std::cell::RefCell;
use std::sync::Arc;

use crate::sched::Thread;
use crate::verifier::DriverNumber;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Thread>>> = const { RefCell::new(None) };
}

/// The simulated thread that runs here.
///
/// # Panics
///
/// If this thread belongs to no simulation: kernel functions work only inside of one.
pub(crate) fn current() -> Arc<Thread> {
    try_current().expect(
        "a kernel function was called on a thread that belongs to no simulation: \
         call it from the body of wsk_sim::run, or from a thread started with Sim::spawn",
    )
}

/// The simulated thread that runs here, if any.
pub(crate) fn try_current() -> Option<Arc<Thread>> {
    CURRENT
        .try_with(|current| current.borrow().clone())
        .ok()
        .flatten()
}

/// The driver whose code runs here; 0 if it is the test's own, or nobody's.
pub(crate) fn driver() -> DriverNumber {
    CURRENT.with(|current| {
        let current = current.borrow();
        current.as_ref().map_or(0, |thread| thread.driver())
    })
}

/// Makes this operating system thread the given simulated one, or none.
pub(crate) fn set_current(thread: Option<Arc<Thread>>) {
    CURRENT.with(|current| current.replace(thread));
}
