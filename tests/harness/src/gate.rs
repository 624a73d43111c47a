//! `wsk-harness gate`: connects from sources that a gatekeeper lets in and from others that it
//! refuses, and compares what the clients saw with what the driver counts.
//!
//! Called by [`run`](crate::run). A connection that is let in begins with the line
//! `admitted ADDRESS`, which names the client's address; then it is an echo. The connections of one
//! source are made one after the other, so that it is known which of them are above its rate; the
//! sources connect at the same time. How the driver is asked is not known here: a program does it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, timeout, timeout_at};

use crate::cli::{GateArgs, SizeRange};
use crate::connect::{self, Connection};
use crate::exchange::{self, Plan};
use crate::failure::{Cause, Ending, Exit, Expected, Failure};
use crate::json::JsonFile;
use crate::limit::Limit;
use crate::refused::turned_away;

/// What is wrong.
#[derive(Debug)]
pub struct Found {
    /// Connections that did not go as expected.
    pub failures: Vec<Failure>,
    /// Counters that say something else than the clients.
    pub miscounts: Vec<Miscount>,
}

impl Found {
    /// The exit code of the run.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match Exit::of(&self.failures) {
            Exit::Success if !self.miscounts.is_empty() => Exit::Miscounted,
            exit => exit,
        }
    }
}

/// A counter that says something else than the clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miscount {
    counter: &'static str,
    expected: u64,
    counted: Option<u64>,
}

impl fmt::Display for Miscount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            counter,
            expected,
            counted,
        } = self;
        match counted {
            Some(counted) => write!(
                f,
                "counter {counter}: the clients make it {expected}, the driver counts {counted}"
            )?,
            None => write!(f, "counter {counter}: the driver does not tell it")?,
        }
        write!(f, "\n  check: did anybody else connect meanwhile?")
    }
}

/// The counters of the driver, by their names.
pub type Counters = BTreeMap<String, u64>;

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The server.
    pub addr: SocketAddr,
    /// Every source, with what became of its connections.
    pub sources: Vec<Source>,
    /// Connections that did not go as expected.
    pub failed: usize,
    /// Bytes that came back.
    pub bytes: u64,
    /// What the driver has counted during the run; null if it was not asked.
    pub counted: Option<Counters>,
    /// What the driver has counted since it was started; null if it was not asked.
    pub counters: Option<Counters>,
    /// Time of the whole run.
    pub seconds: f64,
}

/// What became of the connections of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its address.
    pub source: IpAddr,
    /// Connections that were let in, and served to their end.
    pub served: u32,
    /// Connections that were refused, and had to be.
    pub refused: u32,
}

/// Carries out the command; prints what became of each source, and the counters, to `out`.
///
/// # Errors
/// If the results cannot be written, the driver cannot be asked, or a task panicked.
pub async fn run(args: &GateArgs, out: &mut impl Write) -> anyhow::Result<Found> {
    let json = args.json.as_deref().map(JsonFile::create).transpose()?;
    let before = query(&args.query, args.timeout).await?;
    let started = Instant::now();
    let plans = plans(args)?;
    let count = u32::try_from(plans.len()).context("too many sources")?;
    let ends = connect::all(count, |number| source(plans[number as usize].clone())).await?;
    let after = query(&args.query, args.timeout).await?;

    let mut report = Report {
        addr: args.addr,
        sources: Vec::new(),
        failed: 0,
        bytes: 0,
        counted: before
            .zip(after.clone())
            .map(|both| difference(&both.0, &both.1)),
        counters: after,
        seconds: started.elapsed().as_secs_f64(),
    };
    let mut failures = Vec::new();
    for end in ends {
        report.sources.push(end.source);
        report.bytes += end.bytes;
        failures.extend(end.failures);
    }
    report.failed = failures.len();
    write!(out, "{report}").context("could not print the result")?;
    let miscounts = match &report.counted {
        // After a failure nobody knows what should have been counted.
        Some(counted) if failures.is_empty() => miscounts(args, &report, counted),
        _ => Vec::new(),
    };
    if let Some(json) = json {
        json.write(&report)?;
    }
    Ok(Found {
        failures,
        miscounts,
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for source in &self.sources {
            let Source {
                source,
                served,
                refused,
            } = source;
            writeln!(f, "{source:<15} served: {served}, refused: {refused}")?;
        }
        for (name, number) in self.counters.iter().flatten() {
            writeln!(f, "counter {name:<17} {number}")?;
        }
        Ok(())
    }
}

/// What one source has to do.
#[derive(Clone, Debug)]
struct SourcePlan {
    source: IpAddr,
    addr: SocketAddr,
    /// The number of its first connection.
    first: u32,
    /// How many of its connections are let in, and how many are made.
    admitted: u32,
    connections: u32,
    exchange: Plan,
}

/// How the connections of a source ended.
struct SourceEnd {
    source: Source,
    bytes: u64,
    failures: Vec<Failure>,
}

fn plans(args: &GateArgs) -> anyhow::Result<Vec<SourcePlan>> {
    let most = args.rate.unwrap_or(args.connections).min(args.connections);
    let admitted = args.admitted.iter().map(|source| (*source, most));
    let refused = args.refused.iter().map(|source| (*source, 0));
    let sources: Vec<_> = admitted.chain(refused).collect();
    let total = u64::from(args.connections) * sources.len() as u64;
    let exchange = Plan {
        seed: 1,
        connections: u32::try_from(total).context("too many connections")?,
        messages: Some(args.messages),
        size: SizeRange::new(1, LARGEST_MESSAGE).map_err(anyhow::Error::msg)?,
        window: None,
        limit: Limit::Idle(args.timeout),
    };
    let numbered = (0_u32..).step_by(args.connections as usize).zip(sources);
    let plan = |(first, (source, admitted))| SourcePlan {
        source,
        addr: args.addr,
        first,
        admitted,
        connections: args.connections,
        exchange,
    };
    Ok(numbered.map(plan).collect())
}

/// Makes the connections of one source.
async fn source(plan: SourcePlan) -> SourceEnd {
    let mut end = SourceEnd {
        source: Source {
            source: plan.source,
            served: 0,
            refused: 0,
        },
        bytes: 0,
        failures: Vec::new(),
    };
    for index in 0..plan.connections {
        let (number, limit) = (plan.first + index, plan.exchange.limit);
        let opened = Connection::open_from(Some(plan.source), plan.addr, number, limit).await;
        if index < plan.admitted {
            match serve(opened, number, &plan.exchange).await {
                Ok(bytes) => {
                    end.source.served += 1;
                    end.bytes += bytes;
                }
                Err(failure) => end.failures.push(failure),
            }
        } else {
            match turned_away(opened, number, limit).await {
                Ok(_) => end.source.refused += 1,
                Err(failure) => end.failures.push(failure),
            }
        }
    }
    end
}

/// Has a connection served to its end; gives the bytes that came back.
async fn serve(
    opened: Result<Connection, Failure>,
    number: u32,
    plan: &Plan,
) -> Result<u64, Failure> {
    let Connection {
        local, mut stream, ..
    } = opened?;
    let fail = |cause| Failure {
        connection: number,
        local,
        cause,
    };
    greeting(&mut stream, plan.limit).await.map_err(fail)?;
    let (reader, writer) = stream.split();
    let mut bytes = 0;
    let exchanged = exchange::run(plan, number, reader, writer, |trip| bytes += trip.bytes);
    exchanged.await.map_err(fail)?;
    Ok(bytes)
}

/// Reads the line that says that the connection is let in.
async fn greeting(stream: &mut TcpStream, limit: Limit) -> Result<(), Cause> {
    let local = stream.local_addr().map_err(Cause::Refused)?;
    let expected = format!("admitted {local}\n");
    let mut got = vec![0; expected.len()];
    let owed = Expected::Greeting;
    let read = timeout_at(limit.deadline(), stream.read_exact(&mut got)).await;
    let read = read.map_err(|_| Cause::TimedOut {
        offset: 0,
        expected: owed,
        waited: limit.duration(),
    })?;
    if let Err(error) = read {
        let ending = match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Ending::Closed,
            _ => error.into(),
        };
        return Err(Cause::EndedEarly {
            ending,
            offset: 0,
            expected: owed,
        });
    }
    if got != expected.as_bytes() {
        return Err(Cause::Greeting { expected, got });
    }
    Ok(())
}

/// Asks the driver; `None` if nobody said how.
async fn query(command: &[OsString], limit: Duration) -> anyhow::Result<Option<Counters>> {
    let [program, args @ ..] = command else {
        return Ok(None);
    };
    let name = program.to_string_lossy();
    let running = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = timeout(limit, running)
        .await
        .with_context(|| format!("`{name}` told no counters within {limit:?}"))?
        .with_context(|| format!("could not run `{name}`, which asks the driver"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "`{name}` could not ask the driver ({}): {text}",
        output.status
    );
    let counters: anyhow::Result<Counters> = text.lines().map(counter).collect();
    counters.map(Some).with_context(|| format!("from `{name}`"))
}

/// Reads `name=number`.
fn counter(line: &str) -> anyhow::Result<(String, u64)> {
    let parts = line.trim_end().split_once('=');
    match parts.map(|(name, number)| (name.to_owned(), number.parse())) {
        Some((name, Ok(number))) => Ok((name, number)),
        _ => bail!("`{line}` is no counter: expected name=number"),
    }
}

fn difference(before: &Counters, after: &Counters) -> Counters {
    let difference = |(name, number): (&String, &u64)| {
        let old = before.get(name).copied().unwrap_or(0);
        (name.clone(), number.saturating_sub(old))
    };
    after.iter().map(difference).collect()
}

/// What the driver counts otherwise than the clients, all of whose connections went as expected.
fn miscounts(args: &GateArgs, report: &Report, counted: &Counters) -> Vec<Miscount> {
    let served: u64 = report
        .sources
        .iter()
        .map(|source| u64::from(source.served))
        .sum();
    let refused: u64 = report
        .sources
        .iter()
        .map(|source| u64::from(source.refused))
        .sum();
    let by_rule = args.refused.len() as u64 * u64::from(args.connections);
    let mut expected = vec![
        ("inspected", served + refused),
        ("accepted", served),
        ("rejected_by_rule", by_rule),
        ("rejected_by_rate", refused - by_rule),
        ("aborted", 0),
        ("served", served),
        ("bytes", report.bytes),
    ];
    if args.rate.is_some() {
        expected.push(("pended", served + refused - by_rule));
    }
    let miscount = |(counter, expected): (&'static str, u64)| {
        let counted = counted.get(counter).copied();
        (counted != Some(expected)).then_some(Miscount {
            counter,
            expected,
            counted,
        })
    };
    expected.into_iter().filter_map(miscount).collect()
}

/// Messages have 1 byte to this many.
const LARGEST_MESSAGE: u64 = 16 * 1024;
