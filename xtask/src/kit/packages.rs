//! The Debian packages that the kit is assembled from and the tools it runs.
//!
//! Installs what is missing when run as root, otherwise prints the command and stops. Knows names
//! and one library path, nothing of what is done with them.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{Step, ask};

/// The directory in which bindgen finds libclang.
pub const LIBCLANG: &str = "/usr/lib/llvm-19/lib";

/// Needed by every build: compiler and library for bindgen, linker and librarian, mingw's headers
/// and export lists, the signing tools, and Wine to load the driver in.
const ALWAYS: [&str; 8] = [
    "clang-19",
    "libclang1-19",
    "lld-19",
    "mingw-w64-x86-64-dev",
    "openssl",
    "osslsigncode",
    "wine",
    "wine64",
];

/// Needed when rustup's toolchain lacks the Windows target.
const RUST: [&str; 3] = ["cargo-web", "rust-web-src", "rustc-web"];

/// Installs what is missing.
pub fn ensure(with_rust: bool) -> Result<()> {
    let rust: &[&str] = if with_rust { &RUST } else { &[] };
    let wanted: Vec<_> = ALWAYS.iter().chain(rust).copied().collect();
    let missing = missing(&wanted)?;
    if missing.is_empty() {
        return Ok(());
    }
    let command = format!(
        "apt-get install --no-install-recommends {}",
        missing.join(" ")
    );
    if ask("id", &["-u"])?.trim() != "0" {
        bail!("Debian packages are missing\n  what to do: as root, run\n    {command}");
    }
    let install = |what: &str| {
        apt(what)
            .args(["install", "--yes", "--no-install-recommends"])
            .args(&missing)
    };
    let what = format!("install {} Debian packages", missing.len());
    if install(&what).attempt()?.status.success() {
        return Ok(());
    }
    // The package lists are absent or older than the archive.
    apt("update the package lists").arg("update").run()?;
    install(&what)
        .advice("this is made for Debian 12; `apt-cache policy PACKAGE` tells what is on offer")
        .run()
        .map(drop)
}

fn apt(what: &str) -> Step {
    Step::new(what, "apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-o", "DPkg::Lock::Timeout=300"])
}

/// Those of `wanted` that are not installed.
fn missing<'a>(wanted: &[&'a str]) -> Result<Vec<&'a str>> {
    // It exits with 1 when it does not know one of the names, and lists the others all the same.
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status} ${Package}\n"])
        .args(wanted)
        .output()
        .context("cannot run dpkg-query\n  what to do: the kit needs Debian 12")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let installed: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("installed "))
        .collect();
    Ok(wanted
        .iter()
        .copied()
        .filter(|name| !installed.contains(name))
        .collect())
}
