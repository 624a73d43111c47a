//! Limits in time: every wait of the harness has one.
//!
//! Used by [`connect`](crate::connect), [`exchange`](crate::exchange) and the commands. Runs on
//! tokio's clock, which tests can pause.

use std::time::Duration;

use tokio::time::Instant;

/// A limit in time.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// For each wait: begins anew whenever a byte moves.
    Idle(Duration),
    /// For everything.
    Whole {
        /// When it began.
        since: Instant,
        /// How long it lasts.
        lasts: Duration,
    },
}

impl Limit {
    /// A limit for everything from now on.
    #[must_use]
    pub fn whole(lasts: Duration) -> Self {
        Self::Whole {
            since: Instant::now(),
            lasts,
        }
    }

    /// When a wait that begins now has to end.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        match *self {
            Self::Idle(wait) => Instant::now() + wait,
            Self::Whole { since, lasts } => since + lasts,
        }
    }

    /// The time allowed, for a message.
    #[must_use]
    pub fn duration(&self) -> Duration {
        match *self {
            Self::Idle(duration)
            | Self::Whole {
                lasts: duration, ..
            } => duration,
        }
    }
}
