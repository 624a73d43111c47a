//! The proof that the current thread runs at PASSIVE_LEVEL.
//!
//! Whatever blocks takes a [`Passive`]; whatever does not take one may be called up to
//! DISPATCH_LEVEL. Callbacks and completion routines run up to DISPATCH_LEVEL [wsk 1.1] and are
//! given none.

// UNSAFETY: asks the kernel for the current IRQL.
#![expect(unsafe_code, reason = "one kernel call")]

use core::marker::PhantomData;

use wsk_sys::wdk_sys::{PASSIVE_LEVEL, ntddk::KeGetCurrentIrql};

/// Shows that the current thread was at PASSIVE_LEVEL when it was made; it cannot leave the thread.
///
/// What it does *not* prove: that nobody has raised the IRQL since. Nothing safe in this crate does
/// so around code of the caller, and debug builds check again where they block.
///
/// ```no_run
/// let passive = wsk::Passive::new().expect("DriverEntry and DriverUnload run at PASSIVE_LEVEL");
/// # let _ = passive;
/// ```
///
/// [Managing hardware priorities](https://learn.microsoft.com/windows-hardware/drivers/kernel/managing-hardware-priorities)
#[derive(Clone, Copy, Debug)]
pub struct Passive(PhantomData<*const ()>);

impl Passive {
    /// `None` above PASSIVE_LEVEL.
    ///
    /// IRQL: any.
    #[must_use]
    pub fn new() -> Option<Self> {
        (current() == PASSIVE_LEVEL).then_some(Self(PhantomData))
    }

    /// Debug builds stop here if the proof has become wrong.
    pub(crate) fn check(_: Self) {
        debug_assert_eq!(
            current(),
            PASSIVE_LEVEL,
            "about to block above PASSIVE_LEVEL"
        );
    }
}

fn current() -> u32 {
    // SAFETY: reads the IRQL of the current processor; callable at any IRQL.
    u32::from(unsafe { KeGetCurrentIrql() })
}
