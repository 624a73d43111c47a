//! Every command of this repository: `cargo xtask COMMAND`.
//!
//! One file for each command; `process` and `paths` are what they share. xtask is an ordinary host
//! program. It knows the names of the packages it builds, never what is inside them.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod api_coverage;
mod build;
mod check_image;
mod demo;
mod driver_tests;
mod echo;
mod gate;
mod inf;
mod kit;
mod netio;
mod paths;
mod process;
mod progress;
mod sample;
mod sign;
mod sim_bench;
mod sim_coverage;
mod test;
mod tidy;
mod toolchain;
mod wine;

/// Builds, checks, tests and demonstrates the wsk crates and their sample drivers.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Assemble what building Windows drivers on Linux needs
    Kit(kit::Args),
    /// Build and test-sign the sample drivers
    Build(build::Args),
    /// Check that a file is a driver image that Windows accepts
    CheckImage(check_image::Args),
    /// Load a sample driver in Wine and let TCP clients talk to it
    Demo(demo::Args),
    /// Check the rules of the repository that a machine can check
    Tidy(tidy::Args),
    /// Test the sample drivers, loaded in Wine
    DriverTests(driver_tests::Args),
    /// Measure how fast the simulator is
    SimBench(sim_bench::Args),
    /// List which rules of the contract the simulator implements and tests
    SimCoverage(sim_coverage::Args),
    /// List which safe item wraps each part of the interface, and which test exercises it
    ApiCoverage(api_coverage::Args),
    /// Run every check and every test
    Test(test::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match process::stop_on_interrupt().and_then(|()| run(&cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> anyhow::Result<()> {
    match task {
        Task::Kit(args) => kit::run(args),
        Task::Build(args) => build::run(args),
        Task::CheckImage(args) => check_image::run(args),
        Task::Demo(args) => demo::run(args),
        Task::Tidy(args) => tidy::run(args),
        Task::DriverTests(args) => driver_tests::run(args),
        Task::SimBench(args) => sim_bench::run(args),
        Task::SimCoverage(args) => sim_coverage::run(args),
        Task::ApiCoverage(args) => api_coverage::run(args),
        Task::Test(args) => test::run(args),
    }
}
