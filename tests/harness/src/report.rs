//! What a run of `echo` found: the figures, as a table and as JSON.
//!
//! Filled by [`echo`](crate::echo). The field names are the JSON's; `tests/harness/README.md` lists
//! them.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::cli::EchoArgs;
use crate::exchange::RoundTrip;
use crate::failure::{Exit, Failure};

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The server.
    pub addr: SocketAddr,
    /// Connections asked for.
    pub connections: u32,
    /// Messages asked for on each of them.
    pub messages_per_connection: u64,
    /// Smallest message asked for.
    pub size_min_bytes: u64,
    /// Largest message asked for.
    pub size_max_bytes: u64,
    /// Seed of sizes and contents.
    pub seed: u64,
    /// Most bytes ahead of their echo; null if messages went one by one.
    pub window_bytes: Option<u64>,
    /// Longest wait without progress.
    pub timeout_seconds: f64,
    /// Messages that came back entirely and right.
    pub messages: u64,
    /// Bytes of these messages.
    pub bytes: u64,
    /// Connections on which a byte was wrong, lost, repeated or too many.
    pub mismatches: u64,
    /// Connections that the peer closed or reset, or that broke, before their time.
    pub ended_early: u64,
    /// Connections that could not be established.
    pub refused: u64,
    /// Connections on which a deadline passed.
    pub timeouts: u64,
    /// Median round trip; null, like the others, if no message came back.
    pub round_trip_p50_us: Option<u64>,
    /// 99th percentile of round trips.
    pub round_trip_p99_us: Option<u64>,
    /// Longest round trip.
    pub round_trip_max_us: Option<u64>,
    /// Time of the whole run, connecting and closing included.
    pub seconds: f64,
    /// Bytes echoed per second, each counted once.
    pub mib_per_second: f64,
    /// Every connection that failed, in the order of their numbers.
    pub failures: Vec<FailureRecord>,
}

/// A failed connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureRecord {
    /// Number of the connection, from 0.
    pub connection: u32,
    /// Our address on it; null if it was never established.
    pub local: Option<SocketAddr>,
    /// The kind, by the name of its exit code.
    pub kind: Exit,
    /// Offset in the echoed stream; null if it was never established.
    pub offset: Option<u64>,
    /// What happened, in words.
    pub detail: String,
}

impl Report {
    /// Sums up a run of `elapsed`.
    #[must_use]
    pub fn new(args: &EchoArgs, tally: &Tally, failures: &[Failure], elapsed: Duration) -> Self {
        let count = |exit| {
            failures
                .iter()
                .filter(|failure| failure.cause.exit() == exit)
                .count() as u64
        };
        let quantile = |quantile| {
            let recorded = !tally.round_trips_us.is_empty();
            recorded.then(|| tally.round_trips_us.value_at_quantile(quantile))
        };
        Self {
            addr: args.target.addr,
            connections: args.target.connections,
            messages_per_connection: args.messages,
            size_min_bytes: args.size.min(),
            size_max_bytes: args.size.max(),
            seed: args.seed,
            window_bytes: args.window,
            timeout_seconds: args.timeout.as_secs_f64(),
            messages: tally.round_trips_us.len(),
            bytes: tally.bytes,
            mismatches: count(Exit::Mismatch),
            ended_early: count(Exit::EndedEarly),
            refused: count(Exit::Refused),
            timeouts: count(Exit::TimedOut),
            round_trip_p50_us: quantile(0.5),
            round_trip_p99_us: quantile(0.99),
            round_trip_max_us: quantile(1.0),
            seconds: elapsed.as_secs_f64(),
            mib_per_second: mib_per_second(tally.bytes, elapsed),
            failures: failures.iter().map(FailureRecord::from).collect(),
        }
    }
}

impl From<&Failure> for FailureRecord {
    fn from(failure: &Failure) -> Self {
        Self {
            connection: failure.connection,
            local: failure.local,
            kind: failure.cause.exit(),
            offset: failure.cause.offset(),
            detail: failure.cause.to_string(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros =
            |time: Option<u64>| time.map_or_else(|| "-".to_owned(), |time| format!("{time} us"));
        let rows = [
            ("connections", self.connections.to_string()),
            ("messages", self.messages.to_string()),
            ("bytes", self.bytes.to_string()),
            ("mismatches", self.mismatches.to_string()),
            ("ended early", self.ended_early.to_string()),
            ("refused", self.refused.to_string()),
            ("timeouts", self.timeouts.to_string()),
            ("round trip p50", micros(self.round_trip_p50_us)),
            ("round trip p99", micros(self.round_trip_p99_us)),
            ("round trip max", micros(self.round_trip_max_us)),
            ("seconds", format!("{:.3}", self.seconds)),
            ("MiB/s", format!("{:.1}", self.mib_per_second)),
        ];
        let width = rows.iter().map(|(_, value)| value.len()).max().unwrap_or(0);
        rows.iter()
            .try_for_each(|(name, value)| writeln!(f, "{name:<16}{value:>width$}"))
    }
}

/// What all connections of a run have done so far.
#[derive(Debug)]
pub struct Tally {
    bytes: u64,
    round_trips_us: Histogram<u64>,
}

impl Tally {
    /// Counts a message.
    pub fn add(&mut self, round_trip: RoundTrip) {
        self.bytes += round_trip.bytes;
        self.round_trips_us
            .saturating_record(u64::try_from(round_trip.time.as_micros()).unwrap_or(u64::MAX));
    }
}

impl Default for Tally {
    fn default() -> Self {
        let round_trips_us =
            Histogram::new_with_max(LONGEST_US, DIGITS).expect("the bounds are constant and valid");
        Self {
            bytes: 0,
            round_trips_us,
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate for people: 53 bits are plenty"
)]
fn mib_per_second(bytes: u64, elapsed: Duration) -> f64 {
    bytes as f64 / f64::from(1 << 20) / elapsed.as_secs_f64()
}

/// Round trips are kept with this many significant digits.
const DIGITS: u8 = 3;
/// A day: no deadline is longer.
const LONGEST_US: u64 = 86_400_000_000;
