//! `cargo xtask test --sanitize`: native tests once more, compiled with a sanitizer of LLVM's.
//!
//! The sanitizers are unstable options of the compiler, whose stable releases come with their
//! runtimes all the same; where a runtime is missing, its run is skipped and says so. What else is
//! left out stands in a list, with reasons, and is counted as skipped. Must not know what a test is
//! about.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::counts::Counts;
use super::{Outcome, count};
use crate::kit::Kit;
use crate::process::ask;
use crate::{paths, toolchain};

/// The tests that run: a package, and which of its targets.
const RUNS: [(&str, &[&str]); 4] = [
    ("wsk", &["--lib", "--test", "on_sim", "--test", "counters"]),
    ("wsk-sim", &["--lib", "--test", "it"]),
    ("wsk-echo", &["--tests"]),
    ("wsk-gatekeeper", &["--tests"]),
];
/// The tests that do not.
const LEFT_OUT: [(&str, &str); 4] = [
    ("wsk: compile_fail", "it runs nothing of the library"),
    ("wsk: loom", "loom checks every access itself, and is too slow when that is checked again"),
    ("wsk: documentation", "its examples do not run"),
    ("wsk-sys", "its tests compare numbers"),
];
/// Schedules for each test, unless `WSK_SIM_SEEDS` says how many.
const SEEDS: &str = "40";

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub enum Sanitizer {
    /// Memory that is used after it was freed, or beyond its bounds.
    Address,
    /// Accesses of two threads that nothing orders.
    Thread,
}

impl Sanitizer {
    fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Thread => "thread",
        }
    }

    fn runtime(self) -> &'static str {
        match self {
            Self::Address => "_rt.asan.a",
            Self::Thread => "_rt.tsan.a",
        }
    }

    fn flags(self) -> &'static str {
        match self {
            Self::Address => "-Zsanitizer=address",
            // The standard library that is linked was not compiled with it.
            Self::Thread => "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer",
        }
    }

    /// The variable with the options of the runtime, and its value.
    fn options(self) -> (&'static str, &'static str) {
        match self {
            // The simulator finds leaks; tests that forget values on purpose are expected to leak.
            Self::Address => ("ASAN_OPTIONS", "detect_leaks=0"),
            Self::Thread => ("TSAN_OPTIONS", "halt_on_error=1"),
        }
    }

    /// Runs the tests.
    pub fn run(self, kit: &Kit) -> Result<Outcome> {
        let mut total = Outcome::default();
        if !self.is_available()? {
            let reason = "this toolchain has no runtime for it";
            skip(&mut total.counts, self, "everything", reason);
            return Ok(total);
        }
        for (what, reason) in LEFT_OUT {
            skip(&mut total.counts, self, what, reason);
        }
        let (options, value) = self.options();
        for (package, targets) in RUNS {
            let what = format!("{} sanitizer, {package}", self.name());
            let step = toolchain::native_cargo(kit, &what, &["test", "--no-fail-fast"])
                .args(["--package", package])
                .args(targets)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTFLAGS", self.flags())
                .env("CARGO_TARGET_DIR", paths::target(self.name()))
                .env("WSK_SIM_SEEDS", env::var("WSK_SIM_SEEDS").unwrap_or(SEEDS.into()))
                .env(options, value);
            let outcome = count(&step.attempt()?);
            total.counts.add(&outcome.counts);
            total.problems.extend(outcome.problems);
        }
        Ok(total)
    }

    /// Whether the compiler comes with the runtime.
    fn is_available(self) -> Result<bool> {
        let libraries = ask(
            toolchain::host_rustc(),
            &["--print", "target-libdir", "--target", toolchain::NATIVE],
        )?;
        Ok(has_file(Path::new(libraries.trim()), self.runtime()))
    }
}

fn skip(counts: &mut Counts, sanitizer: Sanitizer, what: &str, reason: &str) {
    println!("  SKIPPED with the {} sanitizer: {what}: {reason}", sanitizer.name());
    counts.skipped += 1;
}

fn has_file(directory: &Path, end: &str) -> bool {
    let files = directory.read_dir().into_iter().flatten().flatten();
    let mut names = files.map(|file| PathBuf::from(file.file_name()));
    names.any(|name| name.to_string_lossy().ends_with(end))
}
