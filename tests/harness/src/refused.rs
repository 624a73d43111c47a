//! `wsk-harness refused`: expects that nobody serves, as after a driver's unload or beyond its
//! maximum of connections.
//!
//! Called by [`run`](crate::run). A connection may be established and closed again; bytes must not
//! come back. A few are sent, because a peer that serves would otherwise have nothing to say.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use crate::cli::RefusedArgs;
use crate::connect::{self, Connection};
use crate::content::Content;
use crate::failure::{Cause, Ending, Expected, Failure, excerpt};
use crate::limit::Limit;

/// Carries out the command; prints how each connection ended, and their numbers, to `out`.
///
/// # Errors
/// If the results cannot be written or a task panicked.
pub async fn run(args: &RefusedArgs, out: &mut impl Write) -> anyhow::Result<Vec<Failure>> {
    let RefusedArgs { target, timeout } = *args;
    let limit = Limit::whole(timeout);
    let one = move |number| one(target.addr, number, limit);
    let ends = connect::all(target.connections, one).await?;
    let (mut turned_away, mut failures) = (Vec::new(), Vec::new());
    for end in ends {
        match end {
            Ok((number, turned)) => {
                writeln!(out, "connection {number}: {turned}")?;
                turned_away.push(turned);
            }
            Err(failure) => failures.push(failure),
        }
    }
    for way in [Turned::Refused, Turned::Reset, Turned::Closed] {
        let count = turned_away.iter().filter(|&&turned| turned == way).count();
        write!(out, "{way}: {count}, ")?;
    }
    let is_served = |failure: &&Failure| matches!(failure.cause, Cause::Served { .. });
    writeln!(out, "served: {}", failures.iter().filter(is_served).count())?;
    Ok(failures)
}

/// How a connection was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// It was not established.
    Refused,
    /// It was reset.
    Reset,
    /// It was closed.
    Closed,
}

impl fmt::Display for Turned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Closed => "closed",
        })
    }
}

async fn one(addr: SocketAddr, number: u32, limit: Limit) -> Result<(u32, Turned), Failure> {
    let opened = Connection::open(addr, number, limit).await;
    Ok((number, turned_away(opened, number, limit).await?))
}

/// How a connection is turned away, whether it could be opened or not.
///
/// # Errors
/// If it is served, or nothing happens within `limit`.
pub async fn turned_away(
    opened: Result<Connection, Failure>,
    number: u32,
    limit: Limit,
) -> Result<Turned, Failure> {
    match opened {
        Err(failure) => at_connecting(&failure.cause).ok_or(failure),
        Ok(Connection {
            local, mut stream, ..
        }) => probe(&mut stream, number, limit)
            .await
            .map_err(|cause| Failure {
                connection: number,
                local,
                cause,
            }),
    }
}

/// How a connection was turned away that could not be opened. The reset of one that was established
/// may be noticed first.
fn at_connecting(cause: &Cause) -> Option<Turned> {
    let Cause::Refused(error) = cause else {
        return None;
    };
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(Turned::Refused),
        io::ErrorKind::ConnectionReset => Some(Turned::Reset),
        _ => None,
    }
}

async fn probe(stream: &mut TcpStream, number: u32, limit: Limit) -> Result<Turned, Cause> {
    let mut input = [0; PROBE];
    let answer = async {
        stream
            .write_all(&Content::new(1, number).bytes(0, PROBE))
            .await?;
        stream.read(&mut input).await
    };
    let waited = |_| Cause::TimedOut {
        offset: 0,
        expected: Expected::PeerToEnd,
        waited: limit.duration(),
    };
    let ending = match timeout_at(limit.deadline(), answer).await.map_err(waited)? {
        Ok(0) => Ending::Closed,
        Ok(count) => {
            return Err(Cause::Served {
                count,
                got: excerpt(&input[..count]),
            });
        }
        Err(error) => error.into(),
    };
    match ending {
        Ending::Closed => Ok(Turned::Closed),
        Ending::Reset => Ok(Turned::Reset),
        Ending::Broken(_) => Err(Cause::EndedEarly {
            ending,
            offset: 0,
            expected: Expected::PeerToEnd,
        }),
    }
}

const PROBE: usize = 64;
