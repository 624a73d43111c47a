//! `cargo xtask driver-tests`: the sample driver, really loaded, in Wine; part of
//! `cargo xtask test`.
//!
//! All cases run in one session of Wine, one after the other, each with services of its own. After
//! a case that failed the session is ended and a new one started, so that no case sees what
//! another left. `cases` holds the cases, `clients` the TCP clients that they need. Reports like
//! Rust's test runner, which `cargo xtask test` understands.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::echo::{self, Harness};
use crate::netio::Provider;
use crate::process;
use crate::wine::Wine;
use cases::{CASES, Case};

mod cases;
mod clients;

/// Options of `cargo xtask driver-tests`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run only the cases whose name contains NAME
    #[arg(value_name = "NAME", default_value = "")]
    filter: String,
    /// Test this image instead of building one
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Who provides Winsock Kernel
    #[arg(long, value_enum, default_value_t = Provider::Wine)]
    provider: Provider,
}

/// What a case works with.
#[derive(Debug)]
struct Bench {
    wine: Wine,
    /// The file name of the installed image.
    image: String,
    harness: Harness,
}

/// How a case ended, if it did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    /// This machine cannot run it, for this reason.
    Skipped(String),
}

#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// `cargo xtask driver-tests`.
pub fn run(args: &Args) -> Result<()> {
    let image = match &args.image {
        Some(image) => image.clone(),
        None => echo::build_image()?,
    };
    let harness = echo::build_harness()?;
    let netio = args.provider.build()?;
    let wanted: Vec<_> = CASES
        .iter()
        .filter(|case| case.name.contains(&args.filter))
        .collect();
    if wanted.is_empty() {
        bail!("no case has `{}` in its name", args.filter);
    }
    let start = || -> Result<Bench> {
        let wine = Wine::start(netio.as_ref())?;
        let image = wine.install_image(&image)?;
        Ok(Bench {
            wine,
            image,
            harness: harness.clone(),
        })
    };
    let mut bench = start()?;
    let mut tally = Tally::default();
    let provider = args.provider.name();
    println!(
        "running {} tests in Wine on the WSK provider \"{provider}\"",
        wanted.len() + 1
    );
    for case in wanted {
        process::check_interrupt()?;
        if !run_case(case, &bench, &mut tally) {
            bench
                .wine
                .end()
                .context("cannot end Wine after a case that failed")?;
            bench = start().context("cannot start Wine again after a case that failed")?;
        }
    }
    let started = Instant::now();
    let ended = bench.wine.end().map(|()| Outcome::Passed);
    tally.report("session_ends_without_a_process_left", started, &ended);
    println!(
        "\ntest result: {}. {} passed; {} failed; {} ignored",
        if tally.failed == 0 { "ok" } else { "FAILED" },
        tally.passed,
        tally.failed,
        tally.skipped
    );
    if tally.failed > 0 {
        bail!("{} tests of the driver in Wine failed", tally.failed);
    }
    Ok(())
}

/// Runs one case and reports it. False if it failed.
fn run_case(case: &Case, bench: &Bench, tally: &mut Tally) -> bool {
    let before = bench.wine.log().position();
    let started = Instant::now();
    let result = (case.run)(bench);
    tally.report(case.name, started, &result);
    if result.is_err() {
        let words = bench.wine.log().quote(before);
        println!("  the driver's log, and Wine's own words:{words}");
    }
    result.is_ok()
}

impl Tally {
    fn report(&mut self, name: &str, started: Instant, result: &Result<Outcome>) {
        let seconds = started.elapsed().as_secs_f64();
        match result {
            Ok(Outcome::Passed) => {
                self.passed += 1;
                println!("test driver::{name} ... ok ({seconds:.1} s)");
            }
            Ok(Outcome::Skipped(reason)) => {
                self.skipped += 1;
                println!("test driver::{name} ... ignored: SKIPPED, {reason}");
            }
            Err(error) => {
                self.failed += 1;
                println!("test driver::{name} ... FAILED");
                println!("  {error:#}");
            }
        }
    }
}
