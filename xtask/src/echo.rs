//! The sample driver `wsk_echo` as its users see it: its image, its service in Wine, the lines it
//! prints, and its client.
//!
//! Shared by `demo` and `driver_tests`. `wine` loads it; what a service or a prefix is, is known
//! there. The lines are those that the driver's sources promise: `listening on ADDRESS` once it
//! serves, `start failed: CALL: STATUS` if it does not, `stopped: NAME=NUMBER ...` at unload.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::build::Flavour;
use crate::process::Step;
use crate::wine::{Line, NtStatus, Position, Service, Start, Wine};
use crate::{build, kit, paths, toolchain};

/// The port on which the driver listens unless its parameters say otherwise.
pub const DEFAULT_PORT: u16 = 40007;
/// How long a line may take from the driver to the log.
const LINE_LIMIT: Duration = Duration::from_secs(5);
/// What every line of the driver begins with.
const PREFIX: &str = "wsk_echo: ";

/// What the driver counted, as it says at unload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Connections served.
    pub connections: u64,
    /// Pieces of data sent back.
    pub echoes: u64,
    /// Bytes sent back.
    pub bytes: u64,
    /// Connections turned away because there were too many.
    pub refused: u64,
    /// Operations still alive.
    pub operations: u64,
    /// Buffers still alive.
    pub buffers: u64,
    /// Sockets still alive.
    pub sockets: u64,
    /// Allocations for the requests of a connection after its first echo.
    pub late_allocations: u64,
}

impl Counters {
    /// What is alive although nothing should be.
    pub fn leaked(&self) -> u64 {
        self.operations + self.buffers + self.sockets
    }

    /// Reads `stopped: connections=1 echoes=2 ..`; fails unless every counter is there.
    fn parse(line: &str) -> Result<Self> {
        let value = |name: &str| {
            let mut fields = line
                .split_whitespace()
                .filter_map(|field| field.split_once('='));
            let number = fields.find(|(field, _)| *field == name);
            number
                .and_then(|(_, number)| number.parse().ok())
                .with_context(|| format!("the driver's last line has no number `{name}`: {line}"))
        };
        Ok(Self {
            connections: value("connections")?,
            echoes: value("echoes")?,
            bytes: value("bytes")?,
            refused: value("refused")?,
            operations: value("operations")?,
            buffers: value("buffers")?,
            sockets: value("sockets")?,
            late_allocations: value("late_allocations")?,
        })
    }
}

/// Builds and signs the image for Wine.
pub fn build_image() -> Result<PathBuf> {
    let kit = kit::ensure()?;
    build::build(&kit, &build::ECHO, Flavour::Wine)
}

/// Builds the client.
pub fn build_harness() -> Result<Harness> {
    toolchain::host_cargo("build wsk-harness")
        .args(["build", "--locked", "--package", "wsk-harness"])
        .args(toolchain::TOOL_PROFILE)
        .run()?;
    Ok(Harness(paths::target("tool").join("wsk-harness")))
}

/// The client.
#[derive(Clone, Debug)]
pub struct Harness(PathBuf);

impl Harness {
    /// Its program.
    pub fn program(&self) -> &Path {
        &self.0
    }

    /// One of its commands, with so many connections.
    pub fn command(&self, what: &str, name: &str, addr: SocketAddr, connections: u32) -> Step {
        Step::new(what, &self.0)
            .args([name, "--addr", &addr.to_string()])
            .args(["--connections", &connections.to_string()])
            .advice("if the driver has stopped serving, its log says why: target/wine/debug.log")
    }
}

/// The driver's service in a running Wine.
#[derive(Debug)]
pub struct Driver<'w> {
    wine: &'w Wine,
    /// To set its parameters.
    pub service: Service<'w>,
}

impl<'w> Driver<'w> {
    /// Creates a service named `name` for an installed image.
    pub fn create(wine: &'w Wine, name: &str, image: &str) -> Result<Self> {
        let service = Service::create(wine, name, image)?;
        Ok(Self { wine, service })
    }

    /// Starts it; returns the address on which it says that it listens.
    pub fn listen(&self) -> Result<SocketAddr> {
        let before = self.wine.log().position();
        self.service.start_running()?;
        let address = self.line(before, "listening on ")?;
        address
            .parse()
            .with_context(|| format!("`{address}` in the driver's log is no address"))
    }

    /// Starts it where it cannot run; returns the status of `DriverEntry`, and fails unless the
    /// driver has named it in its log and the service is not running.
    pub fn fail_to_start(&self) -> Result<(NtStatus, String)> {
        let before = self.wine.log().position();
        let start = self.service.start()?;
        let Start::Refused(refusal) = start else {
            self.stop(COLLAPSE)?;
            anyhow::bail!("{} runs, although it should not", self.service.name());
        };
        let status = refusal
            .driver_entry
            .with_context(|| format!("DriverEntry was not called: {}", refusal.error))?;
        let words = self.line(before, "start failed: ")?;
        let named = format!(": {status}");
        ensure!(
            words.ends_with(&named) && !named.contains("NTSTATUS"),
            "DriverEntry returned {status}, but the driver's log says `start failed: {words}`"
        );
        let state = self.service.query()?;
        ensure!(
            state == Some(crate::wine::State::Stopped),
            "{} is {state:?} after a start that failed",
            self.service.name()
        );
        Ok((status, words))
    }

    /// Stops it within `limit`; returns what it counted.
    pub fn stop(&self, limit: Duration) -> Result<Counters> {
        let before = self.wine.log().position();
        self.service.stop(limit)?;
        Counters::parse(&self.line(before, "stopped: ")?)
    }

    /// What follows `start` in the driver's next line that has it.
    fn line(&self, from: Position, start: &str) -> Result<String> {
        let find = |line: &Line| match line {
            Line::Driver(text) => {
                let rest = text.strip_prefix(PREFIX)?.strip_prefix(start)?;
                Some(rest.to_owned())
            }
            Line::LoadFailed { .. } | Line::Wine(_) => None,
        };
        let what = format!("`{PREFIX}{start}..`");
        self.wine.log().wait_for(from, &what, LINE_LIMIT, find)
    }
}

/// How long a driver that should not have started may take to stop.
const COLLAPSE: Duration = Duration::from_secs(10);

/// A port of 127.0.0.1 that nobody uses at this moment.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port of 127.0.0.1 is free")?;
    Ok(listener.local_addr()?.port())
}

/// Whether nobody listens on this port of 127.0.0.1.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOPPED: &str = "connections=8 echoes=9 bytes=10 refused=1 operations=2 buffers=3 \
                           sockets=4 late_allocations=5";

    #[test]
    fn last_line_gives_every_counter() {
        let counters = Counters::parse(STOPPED).unwrap();
        assert_eq!((counters.connections, counters.bytes), (8, 10));
        assert_eq!((counters.refused, counters.late_allocations), (1, 5));
        assert_eq!(counters.leaked(), 2 + 3 + 4);
    }

    #[test]
    fn last_line_without_a_counter_is_an_error_that_names_it() {
        let line = STOPPED.replace("sockets=4", "sockets=");
        let error = Counters::parse(&line).unwrap_err().to_string();
        assert!(error.contains("`sockets`"), "{error}");
    }
}
