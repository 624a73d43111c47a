//! `cargo xtask demo`: the whole chain once, on real parts. Builds and signs the sample driver,
//! loads it in Wine with the service control manager, lets native TCP clients talk to it, and
//! unloads it.
//!
//! Shows each step, the driver's own words and the clients' figures, and writes
//! `target/report/demo.json`. Ends what it started, however it ends: `wine` sees to that. Fails if
//! a byte was wrong or anything of the driver is left. Must not know how any step is done.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::echo::{self, Counters, DEFAULT_PORT, Driver, Harness};
use crate::netio::Provider;
use crate::wine::{self, Position, Wine};
use crate::{paths, process, toolchain};

/// Connections of the clients, messages on each, and their sizes.
const CONNECTIONS: u32 = 8;
const MESSAGES: u64 = 1000;
const SIZES: &str = "1..16KiB";
/// How long the clients may take.
const CLIENTS_LIMIT: Duration = Duration::from_mins(3);
/// How long the driver may take to unload.
const STOP_LIMIT: Duration = Duration::from_secs(15);
const TICK: Duration = Duration::from_millis(100);

/// Options of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Leave the driver running until Enter; Ctrl-C ends Wine at once
    #[arg(long)]
    keep: bool,
    /// The TCP port of 127.0.0.1 on which the driver listens
    #[arg(long, default_value_t = DEFAULT_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Who provides Winsock Kernel
    #[arg(long, value_enum, default_value_t = Provider::Wine)]
    provider: Provider,
}

/// What `demo.json` says.
#[derive(Debug, Serialize)]
struct Report {
    provider: &'static str,
    /// Bytes that came back wrong, as the clients count them.
    mismatches: u64,
    /// Operations, buffers and sockets alive at unload.
    leaked: u64,
    harness: Value,
    driver: Counters,
    driver_log: Vec<String>,
    image_bytes: u64,
    steps: Vec<StepTime>,
    seconds: f64,
    versions: Versions,
}

#[derive(Debug, Serialize)]
struct StepTime {
    step: &'static str,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Versions {
    wsk: &'static str,
    wine: String,
    rustc: String,
}

/// The steps of the demonstration, numbered, timed and told.
#[derive(Debug)]
struct Steps {
    count: usize,
    done: Vec<StepTime>,
}

/// How many steps there are with Wine's own provider; another one is built first.
const STEPS: usize = 9;

impl Steps {
    fn run<T>(&mut self, step: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let (number, count) = (self.done.len() + 1, self.count);
        println!("[{number}/{count}] {step}");
        let started = Instant::now();
        let result = work().with_context(|| format!("step {number} of {count}, {step}, failed"))?;
        let seconds = started.elapsed().as_secs_f64();
        println!("      {seconds:.1} s");
        self.done.push(StepTime { step, seconds });
        Ok(result)
    }
}

/// `cargo xtask demo`.
pub fn run(args: &Args) -> Result<()> {
    let started = Instant::now();
    let report = paths::report().join("demo.json");
    remove_old(&report)?;
    ensure!(
        echo::is_free(args.port),
        "127.0.0.1:{} is in use\n  what to do: end the program that listens there, or choose \
         another port with --port",
        args.port
    );
    let own = args.provider == Provider::Wine;
    let mut steps = Steps {
        count: STEPS + usize::from(!own),
        done: Vec::new(),
    };
    let image = steps.run("build and sign wsk_echo.sys for Wine", echo::build_image)?;
    let harness = steps.run("build wsk-harness", echo::build_harness)?;
    let netio = if own {
        None
    } else {
        steps.run("build netio.sys from the simulator", || {
            args.provider.build()
        })?
    };
    let wine = steps.run("start Wine in its own prefix", || {
        Wine::start(netio.as_ref())
    })?;
    let loaded = with_driver(args, &mut steps, &wine, &image, &harness);
    let driver_log = wine.log().driver_lines();
    if loaded.is_err() {
        println!(
            "the driver's log and Wine's last words:{}",
            wine.log().quote(Position::default())
        );
    }
    let (figures, counters) = loaded?;
    steps.run("end Wine and check that nothing of it is left", || {
        wine.end()
    })?;

    let size = fs::metadata(&image).with_context(|| format!("cannot read {}", image.display()))?;
    let content = Report {
        provider: args.provider.name(),
        mismatches: number(&figures, "mismatches")?,
        leaked: counters.leaked(),
        harness: figures,
        driver: counters,
        driver_log,
        image_bytes: size.len(),
        steps: steps.done,
        seconds: started.elapsed().as_secs_f64(),
        versions: versions()?,
    };
    write(&report, &content)?;
    judge(&content)?;
    println!(
        "done in {:.1} s; figures are in {}",
        content.seconds,
        report.display()
    );
    Ok(())
}

/// Everything for which the driver must be loaded. Returns the clients' figures and the driver's.
fn with_driver(
    args: &Args,
    steps: &mut Steps,
    wine: &Wine,
    image: &Path,
    harness: &Harness,
) -> Result<(Value, Counters)> {
    let mut log = LogPrinter { wine, shown: 0 };
    let driver = steps.run("sc create wsk_echo", || {
        let image = wine.install_image(image)?;
        let driver = Driver::create(wine, "wsk_echo", &image)?;
        driver.service.set_number("Port", args.port.into())?;
        Ok(driver)
    })?;
    let address = steps.run("sc start wsk_echo", || driver.listen())?;
    log.print_new();
    let figures = steps.run("echo through native TCP clients", || {
        clients(harness, address)
    })?;
    log.print_new();
    if args.keep {
        keep(address, &mut log)?;
    }
    let counters = steps.run("sc stop wsk_echo", || driver.stop(STOP_LIMIT))?;
    log.print_new();
    steps.run("sc delete wsk_echo", || driver.service.delete())?;
    Ok((figures, counters))
}

/// Runs the clients, shows their table, returns their figures.
fn clients(harness: &Harness, address: SocketAddr) -> Result<Value> {
    let json = paths::report().join("harness.json");
    let finished = harness
        .command("clients", "echo", address, CONNECTIONS)
        .args([
            "--messages",
            &MESSAGES.to_string(),
            "--size",
            SIZES,
            "--json",
        ])
        .arg(&json)
        .time_limit(CLIENTS_LIMIT)
        .run()?;
    println!("{}", finished.output.trim_end());
    let text =
        fs::read_to_string(&json).with_context(|| format!("cannot read {}", json.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", json.display()))
}

/// Leaves the driver running until Enter; shows what it prints meanwhile.
fn keep(address: SocketAddr, log: &mut LogPrinter<'_>) -> Result<()> {
    println!(
        "wsk_echo.sys listens on {address}. Try: nc {} {}",
        address.ip(),
        address.port()
    );
    println!("Enter stops it; Ctrl-C ends Wine at once.");
    let enter = enter();
    loop {
        log.print_new();
        process::check_interrupt()?;
        match enter.recv_timeout(TICK) {
            Ok(()) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {}
            // Standard input has ended, as for a job in the background: only Ctrl-C is left.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(TICK),
        }
    }
}

/// Tells when the user presses Enter.
fn enter() -> Receiver<()> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let read = io::stdin().read_line(&mut String::new());
        if read.is_ok_and(|length| length > 0) {
            // Nobody listens any more once the user has interrupted.
            let _ = sender.send(());
        }
    });
    receiver
}

/// Shows the driver's lines that have not been shown yet.
#[derive(Debug)]
struct LogPrinter<'w> {
    wine: &'w Wine,
    shown: usize,
}

impl LogPrinter<'_> {
    fn print_new(&mut self) {
        let lines = self.wine.log().driver_lines();
        for line in &lines[self.shown..] {
            println!("    | {line}");
        }
        self.shown = lines.len();
    }
}

/// An old report must not be taken for that of a demonstration that failed.
fn remove_old(report: &Path) -> Result<()> {
    let folder = paths::report();
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    if report.exists() {
        fs::remove_file(report).with_context(|| format!("cannot remove {}", report.display()))?;
    }
    Ok(())
}

fn write(path: &Path, report: &Report) -> Result<()> {
    let text = serde_json::to_string_pretty(report).context("the report cannot be written")?;
    fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

/// Fails unless the figures are what they should be.
fn judge(report: &Report) -> Result<()> {
    let messages = number(&report.harness, "messages")?;
    let bytes = number(&report.harness, "bytes")?;
    ensure!(
        report.mismatches == 0 && messages == u64::from(CONNECTIONS) * MESSAGES,
        "{messages} messages came back, {} wrong",
        report.mismatches
    );
    ensure!(
        report.leaked == 0,
        "the driver left {} objects alive",
        report.leaked
    );
    let driver = &report.driver;
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

fn number(figures: &Value, name: &str) -> Result<u64> {
    let number = figures.get(name).and_then(Value::as_u64);
    number.with_context(|| format!("wsk-harness reports no number `{name}`"))
}

fn versions() -> Result<Versions> {
    let rustc = process::ask(toolchain::host_rustc(), &["--version"])?;
    Ok(Versions {
        wsk: env!("CARGO_PKG_VERSION"),
        wine: wine::version()?,
        rustc: rustc.trim().to_owned(),
    })
}
