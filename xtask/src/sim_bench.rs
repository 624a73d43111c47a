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

    /// Only those of them whose name has one of these in it, such as `operation::`
    #[arg(long, value_name = "NAME", num_args = 1.., requires = "seeds")]
    tests: Vec<String>,
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
    let time = |seeds| time_tests(&kit, seeds, &args.tests);
    args.seeds.map_or(Ok(()), time)
}

fn time_tests(kit: &Kit, seeds: u64, names: &[String]) -> Result<()> {
    tests(kit, "build the engine's tests")
        .arg("--no-run")
        .run()?;
    let start = Instant::now();
    let seeds = seeds.to_string();
    let what = format!("engine's tests on {seeds} schedules each");
    let run = tests(kit, &what).env("WSK_SIM_SEEDS", &seeds).arg("--");
    let output = run.args(names).run()?.output;
    for line in output.lines().filter(|line| line.contains(" passed; ")) {
        println!("{line}");
    }
    println!("{what}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn tests(kit: &Kit, what: &str) -> Step {
    let arguments = ["test", "--release", "--package", "wsk", "--test", "on_sim"];
    toolchain::native_cargo(kit, what, &arguments)
}
