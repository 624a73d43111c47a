//! What is particular to the sample `wsk_gate`: the program that asks it for its counters, and the
//! clients, some of which it refuses.
//!
//! Used by `demo` and `driver_tests`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::process::Step;
use crate::sample::{self, Harness};
use crate::wine::Wine;

/// The port on which the driver listens unless its parameters say otherwise.
pub const DEFAULT_PORT: u16 = 40008;

/// Builds the program, for Wine.
pub fn build_counters() -> Result<PathBuf> {
    sample::build_program("wsk-gate-counters")
}

/// Clients from the sources `admitted` and `refused`, with so many connections each. They compare
/// what they see with what the driver counts, for which they run `counters` in `wine`.
pub fn clients(
    harness: &Harness,
    wine: &Wine,
    counters: &Path,
    addr: SocketAddr,
    connections: u32,
    (admitted, refused): (&[&str], &[&str]),
) -> Step {
    let admitted = admitted.iter().flat_map(|source| ["--admitted", source]);
    let refused = refused.iter().flat_map(|source| ["--refused", source]);
    let step = harness.command("clients of wsk_gate", "gate", addr, connections);
    wine.with_environment(step.args(admitted).args(refused))
        .args(["--query", "wine"])
        .arg(counters)
}
