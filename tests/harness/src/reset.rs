//! `wsk-harness reset`: clients that vanish in the middle of a message.
//!
//! Called by [`run`](crate::run). Each connection sends half of a message, leaves the echo unread
//! and resets: the peer sees its receive, and a send if one is pending, fail.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cli::ResetArgs;
use crate::connect::{self, Connection};
use crate::content::Content;
use crate::failure::{Cause, Ending, Expected, Failure};
use crate::limit::Limit;

/// Carries out the command; prints how each connection was reset to `out`.
///
/// # Errors
/// If the results cannot be written or a task panicked.
pub async fn run(args: &ResetArgs, out: &mut impl Write) -> anyhow::Result<Vec<Failure>> {
    let ResetArgs { target, timeout } = *args;
    let one = move |number| one(target.addr, number, timeout);
    let resets = connect::all(target.connections, one).await?;
    let mut failures = Vec::new();
    for reset in resets {
        match reset {
            Ok((number, Answer::Unread)) => {
                writeln!(out, "connection {number}: reset, its echo unread")?;
            }
            Ok((number, Answer::None)) => {
                writeln!(out, "connection {number}: reset, no echo had come")?;
            }
            Err(failure) => failures.push(failure),
        }
    }
    Ok(failures)
}

/// What had come back when the connection was reset.
enum Answer {
    Unread,
    None,
}

async fn one(addr: SocketAddr, number: u32, wait: Duration) -> Result<(u32, Answer), Failure> {
    let Connection {
        local, mut stream, ..
    } = Connection::open(addr, number, Limit::Idle(wait)).await?;
    let fail = |cause| Failure {
        connection: number,
        local,
        cause,
    };
    let answer = send_half(&mut stream, number, wait).await.map_err(fail)?;
    stream
        .set_zero_linger()
        .map_err(|error| fail(ended(error.into())))?;
    drop(stream);
    Ok((number, answer))
}

async fn send_half(stream: &mut TcpStream, number: u32, wait: Duration) -> Result<Answer, Cause> {
    let half = Content::new(1, number).bytes(0, HALF_A_MESSAGE);
    let sent = timeout(wait, stream.write_all(&half)).await;
    let not_sent = |_| Cause::TimedOut {
        offset: 0,
        expected: EXPECTED,
        waited: wait,
    };
    sent.map_err(not_sent)?
        .map_err(|error| ended(error.into()))?;
    match timeout(wait, stream.peek(&mut [0])).await {
        Ok(Ok(0)) => Err(ended(Ending::Closed)),
        Ok(Ok(_)) => Ok(Answer::Unread),
        Ok(Err(error)) => Err(ended(io::Error::into(error))),
        Err(_) => Ok(Answer::None),
    }
}

fn ended(ending: Ending) -> Cause {
    Cause::EndedEarly {
        ending,
        offset: 0,
        expected: EXPECTED,
    }
}

const HALF_A_MESSAGE: usize = 4096;
const EXPECTED: Expected = Expected::Echo {
    outstanding: HALF_A_MESSAGE as u64,
};
