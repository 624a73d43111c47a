//! `cargo xtask driver-tests`: the sample drivers, really loaded, in Wine; part of
//! `cargo xtask test`.
//!
//! All cases run in one session of Wine, one after the other, each with services of its own. After
//! a case that failed the session is ended and a new one started, so that no case sees what
//! another left. `echo`, `gate` and `npi` hold the cases of these drivers, `cases` what they share,
//! `clients` the TCP clients that they need. Reports like Rust's test runner, which
//! `cargo xtask test` understands.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::build::{DRIVERS, Driver};
use crate::netio::Provider;
use crate::process;
use crate::sample::{self, Harness};
use crate::wine::Wine;
use cases::Case;

mod cases;
mod clients;
mod echo;
mod gate;
mod npi;

/// Options of `cargo xtask driver-tests`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run only the cases whose name contains NAME
    #[arg(value_name = "NAME", default_value = "")]
    filter: String,
    /// Test this image instead of building it, known by its name (may be repeated)
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// Who provides Winsock Kernel
    #[arg(long, value_enum, default_value_t = Provider::Wine)]
    provider: Provider,
}

/// What a case works with.
#[derive(Debug)]
struct Bench {
    wine: Wine,
    harness: Harness,
    /// The program that asks the gatekeeper, where that can run.
    counters: Option<PathBuf>,
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
    let wanted: Vec<_> = cases::all()
        .filter(|case| case.name.contains(&args.filter))
        .collect();
    if wanted.is_empty() {
        bail!("no case has `{}` in its name", args.filter);
    }
    let images = images(&args.image)?;
    let harness = sample::build_harness()?;
    let netio = args.provider.build()?;
    let counters = match args.provider {
        Provider::Sim => Some(crate::gate::build_counters()?),
        Provider::Wine => None,
    };
    let start = || -> Result<Bench> {
        let wine = Wine::start(netio.as_ref())?;
        for (image, name) in &images {
            wine.install_image(image, name)?;
        }
        Ok(Bench {
            wine,
            harness: harness.clone(),
            counters: counters.clone(),
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
        if !run_case(case, args.provider, &bench, &mut tally) {
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
        bail!("{} tests of the drivers in Wine failed", tally.failed);
    }
    Ok(())
}

/// The images of all drivers, with their names: those that are given, and the others built.
fn images(given: &[PathBuf]) -> Result<Vec<(PathBuf, String)>> {
    let image = |driver: &Driver| {
        let name = driver.file_name();
        let found = given.iter().find(|image| image.ends_with(&name));
        let image = match found {
            Some(image) => image.clone(),
            None => sample::build_image(driver)?,
        };
        Ok((image, name))
    };
    let is_unknown = |image: &&PathBuf| {
        !DRIVERS
            .iter()
            .any(|driver| image.ends_with(driver.file_name()))
    };
    if let Some(image) = given.iter().find(is_unknown) {
        bail!("{} has the name of no sample driver", image.display());
    }
    DRIVERS.iter().map(image).collect()
}

/// Runs one case and reports it. False if it failed.
fn run_case(case: &Case, provider: Provider, bench: &Bench, tally: &mut Tally) -> bool {
    let before = bench.wine.log().position();
    let started = Instant::now();
    let result = match case.provider {
        Some(needed) if needed != provider => {
            let name = needed.name();
            Ok(Outcome::Skipped(format!(
                "it is for the WSK provider \"{name}\""
            )))
        }
        _ => (case.run)(bench),
    };
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
