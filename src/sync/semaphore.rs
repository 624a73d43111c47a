//! A kernel semaphore: counts work that threads of the executor wait for.

// UNSAFETY: kernel calls on a dispatcher object.
#![expect(unsafe_code, reason = "kernel calls")]

use core::{cell::UnsafeCell, mem::MaybeUninit};

use wsk_sys::wdk_sys::{
    KSEMAPHORE,
    ntddk::{KeInitializeSemaphore, KeReleaseSemaphore},
};

use super::event::wait_for;
use crate::irql::Passive;

/// A semaphore whose count only memory limits.
///
/// # Invariants
///
/// Settled: made a kernel object in nonpaged memory, where it stays.
#[derive(Debug)]
pub(crate) struct Semaphore(UnsafeCell<MaybeUninit<KSEMAPHORE>>);

// SAFETY: every access goes through kernel functions that synchronise on the dispatcher lock.
unsafe impl Send for Semaphore {}
// SAFETY: as for `Send`.
unsafe impl Sync for Semaphore {}

impl Semaphore {
    /// Room for a semaphore.
    ///
    /// # Safety
    ///
    /// [`settle`](Self::settle) comes before everything else.
    pub(crate) const unsafe fn unsettled() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// Makes it a semaphore that counts zero.
    ///
    /// # Safety
    ///
    /// It lies in nonpaged memory, is not moved any more, and nobody else reaches it yet.
    pub(crate) unsafe fn settle(&self) {
        // SAFETY: valid, exclusive, nonpaged memory of the right size (the caller's promise).
        unsafe { KeInitializeSemaphore(self.raw(), 0, i32::MAX) }
    }

    /// Lets one wait through. IRQL <= DISPATCH_LEVEL.
    ///
    /// The count stays below `i32::MAX`: it counts allocations and threads.
    pub(crate) fn release(&self) {
        // SAFETY: settled (invariant); Wait is FALSE, so any IRQL up to DISPATCH_LEVEL is allowed.
        unsafe { KeReleaseSemaphore(self.raw(), 0, 1, u8::from(false)) };
    }

    /// Waits until the count is above zero, and takes one.
    pub(crate) fn wait(&self, passive: Passive) {
        // SAFETY: settled (invariant).
        unsafe { wait_for(self.raw().cast(), None, passive) };
    }

    fn raw(&self) -> *mut KSEMAPHORE {
        self.0.get().cast()
    }
}
