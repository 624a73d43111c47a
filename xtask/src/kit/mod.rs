//! `cargo xtask kit`: everything that building a Windows driver on Linux needs, below `target/kit`.
//!
//! Called first by every command that compiles kernel-side crates. In order: Debian packages, the
//! include tree and the import libraries (ours, or a view of the real WDK that `WDKContentRoot`
//! names), the vendored dependencies with `wdk-build` patched for hosts other than Windows. Each
//! part records what it was made of and is made again only when that has changed. Nothing outside
//! `target/` is written and nothing of third parties is committed.

mod include;
mod libraries;
mod packages;
mod patch;
pub mod stamp;
mod vendor;
mod wdk;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::paths;
use crate::process::ask;

pub use libraries::exports;

/// The version under which our own headers and libraries appear: the WDK they are written after.
const VERSION: &str = "10.0.22621.0";

/// Options of `cargo xtask kit`: none.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// `cargo xtask kit`.
pub fn run(_: &Args) -> Result<()> {
    let kit = ensure()?;
    println!(
        "headers and libraries: {} ({})",
        kit.content_root.display(),
        kit.version
    );
    println!("dependencies:          {}", kit.source.display());
    println!("Windows toolchain:     {}", kit.rust.describe());
    Ok(())
}

/// What the builds need to know of the kit.
#[derive(Debug)]
pub struct Kit {
    /// The directory in the shape of a WDK: `Include/VERSION/..`, `Lib/VERSION/..`.
    content_root: PathBuf,
    version: String,
    /// The Cargo configuration that names the directory source.
    source: PathBuf,
    /// Where the Rust for Windows targets comes from.
    pub rust: WindowsRust,
}

/// The Rust toolchain that compiles for Windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowsRust {
    /// The toolchain that runs xtask has the target's `core` and `alloc`.
    Rustup,
    /// Debian's compiler, which builds them from the sources below this directory.
    Debian {
        /// The directory with the standard library's workspace.
        library: PathBuf,
    },
}

impl WindowsRust {
    fn describe(&self) -> String {
        match self {
            Self::Rustup => "the one that runs xtask".to_owned(),
            Self::Debian { library } => format!("Debian's, with {}", library.display()),
        }
    }
}

impl Kit {
    /// The environment in which `wdk-build` and bindgen find the headers and libraries.
    pub fn variables(&self) -> [(&'static str, &OsStr); 3] {
        [
            ("WDKContentRoot", self.content_root.as_os_str()),
            ("Version_Number", OsStr::new(&self.version)),
            ("LIBCLANG_PATH", OsStr::new(packages::LIBCLANG)),
        ]
    }

    /// The arguments that make Cargo take every dependency from the patched directory source.
    pub fn source_arguments(&self) -> [&OsStr; 2] {
        [OsStr::new("--config"), self.source.as_os_str()]
    }

    /// The directory of the import libraries for `x64` or `arm64`.
    pub fn libraries(&self, architecture: &str) -> PathBuf {
        self.content_root
            .join("Lib")
            .join(&self.version)
            .join("km")
            .join(architecture)
    }
}

/// Brings the kit up to date.
pub fn ensure() -> Result<Kit> {
    if cfg!(windows) {
        bail!(
            "the kit stands in for the WDK on other systems\n  what to do: on Windows build with \
             `cargo make` in an eWDK prompt, see README.md"
        );
    }
    let directory = paths::kit();
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let _lock = lock(&directory.join("lock"))?;
    let rustup = rustup_has_target()?;
    packages::ensure(!rustup)?;
    let rust = if rustup {
        WindowsRust::Rustup
    } else {
        debian()?
    };
    let (content_root, version) = if let Some(root) = std::env::var_os("WDKContentRoot") {
        wdk::ensure(Path::new(&root), &directory.join("wdk-view"))?
    } else {
        let root = directory.join("wdk");
        include::ensure(&root.join("Include").join(VERSION))?;
        libraries::ensure(&root.join("Lib").join(VERSION).join("km"))?;
        (root, VERSION.to_owned())
    };
    let source = vendor::ensure(&directory, &rust)?;
    Ok(Kit {
        content_root,
        version,
        source,
        rust,
    })
}

/// Keeps two runs of xtask from assembling the kit at the same time.
fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    file.lock()
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

fn rustup_has_target() -> Result<bool> {
    let args = [
        "--print",
        "target-libdir",
        "--target",
        crate::toolchain::X64,
    ];
    let directory = ask(crate::toolchain::host_rustc(), &args)?;
    Ok(Path::new(directory.trim()).is_dir())
}

fn debian() -> Result<WindowsRust> {
    let sysroot = ask(crate::toolchain::DEBIAN_RUSTC, &["--print", "sysroot"])?;
    let library = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library");
    if !library.join("Cargo.toml").is_file() {
        bail!(
            "{} has no Cargo.toml: the standard library's source is missing\n  what to do: \
             apt-get install --reinstall rust-web-src",
            library.display()
        );
    }
    Ok(WindowsRust::Debian { library })
}
