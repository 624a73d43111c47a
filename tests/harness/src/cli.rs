//! The command line: what can be asked of the harness, and the parsing of sizes and times.
//!
//! Read by `main`; the commands take its structs as their whole input. Knows nothing of how they
//! are carried out.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};
use serde::{Deserialize, Serialize};

use crate::content::{Content, MAX_CONNECTIONS};

/// TCP client that exercises the sample drivers and verifies every byte that comes back.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send messages, verify their echo, then half-close and expect end of file.
    Echo(EchoArgs),
    /// Stream echo traffic until the peer ends every connection; print `busy: N` once all N are
    /// served.
    Hold(HoldArgs),
    /// Send half of a message, leave its echo unread, and reset.
    Reset(ResetArgs),
    /// Expect to be refused, or closed without data.
    Refused(RefusedArgs),
    /// Connect from sources that a gatekeeper lets in and from others that it refuses; compare with
    /// what it counts.
    Gate(GateArgs),
}

/// Whom to connect to, and how often.
#[derive(Clone, Copy, Debug, Args)]
pub struct Target {
    /// Address of the server, such as 127.0.0.1:40007.
    #[arg(long)]
    pub addr: SocketAddr,
    /// Number of concurrent connections.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..i64::from(MAX_CONNECTIONS)))]
    pub connections: u32,
}

/// Arguments of `echo`.
#[derive(Clone, Debug, Args)]
pub struct EchoArgs {
    /// Whom to connect to.
    #[command(flatten)]
    pub target: Target,
    /// Messages to send on each connection.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub messages: u64,
    /// Sizes of messages, both ends included, such as 1..16KiB, or one size.
    #[arg(long, value_name = "LO..HI")]
    pub size: SizeRange,
    /// Determines sizes and contents of all messages.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Longest wait without progress: to connect, for a message, for the final close.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    pub timeout: Duration,
    /// Write the result to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Send up to so many bytes ahead of their echo; without it a message is sent once the one
    /// before has come back.
    #[arg(long, value_name = "BYTES", value_parser = parse_window)]
    pub window: Option<u64>,
}

/// Arguments of `hold`.
#[derive(Clone, Copy, Debug, Args)]
pub struct HoldArgs {
    /// Whom to connect to.
    #[command(flatten)]
    pub target: Target,
    /// How long the peer has to end every connection, from the start.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = parse_seconds)]
    pub timeout: Duration,
}

/// Arguments of `reset`.
#[derive(Clone, Copy, Debug, Args)]
pub struct ResetArgs {
    /// Whom to connect to.
    #[command(flatten)]
    pub target: Target,
    /// Longest wait to connect, to send, and for an answer to be pending.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    pub timeout: Duration,
}

/// Arguments of `refused`.
#[derive(Clone, Copy, Debug, Args)]
pub struct RefusedArgs {
    /// Whom to connect to.
    #[command(flatten)]
    pub target: Target,
    /// How long the peer has to refuse or close each connection.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    pub timeout: Duration,
}

/// Arguments of `gate`.
#[derive(Clone, Debug, Args)]
pub struct GateArgs {
    /// Address of the server, such as 127.0.0.1:40008.
    #[arg(long)]
    pub addr: SocketAddr,
    /// A source that is let in, an address of this host such as 127.0.0.2 (may be repeated).
    #[arg(long, value_name = "IP", required_unless_present = "refused")]
    pub admitted: Vec<IpAddr>,
    /// A source that is refused (may be repeated).
    #[arg(long, value_name = "IP")]
    pub refused: Vec<IpAddr>,
    /// Connections from each source, one after the other.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MOST_EACH))]
    pub connections: u32,
    /// Connections of each admitted source that are let in; those behind must be refused. Without
    /// it all are let in.
    #[arg(long, value_name = "CONNECTIONS")]
    pub rate: Option<u32>,
    /// Messages to send on each connection that is let in.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub messages: u64,
    /// Command that prints the driver's counters, a line `name=number` for each; asked before and
    /// after. Nobody else may connect meanwhile.
    #[arg(long, value_name = "PROGRAM", num_args = 1..)]
    pub query: Vec<OsString>,
    /// Longest wait without progress: to connect, for a message, for the end of a connection, for
    /// the counters.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    pub timeout: Duration,
    /// Write the result to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Sizes of messages in bytes, both ends included; never empty, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeRange {
    min: u64,
    max: u64,
}

impl SizeRange {
    /// Sizes from `min` to `max`.
    ///
    /// # Errors
    /// If a message could be empty, or none can be.
    pub fn new(min: u64, max: u64) -> Result<Self, String> {
        match (min, max) {
            (0, _) => Err("a message has 1 byte at least: an empty one has no echo".to_owned()),
            _ if min > max => Err(format!(
                "{min} is more than {max}: write the smaller size first"
            )),
            _ if max > MAX_SIZE => Err(format!(
                "{max} is more than {MAX_SIZE}, the largest size of a message"
            )),
            _ => Ok(Self { min, max }),
        }
    }

    /// The size of the `index`-th message on a connection.
    #[must_use]
    pub fn pick(&self, content: &Content, index: u64) -> u64 {
        self.min + content.choice(index, self.max - self.min + 1)
    }

    /// The smallest size.
    #[must_use]
    pub fn min(&self) -> u64 {
        self.min
    }

    /// The largest size.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }
}

impl FromStr for SizeRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("..") {
            Some((min, max)) => Self::new(parse_size(min)?, parse_size(max)?),
            None => parse_size(text).and_then(|size| Self::new(size, size)),
        }
    }
}

impl fmt::Display for SizeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.min, self.max)
    }
}

fn parse_size(text: &str) -> Result<u64, String> {
    let size = text.parse::<ByteSize>();
    size.map(|size| size.as_u64()).map_err(|_| {
        format!("`{text}` is not a size: write bytes, or a number with a unit such as 16KiB")
    })
}

fn parse_window(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err("with a window of 0 bytes nothing can be sent".to_owned()),
        window => Ok(window),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse::<f64>()
        .ok()
        .filter(|seconds| *seconds > 0.0 && *seconds <= MAX_SECONDS);
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("write seconds, more than 0 and at most {MAX_SECONDS}"))
}

const MOST_EACH: i64 = 10_000;
const MAX_SIZE: u64 = 1 << 40;
const MAX_SECONDS: f64 = 86_400.0;

const EXIT_CODES: &str = "\
Exit codes (of several failures the lowest of 3..8 decides):
  0  all went as expected
  1  trouble of the harness itself, such as a JSON file that cannot be written
  2  wrong usage
  3  mismatch: a byte was wrong, lost, repeated or too many
  4  a connection was closed, reset or broken before its time
  5  a deadline passed
  6  a connection was refused or could not be established
  7  `refused`, `gate`: a connection was served that had to be refused
  8  `gate`: the driver counts otherwise than the clients";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_plain_bytes_binary_and_decimal_units() {
        let parsed = |text: &str| text.parse::<SizeRange>().map(|size| (size.min, size.max));
        assert_eq!(parsed("1..16384"), Ok((1, 16384)));
        assert_eq!(parsed("1..16KiB"), Ok((1, 16384)));
        assert_eq!(parsed("2KB..1MiB"), Ok((2000, 1 << 20)));
        assert_eq!(parsed("4096"), Ok((4096, 4096)));
        assert_eq!(parsed("7..7"), Ok((7, 7)));
    }

    #[test]
    fn sizes_that_make_no_sense_are_refused_with_the_reason() {
        let refusal = |text: &str| text.parse::<SizeRange>().unwrap_err();
        assert!(refusal("0..5").contains("1 byte at least"));
        assert!(refusal("0").contains("1 byte at least"));
        assert!(refusal("1..2TiB").contains("largest size"));
        assert!(refusal("9..5").contains("9 is more than 5"));
        for text in ["", "..", "1..", "..5", "1..x", "-1..5", "1...5", "16QiB"] {
            assert!(
                refusal(text).contains("not a size"),
                "{text}: {}",
                refusal(text)
            );
        }
    }

    #[test]
    fn picked_sizes_cover_both_ends_and_stay_within() {
        let (size, content) = (SizeRange::new(3, 5).unwrap(), Content::new(1, 0));
        let picked: Vec<u64> = (0..100).map(|index| size.pick(&content, index)).collect();
        assert!(picked.contains(&3) && picked.contains(&5));
        assert!(picked.iter().all(|size| (3..=5).contains(size)));
    }

    #[test]
    fn seconds_are_positive_finite_and_bounded() {
        assert_eq!(parse_seconds("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_seconds("90"), Ok(Duration::from_secs(90)));
        for text in ["0", "-1", "NaN", "inf", "86401", "1e30", "soon", ""] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_window_of_no_bytes_is_refused() {
        assert_eq!(parse_window("64KiB"), Ok(65536));
        assert!(parse_window("0").is_err());
    }
}
