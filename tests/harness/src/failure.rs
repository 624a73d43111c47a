//! What can go wrong on a connection, in words that say where, what was expected, and what to
//! check.
//!
//! Made by [`connect`](crate::connect), [`exchange`](crate::exchange) and the commands; turned into
//! exit codes by [`Exit`]. Knows nothing of how a failure is found.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::content::Origin;

/// A failure with the connection it happened on.
#[derive(Debug, thiserror::Error)]
#[error("connection {connection}{}: {cause}\n  check: {}", FromAddress(*.local), .cause.advice())]
pub struct Failure {
    /// Number of the connection, from 0.
    pub connection: u32,
    /// Our address on that connection, as the peer sees it; `None` if it was never established.
    pub local: Option<SocketAddr>,
    /// What happened.
    #[source]
    pub cause: Cause,
}

/// What went wrong on one connection. Offsets count bytes of the echoed stream from 0.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// A byte came back that differs from the one sent.
    #[error(
        "mismatch at offset {offset} (message {message}): expected {}, got {}; {finding}",
        Hex(.expected), Hex(.got)
    )]
    Mismatch {
        /// Offset of the first wrong byte.
        offset: u64,
        /// Number of the message it belongs to, from 0.
        message: u64,
        /// The first bytes expected there.
        expected: Vec<u8>,
        /// The first bytes received there.
        got: Vec<u8>,
        /// What the bytes after it tell.
        finding: Finding,
    },
    /// Bytes came back beyond all that was sent.
    #[error(
        "mismatch at offset {offset}: expected {expected}, got {} too many: {}",
        Bytes(*count as u64), Hex(.got)
    )]
    Surplus {
        /// Offset of the first byte too many: the number of bytes sent.
        offset: u64,
        /// What was to come instead.
        expected: Expected,
        /// How many bytes too many were read at once.
        count: usize,
        /// The first of them.
        got: Vec<u8>,
    },
    /// The peer closed or reset the connection while bytes were still to come back.
    #[error("{ending} at offset {offset}: expected {expected}")]
    EndedEarly {
        /// How it ended.
        ending: Ending,
        /// Number of bytes that had come back.
        offset: u64,
        /// What was to come instead.
        expected: Expected,
    },
    /// Nothing moved for the whole time allowed.
    #[error("timed out after {} s at offset {offset}: expected {expected}", .waited.as_secs_f64())]
    TimedOut {
        /// Number of bytes that had come back.
        offset: u64,
        /// What was to come.
        expected: Expected,
        /// The time allowed.
        waited: std::time::Duration,
    },
    /// The connection could not be established.
    #[error("could not connect: {0}")]
    Refused(#[source] io::Error),
    /// The connection was neither established nor refused in time.
    #[error("timed out after {} s while connecting", .0.as_secs_f64())]
    ConnectTimedOut(std::time::Duration),
    /// What came first is not the line that says that the connection is let in.
    #[error("greeting: expected {expected:?}, got {:?}", String::from_utf8_lossy(.got))]
    Greeting {
        /// The line that the server owes.
        expected: String,
        /// As many bytes as that.
        got: Vec<u8>,
    },
    /// Data came back where a refusal was expected.
    #[error(
        "served: expected to be refused or closed without data, got {}: {}",
        Bytes(*count as u64), Hex(.got)
    )]
    Served {
        /// How many bytes were read at once.
        count: usize,
        /// The first of them.
        got: Vec<u8>,
    },
}

impl Cause {
    /// The exit code that this failure asks for.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Mismatch { .. } | Self::Surplus { .. } | Self::Greeting { .. } => Exit::Mismatch,
            Self::EndedEarly { .. } => Exit::EndedEarly,
            Self::TimedOut { .. } | Self::ConnectTimedOut(_) => Exit::TimedOut,
            Self::Refused(_) => Exit::Refused,
            Self::Served { .. } => Exit::Served,
        }
    }

    /// Offset in the echoed stream, where there is one.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Mismatch { offset, .. }
            | Self::Surplus { offset, .. }
            | Self::EndedEarly { offset, .. }
            | Self::TimedOut { offset, .. } => Some(*offset),
            Self::Refused(_)
            | Self::ConnectTimedOut(_)
            | Self::Greeting { .. }
            | Self::Served { .. } => None,
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Mismatch { .. } => {
                "does the driver send exactly the bytes that each receive reports, in order, and \
                 leave a buffer alone until its send completes? The same --seed sends the same \
                 bytes again"
            }
            Self::Surplus { .. } => {
                "does the driver send the byte count that the receive reports, not the size of its \
                 buffer, and nothing of its own?"
            }
            Self::EndedEarly { .. } => {
                "the driver's log for a failed receive or send, and its maximum number of \
                 connections"
            }
            Self::TimedOut {
                expected: Expected::EndOfFile,
                ..
            } => "does the driver disconnect once a receive completes with 0 bytes?",
            Self::TimedOut {
                expected: Expected::PeerToEnd,
                ..
            } => {
                "was the driver told to stop, or is it at its maximum number of connections, \
                 and does it close those it will not serve?"
            }
            Self::TimedOut { .. } => {
                "the driver's log for an operation that never completed or a receive that was not \
                 issued again; on a slow machine raise --timeout"
            }
            Self::Refused(_) => {
                "is the driver started (sc query), and is this the address it listens on?"
            }
            Self::ConnectTimedOut(_) => {
                "does the driver still accept, and does the host answer at all? On a slow \
                 machine raise --timeout"
            }
            Self::Greeting { .. } => "is this the address of a gatekeeper?",
            Self::Served { .. } => {
                "is the driver stopped, or below its maximum number of connections? A gatekeeper: \
                 do its rules refuse this source, is its period over?"
            }
        }
    }
}

/// What the bytes from the first wrong one on tell about the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The stream goes on in its place.
    Altered {
        /// Number of wrong bytes before it does.
        bytes: u64,
    },
    /// The stream goes on too early.
    Lost {
        /// Number of bytes left out.
        bytes: u64,
    },
    /// The stream goes on too late.
    Inserted {
        /// Number of bytes inserted or repeated.
        bytes: u64,
    },
    /// What came belongs to another connection.
    Foreign(Origin),
    /// Too few bytes came to tell, or they are of no stream of this run.
    Unknown,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Altered { bytes } => write!(
                f,
                "{} altered: the stream goes on in its place",
                Bytes(*bytes)
            ),
            Self::Lost { bytes } => {
                write!(f, "{} lost: the stream goes on too early", Bytes(*bytes))
            }
            Self::Inserted { bytes } => write!(
                f,
                "{} inserted or repeated: the stream goes on too late",
                Bytes(*bytes)
            ),
            Self::Foreign(origin) => {
                write!(
                    f,
                    "the bytes are those of connection {} at offset {}",
                    origin.connection, origin.offset
                )
            }
            Self::Unknown => write!(
                f,
                "what follows is of no stream of this run, or too short to tell"
            ),
        }
    }
}

/// What was to come when something else, or nothing, came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The echo of bytes sent.
    Echo {
        /// Number of bytes sent that have not come back.
        outstanding: u64,
    },
    /// Nothing: all that was sent has come back.
    Nothing,
    /// The line that says that the connection is let in.
    Greeting,
    /// End of file in answer to ours.
    EndOfFile,
    /// The peer closing or resetting the connection, or refusing it.
    PeerToEnd,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo { outstanding } => write!(f, "the echo of {} sent", Bytes(*outstanding)),
            Self::Nothing => write!(f, "nothing before more is sent"),
            Self::Greeting => write!(f, "the line that says that it is let in"),
            Self::EndOfFile => write!(f, "end of file"),
            Self::PeerToEnd => write!(f, "the peer to end the connection"),
        }
    }
}

/// How a connection ended.
#[derive(Debug)]
pub enum Ending {
    /// By the peer's end of file.
    Closed,
    /// By the peer's reset.
    Reset,
    /// By an error of another kind.
    Broken(io::Error),
}

impl Ending {
    /// True if it was the peer that ended the connection.
    #[must_use]
    pub fn by_peer(&self) -> bool {
        matches!(self, Self::Closed | Self::Reset)
    }
}

impl From<io::Error> for Ending {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // What a reset looks like to a read or write; to a write and then to a shutdown behind
            // it.
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected => Self::Reset,
            _ => Self::Broken(error),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => write!(f, "closed by the peer"),
            Self::Reset => write!(f, "reset by the peer"),
            Self::Broken(error) => write!(f, "broken ({error})"),
        }
    }
}

/// Exit code of the program; of several failures the lowest code decides. Usage errors exit with 2,
/// troubles of the harness itself with 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Exit {
    /// All went as expected.
    Success = 0,
    /// A byte was wrong, lost, repeated or too many.
    Mismatch = 3,
    /// A connection was closed, reset or broken before its time.
    EndedEarly = 4,
    /// A deadline passed.
    TimedOut = 5,
    /// A connection could not be established.
    Refused = 6,
    /// A connection was served where a refusal was expected.
    Served = 7,
    /// The driver counts otherwise than the clients.
    Miscounted = 8,
}

impl Exit {
    /// The exit code for a run with these failures.
    #[must_use]
    pub fn of(failures: &[Failure]) -> Self {
        failures
            .iter()
            .map(|failure| failure.cause.exit())
            .min()
            .unwrap_or(Self::Success)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The first bytes of `bytes`, for a message.
#[must_use]
pub fn excerpt(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(EXCERPT)].to_vec()
}

/// How many bytes a message shows.
pub const EXCERPT: usize = 8;

/// A number of bytes in words.
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} byte{plural}", self.0)
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

struct FromAddress(Option<SocketAddr>);

impl fmt::Display for FromAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |local| write!(f, " (from {local})"))
    }
}
