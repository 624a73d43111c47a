//! `cargo xtask test`: every check and every test of the repository, and one account of them.
//!
//! A step that fails does not stop the others; all failures are listed at the end. Steps are
//! ordered by how soon they can fail. The last line counts the tests that the runners report, and
//! each step as one more. Must not know what a test is about.

mod counts;
mod sanitize;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::build::{self, DRIVERS, Flavour};
use crate::process::{Finished, Step, ask, check_interrupt};
use crate::{check_image, inf, kit, paths, toolchain};
use counts::Counts;

/// The packages that run in the kernel, or stand in for it: tested on the native target.
const KERNEL_SIDE: [&str; 13] = [
    "wsk-sys",
    "wsk",
    "wsk-sim",
    "wsk-sim-cc",
    "wsk-sim-c-driver",
    "wsk-device",
    "wsk-entry",
    "wsk-parameters",
    "wsk-echo",
    "wsk-gate",
    "wsk-npi",
    "wsk-npi-client",
    "wsk-npi-provider",
];
/// Ordinary host programs.
const TOOLS: [&str; 4] = ["xtask", "wsk-harness", "wsk-gate-counters", "wsk-echo-file"];

/// Options of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run only the native tests whose name contains NAME
    #[arg(long, value_name = "NAME", conflicts_with = "only")]
    native: Option<String>,
    /// Run the native tests that a sanitizer can run, and nothing else
    #[arg(long, conflicts_with_all = ["native", "only"])]
    sanitize: bool,
    /// Run only this step (may be repeated)
    #[arg(long, value_name = "STEP")]
    only: Vec<Part>,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Formatting
    Fmt,
    /// The repository's own rules
    Tidy,
    /// What the simulator covers of the rules
    SimCoverage,
    /// What the library wraps of the interface, and tests
    ApiCoverage,
    /// Clippy on the host tools
    ClippyTools,
    /// Unit and integration tests of the host tools
    Tools,
    /// Clippy on the kernel-side crates
    ClippyNative,
    /// Tests of the kernel-side crates, in a process of the host
    Native,
    /// Documentation
    Docs,
    /// The images: their properties, their INF files, the size of the release builds
    Image,
    /// Type check for 64-bit ARM
    Arm64,
    /// The drivers, loaded in Wine
    Drivers,
    /// The drivers, loaded in Wine on the simulator's WSK provider
    DriversOnSim,
    /// Manifests and lock file as they were
    Lock,
    /// The native tests again, under a sanitizer
    Sanitize,
}

/// What a step found.
#[derive(Debug, Default)]
struct Outcome {
    counts: Counts,
    problems: Vec<String>,
}

/// `cargo xtask test`.
pub fn run(args: &Args) -> Result<()> {
    let manifests = manifests()?;
    let parts: Vec<_> = match &args.native {
        Some(_) => vec![Part::Native],
        None if args.sanitize => vec![Part::Sanitize],
        None if args.only.is_empty() => usual_parts(),
        None => args.only.clone(),
    };
    let (mut total, mut problems, mut times) = (Counts::default(), Vec::new(), Vec::new());
    for part in parts {
        check_interrupt()?;
        let started = Instant::now();
        let outcome = part.run(args.native.as_deref(), &manifests);
        times.push((part, started.elapsed()));
        let outcome = outcome.unwrap_or_else(|error| Outcome {
            problems: vec![format!("{error:#}")],
            ..Outcome::default()
        });
        total.add(&outcome.counts);
        total.add(&Counts::step(outcome.problems.is_empty()));
        for problem in &outcome.problems {
            eprintln!("{}: {problem}", part.name());
        }
        problems.extend(outcome.problems.into_iter().map(|problem| (part, problem)));
    }
    report(&times, &problems, &total);
    if !problems.is_empty() || total.failed > 0 {
        bail!("tests failed");
    }
    if args.native.is_some() && total.passed + total.skipped <= 1 {
        bail!(
            "no native test has this name\n  what to do: `cargo xtask test --native ''` runs all"
        );
    }
    Ok(())
}

/// All but the one that is only made when asked for.
fn usual_parts() -> Vec<Part> {
    let parts = Part::value_variants().iter().copied();
    parts.filter(|part| *part != Part::Sanitize).collect()
}

fn report(times: &[(Part, Duration)], problems: &[(Part, String)], total: &Counts) {
    println!("\nTimes:");
    for (part, time) in times {
        println!("  {:<14} {:>7.1} s", part.name(), time.as_secs_f64());
    }
    if !problems.is_empty() {
        println!("\nFailures:");
    }
    for (part, problem) in problems {
        println!(
            "  {}: {}",
            part.name(),
            problem.lines().next().unwrap_or_default()
        );
    }
    println!(
        "\n{} passed, {} failed, {} skipped",
        total.passed, total.failed, total.skipped
    );
}

impl Part {
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn run(self, filter: Option<&str>, manifests: &Manifests) -> Result<Outcome> {
        match self {
            Self::Fmt => judge(
                toolchain::host_cargo("formatting")
                    .args(["fmt", "--all", "--check", "--", "--color", "never"]),
            ),
            Self::Tidy => judge(own_command("tidy", "tidy")?),
            Self::SimCoverage => judge(own_command("coverage of the simulator", "sim-coverage")?),
            Self::ApiCoverage => judge(own_command("coverage of the interface", "api-coverage")?),
            Self::ClippyTools => judge(clippy(
                toolchain::host_cargo("clippy, tools").args(["clippy", "--locked"]),
                &[&toolchain::TOOL_PROFILE, &packages(&TOOLS)[..]].concat(),
            )),
            Self::Tools => judge(
                toolchain::host_cargo("tests of the tools")
                    .args(["test", "--locked", "--no-fail-fast"])
                    .args(toolchain::TOOL_PROFILE)
                    .args(packages(&TOOLS)),
            ),
            Self::ClippyNative => {
                let kit = kit::ensure()?;
                let step = toolchain::native_cargo(&kit, "clippy, kernel side", &["clippy"]);
                judge(clippy(step, &packages(&KERNEL_SIDE)))
            }
            Self::Native => native(filter),
            Self::Docs => docs(),
            Self::Image => image(),
            Self::Arm64 => build::check_arm64(&kit::ensure()?).map(|()| Outcome::default()),
            Self::Drivers => judge(own_command("tests in Wine", "driver-tests")?),
            Self::DriversOnSim => judge(
                own_command("tests in Wine on the simulator", "driver-tests")?
                    .args(["--provider", "sim"]),
            ),
            Self::Lock => unchanged(manifests),
            Self::Sanitize => sanitize::run(&kit::ensure()?),
        }
    }
}

/// Runs a step and counts the tests that it reports.
fn judge(step: Step) -> Result<Outcome> {
    step.attempt().map(|finished| count(&finished))
}

fn count(finished: &Finished) -> Outcome {
    let (counts, failed) = counts::read(&finished.output);
    for test in counts::skipped(&finished.output) {
        println!("  SKIPPED {test}");
    }
    let mut problems: Vec<_> = failed.iter().map(|name| format!("test {name}")).collect();
    problems.extend(finished.check().err().map(|error| error.to_string()));
    Outcome { counts, problems }
}

fn packages<'a>(names: &[&'a str]) -> Vec<&'a str> {
    names.iter().flat_map(|&name| ["--package", name]).collect()
}

fn clippy(step: Step, arguments: &[&str]) -> Step {
    step.args(arguments)
        .args(["--all-targets", "--", "--deny", "warnings"])
}

/// Another command of xtask as a program of its own: its output goes to a log as well.
fn own_command(what: &str, command: &str) -> Result<Step> {
    let xtask = env::current_exe().context("cannot find the program that runs")?;
    Ok(Step::new(what, xtask).arg(command))
}

fn native(filter: Option<&str>) -> Result<Outcome> {
    let kit = kit::ensure()?;
    let reached = paths::report().join("reached");
    if reached.exists() {
        fs::remove_dir_all(&reached)
            .with_context(|| format!("cannot remove {}", reached.display()))?;
    }
    let step = toolchain::native_cargo(&kit, "native tests", &["test", "--no-fail-fast"])
        .args(packages(&KERNEL_SIDE))
        .env("WSK_SIM_REACHED", &reached);
    let step = match filter {
        // Doc tests would be compiled one by one only to be left out by their names.
        Some(filter) => step.args(["--lib", "--tests", "--", filter]),
        None => step,
    };
    let finished = step.attempt()?;
    // The line may stand behind what the runner was just writing.
    for (_, fact) in finished
        .output
        .lines()
        .filter_map(|line| line.split_once("facts: "))
    {
        println!("  facts: {fact}");
    }
    let mut outcome = count(&finished);
    if filter.is_none() {
        let covered = own_command("what the native tests have reached", "api-coverage")?
            .arg("--reached")
            .arg(&reached)
            .attempt()?;
        outcome.problems.extend(count(&covered).problems);
    }
    Ok(outcome)
}

fn docs() -> Result<Outcome> {
    let kit = kit::ensure()?;
    judge(
        toolchain::native_cargo(&kit, "documentation", &["doc", "--no-deps"])
            .args(packages(&KERNEL_SIDE))
            .env("RUSTDOCFLAGS", "--deny warnings"),
    )
}

/// Builds what would be shipped, and checks and measures it.
fn image() -> Result<Outcome> {
    let kit = kit::ensure()?;
    let mut problems = Vec::new();
    for driver in &DRIVERS {
        let inx = paths::root()
            .join("inf")
            .join(format!("{}.inx", driver.image));
        let text =
            fs::read_to_string(&inx).with_context(|| format!("cannot read {}", inx.display()))?;
        let broken = inf::check(&text, driver.image);
        problems.extend(
            broken
                .iter()
                .map(|rule| format!("{}: {rule}", inx.display())),
        );

        for flavour in [Flavour::Debug, Flavour::Release] {
            let sys = build::build(&kit, driver, flavour)?;
            let bytes = fs::read(&sys).with_context(|| format!("cannot read {}", sys.display()))?;
            let checked = check_image::check_file(&kit, &sys, &bytes);
            problems.extend(checked.err().map(|error| error.to_string()));
            if flavour == Flavour::Release {
                problems.extend(too_large(&sys, bytes.len() as u64, driver.limit));
            }
        }
    }
    Ok(Outcome {
        problems,
        ..Outcome::default()
    })
}

/// What is wrong with the size of an image, in bytes.
fn too_large(sys: &Path, size: u64, limit: u64) -> Option<String> {
    let sys = sys.display();
    println!("  {sys}: {size} bytes, limit {limit}");
    (size > limit).then(|| format!("{sys} is larger than {limit} bytes"))
}

/// The contents of Cargo.lock and of every manifest.
type Manifests = BTreeMap<PathBuf, Vec<u8>>;

fn manifests() -> Result<Manifests> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let text = ask(
        cargo,
        &["metadata", "--locked", "--no-deps", "--format-version", "1"],
    )?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).context("`cargo metadata` did not write JSON")?;
    let packages = metadata["packages"]
        .as_array()
        .context("`cargo metadata` has no packages")?;
    let root = paths::root();
    let mut files = vec![root.join("Cargo.lock"), root.join("Cargo.toml")];
    files.extend(
        packages
            .iter()
            .filter_map(|package| package["manifest_path"].as_str())
            .map(PathBuf::from),
    );
    files
        .into_iter()
        .map(|path| {
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok((path, bytes))
        })
        .collect()
}

/// No build may change a manifest or the lock file.
fn unchanged(before: &Manifests) -> Result<Outcome> {
    let after = manifests()?;
    let changed = before
        .iter()
        .filter(|(path, bytes)| after.get(*path) != Some(*bytes));
    let problems = changed
        .map(|(path, _)| format!("{} has changed", path.display()))
        .collect();
    Ok(Outcome {
        problems,
        ..Outcome::default()
    })
}
