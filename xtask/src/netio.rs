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

use crate::kit::{self, Kit, WindowsRust, stamp};
use crate::process::{Step, ask};
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
    gnu_cargo(kit, "build netio.sys from the simulator", &command)?.run()?;
    let folder = paths::target("netio").join(toolchain::X64_GNU);
    let image = folder.join("release/netio.dll");
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

/// A step that runs `cargo SUBCOMMAND` for programs and libraries in Wine.
fn gnu_cargo(kit: &Kit, what: &str, subcommand: &[&str]) -> Result<Step> {
    let args = ["--print", "target-libdir", "--target", toolchain::X64_GNU];
    let directory = ask(toolchain::host_rustc(), &args)?;
    let step = if PathBuf::from(directory.trim()).is_dir() {
        toolchain::host_cargo(what).args(subcommand)
    } else if matches!(kit.rust, WindowsRust::Debian { .. }) {
        toolchain::debian_cargo(what)
            .args(subcommand)
            .arg("-Zbuild-std=std,panic_abort")
    } else {
        bail!(
            "Rust for {0} is missing\n  what to do: rustup target add {0}",
            toolchain::X64_GNU
        );
    };
    Ok(toolchain::for_windows(step, kit, toolchain::X64_GNU)
        .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", LINKER)
        // bindgen would otherwise see the headers as mingw-w64's compiler does.
        .env(
            "BINDGEN_EXTRA_CLANG_ARGS",
            "--target=x86_64-pc-windows-msvc",
        )
        // Link-time optimization and symbols serve the kernel image; here they only cost time.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "none")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_TARGET_DIR", paths::target("netio")))
}

const LINKER: &str = "x86_64-w64-mingw32-gcc";

/// Compiles the library unless it is there; the name of its folder carries the fingerprint of its
/// source.
fn bcryptprimitives() -> Result<PathBuf> {
    let source = paths::root().join("kit/wine/bcryptprimitives.c");
    let text = fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let folder = format!("bcryptprimitives-{}", stamp::fingerprint(&text));
    let library = paths::kit().join(folder).join("bcryptprimitives.dll");
    if !library.is_file() {
        stamp::create_parent(&library)?;
        Step::new("compile bcryptprimitives.dll", LINKER)
            .args(["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-o"])
            .arg(&library)
            .arg(&source)
            .arg("-ladvapi32")
            .silent()
            .run()?;
    }
    Ok(library)
}
