//! Runs one program as a named step: progress on the terminal, output in a log file, a time limit,
//! and an error that says which step failed, how, with which last words, and what to do about it.
//!
//! Used by every task. A step's program runs in a process group of its own, so that a time limit,
//! an interrupt (see [`stop_on_interrupt`]) or a dropped step ends it together with what it
//! started. This module knows nothing of what the programs are.

mod command_line;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, bail};
use process_wrap::std::{ChildWrapper, CommandWrap};

use crate::paths;
use crate::progress::{Progress, Show};
use command_line::{command_line, file_name};

/// How many lines of the output an error repeats.
const LAST_LINES: usize = 30;
/// How often a waiting step looks at the clock, the interrupt flag and its process.
const TICK: Duration = Duration::from_millis(50);
/// How long to wait for another line after the program itself has ended: a daemon that it started
/// may hold the pipe open for ever, silent or not.
const DRAIN: Duration = Duration::from_millis(250);
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Turns Ctrl-C and termination into an ordinary error of the step that runs, so that every guard
/// is dropped and nothing is left running. A second one ends xtask at once.
pub fn stop_on_interrupt() -> Result<()> {
    ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .context("cannot install the handler for Ctrl-C")
}

/// Fails once the user has asked to stop. For loops that wait without running a step.
pub fn check_interrupt() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    Ok(())
}

/// What is told about a step when it fails.
#[derive(Clone, Debug)]
struct Description {
    what: String,
    command_line: String,
    log: PathBuf,
    advice: Option<String>,
}

/// A program to run, described.
#[derive(Debug)]
pub struct Step {
    what: String,
    command: Command,
    show: Show,
    time_limit: Option<Duration>,
    advice: Option<String>,
}

/// How a step ended.
#[derive(Debug)]
pub struct Finished {
    /// The program's exit status.
    pub status: ExitStatus,
    /// Everything it wrote, both streams in the order in which they arrived.
    pub output: String,
    description: Description,
}

/// A step whose program runs. Dropping it ends the program and everything in its process group.
#[derive(Debug)]
struct Running {
    description: Description,
    child: Box<dyn ChildWrapper>,
    lines: Receiver<String>,
    output: String,
    progress: Progress,
    started: Instant,
    time_limit: Option<Duration>,
}

impl Step {
    /// A step named `what` (for example "build `wsk_echo.sys`") that runs `program` in the root of
    /// the repository.
    pub fn new(what: impl Into<String>, program: impl AsRef<OsStr>) -> Self {
        let what = what.into();
        let mut command = Command::new(program);
        command.current_dir(paths::root()).stdin(Stdio::null());
        Self {
            what,
            command,
            show: Show::LastLine,
            time_limit: None,
            advice: None,
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets one variable of the program's environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets variables of the program's environment.
    pub fn envs(
        mut self,
        vars: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> Self {
        self.command.envs(vars);
        self
    }

    /// Removes a variable that the program would otherwise inherit.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Ends the program, and fails, when it takes longer than this.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Says what to do when the step fails.
    pub fn advice(mut self, text: impl Into<String>) -> Self {
        self.advice = Some(text.into());
        self
    }

    /// Shows nothing while it runs.
    pub fn silent(mut self) -> Self {
        self.show = Show::Nothing;
        self
    }

    /// Runs the program to its end. Fails unless it succeeds.
    pub fn run(self) -> Result<Finished> {
        let finished = self.attempt()?;
        finished.check()?;
        Ok(finished)
    }

    /// Runs the program to its end. Fails only if it could not be run, or was stopped.
    pub fn attempt(self) -> Result<Finished> {
        self.start()?.finish()
    }

    fn start(self) -> Result<Running> {
        check_interrupt()?;
        let Self {
            what,
            mut command,
            show,
            time_limit,
            advice,
        } = self;
        let command_line = command_line(&command);
        let log = paths::log().join(format!("{}.log", file_name(&what)));
        let progress = Progress::new(show, &what);
        let description = Description {
            what,
            command_line,
            log,
            advice,
        };
        let (file, reader) = description
            .connect(&mut command)
            .with_context(|| format!("cannot write {}", description.log.display()))?;
        let child = spawn_in_group(command)
            .map_err(|error| description.failure(&format!("cannot start it: {error}"), ""))?;
        let (sender, lines) = channel();
        thread::spawn(move || collect(reader, file, &sender));
        Ok(Running {
            description,
            child,
            lines,
            output: String::new(),
            progress,
            started: Instant::now(),
            time_limit,
        })
    }
}

impl Description {
    /// Opens the log file and leads both of the program's streams into one pipe.
    fn connect(&self, command: &mut Command) -> io::Result<(File, PipeReader)> {
        fs::create_dir_all(paths::log())?;
        let mut file = File::create(&self.log)?;
        writeln!(file, "$ {}", self.command_line)?;
        let (reader, writer) = io::pipe()?;
        command.stdout(writer.try_clone()?).stderr(writer);
        Ok((file, reader))
    }

    fn failure(&self, ended: &str, output: &str) -> Error {
        let Self {
            what,
            command_line,
            log,
            advice,
        } = self;
        let log = log.display();
        let mut text = format!("{what}: {ended}\n  command: {command_line}\n  log:     {log}");
        let lines: Vec<_> = output.lines().collect();
        for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
            text.push_str("\n  | ");
            text.push_str(line);
        }
        if let Some(advice) = advice {
            text.push_str("\n  what to do: ");
            text.push_str(advice);
        }
        Error::msg(text)
    }
}

impl Finished {
    /// Fails unless the program succeeded.
    pub fn check(&self) -> Result<()> {
        if self.status.success() {
            return Ok(());
        }
        Err(self
            .description
            .failure(&format!("ended with {}", self.status), &self.output))
    }
}

impl Running {
    fn finish(mut self) -> Result<Finished> {
        let status = loop {
            if self.take_line(TICK) == Taken::End {
                thread::sleep(TICK);
            }
            if let Some(status) = self
                .child
                .try_wait()
                .context("cannot wait for the program")?
            {
                break status;
            }
            self.check_limits()?;
        };
        let end_of_drain = Instant::now() + DRAIN_LIMIT;
        while self.take_line(DRAIN) == Taken::Line && Instant::now() < end_of_drain {}
        self.progress
            .finish(status.success(), self.started.elapsed());
        let output = std::mem::take(&mut self.output);
        Ok(Finished {
            status,
            output,
            description: self.description.clone(),
        })
    }

    /// Moves one line from the program into `output`.
    fn take_line(&mut self, wait: Duration) -> Taken {
        match self.lines.recv_timeout(wait) {
            Ok(line) => {
                self.progress.line(&line);
                self.output.push_str(&line);
                self.output.push('\n');
                Taken::Line
            }
            Err(RecvTimeoutError::Timeout) => Taken::Nothing,
            Err(RecvTimeoutError::Disconnected) => Taken::End,
        }
    }

    fn check_limits(&mut self) -> Result<()> {
        let over = |limit: &Duration| self.started.elapsed() > *limit;
        let ended = if INTERRUPTED.load(Ordering::Relaxed) {
            "interrupted".to_owned()
        } else if let Some(limit) = self.time_limit.filter(over) {
            format!("not done after {} s: stopped it", limit.as_secs())
        } else {
            return Ok(());
        };
        self.kill();
        Err(self.description.failure(&ended, &self.output))
    }

    fn kill(&mut self) {
        // Fails when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        self.progress.finish(false, self.started.elapsed());
    }
}

/// What [`Running::take_line`] got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Line,
    Nothing,
    /// No process holds the output open any more.
    End,
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

/// The standard output of a program that answers a question; fails unless it succeeds.
pub fn ask(program: impl AsRef<OsStr>, args: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(paths::root())
        .stdin(Stdio::null());
    let line = command_line(&command);
    let output = command
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{line}` ended with {}\n{}",
            output.status,
            words.trim_end()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` did not write UTF-8"))
}

fn spawn_in_group(command: Command) -> io::Result<Box<dyn ChildWrapper>> {
    let mut command = CommandWrap::from(command);
    #[cfg(unix)]
    command.wrap(process_wrap::std::ProcessGroup::leader());
    #[cfg(windows)]
    command.wrap(process_wrap::std::JobObject);
    command.spawn()
}

/// Copies the output to the log file and, line by line, to the step. A carriage return ends a line
/// too: progress bars overwrite theirs.
fn collect(reader: PipeReader, mut log: File, lines: &Sender<String>) {
    for chunk in BufReader::new(reader).split(b'\n') {
        let Ok(chunk) = chunk else { return };
        for line in chunk
            .split(|&byte| byte == b'\r')
            .filter(|line| !line.is_empty())
        {
            let line = String::from_utf8_lossy(line).into_owned();
            // A full disk must not end the step: the output is kept in memory as well.
            let _ = writeln!(log, "{line}");
            if lines.send(line).is_err() {
                return;
            }
        }
    }
}
