//! `wsk-harness hold`: keeps connections busy until the peer ends them, as a driver does that is
//! unloaded under load.
//!
//! Called by [`run`](crate::run). Whoever waits for the line `busy: N` knows that all N connections
//! are served.

use std::io::Write;
use std::net::SocketAddr;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::cli::{HoldArgs, SizeRange};
use crate::connect::{self, Connection};
use crate::exchange::{self, Plan};
use crate::failure::{Bytes, Cause, Ending, Failure};
use crate::limit::Limit;

/// Carries out the command; prints `busy: N` and how each connection ended to `out`.
///
/// # Errors
/// If the results cannot be written or a task panicked.
pub async fn run(args: &HoldArgs, out: &mut impl Write) -> anyhow::Result<Vec<Failure>> {
    let connections = args.target.connections;
    let (served, announcements) = unbounded_channel();
    let plan = Plan {
        seed: 1,
        connections,
        messages: None,
        size: SizeRange::new(1, LARGEST_MESSAGE).map_err(anyhow::Error::msg)?,
        window: Some(WINDOW),
        limit: Limit::whole(args.timeout),
    };
    let addr = args.target.addr;
    let holding = connect::all(connections, move |number| {
        one(addr, number, plan, served.clone())
    });
    let (held, announced) = tokio::join!(holding, announce(announcements, connections, out));
    announced?;

    let mut failures = Vec::new();
    for ended in held? {
        match ended {
            Ok(Held {
                number,
                ending,
                echoed,
            }) => {
                writeln!(
                    out,
                    "connection {number}: {ending} after {} echoed",
                    Bytes(echoed)
                )?;
            }
            Err(failure) => failures.push(failure),
        }
    }
    Ok(failures)
}

/// How the peer ended a connection that it had served.
struct Held {
    number: u32,
    ending: Ending,
    echoed: u64,
}

async fn one(
    addr: SocketAddr,
    number: u32,
    plan: Plan,
    served: UnboundedSender<()>,
) -> Result<Held, Failure> {
    let Connection {
        local, mut stream, ..
    } = Connection::open(addr, number, plan.limit).await?;
    let (reader, writer) = stream.split();
    let mut messages = 0_u64;
    let ended = exchange::run(&plan, number, reader, writer, |_| {
        messages += 1;
        if messages == 1 {
            // The receiver is gone only once the output is: then the run fails for that.
            let _ = served.send(());
        }
    });
    match ended
        .await
        .expect_err("without a last message, an exchange does not end by itself")
    {
        Cause::EndedEarly { ending, offset, .. } if ending.by_peer() && messages > 0 => Ok(Held {
            number,
            ending,
            echoed: offset,
        }),
        cause => Err(Failure {
            connection: number,
            local,
            cause,
        }),
    }
}

/// Says so once every connection has had a message back.
async fn announce(
    mut served: UnboundedReceiver<()>,
    connections: u32,
    out: &mut impl Write,
) -> std::io::Result<()> {
    for _ in 0..connections {
        if served.recv().await.is_none() {
            return Ok(());
        }
    }
    writeln!(out, "busy: {connections}")?;
    out.flush()
}

const LARGEST_MESSAGE: u64 = 16 * 1024;
/// Enough that there is always something on its way in both directions.
const WINDOW: u64 = 64 * 1024;
