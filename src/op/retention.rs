//! Who gives a retained list back to WSK, and when.
//!
//! Three parties meet: the event that brought the list, on its way back to WSK; the owner of what
//! was retained, who may be done with it at any time, also before the event has returned; and
//! whoever closes the socket. Pure: only `core`; explored exhaustively in tests/loom.
//!
//! ```text
//! word: RETURNED and RELEASED
//!   given up before RETURNED: the event says that the data was consumed, and nobody releases it
//!   given up after RETURNED:  the event has said that it is retained; who gives up releases it
//!   taken back:               the event is what closes, and says that the data was consumed
//! ```

use crate::sync::primitive::{AtomicU32, Ordering};

const RETURNED: u32 = 1;
const RELEASED: u32 = 2;

/// The state of one retained list.
#[derive(Debug)]
pub(crate) struct RetentionState(AtomicU32);

impl RetentionState {
    /// The event has not returned. Not `const`: loom's atomics cannot be.
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// The event is about to return: true if the list stays retained.
    pub(crate) fn event_returns(&self) -> bool {
        // ORDERING: AcqRel: what the event did with the list happens before its release.
        self.0.fetch_or(RETURNED, Ordering::AcqRel) & RELEASED == 0
    }

    /// The event that was about to return must not leave the list retained; true if nobody has
    /// released it.
    pub(crate) fn take_back(&self) -> bool {
        // ORDERING: as above.
        self.0.fetch_or(RELEASED, Ordering::AcqRel) & RELEASED == 0
    }

    /// Nobody needs the list any more; true if it has to be released.
    pub(crate) fn give_up(&self) -> bool {
        // ORDERING: as above.
        let before = self.0.fetch_or(RELEASED, Ordering::AcqRel);
        before & (RETURNED | RELEASED) == RETURNED
    }
}
