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
/// and export lists, and its linker for libraries in Wine, the signing tools, and Wine to load the
/// driver in.
const ALWAYS: [&str; 9] = [
    "clang-19",
    "gcc-mingw-w64-x86-64-win32",
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
/// The workspace's minimum Rust version is 1.91. Debian 12's release has an older one than its
/// updates.
const RUST_MINOR: u32 = 91;

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
    // Lists that are older than the archive would name packages that are gone, or old ones.
    apt("update the package lists").arg("update").run()?;
    apt(&format!("install {} Debian packages", missing.len()))
        .args(["install", "--yes", "--no-install-recommends"])
        .args(&missing)
        .advice("this is made for Debian 12; `apt-cache policy PACKAGE` tells what is on offer")
        .run()?;
    let still: Vec<_> = self::missing(&wanted)?;
    if !still.is_empty() {
        bail!(
            "the archive's {} are too old: Rust 1.{RUST_MINOR} or newer is needed\n  what to do: \
             add Debian 12's updates and security archives to the package sources",
            still.join(", ")
        );
    }
    Ok(())
}

fn apt(what: &str) -> Step {
    Step::new(what, "apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-o", "DPkg::Lock::Timeout=300"])
}

/// Those of `wanted` that are not installed, or too old.
fn missing<'a>(wanted: &[&'a str]) -> Result<Vec<&'a str>> {
    // It exits with 1 when it does not know one of the names, and lists the others all the same.
    let output = Command::new("dpkg-query")
        .args([
            "--show",
            "--showformat=${db:Status-Status} ${Package} ${Version}\n",
        ])
        .args(wanted)
        .output()
        .context("cannot run dpkg-query\n  what to do: the kit needs Debian 12")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let installed: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("installed ")?.split_once(' '))
        .filter(|(name, version)| !RUST.contains(name) || is_new_enough(version))
        .map(|(name, _)| name)
        .collect();
    Ok(wanted
        .iter()
        .copied()
        .filter(|name| !installed.contains(name))
        .collect())
}

/// Whether a version of Debian's Rust, such as `1.96.0+dfsg1-1~deb12u2`, can build this workspace.
fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(1)), Some(Ok(minor))) => minor >= RUST_MINOR,
        (Some(Ok(major)), _) => major > 1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn rust_of_the_release_is_too_old_and_that_of_the_updates_is_not() {
        assert!(!is_new_enough("1.85.0+dfsg3-1~deb12u3"));
        assert!(is_new_enough("1.96.0+dfsg1-1~deb12u2"));
        assert!(is_new_enough("2.0.0-1"));
        assert!(!is_new_enough("unknown"));
    }
}
