//! `wsk-harness echo`: sends messages on every connection, verifies their echo and sums up.
//!
//! Called by [`run`](crate::run). Holds what the connections share: the count of messages and the
//! progress bar.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::cli::EchoArgs;
use crate::connect::{self, Connection};
use crate::exchange::{self, Plan};
use crate::failure::Failure;
use crate::json::JsonFile;
use crate::limit::Limit;
use crate::report::{Report, Tally};

/// Carries out the command; prints the table to `out` and writes the JSON file if one is asked for.
///
/// # Errors
/// If the results cannot be written or a task panicked.
pub async fn run(args: &EchoArgs, out: &mut impl Write) -> anyhow::Result<Vec<Failure>> {
    // Before the run, so that a wrong path does not cost its result.
    let json = args.json.as_deref().map(JsonFile::create).transpose()?;
    let tally = Arc::new(Mutex::new(Tally::default()));
    let progress = progress_bar(args)?;
    let started = Instant::now();
    let (addr, plan) = (args.target.addr, plan(args));
    let one = |number| one(addr, number, plan, Arc::clone(&tally), progress.clone());
    let results = connect::all(args.target.connections, one).await?;
    let elapsed = started.elapsed();
    progress.finish_and_clear();

    let failures: Vec<Failure> = results.into_iter().filter_map(Result::err).collect();
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    let report = Report::new(args, &tally, &failures, elapsed);
    write!(out, "{report}").context("could not print the table")?;
    if let Some(json) = json {
        json.write(&report)?;
    }
    Ok(failures)
}

async fn one(
    addr: SocketAddr,
    number: u32,
    plan: Plan,
    tally: Arc<Mutex<Tally>>,
    progress: ProgressBar,
) -> Result<(), Failure> {
    let Connection {
        local, mut stream, ..
    } = Connection::open(addr, number, plan.limit).await?;
    let (reader, writer) = stream.split();
    let exchanged = exchange::run(&plan, number, reader, writer, |round_trip| {
        tally
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(round_trip);
        progress.inc(1);
    });
    exchanged.await.map_err(|cause| Failure {
        connection: number,
        local,
        cause,
    })
}

fn plan(args: &EchoArgs) -> Plan {
    Plan {
        seed: args.seed,
        connections: args.target.connections,
        messages: Some(args.messages),
        size: args.size,
        window: args.window,
        limit: Limit::Idle(args.timeout),
    }
}

/// Draws on a terminal only.
fn progress_bar(args: &EchoArgs) -> anyhow::Result<ProgressBar> {
    let messages = args
        .messages
        .saturating_mul(u64::from(args.target.connections));
    let style = "{bar:40} {human_pos}/{human_len} messages, {eta} left";
    Ok(ProgressBar::new(messages).with_style(ProgressStyle::with_template(style)?))
}
