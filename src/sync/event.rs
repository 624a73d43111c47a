//! A kernel event, for threads at PASSIVE_LEVEL that wait for something which happens at any IRQL.
//!
//! An event lies where it was initialised: it is part of a nonpaged allocation, or of the stack of
//! the one function that also waits for it.

// UNSAFETY: kernel calls on a dispatcher object.
#![expect(unsafe_code, reason = "kernel calls")]

use core::{cell::UnsafeCell, mem::MaybeUninit, ptr::null_mut, time::Duration};

use wsk_sys::wdk_sys::{
    _EVENT_TYPE, _KWAIT_REASON, _MODE, KEVENT, LARGE_INTEGER, STATUS_TIMEOUT,
    ntddk::{
        KeClearEvent, KeDelayExecutionThread, KeInitializeEvent, KeSetEvent, KeWaitForSingleObject,
    },
};

use crate::irql::Passive;

/// `KernelMode`: the stack stays resident while its thread waits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "an enum of C, as a KPROCESSOR_MODE"
)]
const KERNEL_MODE: i8 = _MODE::KernelMode as i8;

/// A notification event: once set it stays set until it is cleared.
///
/// # Invariants
///
/// Settled: made a kernel object in nonpaged memory, where it stays.
#[derive(Debug)]
pub(crate) struct Event(UnsafeCell<MaybeUninit<KEVENT>>);

// SAFETY: every access goes through kernel functions that synchronise on the dispatcher lock.
unsafe impl Send for Event {}
// SAFETY: as for `Send`.
unsafe impl Sync for Event {}

impl Event {
    /// Room for an event.
    ///
    /// # Safety
    ///
    /// [`settle`](Self::settle) comes before everything else.
    pub(crate) const unsafe fn unsettled() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// Makes it an event that is not set.
    ///
    /// # Safety
    ///
    /// It lies in nonpaged memory, is not moved any more, and nobody else reaches it yet.
    pub(crate) unsafe fn settle(&self) {
        // SAFETY: valid, exclusive, nonpaged memory of the right size (the caller's promise).
        unsafe { KeInitializeEvent(self.raw(), _EVENT_TYPE::NotificationEvent, 0) }
    }

    /// Wakes all who wait now or later, until cleared. IRQL <= DISPATCH_LEVEL.
    pub(crate) fn set(&self) {
        // SAFETY: settled (invariant); Wait is so any IRQL up to DISPATCH_LEVEL is allowed.
        unsafe { KeSetEvent(self.raw(), 0, 0) };
    }

    /// Whoever waits from now on waits until it is set again. IRQL <= DISPATCH_LEVEL.
    pub(crate) fn clear(&self) {
        // SAFETY: settled (invariant).
        unsafe { KeClearEvent(self.raw()) };
    }

    /// As [`set`](Self::set), for an event that the woken thread may free before this returns.
    ///
    /// # Safety
    ///
    /// `event` is settled, and stays until a thread that waits for it has been woken.
    pub(crate) unsafe fn set_last(event: *const Self) {
        // SAFETY: in bounds; no reference is made that would have to outlive the wake-up.
        let raw = unsafe { UnsafeCell::raw_get(&raw const (*event).0) };
        // SAFETY: settled (the caller's promise); the kernel does not touch it after waking.
        unsafe { KeSetEvent(raw.cast(), 0, 0) };
    }

    /// Waits until set; `false` when `timeout` passed first.
    pub(crate) fn wait(&self, timeout: Option<Duration>, passive: Passive) -> bool {
        // SAFETY: settled (invariant).
        unsafe { wait_for(self.raw().cast(), timeout, passive) }
    }

    fn raw(&self) -> *mut KEVENT {
        self.0.get().cast()
    }
}

/// Waits, not alertable, for a dispatcher object; `false` when `timeout` passed first.
///
/// # Safety
///
/// `object` is an initialised dispatcher object that stays where it is until this returns.
pub(crate) unsafe fn wait_for(
    object: *mut core::ffi::c_void,
    timeout: Option<Duration>,
    passive: Passive,
) -> bool {
    Passive::check(passive);
    let mut due = timeout.map(relative_due_time);
    let due = due.as_mut().map_or(null_mut(), core::ptr::from_mut);
    // SAFETY: a live dispatcher object (the caller's promise); PASSIVE_LEVEL (the witness); `due`
    // is null or outlives the call. KernelMode: the stack stays resident while it waits.
    let status = unsafe {
        KeWaitForSingleObject(
            object,
            _KWAIT_REASON::Executive,
            KERNEL_MODE,
            u8::from(false),
            due,
        )
    };
    status != STATUS_TIMEOUT
}

/// Lets another thread do the few instructions that it is about to do.
pub(crate) fn relax(passive: Passive) {
    Passive::check(passive);
    let mut shortest = relative_due_time(Duration::from_nanos(100));
    // SAFETY: PASSIVE_LEVEL (the witness); the time outlives the call.
    let _ = unsafe { KeDelayExecutionThread(KERNEL_MODE, u8::from(false), &raw mut shortest) };
}

/// A relative due time: negative, in units of 100 ns, rounded up; a duration too long to express is
/// as long as can be.
fn relative_due_time(duration: Duration) -> LARGE_INTEGER {
    let units = duration.as_nanos().div_ceil(100);
    LARGE_INTEGER {
        QuadPart: i64::try_from(units).map_or(i64::MIN + 1, |units| -units),
    }
}
