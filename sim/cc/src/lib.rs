//! Compiles a driver in C for the simulator, from the build script of the package that tests it.
//!
//! ```no_run
//! wsk_sim_cc::Driver::new("my_driver").file("src/driver.c").compile();
//! ```
//!
//! The driver's source and the WDK's headers stay as they are. Clang reads them as for Windows, so
//! that every type has its size there, and writes what it has read as text; `retarget` makes that
//! text a program of the host, which calls and is called as the simulator's exports are.
//!
//! `DriverEntry` gets a name of its own, `my_driver_DriverEntry`, so that several drivers can be in
//! one test.
//!
//! What does not come over: structures of more than eight bytes passed by value, `va_start` within
//! the driver, and exceptions. `__try` blocks run, their handlers never do: the simulator raises no
//! exceptions. It is for Linux; on Windows a driver compiles for the host as it is.

mod retarget;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wdk_build::{Config, ConfigError, configure_wdk_library_build_and_then};

/// What the driver's source sees instead of the statements for exceptions.
const NO_EXCEPTIONS: [&str; 3] = ["__try=if (1)", "__except(filter)=else", "__finally="];

/// A driver to compile.
#[derive(Debug, Clone)]
pub struct Driver {
    name: String,
    files: Vec<PathBuf>,
    includes: Vec<PathBuf>,
    definitions: Vec<String>,
}

impl Driver {
    /// A driver whose entry point becomes `NAME_DriverEntry`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            files: Vec::new(),
            includes: Vec::new(),
            definitions: vec![format!("DriverEntry={name}_DriverEntry")],
        }
    }

    /// Adds a source file.
    #[must_use]
    pub fn file(mut self, file: impl AsRef<Path>) -> Self {
        self.files.push(file.as_ref().to_owned());
        self
    }

    /// Adds a directory with headers of the driver's own.
    #[must_use]
    pub fn include(mut self, directory: impl AsRef<Path>) -> Self {
        self.includes.push(directory.as_ref().to_owned());
        self
    }

    /// Defines a macro: `NAME` or `NAME=VALUE`.
    #[must_use]
    pub fn define(mut self, definition: &str) -> Self {
        self.definitions.push(definition.to_owned());
        self
    }

    /// Compiles the driver and has Cargo link it into the package.
    ///
    /// # Panics
    ///
    /// If that fails: this is for build scripts, which fail by panicking.
    pub fn compile(&self) {
        configure_wdk_library_build_and_then(|config| {
            self.compile_with(&config);
            Ok::<(), ConfigError>(())
        })
        .expect("the WDK is set up: see the message of wdk-build");
    }

    fn compile_with(&self, config: &Config) {
        let target = variable("TARGET");
        assert!(
            target == retarget::TARGET,
            "wsk-sim-cc compiles for {}, not for {target}",
            retarget::TARGET
        );
        let mut library = cc::Build::new();
        for file in &self.files {
            println!("cargo::rerun-if-changed={}", file.display());
            library.object(self.compile_file(config, file));
        }
        library.compile(&self.name);
    }

    fn compile_file(&self, config: &Config, file: &Path) -> PathBuf {
        let name = file.file_stem().expect("a source file has a name");
        let output = PathBuf::from(variable("OUT_DIR")).join(name);
        let (read, written) = (
            output.with_extension("read.ll"),
            output.with_extension("ll"),
        );
        let object = output.with_extension("o");
        run(self.reader(config).arg(file).arg("-o").arg(&read));
        let text = fs::read_to_string(&read).expect("clang has written a text file");
        fs::write(&written, retarget::retarget(&text)).expect("the file can be written");
        let mut writer = Command::new(clang());
        writer.arg(format!("--target={}", retarget::TARGET));
        run(writer
            .args(["-O1", "-g", "-fPIC", "-c"])
            .arg(&written)
            .arg("-o")
            .arg(&object));
        object
    }

    /// Clang, reading as for Windows.
    fn reader(&self, config: &Config) -> Command {
        let mut command = Command::new(clang());
        command.args([
            "--target=x86_64-pc-windows-msvc",
            "-g",
            "-gdwarf",
            "-O1",
            "-Xclang",
            "-disable-llvm-passes",
            "-S",
            "-emit-llvm",
            // The WDK's headers change the alignment in one file and restore it in another, and
            // have unnamed structures.
            "-Wall",
            "-Wno-pragma-pack",
            "-Wno-microsoft-anon-tag",
            "-Wno-ignored-pragma-intrinsic",
        ]);
        let defined = config.preprocessor_definitions();
        let defined = defined.map(|(name, value)| {
            value.map_or_else(|| name.clone(), |value| format!("{name}={value}"))
        });
        let given = NO_EXCEPTIONS.map(str::to_owned);
        for definition in defined.chain(given).chain(self.definitions.clone()) {
            command.arg(format!("-D{definition}"));
        }
        for own in &self.includes {
            command.arg("-I").arg(own);
        }
        let headers = config.include_paths().expect("the WDK has its headers");
        for directory in headers {
            command.arg("-isystem").arg(directory);
        }
        command
    }
}

/// The compiler beside the library that bindgen uses, or the one that is on the path.
fn clang() -> PathBuf {
    println!("cargo::rerun-if-env-changed=CLANG_PATH");
    println!("cargo::rerun-if-env-changed=LIBCLANG_PATH");
    if let Some(path) = env::var_os("CLANG_PATH") {
        return path.into();
    }
    let library = env::var_os("LIBCLANG_PATH").map(PathBuf::from);
    let beside = library.and_then(|library| Some(library.parent()?.join("bin/clang")));
    beside
        .filter(|clang| clang.is_file())
        .unwrap_or_else(|| PathBuf::from("clang"))
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is set when Cargo runs a build script"))
}

/// Runs the compiler; what it says is shown if it fails.
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("cannot run {command:?}: {error}\n  what to do: install clang, or set CLANG_PATH")
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{said}");
    for line in said.lines() {
        println!("cargo::warning={line}");
    }
}
