//! The proof that the current thread runs at PASSIVE_LEVEL.
//!
//! Whatever blocks takes a [`Passive`]; whatever does not take one may be called up to
//! DISPATCH_LEVEL. Callbacks and completion routines run up to DISPATCH_LEVEL [wsk 1.1] and are
//! given none; inside a callback there is none, even at PASSIVE_LEVEL [wsk 1.3].

// UNSAFETY: asks the kernel for the current IRQL.
#![expect(unsafe_code, reason = "one kernel call")]

use core::marker::PhantomData;

use wsk_sys::wdk_sys::{PASSIVE_LEVEL, ntddk::KeGetCurrentIrql};

use crate::callback::{self, Mark};

/// Shows that the current thread may wait: that it was at PASSIVE_LEVEL when this was made, and not
/// inside a callback of WSK's. It cannot leave the thread.
///
/// A handler of events therefore cannot wait for anything of this crate: for a request, for the end
/// of its own event or socket, for deregistration. It cannot have one, as it is `Sync`, nor make
/// one: while one of its methods runs, [`new`](Self::new) gives `None` on that thread. What it
/// started is waited for, or awaited, elsewhere.
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
    /// `None` above PASSIVE_LEVEL, and inside an event of a socket [wsk 1.3].
    ///
    /// IRQL: any.
    #[must_use]
    pub fn new() -> Option<Self> {
        let may_wait = is_passive() && !callback::is_running_here();
        may_wait.then_some(Self(PhantomData))
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

/// Marks the current thread as being inside a callback, if it could wait there.
pub(crate) fn enter_callback() -> Mark {
    Mark::set(is_passive())
}

fn is_passive() -> bool {
    current() == PASSIVE_LEVEL
}

fn current() -> u32 {
    // SAFETY: reads the IRQL of the current processor; callable at any IRQL.
    u32::from(unsafe { KeGetCurrentIrql() })
}
