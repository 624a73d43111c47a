//! Clocks. Time is virtual: see the scheduler.

// UNSAFETY: the exports have the kernel's names; one writes through a pointer of the driver's.
#![expect(unsafe_code, reason = "exports of the kernel")]

use wdk_sys::{LARGE_INTEGER, PLARGE_INTEGER, PPROCESSOR_NUMBER, ULONG, ULONGLONG, USHORT};

use crate::current::current;
use crate::sim::Shared;

/// System time at the start of a simulation: 2024-01-01 in units of 100 ns since 1601.
const EPOCH: u64 = 133_485_408_000_000_000;
/// Ticks of the performance counter in a second.
const FREQUENCY: i64 = 10_000_000;
/// Processors that a driver sees.
pub(super) const PROCESSORS: ULONG = 4;

/// The virtual time that an NT time-out means: negative is relative, positive is absolute system
/// time.
pub(crate) fn deadline(sim: &Shared, timeout: i64) -> u64 {
    match u64::try_from(timeout) {
        Ok(absolute) => absolute.saturating_sub(EPOCH),
        Err(_) => sim.sched.now().saturating_add(timeout.unsigned_abs()),
    }
}

/// The number in a `LARGE_INTEGER`.
pub(crate) fn quad(value: LARGE_INTEGER) -> i64 {
    // SAFETY: every bit pattern of the union is a valid QuadPart.
    unsafe { value.QuadPart }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeQueryPerformanceCounter(frequency: PLARGE_INTEGER) -> LARGE_INTEGER {
    if !frequency.is_null() {
        // SAFETY: the driver passes null or a place for the frequency.
        unsafe {
            frequency.write(LARGE_INTEGER {
                QuadPart: FREQUENCY,
            });
        };
    }
    LARGE_INTEGER {
        QuadPart: signed(current().sim.sched.tick()),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeQuerySystemTimePrecise(time: PLARGE_INTEGER) {
    let now = EPOCH + current().sim.sched.tick();
    // SAFETY: the driver passes a place for the time.
    unsafe {
        time.write(LARGE_INTEGER {
            QuadPart: signed(now),
        });
    };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeQueryInterruptTime() -> ULONGLONG {
    current().sim.sched.tick()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeQueryTimeIncrement() -> ULONG {
    156_250
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeStallExecutionProcessor(microseconds: ULONG) {
    let me = current();
    for _ in 0..u64::from(microseconds) * 10 {
        me.sim.sched.tick();
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeQueryActiveProcessorCountEx(_group: USHORT) -> ULONG {
    PROCESSORS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeGetCurrentProcessorNumberEx(number: PPROCESSOR_NUMBER) -> ULONG {
    if !number.is_null() {
        // SAFETY: the driver passes null or a place for the number; group 0, processor 0 is all
        // zeroes.
        unsafe { number.write_bytes(0, 1) };
    }
    0
}
