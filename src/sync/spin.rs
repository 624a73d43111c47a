//! A spin lock that owns what it guards.
//!
//! Private to the library: the closure runs at DISPATCH_LEVEL, and no code of the caller, no WSK
//! call and nothing that drops a caller's value may run in it. What has to be woken, freed or
//! called is collected inside and done after.

// UNSAFETY: kernel calls, and exclusive access while the lock is held.
#![expect(unsafe_code, reason = "a lock")]

use core::cell::UnsafeCell;

use wsk_sys::wdk_sys::{
    KSPIN_LOCK,
    ntddk::{KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock},
};

/// A value that one processor at a time may touch, at DISPATCH_LEVEL.
#[derive(Debug)]
pub(crate) struct SpinLock<T> {
    lock: UnsafeCell<KSPIN_LOCK>,
    value: UnsafeCell<T>,
}

// SAFETY: the value is only reached by the processor that holds the lock; it may be another each
// time, hence `Send`.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// A lock that nobody holds: `KeInitializeSpinLock` stores zero.
    pub(crate) const fn new(value: T) -> Self {
        Self {
            lock: UnsafeCell::new(0),
            value: UnsafeCell::new(value),
        }
    }

    /// Runs `access` with the lock held. IRQL <= DISPATCH_LEVEL. Not recursive.
    pub(crate) fn with<R>(&self, access: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: initialised in `new`; the lock is not moved while it is held, since `self` is
        // borrowed.
        let irql = unsafe { KeAcquireSpinLockRaiseToDpc(self.lock.get()) };
        // SAFETY: the lock is held, so this is the only reference.
        let result = access(unsafe { &mut *self.value.get() });
        // SAFETY: acquired above on this processor, with the IRQL it returned; a panic is a
        // bugcheck and does not unwind.
        unsafe { KeReleaseSpinLock(self.lock.get(), irql) };
        result
    }
}
