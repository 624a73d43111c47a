//! The time since the system was started.

// UNSAFETY: a call of the kernel.
#![expect(unsafe_code, reason = "a call of the kernel")]

use core::time::Duration;

use wdk_sys::{LARGE_INTEGER, ntddk::KeQueryPerformanceCounter};

/// Now.
///
/// IRQL: any.
pub fn now() -> Duration {
    let mut frequency = LARGE_INTEGER { QuadPart: 0 };
    // SAFETY: any IRQL, with a place for the result.
    let count = unsafe { KeQueryPerformanceCounter(&raw mut frequency) };
    // SAFETY: every bit pattern is a number.
    let count = unsafe { count.QuadPart }.unsigned_abs();
    // SAFETY: as above.
    let frequency = unsafe { frequency.QuadPart }.unsigned_abs().max(1);
    let rest = count % frequency * 1_000_000 / frequency;
    Duration::from_secs(count / frequency) + Duration::from_micros(rest)
}
