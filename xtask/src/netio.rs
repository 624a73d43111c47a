//! The simulator's WSK provider as `netio.sys`, to be loaded by Wine in place of its own.
//!
//! Used by `demo` and `driver_tests`. The image is a Windows library with Rust's `std`: it is built
//! for `x86_64-pc-windows-gnu` with mingw-w64's linker, and with `std` from source where no
//! toolchain has that. Must not know how Wine is started.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use object::Object;
use object::read::pe::PeFile64;
use serde_json::Value;

use crate::kit::{self, Kit, stamp};
use crate::process::Step;
use crate::{paths, toolchain};

/// Who provides Winsock Kernel to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// Wine's own netio.sys
    Wine,
    /// The simulator's provider as netio.sys
    Sim,
}

impl Provider {
    /// Its name in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wine => "wine",
            Self::Sim => "sim",
        }
    }

    /// Builds what Wine lacks for it: nothing for its own.
    pub fn build(self) -> Result<Option<Netio>> {
        match self {
            Self::Wine => Ok(None),
            Self::Sim => build(&kit::ensure()?).map(Some),
        }
    }
}

/// What is put into Wine's folders.
#[derive(Clone, Debug)]
pub struct Netio {
    /// The provider, to become `drivers/netio.sys`.
    pub image: PathBuf,
    /// A library that Rust's `std` needs and Wine 8 lacks.
    pub bcryptprimitives: PathBuf,
}

fn build(kit: &Kit) -> Result<Netio> {
    let command = ["build", "--release", "--package", "wsk-netio"];
    toolchain::gnu_cargo(kit, "build netio.sys from the simulator", &command)?.run()?;
    let image = toolchain::gnu_directory().join("release/netio.dll");
    check_exports(&image)?;
    Ok(Netio {
        image,
        bcryptprimitives: bcryptprimitives()?,
    })
}

/// Fails unless the image exports every function of NETIO.SYS that the facts know.
fn check_exports(image: &Path) -> Result<()> {
    let facts = paths::root().join("tests/data/wsk-facts.json");
    let facts = fs::read_to_string(&facts)
        .with_context(|| format!("cannot read {}", facts.display()))
        .and_then(|text| Ok(serde_json::from_str::<Value>(&text)?))?;
    let functions = facts["functions"].as_array().into_iter().flatten();
    let names = functions.filter(|function| function["dll"] == "NETIO.SYS");
    let names = names.filter_map(|function| function["name"].as_str());
    let data = fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
    let exports = PeFile64::parse(&*data)?.exports()?;
    let is_missing = |name: &&str| !exports.iter().any(|found| found.name() == name.as_bytes());
    let missing: Vec<_> = names.filter(is_missing).collect();
    if !missing.is_empty() {
        bail!("{} does not export {}", image.display(), missing.join(", "));
    }
    Ok(())
}

/// Compiles the library that every program with Rust's `std` needs and Wine 8 lacks, unless it is
/// there; the name of its folder carries the fingerprint of its source.
pub fn bcryptprimitives() -> Result<PathBuf> {
    let source = paths::root().join("kit/wine/bcryptprimitives.c");
    let text = fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let folder = format!("bcryptprimitives-{}", stamp::fingerprint(&text));
    let library = paths::kit().join(folder).join("bcryptprimitives.dll");
    if !library.is_file() {
        stamp::create_parent(&library)?;
        Step::new("compile bcryptprimitives.dll", toolchain::GNU_LINKER)
            .args(["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-o"])
            .arg(&library)
            .arg(&source)
            .arg("-ladvapi32")
            .silent()
            .run()?;
    }
    Ok(library)
}
