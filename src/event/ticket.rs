//! Who decides about a pended inspection, and when WSK is told.
//!
//! Three parties meet: the callback, on its way back to WSK; the owner of the pended inspection,
//! who may decide at any time, also before the callback has returned; and the abort. Pure: only
//! `core`; explored exhaustively in tests/loom.
//!
//! ```text
//! word: RETURNED, ABORTED, and a decision
//!   decide before RETURNED: the callback returns the decision itself, WSK never hears of a pend
//!   decide after RETURNED:  the decider calls WskInspectComplete, once
//!   decide after ABORTED:   nobody calls anything
//! ```

use crate::sync::primitive::{AtomicU32, Ordering};

const RETURNED: u32 = 1;
const ABORTED: u32 = 2;
const ACCEPTED: u32 = 4;
const REJECTED: u32 = 8;
const DECIDED: u32 = ACCEPTED | REJECTED;

/// What becomes of a connection that is inspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It is established.
    Accept,
    /// It is refused.
    Reject,
}

/// What a decision asks its maker to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decided {
    /// The callback will return it.
    ByCallback,
    /// Call `WskInspectComplete`.
    Complete,
    /// The connection is gone already.
    Aborted,
}

/// The state of one pended inspection.
#[derive(Debug)]
pub(crate) struct Ticket(AtomicU32);

impl Ticket {
    /// The callback has not returned. Not `const`: loom's atomics cannot be.
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Decides. Called once: by whoever owns the inspection.
    pub(crate) fn decide(&self, decision: Decision) -> Decided {
        let bit = match decision {
            Decision::Accept => ACCEPTED,
            Decision::Reject => REJECTED,
        };
        // ORDERING: AcqRel: what the owner did before is seen by the callback that returns the
        // decision, and what the callback did by the owner who calls WSK.
        let before = self.0.fetch_or(bit, Ordering::AcqRel);
        debug_assert_eq!(before & DECIDED, 0, "decided once");
        if before & ABORTED != 0 {
            Decided::Aborted
        } else if before & RETURNED != 0 {
            Decided::Complete
        } else {
            Decided::ByCallback
        }
    }

    /// The callback is about to return: with the decision if there is one, else it pends.
    pub(crate) fn callback_returns(&self) -> Option<Decision> {
        // ORDERING: as in `decide`.
        let before = self.0.fetch_or(RETURNED, Ordering::AcqRel);
        match before & DECIDED {
            0 => None,
            ACCEPTED => Some(Decision::Accept),
            _ => Some(Decision::Reject),
        }
    }

    /// The other side has gone away.
    pub(crate) fn abort(&self) {
        self.0.fetch_or(ABORTED, Ordering::AcqRel);
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.0.load(Ordering::Acquire) & ABORTED != 0
    }
}
