//! What the provider carries for a driver.

// UNSAFETY: an address is handed from thread to thread.
#![expect(unsafe_code, reason = "addresses that are handed between threads")]

use wdk_sys::PVOID;

use crate::sched::Thread;

/// An address that a driver hands from one thread to another.
#[derive(Clone, Copy)]
pub(crate) struct Context(pub(crate) PVOID);

// SAFETY: the provider only carries the address; what may be done with it is the driver's affair.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// The address; a method, so that closures capture the whole.
    pub(crate) fn get(self) -> PVOID {
        self.0
    }
}

/// What is a process is not known.
pub(crate) fn is_process(_me: &Thread, _address: usize) -> bool {
    true
}

/// What is a thread is not known.
pub(crate) fn is_thread(_me: &Thread, _address: usize) -> bool {
    true
}
