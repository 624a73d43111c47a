//! The atomics and cells of the lock-free modules, in one place.
//!
//! `op::handshake`, `sync::rundown` and `nmr::gate` name no other source of atomics. The loom tests
//! compile those files a second time with loom's types under this module's name; this file
//! therefore has loom's `UnsafeCell` interface.

pub(crate) use core::sync::atomic::{AtomicU32, Ordering};

/// `core::cell::UnsafeCell` with the access functions of loom's.
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    pub(crate) const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    /// Lends the content as a raw pointer for reading; the caller answers for that nobody writes
    /// when it dereferences it.
    pub(crate) fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
        access(self.0.get())
    }

    /// Lends the content as a raw pointer; the caller answers for exclusive access when it
    /// dereferences it.
    pub(crate) fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        access(self.0.get())
    }
}
