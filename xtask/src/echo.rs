//! What is particular to the sample `wsk_echo`: what it counts, and the program that uses its
//! device.
//!
//! Used by `demo` and `driver_tests`.

use std::path::PathBuf;

use anyhow::Result;

use crate::sample::{self, Counted};

/// The port on which the driver listens unless its parameters say otherwise.
pub const DEFAULT_PORT: u16 = 40007;

/// Builds the program, for Wine.
pub fn build_file() -> Result<PathBuf> {
    sample::build_program("wsk-echo-file")
}

/// What the driver counted, beside what is left alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Connections served.
    pub connections: u64,
    /// Pieces of data sent back.
    pub echoes: u64,
    /// Bytes sent back.
    pub bytes: u64,
    /// Connections turned away because there were too many.
    pub refused: u64,
    /// Allocations for the requests of a connection after its first echo.
    pub late_allocations: u64,
}

impl Counters {
    /// Fails unless every counter is there.
    pub fn read(counted: &Counted) -> Result<Self> {
        Ok(Self {
            connections: counted.get("connections")?,
            echoes: counted.get("echoes")?,
            bytes: counted.get("bytes")?,
            refused: counted.get("refused")?,
            late_allocations: counted.get("late_allocations")?,
        })
    }
}
