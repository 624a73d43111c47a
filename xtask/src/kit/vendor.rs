//! The dependencies as a directory source, with `wdk-build` patched.
//!
//! `cargo vendor` copies them at the versions of `Cargo.lock` (and those of the standard library,
//! which Debian's compiler builds from source). Cargo then reads this directory in place of the
//! registry: `Cargo.toml` and `Cargo.lock` stay as they are, and `--locked` holds.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{WindowsRust, patch, stamp};
use crate::{paths, toolchain};

/// Makes `kit/vendor`, and returns the Cargo configuration that leads there. A new directory is
/// assembled beside the old and takes its place in one move.
pub fn ensure(kit: &Path, rust: &WindowsRust) -> Result<PathBuf> {
    let directory = &kit.join("vendor");
    let lock = read(&paths::root().join("Cargo.lock"))?;
    let library_lock = match rust {
        WindowsRust::Rustup => String::new(),
        WindowsRust::Debian { library } => read(&library.join("Cargo.lock"))?,
    };
    let inputs = format!("{}\n{lock}\n{library_lock}", patch::fingerprint());
    stamp::up_to_date(directory, &inputs, || {
        let new = directory.with_extension("new");
        stamp::remove(&new)?;
        toolchain::vendor_cargo(rust, "collect the dependencies")
            .arg(&new)
            .advice("this downloads what is not in Cargo's cache: is the network up?")
            .run()?;
        replace_wdk_build(&new)?;
        stamp::remove(directory)?;
        fs::rename(&new, directory).with_context(|| format!("cannot rename {}", new.display()))
    })?;
    let source = kit.join("source.toml");
    let text = format!(
        "[source.crates-io]\nreplace-with = \"kit\"\n\n[source.kit]\ndirectory = {:?}\n",
        directory.display().to_string()
    );
    // Tests that run Cargo themselves do so below the native target directory, where it looks for
    // a configuration by this name.
    for place in [
        source.clone(),
        toolchain::native_directory().join(".cargo/config.toml"),
    ] {
        stamp::up_to_date(&place, &text, || stamp::write(&place, &text))?;
    }
    Ok(source)
}

/// Patches wdk-build. Cargo trusts a directory source never to change, so the name of its
/// directory carries the patch's fingerprint: another patch, another path, a new build.
fn replace_wdk_build(vendor: &Path) -> Result<()> {
    let package = vendor.join("wdk-build");
    if !package.is_dir() {
        bail!(
            "{} is missing: Cargo.lock names no wdk-build?",
            package.display()
        );
    }
    patch::apply(&package)?;
    accept_changes(&package.join(".cargo-checksum.json"))?;
    let patched = vendor.join(format!("wdk-build-{}", patch::fingerprint()));
    fs::rename(&package, &patched).with_context(|| format!("cannot rename {}", package.display()))
}

/// Drops the sums of the single files; the sum of the package, which Cargo.lock names, stays.
fn accept_changes(checksums: &Path) -> Result<()> {
    let mut sums: Value = serde_json::from_str(&read(checksums)?)
        .with_context(|| format!("{} is not JSON", checksums.display()))?;
    sums["files"] = json!({});
    stamp::write(checksums, sums.to_string())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
