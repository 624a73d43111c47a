//! Rundown protection: counts what is running, refuses newcomers once closed, and tells exactly one
//! party when the last one has left.
//!
//! Used around every call on a socket (no call may be running when `WskCloseSocket` is called [wsk
//! 10.1]) and for the references to a captured provider (none may be left when it is released [wsk
//! 2.8]). `EX_RUNDOWN_REF` does not serve: waiting for it blocks, while a socket must be closable
//! at DISPATCH_LEVEL [wsk 10.6]; here the last one to leave does what has to follow. Pure: only
//! `core`; explored exhaustively in tests/loom.
//!
//! ```text
//! word = count * 2 + closed
//!   acquire: count + 1, unless closed      release: count - 1      close: closed = 1
//! ```

use crate::sync::primitive::{AtomicU32, Ordering};

const CLOSED: u32 = 1;
const ONE: u32 = 2;

/// A count of running users, and whether new ones are still let in.
#[derive(Debug)]
pub(crate) struct Rundown(AtomicU32);

/// What [`Rundown::close`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Nobody was inside: the caller does what follows the rundown.
    Drained,
    /// Somebody is inside: whoever gets `true` from [`Rundown::release`] does it.
    Running,
    /// It was closed before: somebody else does it or did it.
    Already,
}

impl Rundown {
    /// Open, with nobody inside. Not `const`: loom's atomics cannot be.
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Lets the caller in unless closed; pairs with exactly one [`release`](Self::release).
    #[must_use]
    pub(crate) fn acquire(&self) -> bool {
        // ORDERING: Acquire sees what was set up before the rundown became reachable; the counter
        // itself orders the rest.
        self.0
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |word| {
                if word & CLOSED == 0 {
                    word.checked_add(ONE)
                } else {
                    None
                }
            })
            .is_ok()
    }

    /// Counts once more for a caller that is inside already; works after closing too.
    pub(crate) fn acquire_again(&self) {
        let before = self.0.fetch_add(ONE, Ordering::Relaxed);
        // Two thousand million forgotten clones would make the count wrap, and free what is in use.
        assert!(
            (ONE..u32::MAX / 2).contains(&before),
            "not inside, or far too many"
        );
    }

    /// Leaves. `true`: it is closed and this was the last one, so the caller does what follows the
    /// rundown.
    #[must_use]
    pub(crate) fn release(&self) -> bool {
        // ORDERING: Release publishes what the caller did inside to whoever does what follows
        // (Acquire, here or in `close`).
        let before = self.0.fetch_sub(ONE, Ordering::AcqRel);
        debug_assert!(before >= ONE, "released more often than acquired");
        before == ONE | CLOSED
    }

    /// Whether it is closed and nobody is inside.
    pub(crate) fn is_drained(&self) -> bool {
        // ORDERING: Acquire sees what those did who were inside.
        self.0.load(Ordering::Acquire) == CLOSED
    }

    /// Lets nobody in any more.
    pub(crate) fn close(&self) -> Closing {
        let before = self.0.fetch_or(CLOSED, Ordering::AcqRel);
        match before {
            0 => Closing::Drained,
            word if word & CLOSED == 0 => Closing::Running,
            _ => Closing::Already,
        }
    }
}
