//! A sample driver as its users see it: its image, its service in Wine, the lines it prints, and
//! its client.
//!
//! Shared by `demo` and `driver_tests`. `wine` loads it; what a service or a prefix is, is known
//! there. `echo` and `gate` know what is particular to each. The lines are those that the drivers'
//! sources promise: `listening on ADDRESS` once it serves, or `started` if it has no clients on the
//! network, `start failed: CALL: STATUS` if it does not, `stopped: NAME=NUMBER ...` at unload.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::build::{self, Flavour};
use crate::process::Step;
use crate::wine::{Line, NtStatus, Position, Service, Start, Wine};
use crate::{kit, paths, toolchain};

/// How long a line may take from the driver to the log.
const LINE_LIMIT: Duration = Duration::from_secs(5);

/// What a driver counted, as it says at unload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counted(BTreeMap<String, u64>);

impl Counted {
    /// Reads `connections=1 echoes=2 ..`.
    fn parse(line: &str) -> Result<Self> {
        let field = |field: &str| {
            let (name, number) = field.split_once('=')?;
            Some((name.to_owned(), number.parse().ok()?))
        };
        let fields: Option<_> = line.split_whitespace().map(field).collect();
        let fields = fields.with_context(|| format!("no list of counters: {line}"))?;
        Ok(Self(fields))
    }

    /// One of the counters; fails if there is none of this name.
    pub fn get(&self, name: &str) -> Result<u64> {
        let number = self.0.get(name).copied();
        number.with_context(|| format!("the driver's last line has no number `{name}`: {self:?}"))
    }

    /// What is alive although nothing should be.
    pub fn leaked(&self) -> Result<u64> {
        Ok(self.get("operations")? + self.get("buffers")? + self.get("sockets")?)
    }
}

/// Builds and signs an image for Wine.
pub fn build_image(driver: &build::Driver) -> Result<PathBuf> {
    build::build(&kit::ensure()?, driver, Flavour::Wine)
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

/// A driver's service in a running Wine.
#[derive(Debug)]
pub struct Driver<'w> {
    wine: &'w Wine,
    image: &'static str,
    /// To set its parameters.
    pub service: Service<'w>,
}

impl<'w> Driver<'w> {
    /// Creates a service named `name` for the installed image of `driver`.
    pub fn create(wine: &'w Wine, driver: &build::Driver, name: &str) -> Result<Self> {
        let service = Service::create(wine, name, &driver.file_name(), driver.group)?;
        Ok(Self {
            wine,
            image: driver.image,
            service,
        })
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

    /// Starts it; fails unless it says that it has.
    pub fn start(&self) -> Result<()> {
        let before = self.wine.log().position();
        self.service.start_running()?;
        self.line(before, "started").map(drop)
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
    pub fn stop(&self, limit: Duration) -> Result<Counted> {
        let before = self.wine.log().position();
        self.service.stop(limit)?;
        Counted::parse(&self.line(before, "stopped: ")?)
    }

    /// What follows `start` in the driver's next line that has it.
    pub fn line(&self, from: Position, start: &str) -> Result<String> {
        let start = format!("{}: {start}", self.image);
        let find = |line: &Line| match line {
            Line::Driver(text) => text.strip_prefix(&start).map(str::to_owned),
            Line::LoadFailed { .. } | Line::Wine(_) => None,
        };
        let what = format!("`{start}..`");
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

    #[test]
    fn last_line_gives_every_counter() {
        let line = "connections=8 operations=2 buffers=3 sockets=4";
        let counted = Counted::parse(line).unwrap();
        assert_eq!(counted.get("connections").unwrap(), 8);
        assert_eq!(counted.leaked().unwrap(), 2 + 3 + 4);
    }

    #[test]
    fn last_line_without_a_counter_is_an_error_that_names_it() {
        let counted = Counted::parse("operations=1 buffers=2").unwrap();
        let error = counted.leaked().unwrap_err().to_string();
        assert!(error.contains("`sockets`"), "{error}");
        assert!(Counted::parse("operations=1 buffers=").is_err());
    }
}
