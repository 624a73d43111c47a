//! What runs between `DriverEntry` and `DriverUnload`, in a static.

// UNSAFETY: a value behind an atomic pointer.
#![expect(unsafe_code, reason = "a value behind an atomic pointer")]

use alloc::boxed::Box;
use core::{
    ptr::null_mut,
    sync::atomic::{AtomicPtr, Ordering},
};

use wdk::println;
use wdk_sys::{NTSTATUS, STATUS_SUCCESS};
use wsk::{Error, Passive, Result, Status};

/// What a driver has started, if it has.
///
/// # Invariants
///
/// The pointer is null or from `Box::into_raw`, and whoever takes it out puts null in its place.
#[derive(Debug)]
pub struct Running<T>(AtomicPtr<T>);

impl<T: Send> Running<T> {
    /// Nothing runs.
    #[must_use]
    pub const fn nothing() -> Self {
        Self(AtomicPtr::new(null_mut()))
    }

    /// Starts, unless it runs already; gives what `DriverEntry` returns. A failure is printed,
    /// after the name of the driver.
    pub fn start(&self, driver: &str, start: impl FnOnce(Passive) -> Result<T>) -> NTSTATUS {
        match self.try_start(start) {
            Ok(()) => STATUS_SUCCESS,
            Err(error) => {
                println!("{driver}: start failed: {error}");
                error.status().as_raw()
            }
        }
    }

    fn try_start(&self, start: impl FnOnce(Passive) -> Result<T>) -> Result<()> {
        let fail = |status| Error::new("DriverEntry", status);
        let passive = Passive::new().ok_or(fail(Status::UNSUCCESSFUL))?;
        if !self.0.load(Ordering::Acquire).is_null() {
            return Err(fail(Status::ADDRESS_ALREADY_EXISTS));
        }
        let started = Box::into_raw(Box::new(start(passive)?));
        self.0.store(started, Ordering::Release);
        Ok(())
    }

    /// Stops what runs: in `DriverUnload`, after which nothing of the driver may run any more.
    ///
    /// IRQL: PASSIVE_LEVEL.
    pub fn stop(&self, stop: impl FnOnce(T, Passive)) {
        let running = self.0.swap(null_mut(), Ordering::AcqRel);
        if running.is_null() {
            return;
        }
        // SAFETY: not null, and just taken out (invariant).
        let running = *unsafe { Box::from_raw(running) };
        if let Some(passive) = Passive::new() {
            stop(running, passive);
        }
    }
}
