//! A private Wine in which drivers are loaded: its prefix, its start and its end.
//!
//! Used by `demo` and `driver_tests`. `Wine::start` makes the prefix below `target/wine` (once),
//! starts the services and keeps one ordinary Wine process alive, because Wine ends its services,
//! and drivers with them, when the last such process ends. `service` drives the service control
//! manager, `log` reads what drivers print, `codes` names statuses.
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

use crate::paths;
use crate::process::{self, Step};

mod codes;
mod log;
mod service;

pub use codes::NtStatus;
pub use log::{Line, Log, Position};
pub use service::{Service, Start, State};

/// How long one command in a running Wine may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// How long making the prefix may take: `wineboot` copies a few hundred files.
const CREATE_LIMIT: Duration = Duration::from_mins(3);
/// How long the services may take to start.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long Wine may take to end when it is asked to, and again when it is made to.
const END_LIMIT: Duration = Duration::from_secs(10);
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
    log: Log,
    keeper: Child,
    /// Ends `keeper` when it is closed, also by the death of this process.
    keeper_input: Option<ChildStdin>,
    ended: bool,
    /// Held for as long as the prefix is in use.
    _lock: File,
}

impl Wine {
    /// Starts Wine; makes the prefix first if there is none of this version of Wine.
    pub fn start() -> Result<Self> {
        let home = paths::target("wine");
        fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        let lock = lock(&home.join("lock"))?;
        let prefix = home.join("prefix");
        end_processes(&prefix).context("cannot end what an earlier session left behind")?;
        make_prefix(&prefix)?;
        let (keeper, keeper_input, log) = start_keeper(&prefix, &home.join("debug.log"))?;
        let wine = Self {
            prefix,
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

    /// Puts a driver image where `binPath` of a service finds it; returns its file name.
    pub fn install_image(&self, image: &Path) -> Result<String> {
        let name = image.file_name().and_then(OsStr::to_str);
        let name = name.with_context(|| format!("{} is not a file name", image.display()))?;
        let place = drivers_folder(&self.prefix).join(name);
        // A new file, not new content: a loaded image is mapped from the old one.
        if place.exists() {
            fs::remove_file(&place)
                .with_context(|| format!("cannot remove {}", place.display()))?;
        }
        fs::copy(image, &place)
            .with_context(|| format!("cannot copy {} to {}", image.display(), place.display()))?;
        Ok(name.to_owned())
    }

    /// A program of Wine to run in this session, as a silent step.
    fn command(&self, what: &str, program: &str) -> Step {
        in_prefix(Step::new(what, "wine"), &self.prefix)
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
        let result = end_processes(&self.prefix);
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
fn environment(prefix: &Path) -> [(&'static str, &OsStr); 4] {
    [
        ("WINEPREFIX", prefix.as_os_str()),
        ("WINEARCH", OsStr::new("win64")),
        (
            "WINEDLLOVERRIDES",
            OsStr::new("mscoree=;mshtml=;winemenubuilder.exe="),
        ),
        ("LC_ALL", OsStr::new("C")),
    ]
}

/// Variables that would lead Wine elsewhere, or to a screen.
const NOT_INHERITED: [&str; 5] = [
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "WINELOADER",
    "WINESERVER",
    "WINEDLLPATH",
];

fn in_prefix(step: Step, prefix: &Path) -> Step {
    let step = step.envs(environment(prefix));
    NOT_INHERITED.iter().fold(step, Step::env_remove)
}

fn drivers_folder(prefix: &Path) -> PathBuf {
    prefix.join("drive_c/windows/system32/drivers")
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
    let made = in_prefix(Step::new("make the Wine prefix", "wine"), prefix)
        .env("WINEDEBUG", "-all")
        .args(["wineboot", "--init"])
        .time_limit(CREATE_LIMIT)
        .advice(INSTALL)
        .run();
    end_processes(prefix)?;
    made?;
    ensure!(
        drivers_folder(prefix).is_dir(),
        "wineboot made no Windows folder in {}; its words are in target/log",
        prefix.display()
    );
    fs::write(&marker, version).with_context(|| format!("cannot write {}", marker.display()))
}

/// Starts the process that keeps Wine alive; the services that it starts inherit its debug output.
fn start_keeper(prefix: &Path, debug_log: &Path) -> Result<(Child, ChildStdin, Log)> {
    let mut command = Command::new("wine");
    command
        .args(["cmd", "/c", &format!("echo {STARTED} 1>&2 & pause")])
        .envs(environment(prefix))
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

/// Ends every process of the prefix: asks Wine's server, then makes those that did not listen.
fn end_processes(prefix: &Path) -> Result<()> {
    if processes(prefix)?.is_empty() {
        return Ok(());
    }
    let asked = ask_server_to_end(prefix);
    if wait_until_ended(prefix)?.is_empty() {
        return Ok(());
    }
    for process in processes(prefix)? {
        // One that has just ended by itself makes `kill` fail; the check below is what counts.
        let _ = Command::new("kill")
            .args(["-KILL", &process.id.to_string()])
            .stderr(Stdio::null())
            .status();
    }
    let left = wait_until_ended(prefix)?;
    if left.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = left
        .iter()
        .map(|p| format!("{} ({})", p.id, p.name))
        .collect();
    let message = format!(
        "processes of Wine in {} do not end: {}; end them with `kill -KILL`",
        prefix.display(),
        names.join(", ")
    );
    match asked {
        Ok(()) => bail!(message),
        Err(error) => Err(error.context(message)),
    }
}

/// `wineserver -k` ends all processes of the prefix and writes the registry to disk. Not a step:
/// it also has to run after an interrupt.
fn ask_server_to_end(prefix: &Path) -> Result<()> {
    let mut server = Command::new("wineserver")
        .arg("-k")
        .envs(environment(prefix))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run `wineserver`: {INSTALL}"))?;
    let deadline = Instant::now() + END_LIMIT;
    while server
        .try_wait()
        .context("cannot wait for `wineserver -k`")?
        .is_none()
    {
        if Instant::now() >= deadline {
            server.kill().context("cannot end `wineserver -k`")?;
            server.wait().context("cannot wait for `wineserver -k`")?;
            bail!("`wineserver -k` took longer than {} s", END_LIMIT.as_secs());
        }
        thread::sleep(TICK);
    }
    Ok(())
}

/// Waits for the end of all processes of the prefix; returns those that are left.
fn wait_until_ended(prefix: &Path) -> Result<Vec<Process>> {
    let deadline = Instant::now() + END_LIMIT;
    loop {
        let left = processes(prefix)?;
        if left.is_empty() || Instant::now() >= deadline {
            return Ok(left);
        }
        thread::sleep(TICK);
    }
}

/// A process of Wine.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    id: u32,
    name: String,
}

/// The processes whose environment names this prefix and whose program is one of Wine's.
fn processes(prefix: &Path) -> Result<Vec<Process>> {
    let list = fs::read_dir("/proc").context("cannot read /proc, which lists Wine's processes")?;
    let mut found = Vec::new();
    for entry in list.flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // A process may end at any moment, and those of other users cannot be read: neither is ours.
        let Ok(environment) = fs::read(entry.path().join("environ")) else {
            continue;
        };
        let Ok(program) = fs::read_link(entry.path().join("exe")) else {
            continue;
        };
        if names_prefix(&environment, prefix) && is_wine(&program) {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            found.push(Process {
                id,
                name: name.trim().to_owned(),
            });
        }
    }
    Ok(found)
}

fn names_prefix(environment: &[u8], prefix: &Path) -> bool {
    let value = prefix.as_os_str().as_encoded_bytes();
    environment
        .split(|&byte| byte == 0)
        .any(|variable| variable.strip_prefix(b"WINEPREFIX=") == Some(value))
}

fn is_wine(program: &Path) -> bool {
    let name = program.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b"wine")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_of_the_prefix_is_recognised() {
        let environment = b"A=1\0WINEPREFIX=/p/prefix\0B=2\0";
        assert!(names_prefix(environment, Path::new("/p/prefix")));
        assert!(is_wine(Path::new("/usr/lib/wine/wine64-preloader")));
    }

    #[test]
    fn process_of_another_prefix_is_left_alone() {
        let other = b"WINEPREFIX=/p/prefix2\0";
        assert!(!names_prefix(other, Path::new("/p/prefix")));
        assert!(!names_prefix(b"PATH=/p/prefix\0", Path::new("/p/prefix")));
    }

    #[test]
    fn shell_that_exports_the_prefix_is_left_alone() {
        assert!(!is_wine(Path::new("/usr/bin/bash")));
    }
}
