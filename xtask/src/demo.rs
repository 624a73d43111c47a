//! `cargo xtask demo`: the whole chain once, on real parts. Builds and signs a sample driver, loads
//! it in Wine with the service control manager, lets native TCP clients talk to it, and unloads it.
//!
//! Shows each step, the driver's own words and the clients' figures, and writes a report, for
//! `wsk_echo` `target/report/demo.json`. `shows` knows what is particular to each sample. Ends what
//! it started, however it ends: `wine` sees to that. Fails if a byte was wrong or anything of the
//! driver is left. Must not know how any step is done.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::netio::Provider;
use crate::process::Step;
use crate::sample::{self, Counted, Driver, Harness};
use crate::wine::{self, Position, Wine};
use crate::{paths, process, toolchain};
use shows::{Clients, Sample, Show, number};

mod shows;

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
    /// The TCP port of 127.0.0.1 on which the driver listens, unless it is the sample's own
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Which sample driver
    #[arg(long, value_enum, default_value_t = Sample::Echo)]
    sample: Sample,
    /// Who provides Winsock Kernel; Wine's own netio.sys for `echo`, the simulator's for `gate`,
    /// which Wine's cannot serve
    #[arg(long, value_enum)]
    provider: Option<Provider>,
}

/// What the report says.
#[derive(Debug, Serialize)]
struct Report {
    sample: &'static str,
    provider: &'static str,
    /// Connections on which something was wrong, as the clients count them.
    mismatches: u64,
    /// Operations, buffers and sockets alive at unload.
    leaked: u64,
    harness: Value,
    driver: Counted,
    driver_log: Vec<String>,
    image_bytes: u64,
    steps: Vec<StepTime>,
    seconds: f64,
    versions: Versions,
}

#[derive(Debug, Serialize)]
struct StepTime {
    step: String,
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

/// How many steps there always are; what clients need, and another provider, are built as well.
const STEPS: usize = 9;

impl Steps {
    fn run<T>(&mut self, step: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let (number, count) = (self.done.len() + 1, self.count);
        println!("[{number}/{count}] {step}");
        let started = Instant::now();
        let result = work().with_context(|| format!("step {number} of {count}, {step}, failed"))?;
        let seconds = started.elapsed().as_secs_f64();
        println!("      {seconds:.1} s");
        let step = step.to_owned();
        self.done.push(StepTime { step, seconds });
        Ok(result)
    }
}

/// `cargo xtask demo`.
pub fn run(args: &Args) -> Result<()> {
    let started = Instant::now();
    let show = args.sample.show();
    let provider = args.provider.unwrap_or(show.provider);
    let port = args.port.unwrap_or(show.default_port);
    let report = paths::report().join(show.report);
    remove_old(&report)?;
    ensure!(
        sample::is_free(port),
        "127.0.0.1:{port} is in use\n  what to do: end the program that listens there, or choose \
         another port with --port"
    );
    let mut steps = Steps {
        count: STEPS + usize::from(show.program.is_some()) + usize::from(provider == Provider::Sim),
        done: Vec::new(),
    };
    let built = build(show, &mut steps)?;
    let netio = match provider {
        Provider::Wine => None,
        Provider::Sim => steps.run("build netio.sys from the simulator", || provider.build())?,
    };
    let wine = steps.run("start Wine in its own prefix", || {
        Wine::start(netio.as_ref())
    })?;
    let loaded = with_driver(args, port, &mut steps, &wine, &built);
    let driver_log = wine.log().driver_lines();
    if loaded.is_err() {
        println!(
            "the driver's log and Wine's last words:{}",
            wine.log().quote(Position::default())
        );
    }
    let (figures, counted) = loaded?;
    steps.run("end Wine and check that nothing of it is left", || {
        wine.end()
    })?;

    let image = &built.image;
    let size = fs::metadata(image).with_context(|| format!("cannot read {}", image.display()))?;
    let content = Report {
        sample: show.driver.image,
        provider: provider.name(),
        mismatches: number(&figures, show.mismatches)?,
        leaked: counted.leaked()?,
        harness: figures,
        driver: counted,
        driver_log,
        image_bytes: size.len(),
        steps: steps.done,
        seconds: started.elapsed().as_secs_f64(),
        versions: versions()?,
    };
    write(&report, &content)?;
    judge(show, &content)?;
    println!(
        "done in {:.1} s; figures are in {}",
        content.seconds,
        report.display()
    );
    Ok(())
}

/// What is built before anything runs.
#[derive(Debug)]
struct Built {
    image: PathBuf,
    harness: Harness,
    /// What the clients need beside the harness.
    program: Option<PathBuf>,
}

fn build(show: &Show, steps: &mut Steps) -> Result<Built> {
    let step = format!("build and sign {} for Wine", show.driver.file_name());
    Ok(Built {
        image: steps.run(&step, || sample::build_image(show.driver))?,
        harness: steps.run("build wsk-harness", sample::build_harness)?,
        program: match show.program {
            Some(program) => Some(steps.run("build what its clients need", program)?),
            None => None,
        },
    })
}

/// Everything for which the driver must be loaded. Returns the clients' figures and the driver's.
fn with_driver(
    args: &Args,
    port: u16,
    steps: &mut Steps,
    wine: &Wine,
    built: &Built,
) -> Result<(Value, Counted)> {
    let show = args.sample.show();
    let name = show.driver.image;
    let mut log = LogPrinter { wine, shown: 0 };
    let driver = steps.run(&format!("sc create {name}"), || {
        wine.install_image(&built.image, &show.driver.file_name())?;
        let driver = Driver::create(wine, show.driver, name)?;
        driver.service.set_number("Port", port.into())?;
        (show.set_up)(&driver.service)?;
        Ok(driver)
    })?;
    let address = steps.run(&format!("sc start {name}"), || driver.listen())?;
    log.print_new();
    let figures = steps.run(show.what, || {
        clients((show.clients)(&Clients {
            harness: &built.harness,
            wine,
            program: built.program.as_deref(),
            address,
        }))
    })?;
    log.print_new();
    if args.keep {
        keep(name, address, &mut log)?;
    }
    let counted = steps.run(&format!("sc stop {name}"), || driver.stop(STOP_LIMIT))?;
    log.print_new();
    steps.run(&format!("sc delete {name}"), || driver.service.delete())?;
    Ok((figures, counted))
}

/// Runs the clients, shows their table, returns their figures.
fn clients(step: Step) -> Result<Value> {
    let json = paths::report().join("harness.json");
    let finished = step
        .arg("--json")
        .arg(&json)
        .time_limit(CLIENTS_LIMIT)
        .run()?;
    println!("{}", finished.output.trim_end());
    let text =
        fs::read_to_string(&json).with_context(|| format!("cannot read {}", json.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", json.display()))
}

/// Leaves the driver running until Enter; shows what it prints meanwhile.
fn keep(name: &str, address: SocketAddr, log: &mut LogPrinter<'_>) -> Result<()> {
    println!(
        "{name}.sys listens on {address}. Try: nc {} {}",
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
fn judge(show: &Show, report: &Report) -> Result<()> {
    ensure!(
        report.mismatches == 0,
        "the clients found {} connections on which something was wrong",
        report.mismatches
    );
    ensure!(
        report.leaked == 0,
        "the driver left {} objects alive",
        report.leaked
    );
    (show.judge)(&report.harness, &report.driver)
}

fn versions() -> Result<Versions> {
    let rustc = process::ask(toolchain::host_rustc(), &["--version"])?;
    Ok(Versions {
        wsk: env!("CARGO_PKG_VERSION"),
        wine: wine::version()?,
        rustc: rustc.trim().to_owned(),
    })
}
