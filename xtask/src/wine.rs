//! A private Wine in which drivers are loaded: its prefix, its start and its end.
//!
//! Used by `demo` and `driver_tests`. `Wine::start` makes the prefix below `target/wine` (once),
//! starts the services and keeps one ordinary Wine process alive, because Wine ends its services,
//! and drivers with them, when the last such process ends. `service` drives the service control
//! manager, `log` reads what drivers print, `processes` ends what runs, `codes` names statuses.
//!
//! Nothing survives a session: `Wine::end`, or dropping it after an error, a panic or Ctrl-C, ends
//! every process of this prefix and checks that none is left. Should xtask itself be killed, the
//! process that keeps Wine alive sees the end of its standard input, and the rest follows it.
//! Processes of other prefixes are never touched: ours are those whose environment names our prefix
//! and whose program is Wine's. A file lock keeps two xtask processes out of one prefix.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::netio::Netio;
use crate::paths;
use crate::process::{self, Step};

mod codes;
mod log;
mod processes;
mod service;

pub use codes::NtStatus;
pub use log::{Line, Log, Position};
pub use service::{Service, Start, State};

use processes::end_all;

/// How long one command in a running Wine may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// How long making the prefix may take: `wineboot` copies a few hundred files.
const CREATE_LIMIT: Duration = Duration::from_mins(3);
/// How long the services may take to start.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long to wait for another xtask that uses the prefix.
const LOCK_LIMIT: Duration = Duration::from_mins(10);
const TICK: Duration = Duration::from_millis(50);

const INSTALL: &str = "install Debian's package wine64 (`apt-get install wine64`)";
/// What the process that keeps Wine alive writes when the services run.
const STARTED: &str = "session started";

/// A running Wine in the private prefix.
#[derive(Debug)]
pub struct Wine {
    prefix: PathBuf,
    overrides: &'static str,
    log: Log,
    keeper: Child,
    /// Ends `keeper` when it is closed, also by the death of this process.
    keeper_input: Option<ChildStdin>,
    ended: bool,
    /// Held for as long as the prefix is in use.
    _lock: File,
}

impl Wine {
    /// Starts Wine, with its own `netio.sys` or with another; makes the prefix first if there is
    /// none of this version of Wine.
    pub fn start(netio: Option<&Netio>) -> Result<Self> {
        let home = paths::target("wine");
        fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        let lock = lock(&home.join("lock"))?;
        let prefix = home.join("prefix");
        end_all(&prefix).context("cannot end what an earlier session left behind")?;
        make_prefix(&prefix)?;
        let overrides = match netio {
            Some(netio) => {
                put(&netio.image, &drivers_folder(&prefix).join("netio.sys"))?;
                put_library(&netio.bcryptprimitives, &prefix)?;
                OTHER_NETIO
            }
            None => OWN_NETIO,
        };
        let debug_log = home.join("debug.log");
        let (keeper, keeper_input, log) = start_keeper(&prefix, overrides, &debug_log)?;
        let wine = Self {
            prefix,
            overrides,
            log,
            keeper,
            keeper_input: Some(keeper_input),
            ended: false,
            _lock: lock,
        };
        let started = |line: &Line| matches!(line, Line::Wine(text) if text.contains(STARTED));
        wine.log
            .wait_for(
                Position::default(),
                "sign of Wine's services",
                START_LIMIT,
                |line| started(line).then_some(()),
            )
            .context(
                "Wine does not start; target/wine/debug.log has its own words; \
                 if the prefix is damaged, remove target/wine and try again",
            )?;
        Ok(wine)
    }

    /// What drivers print.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Puts a driver image where `binPath` of a service finds it, as `name`.
    pub fn install_image(&self, image: &Path, name: &str) -> Result<()> {
        put(image, &drivers_folder(&self.prefix).join(name))
    }

    /// Puts a library where programs find it.
    pub fn install_library(&self, library: &Path) -> Result<()> {
        put_library(library, &self.prefix)
    }

    /// Has what `step` runs, and what that runs in turn, find this session with `wine`.
    pub fn with_environment(&self, step: Step) -> Step {
        in_prefix(step, &self.prefix, self.overrides).env("WINEDEBUG", "-all")
    }

    /// A program of Wine to run in this session, as a silent step.
    fn command(&self, what: &str, program: &str) -> Step {
        in_prefix(Step::new(what, "wine"), &self.prefix, self.overrides)
            .env("WINEDEBUG", "-all,err+sc")
            .arg(program)
            .time_limit(COMMAND_LIMIT)
            .silent()
    }

    /// Ends the session. Fails if a process of it is left.
    pub fn end(mut self) -> Result<()> {
        self.end_once()
    }

    fn end_once(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        drop(self.keeper_input.take());
        let result = end_all(&self.prefix);
        // It is a process of the prefix, so it has ended; this takes it out of the process table.
        if result.is_ok() {
            self.keeper
                .wait()
                .context("cannot wait for the process that kept Wine alive")?;
        }
        result
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        if let Err(error) = self.end_once() {
            eprintln!("warning: {error:#}");
        }
    }
}

/// The version of Wine, as `wine --version` gives it.
pub fn version() -> Result<String> {
    let output = Command::new("wine")
        .arg("--version")
        .env("WINEDEBUG", "-all")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run `wine`: {INSTALL}"))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(
        output.status.success() && !version.is_empty(),
        "`wine --version` ended with {} and no version: {INSTALL}",
        output.status
    );
    Ok(version)
}

/// What every program in the prefix gets: no display, no questions, English messages.
fn environment<'a>(prefix: &'a Path, overrides: &'a str) -> [(&'static str, &'a OsStr); 4] {
    [
        ("WINEPREFIX", prefix.as_os_str()),
        ("WINEARCH", OsStr::new("win64")),
        ("WINEDLLOVERRIDES", OsStr::new(overrides)),
        ("LC_ALL", OsStr::new("C")),
    ]
}

/// Which libraries Wine has from where: nothing that asks to be installed or shows something, and
/// its own `netio.sys`, whatever lies in the prefix.
const OWN_NETIO: &str = "mscoree=;mshtml=;winemenubuilder.exe=;netio.sys=b";
/// The same, with the `netio.sys` that was put into the prefix.
const OTHER_NETIO: &str = "mscoree=;mshtml=;winemenubuilder.exe=;netio.sys=n";

/// Variables that would lead Wine elsewhere, or to a screen.
const NOT_INHERITED: [&str; 5] = [
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "WINELOADER",
    "WINESERVER",
    "WINEDLLPATH",
];

fn in_prefix(step: Step, prefix: &Path, overrides: &str) -> Step {
    let step = step.envs(environment(prefix, overrides));
    NOT_INHERITED.iter().fold(step, Step::env_remove)
}

fn system_folder(prefix: &Path) -> PathBuf {
    prefix.join("drive_c/windows/system32")
}

fn drivers_folder(prefix: &Path) -> PathBuf {
    system_folder(prefix).join("drivers")
}

fn put_library(library: &Path, prefix: &Path) -> Result<()> {
    let name = library.file_name().context("a library has a name")?;
    put(library, &system_folder(prefix).join(name))
}

/// Puts a file into the prefix. A new file, not new content: a loaded image is mapped from the old
/// one.
fn put(file: &Path, place: &Path) -> Result<()> {
    if place.exists() {
        fs::remove_file(place).with_context(|| format!("cannot remove {}", place.display()))?;
    }
    fs::copy(file, place)
        .with_context(|| format!("cannot copy {} to {}", file.display(), place.display()))?;
    Ok(())
}

fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let deadline = Instant::now() + LOCK_LIMIT;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another xtask has used the Wine prefix for {} minutes: end it, then try again",
                LOCK_LIMIT.as_secs() / 60
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        if !std::mem::replace(&mut told, true) {
            eprintln!("  another xtask uses the Wine prefix: waiting for it");
        }
        process::check_interrupt()?;
        thread::sleep(TICK);
    }
}

/// Makes the prefix unless it is there, complete and of this version of Wine.
fn make_prefix(prefix: &Path) -> Result<()> {
    let version = version()?;
    let marker = prefix.join("made-by");
    if fs::read_to_string(&marker).is_ok_and(|made_by| made_by == version) {
        return Ok(());
    }
    if prefix.exists() {
        fs::remove_dir_all(prefix)
            .with_context(|| format!("cannot remove {}", prefix.display()))?;
    }
    let step = Step::new("make the Wine prefix", "wine");
    let made = in_prefix(step, prefix, OWN_NETIO)
        .env("WINEDEBUG", "-all")
        .args(["wineboot", "--init"])
        .time_limit(CREATE_LIMIT)
        .advice(INSTALL)
        .run();
    end_all(prefix)?;
    made?;
    ensure!(
        drivers_folder(prefix).is_dir(),
        "wineboot made no Windows folder in {}; its words are in target/log",
        prefix.display()
    );
    fs::write(&marker, version).with_context(|| format!("cannot write {}", marker.display()))
}

/// Starts the process that keeps Wine alive; the services that it starts inherit its debug output.
fn start_keeper(
    prefix: &Path,
    overrides: &str,
    debug_log: &Path,
) -> Result<(Child, ChildStdin, Log)> {
    let mut command = Command::new("wine");
    command
        .args(["cmd", "/c", &format!("echo {STARTED} 1>&2 & pause")])
        .envs(environment(prefix, overrides))
        // DbgPrint, and the loader's word on a DriverEntry that failed.
        .env("WINEDEBUG", "-all,+debugstr,err+ntoskrnl")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    let mut keeper = command
        .spawn()
        .with_context(|| format!("cannot run `wine`: {INSTALL}"))?;
    let input = keeper.stdin.take().expect("standard input is a pipe");
    let output = keeper.stderr.take().expect("standard error is a pipe");
    let log = Log::follow(output, debug_log)
        .with_context(|| format!("cannot write {}", debug_log.display()))?;
    Ok((keeper, input, log))
}
