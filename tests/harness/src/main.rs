//! The program `wsk-harness`: command line in, exit code out. Everything else is in the library,
//! where tests reach it.

use std::io::{stderr, stdout};
use std::process::ExitCode;

use clap::Parser;
use wsk_harness::cli::Cli;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let exit = wsk_harness::run(&cli.command, &mut stdout(), &mut stderr()).await?;
    Ok(exit.into())
}
