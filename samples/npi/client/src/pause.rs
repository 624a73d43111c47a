//! Waiting for a while.

// UNSAFETY: a call of the kernel.
#![expect(unsafe_code, reason = "a call of the kernel")]

use core::time::Duration;

use wdk_sys::{LARGE_INTEGER, ntddk::KeDelayExecutionThread};
use wsk::Passive;

/// `KernelMode`, as a `KPROCESSOR_MODE`.
const KERNEL_MODE: i8 = 0;

/// Keeps this thread waiting for so long.
///
/// IRQL: PASSIVE_LEVEL.
pub fn pause(time: Duration, _passive: Passive) {
    let hundreds = i64::try_from(time.as_nanos() / 100).unwrap_or(i64::MAX);
    // Negative: from now on.
    let mut interval = LARGE_INTEGER {
        QuadPart: -hundreds,
    };
    // SAFETY: PASSIVE_LEVEL (the witness), with an interval that outlives the call. Nobody alerts
    // this thread, so that there is nothing to learn from what it returns.
    let _ = unsafe { KeDelayExecutionThread(KERNEL_MODE, u8::from(false), &raw mut interval) };
}
