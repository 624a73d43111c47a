//! What there is to show of each sample driver: how it is set up, what its clients do, and which
//! figures must come of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde_json::Value;

use crate::build::{Driver, ECHO, GATEKEEPER};
use crate::netio::Provider;
use crate::process::Step;
use crate::sample::{Counted, Harness};
use crate::wine::{Service, Wine};
use crate::{echo, gate};

/// A sample driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sample {
    /// `wsk_echo`, a TCP echo server
    Echo,
    /// `wsk_gate`, a TCP server that decides who may connect
    Gate,
}

/// What there is to show of one.
#[derive(Debug)]
pub struct Show {
    pub driver: &'static Driver,
    pub default_port: u16,
    /// The provider of Winsock Kernel that is used unless another is asked for.
    pub provider: Provider,
    /// The name of the report.
    pub report: &'static str,
    /// Sets parameters, beside the port.
    pub set_up: fn(&Service<'_>) -> Result<()>,
    /// What the clients do, in words.
    pub what: &'static str,
    /// Builds the program that the clients need beside the harness, if they need one.
    pub program: Option<fn() -> Result<PathBuf>>,
    /// The clients; they write their figures as JSON.
    pub clients: fn(&Clients<'_>) -> Step,
    /// The figure of the clients that says how much was wrong.
    pub mismatches: &'static str,
    /// Fails unless the figures of the clients and of the driver are what they should be.
    pub judge: fn(&Value, &Counted) -> Result<()>,
}

/// What the clients work with.
#[derive(Debug)]
pub struct Clients<'a> {
    pub harness: &'a Harness,
    pub wine: &'a Wine,
    /// What [`Show::program`] has built.
    pub program: Option<&'a Path>,
    pub address: SocketAddr,
}

impl Sample {
    /// What there is to show of it.
    pub fn show(self) -> &'static Show {
        match self {
            Self::Echo => &SHOW_ECHO,
            Self::Gate => &SHOW_GATE,
        }
    }
}

const SHOW_ECHO: Show = Show {
    driver: &ECHO,
    default_port: echo::DEFAULT_PORT,
    provider: Provider::Wine,
    report: "demo.json",
    set_up: |_| Ok(()),
    what: "echo through native TCP clients",
    program: None,
    clients: echo_clients,
    mismatches: "mismatches",
    judge: judge_echo,
};

/// Connections of the clients, messages on each, and their sizes.
const CONNECTIONS: u32 = 8;
const MESSAGES: u64 = 1000;
const SIZES: &str = "1..16KiB";

fn echo_clients(clients: &Clients<'_>) -> Step {
    let step = clients
        .harness
        .command("clients", "echo", clients.address, CONNECTIONS);
    step.args(["--messages", &MESSAGES.to_string(), "--size", SIZES])
}

fn judge_echo(figures: &Value, counted: &Counted) -> Result<()> {
    let messages = number(figures, "messages")?;
    let bytes = number(figures, "bytes")?;
    ensure!(
        messages == u64::from(CONNECTIONS) * MESSAGES,
        "{messages} messages came back"
    );
    let driver = echo::Counters::read(counted)?;
    ensure!(
        driver.late_allocations == 0,
        "the driver allocated memory for {} requests after a connection's first echo",
        driver.late_allocations
    );
    ensure!(
        driver.connections >= u64::from(CONNECTIONS) && driver.bytes >= bytes,
        "the clients count {bytes} bytes on {CONNECTIONS} connections, the driver {} on {}",
        driver.bytes,
        driver.connections
    );
    Ok(())
}

const SHOW_GATE: Show = Show {
    driver: &GATEKEEPER,
    default_port: gate::DEFAULT_PORT,
    // Wine's own has no conditional accept.
    provider: Provider::Sim,
    report: "demo-gate.json",
    set_up: set_up_gate,
    what: "connect from addresses that are let in and others that are refused",
    program: Some(gate::build_counters),
    clients: gate_clients,
    mismatches: "failed",
    judge: judge_gate,
};

/// Who is let in and who is refused, how often each connects, and how often it may.
const ADMITTED: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.4"];
const REFUSED: [&str; 2] = ["127.0.0.3", "127.0.0.200"];
const DENY: [&str; 2] = ["127.0.0.3", "127.0.0.128/25"];
const EACH: u32 = 5;
const RATE: u32 = 3;

fn set_up_gate(service: &Service<'_>) -> Result<()> {
    service.set_texts("Deny", &DENY)?;
    service.set_number("RateLimit", RATE)?;
    service.set_number("RateSeconds", 3600)
}

fn gate_clients(clients: &Clients<'_>) -> Step {
    let counters = clients.program.expect("`Show::program` builds it");
    let sources = (&ADMITTED[..], &REFUSED[..]);
    let Clients {
        harness,
        wine,
        address,
        ..
    } = clients;
    let step = gate::clients(harness, wine, counters, *address, EACH, sources);
    step.args(["--rate", &RATE.to_string()])
}

/// The clients have compared their counts with the driver's.
fn judge_gate(_: &Value, counted: &Counted) -> Result<()> {
    let served = counted.get("served")?;
    let refused = counted.get("rejected_by_rule")? + counted.get("rejected_by_rate")?;
    let expected = (
        ADMITTED.len() as u64 * u64::from(RATE),
        ADMITTED.len() as u64 * u64::from(EACH - RATE) + REFUSED.len() as u64 * u64::from(EACH),
    );
    ensure!(
        (served, refused) == expected,
        "the driver served {served} connections and refused {refused}, not {expected:?}"
    );
    Ok(())
}

/// One of the clients' figures.
pub fn number(figures: &Value, name: &str) -> Result<u64> {
    let number = figures.get(name).and_then(Value::as_u64);
    number.with_context(|| format!("wsk-harness reports no number `{name}`"))
}
