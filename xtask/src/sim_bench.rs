//! `cargo xtask sim-bench`: how fast the simulator is, in a release build.
//!
//! The benchmark says itself what it counts, and fails if it misses its figure. With `--seeds` the
//! engine's tests are run as well, each on so many schedules, and timed.

use std::time::Instant;

use anyhow::Result;

use crate::kit::{self, Kit};
use crate::process::Step;
use crate::toolchain;

/// Options of `cargo xtask sim-bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also time the engine's tests, each on this many schedules
    #[arg(long, value_name = "COUNT")]
    seeds: Option<u64>,
}

/// `cargo xtask sim-bench`.
pub fn run(args: &Args) -> Result<()> {
    let kit = kit::ensure()?;
    let arguments = ["bench", "--package", "wsk-sim", "--bench", "requests"];
    let finished = toolchain::native_cargo(&kit, "benchmark of the simulator", &arguments).run()?;
    for line in finished
        .output
        .lines()
        .filter(|line| line.contains(" a second "))
    {
        println!("{line}");
    }
    args.seeds.map_or(Ok(()), |seeds| time_tests(&kit, seeds))
}

fn time_tests(kit: &Kit, seeds: u64) -> Result<()> {
    tests(kit, "build the engine's tests")
        .arg("--no-run")
        .run()?;
    let start = Instant::now();
    let seeds = seeds.to_string();
    let what = format!("engine's tests on {seeds} schedules each");
    tests(kit, &what).env("WSK_SIM_SEEDS", &seeds).run()?;
    println!("{what}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn tests(kit: &Kit, what: &str) -> Step {
    let arguments = ["test", "--release", "--package", "wsk", "--test", "on_sim"];
    toolchain::native_cargo(kit, what, &arguments)
}
