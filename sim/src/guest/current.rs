//! Which thread runs here: any thread of the process may call the provider, and becomes known when
//! it first does.
//!
//! Takes the place of `crate::current`.

use std::sync::Arc;

use crate::sched::Thread;
use crate::sim;
use crate::verifier::DriverNumber;

thread_local! {
    static CURRENT: Arc<Thread> = Arc::new(Thread::new(sim::global()));
}

/// The thread that runs here.
pub(crate) fn current() -> Arc<Thread> {
    CURRENT.with(Arc::clone)
}

/// Whose code runs here is not known.
pub(crate) fn driver() -> DriverNumber {
    0
}
