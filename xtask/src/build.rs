//! `cargo xtask build`: the sample drivers as signed images, and the type check for ARM.
//!
//! The shipping image is exactly what the sources give. The flavour for Wine is the release build
//! plus a static library of `kit/wine`, which defines what Wine's ntoskrnl lacks; it is handed to
//! the linker here and nowhere else, so that no shipping build can contain it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::kit::{self, Kit, stamp};
use crate::process::Step;
use crate::toolchain::{self, ARM64, X64};
use crate::{paths, sign};

/// Options of `cargo xtask build`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Build with optimization
    #[arg(long)]
    release: bool,
    /// Build for Wine: the release build, plus what Wine's kernel lacks
    #[arg(long, conflicts_with = "release")]
    wine: bool,
    /// What to build for; the ARM target is type-checked, not linked
    #[arg(long, default_value = X64, value_parser = [X64, ARM64])]
    target: String,
}

/// A sample driver.
#[derive(Clone, Copy, Debug)]
pub struct Driver {
    /// Its package.
    pub package: &'static str,
    /// The name of its image, without `.sys`.
    pub image: &'static str,
    /// What its release image may measure, in bytes.
    pub limit: u64,
    /// The load order group of its service in Wine, which loads the drivers of a group into one
    /// process, and others each into a process of its own.
    pub group: Option<&'static str>,
}

impl Driver {
    /// The file name of its image.
    pub fn file_name(&self) -> String {
        format!("{}.sys", self.image)
    }
}

/// The TCP echo server.
pub const ECHO: Driver = Driver {
    package: "wsk-echo",
    image: "wsk_echo",
    limit: 64 * 1024,
    group: None,
};

/// The TCP server that decides who may connect.
pub const GATEKEEPER: Driver = Driver {
    package: "wsk-gate",
    image: "wsk_gate",
    limit: 96 * 1024,
    group: None,
};

/// Network modules meet in a process: the simulator's `netio.sys` has a registrar for each.
const NPI_GROUP: Option<&str> = Some("wsk_npi");

/// The network module that counts for others.
pub const NPI_PROVIDER: Driver = Driver {
    package: "wsk-npi-provider",
    image: "wsk_npi_provider",
    limit: 20 * 1024,
    group: NPI_GROUP,
};

/// The network module that has another one count.
pub const NPI_CLIENT: Driver = Driver {
    package: "wsk-npi-client",
    image: "wsk_npi_client",
    limit: 26 * 1024,
    group: NPI_GROUP,
};

/// Every sample driver.
pub const DRIVERS: [Driver; 4] = [ECHO, GATEKEEPER, NPI_PROVIDER, NPI_CLIENT];

/// The static library of what Wine lacks.
const WINE_LIBRARY: &str = "wine_ntoskrnl";

/// How a driver is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// For debugging.
    Debug,
    /// For shipping.
    Release,
    /// The shipping build plus what Wine lacks.
    Wine,
}

impl Flavour {
    /// The name of its directory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
            Self::Wine => "wine",
        }
    }

    /// The directory in which Cargo puts the build.
    fn profile(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release | Self::Wine => "release",
        }
    }
}

/// `cargo xtask build`.
pub fn run(args: &Args) -> Result<()> {
    let kit = kit::ensure()?;
    if args.target == ARM64 {
        if args.wine {
            bail!("the Wine flavour exists for {X64} only");
        }
        return check_arm64(&kit);
    }
    let flavour = match (args.release, args.wine) {
        (_, true) => Flavour::Wine,
        (true, _) => Flavour::Release,
        _ => Flavour::Debug,
    };
    for driver in &DRIVERS {
        println!("{}", build(&kit, driver, flavour)?.display());
    }
    Ok(())
}

/// Builds and signs one driver for 64-bit PCs. Its image is in `target/driver/TARGET/FLAVOUR`, with
/// its symbols and the linker's map.
pub fn build(kit: &Kit, driver: &Driver, flavour: Flavour) -> Result<PathBuf> {
    let Driver { package, image, .. } = *driver;
    let what = format!("build {image}.sys ({})", flavour.name());
    let command = [
        "rustc",
        "--package",
        package,
        "--lib",
        "--crate-type",
        "cdylib",
    ];
    let mut step = toolchain::windows_cargo(kit, &what, &command, X64);
    if flavour.profile() == "release" {
        step = step.arg("--release");
    }
    if flavour == Flavour::Wine {
        let search = format!("-Lnative={}", wine_library()?.display());
        step = step.args(["--", &search, &format!("-lstatic={WINE_LIBRARY}")]);
    }
    step.run()?;

    let built = paths::target("windows").join(X64).join(flavour.profile());
    let output = paths::target("driver").join(X64).join(flavour.name());
    let sys = output.join(driver.file_name());
    stamp::create_parent(&sys)?;
    for file in [format!("{image}.pdb"), format!("deps/{image}.map")] {
        let from = built.join(file);
        let name = from.file_name().context("a built file has a name")?;
        fs::copy(&from, output.join(name))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    sign::sign(&built.join(format!("{image}.dll")), &sys)?;
    Ok(sys)
}

/// Type-checks every driver, and with it the library, for 64-bit ARM.
pub fn check_arm64(kit: &Kit) -> Result<()> {
    let packages = DRIVERS
        .iter()
        .flat_map(|driver| ["--package", driver.package]);
    toolchain::windows_cargo(kit, "check for 64-bit ARM", &["check"], ARM64)
        .args(packages)
        .run()
        .map(drop)
}

/// The directory with the static library of what Wine's kernel lacks. The linker searches it before
/// the import libraries, so its definitions win. Cargo does not look into it: the name of the
/// directory carries the fingerprint of its source, so that an edit leads to a new link.
fn wine_library() -> Result<PathBuf> {
    let source = paths::root().join("kit/wine/ntoskrnl.c");
    let text = fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let directory = paths::kit().join(format!("wine-{}", stamp::fingerprint(&text)));
    let library = directory.join(format!("{WINE_LIBRARY}.lib"));
    if library.is_file() {
        return Ok(directory);
    }
    let object = directory.join("ntoskrnl.obj");
    stamp::create_parent(&object)?;
    Step::new("compile what Wine lacks", "clang-19")
        .args([
            "--target=x86_64-pc-windows-msvc",
            "-c",
            "-O2",
            "-ffreestanding",
            "-mno-sse",
        ])
        .args(["-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&object)
        .arg(&source)
        .silent()
        .run()?;
    Step::new("archive what Wine lacks", "lld-link-19")
        .arg("/lib")
        .arg(format!("/out:{}", library.display()))
        .arg(&object)
        .silent()
        .run()?;
    Ok(directory)
}
