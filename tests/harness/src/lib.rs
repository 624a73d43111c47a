//! A user-mode TCP client that exercises the sample drivers: the peer of every test that loads one
//! for real.
//!
//! `main` parses the command line ([`cli`]) and calls [`run`], which hands over to one of five
//! commands: [`echo`], [`hold`], [`reset`], [`refused`], [`gate`]. These open connections
//! ([`connect`]) within a [`limit`]; `echo`, `hold` and `gate` let each run an [`exchange`] of
//! verified [`content`]. What goes wrong is a [`failure`]; `echo` sums up in a [`report`], and
//! writes it as [`json`] like `gate`. The client knows TCP and the echo contract alone: nothing of
//! drivers, Windows or Wine. What asks a gatekeeper for its counters is a program that it is told.

pub mod cli;
pub mod connect;
pub mod content;
pub mod echo;
pub mod exchange;
pub mod failure;
pub mod gate;
pub mod hold;
pub mod json;
pub mod limit;
pub mod refused;
pub mod report;
pub mod reset;

use std::io::Write;

use crate::cli::Command;
use crate::failure::{Exit, Failure};

/// Carries out `command`: results go to `out`, failures to `err`.
///
/// # Errors
/// If the harness itself is in trouble: it cannot write its results, or one of its tasks panicked.
/// What goes wrong on a connection is no error but decides on the exit code.
pub async fn run(
    command: &Command,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<Exit> {
    let failures = match command {
        Command::Echo(args) => echo::run(args, out).await?,
        Command::Hold(args) => hold::run(args, out).await?,
        Command::Reset(args) => reset::run(args, out).await?,
        Command::Refused(args) => refused::run(args, out).await?,
        Command::Gate(args) => {
            let found = gate::run(args, out).await?;
            for miscount in &found.miscounts {
                writeln!(err, "{miscount}")?;
            }
            show(&found.failures, err)?;
            return Ok(found.exit());
        }
    };
    show(&failures, err)?;
    Ok(Exit::of(&failures))
}

fn show(failures: &[Failure], err: &mut impl Write) -> std::io::Result<()> {
    for failure in failures.iter().take(SHOWN) {
        writeln!(err, "{failure}")?;
    }
    if let more @ 1.. = failures.len().saturating_sub(SHOWN) {
        writeln!(err, "and {more} more connections failed")?;
    }
    Ok(())
}

/// How many failures are shown in full: they are rarely different.
const SHOWN: usize = 10;
