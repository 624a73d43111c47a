//! `cargo xtask test --sanitize`: native tests once more, compiled with a sanitizer of LLVM's.
//!
//! The sanitizers are unstable options of the compiler, whose stable releases come with their
//! runtimes all the same. What does not run is said, with the reason, and counted as skipped. Must
//! not know what a test is about.

use std::env;
use std::path::Path;

use anyhow::Result;

use super::{Outcome, count, packages};
use crate::kit::Kit;
use crate::process::ask;
use crate::{paths, toolchain};

/// Whose tests run under `AddressSanitizer`. All are built at once, so that they share what they
/// depend on.
const PACKAGES: [&str; 5] = ["wsk", "wsk-sim", "wsk-echo", "wsk-gate", "wsk-npi"];
/// The tests of drivers. The simulator gives freed memory back at once, so that late reads are seen
/// too.
const DRIVERS: Run = Run {
    what: "AddressSanitizer, drivers",
    targets: &[
        "--test", "on_sim", "--test", "counters", "--test", "echo", "--test", "gate", "--test",
        "pair",
    ],
    variables: &[("WSK_SIM_KEEP_FREED", "0"), ("WSK_SIM_SEEDS", "40")],
};
/// The tests of the simulator, and all unit tests. Some are of drivers that use freed memory, which
/// the simulator has to find, and some count what happens on their schedules.
const SIMULATOR: Run = Run {
    what: "AddressSanitizer, simulator",
    targets: &["--lib", "--test", "it"],
    variables: &[],
};

/// Tests that run in the same way.
struct Run {
    what: &'static str,
    targets: &'static [&'static str],
    /// Unless the environment has them.
    variables: &'static [(&'static str, &'static str)],
}

/// The tests that do not.
const LEFT_OUT: [(&str, &str); 4] = [
    ("wsk, compile_fail", "it runs nothing of the library"),
    (
        "wsk, loom",
        "loom checks every access itself, and takes too long when that is checked again",
    ),
    ("wsk, documentation", "its examples do not run"),
    ("wsk-sys", "its tests compare numbers and run no kernel"),
];
/// Why `ThreadSanitizer` runs nothing.
const NO_THREADS: &str = "it needs a standard library that is compiled with it, else it reports \
                          every `Arc`; and simulated threads are stacks on one thread of the \
                          host, which it cannot follow. loom looks for races";
/// The end of the name of `AddressSanitizer`'s runtime.
const RUNTIME: &str = "_rt.asan.a";

/// Runs the tests.
pub fn run(kit: &Kit) -> Result<Outcome> {
    let mut total = Outcome::default();
    let mut skip = |what: &str, reason: &str| {
        println!("  SKIPPED {what}: {reason}");
        total.counts.skipped += 1;
    };
    skip("ThreadSanitizer", NO_THREADS);
    if !has_runtime()? {
        skip("AddressSanitizer", "this toolchain has no runtime for it");
        return Ok(total);
    }
    for (what, reason) in LEFT_OUT {
        skip(&format!("AddressSanitizer, {what}"), reason);
    }
    for run in [DRIVERS, SIMULATOR] {
        let outcome = run.run(kit)?;
        total.counts.add(&outcome.counts);
        total.problems.extend(outcome.problems);
    }
    Ok(total)
}

impl Run {
    fn run(&self, kit: &Kit) -> Result<Outcome> {
        let variables = self.variables.iter();
        let step = toolchain::native_cargo(kit, self.what, &["test", "--no-fail-fast"])
            .args(packages(&PACKAGES))
            .args(self.targets)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", "-Zsanitizer=address")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("CARGO_TARGET_DIR", paths::target("address-sanitizer"))
            // The simulator finds leaks; some tests forget values on purpose.
            .env("ASAN_OPTIONS", "detect_leaks=0")
            .envs(
                variables
                    .filter(|(name, _)| env::var_os(name).is_none())
                    .copied(),
            );
        Ok(count(&step.attempt()?))
    }
}

/// Whether the compiler comes with the sanitizer's runtime.
fn has_runtime() -> Result<bool> {
    let arguments = ["--print", "target-libdir", "--target", toolchain::NATIVE];
    let libraries = ask(toolchain::host_rustc(), &arguments)?;
    let files = Path::new(libraries.trim()).read_dir()?;
    let mut names = files.filter_map(|file| Some(file.ok()?.file_name()));
    Ok(names.any(|name| name.to_string_lossy().ends_with(RUNTIME)))
}
