//! A driver's service: create, configure, start, stop, query and delete it, with `sc` and `reg` of
//! Wine.
//!
//! Used by `demo` and `driver_tests` through `wine`. Wine's `sc` prints the state of the service,
//! or on failure the Win32 error; why a `DriverEntry` failed is known to Wine's loader only, which
//! says so in the debug output. What the driver is, and what its parameters mean, is not known
//! here.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::codes::{NtStatus, Win32Error};
use super::log::{Line, Position};
use super::{COMMAND_LIMIT, TICK, Wine};
use crate::process;

/// How long what the loader and the driver wrote during a start may take to reach the log.
const LOG_LIMIT: Duration = Duration::from_secs(5);

/// The state of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The driver is not loaded.
    Stopped,
    /// The driver is loaded.
    Running,
    /// On the way from one to the other, by the number that the service control manager gives it.
    Other(u32),
}

/// How a start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The driver runs.
    Running,
    /// It does not.
    Refused(Refusal),
}

/// Why a driver does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What `sc start` reports.
    pub error: Win32Error,
    /// What `DriverEntry` returned, if it was called.
    pub driver_entry: Option<NtStatus>,
}

/// A service of the running Wine.
#[derive(Debug)]
pub struct Service<'w> {
    wine: &'w Wine,
    name: String,
}

/// What `sc` answered: the state if it printed one, or its error.
type Answer = Result<Option<State>, Win32Error>;

impl<'w> Service<'w> {
    /// Creates a service for an image that was put in place with [`Wine::install_image`]. One that
    /// an interrupted run left behind is deleted first, with its parameters. Drivers of one load
    /// order group share a process, and with it `netio.sys`.
    pub fn create(wine: &'w Wine, name: &str, image: &str, group: Option<&str>) -> Result<Self> {
        let service = Self {
            wine,
            name: name.to_owned(),
        };
        if service.query()?.is_some() {
            service.delete()?;
        }
        let path = format!(r"C:\windows\system32\drivers\{image}");
        let mut args = vec!["type=", "kernel", "start=", "demand", "binPath=", &path];
        args.extend(group.into_iter().flat_map(|group| ["group=", group]));
        service.expect("create", &args)?;
        Ok(service)
    }

    /// The name of the service.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets a number below the service's Parameters key.
    pub fn set_number(&self, value: &str, number: u32) -> Result<()> {
        self.set(value, "REG_DWORD", &number.to_string())
    }

    /// Sets several texts below the service's Parameters key.
    pub fn set_texts(&self, value: &str, texts: &[&str]) -> Result<()> {
        // What `reg` takes for the end of a text.
        self.set(value, "REG_MULTI_SZ", &texts.join(r"\0"))
    }

    /// Sets a text below the service's Parameters key.
    pub fn set_text(&self, value: &str, text: &str) -> Result<()> {
        self.set(value, "REG_SZ", text)
    }

    fn set(&self, value: &str, kind: &str, data: &str) -> Result<()> {
        let what = format!("set {value} of {}", self.name);
        let key = format!(
            r"HKLM\SYSTEM\CurrentControlSet\Services\{}\Parameters",
            self.name
        );
        self.wine
            .command(&what, "reg")
            .args(["add", &key, "/v", value, "/t", kind, "/d", data, "/f"])
            .run()?;
        Ok(())
    }

    /// The state of the service; `None` if it does not exist.
    pub fn query(&self) -> Result<Option<State>> {
        match self.sc("query", &[])? {
            Ok(Some(state)) => Ok(Some(state)),
            Ok(None) => bail!("`sc query {}` told no state", self.name),
            Err(Win32Error::SERVICE_DOES_NOT_EXIST) => Ok(None),
            Err(error) => bail!("sc query {}: {error}", self.name),
        }
    }

    /// Starts the driver.
    pub fn start(&self) -> Result<Start> {
        let before = self.wine.log().position();
        match self.sc("start", &[])? {
            Ok(_) => {
                self.wait_until(State::Running, COMMAND_LIMIT)?;
                Ok(Start::Running)
            }
            Err(error) => {
                let driver_entry = self.driver_entry_status(before, error)?;
                Ok(Start::Refused(Refusal {
                    error,
                    driver_entry,
                }))
            }
        }
    }

    /// Starts the driver. Fails, with the driver's own words, if it does not run.
    pub fn start_running(&self) -> Result<()> {
        let before = self.wine.log().position();
        let Start::Refused(refusal) = self.start()? else {
            return Ok(());
        };
        let status = refusal
            .driver_entry
            .map_or("was not called".to_owned(), |status| {
                format!("returned {status}")
            });
        bail!(
            "sc start {}: {}; DriverEntry {status}; the driver's log says:{}",
            self.name,
            refusal.error,
            self.wine.log().quote(before)
        )
    }

    /// The loader writes the status of `DriverEntry` first, `sc` ends later; a pipe may be slower.
    fn driver_entry_status(&self, from: Position, error: Win32Error) -> Result<Option<NtStatus>> {
        let not_loaded = [
            Win32Error::SERVICE_DOES_NOT_EXIST,
            Win32Error::SERVICE_ALREADY_RUNNING,
        ];
        if not_loaded.contains(&error) {
            return Ok(None);
        }
        let of_this_service = |line: &Line| match line {
            Line::LoadFailed { service, status } if *service == self.name => Some(*status),
            _ => None,
        };
        let status =
            self.wine
                .log()
                .wait_for(from, "status of DriverEntry", LOG_LIMIT, of_this_service);
        status
            .map(Some)
            .with_context(|| self.failure("start", error))
    }

    /// Stops the driver; fails unless it is unloaded within `limit`. Returns how long that took.
    pub fn stop(&self, limit: Duration) -> Result<Duration> {
        let started = Instant::now();
        self.expect("stop", &[])?;
        self.wait_until(State::Stopped, limit.saturating_sub(started.elapsed()))?;
        let elapsed = started.elapsed();
        ensure!(
            elapsed <= limit,
            "sc stop {} took {:.1} s, more than {:.1} s",
            self.name,
            elapsed.as_secs_f64(),
            limit.as_secs_f64()
        );
        Ok(elapsed)
    }

    /// Deletes the service and its parameters.
    pub fn delete(&self) -> Result<()> {
        self.expect("delete", &[])
    }

    fn wait_until(&self, wanted: State, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let state = self.query()?;
            if state == Some(wanted) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!(
                    "{} is {state:?}, not {wanted:?}, after {:.1} s; the driver hangs in \
                     DriverEntry or DriverUnload, or its host died: see target/wine/debug.log",
                    self.name,
                    limit.as_secs_f64()
                );
            }
            process::check_interrupt()?;
            thread::sleep(TICK);
        }
    }

    fn expect(&self, verb: &str, args: &[&str]) -> Result<()> {
        match self.sc(verb, args)? {
            Ok(_) => Ok(()),
            Err(error) => bail!("{}", self.failure(verb, error)),
        }
    }

    fn failure(&self, verb: &str, error: Win32Error) -> String {
        let meaning = error.meaning().map(|text| format!("; {text}"));
        format!(
            "sc {verb} {}: {error}{}",
            self.name,
            meaning.unwrap_or_default()
        )
    }

    fn sc(&self, verb: &str, args: &[&str]) -> Result<Answer> {
        let finished = self
            .wine
            .command(&format!("sc {verb} {}", self.name), "sc")
            .args([verb, &self.name])
            .args(args)
            .attempt()?;
        parse(finished.status.success(), &finished.output).with_context(|| {
            format!(
                "sc {verb} {}: cannot read what it wrote:\n{}",
                self.name, finished.output
            )
        })
    }
}

/// Reads the output of `sc`. `None` if it failed without saying why.
fn parse(success: bool, output: &str) -> Option<Answer> {
    if success {
        return Some(Ok(output.lines().find_map(state)));
    }
    // "0104:err:sc:wmain failed to open service 1060"
    let error = output.lines().find(|line| line.contains(":err:sc:"))?;
    let code = error.split_whitespace().next_back()?.parse().ok()?;
    Some(Err(Win32Error(code)))
}

/// `        STATE              : 4  RUNNING`
fn state(line: &str) -> Option<State> {
    let (name, value) = line.split_once(':')?;
    if name.trim() != "STATE" {
        return None;
    }
    Some(match value.split_whitespace().next()?.parse().ok()? {
        1 => State::Stopped,
        4 => State::Running,
        other => State::Other(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: &str = "SERVICE_NAME: wsk_echo\n        TYPE               : 1  \n        \
                           STATE              : 4  RUNNING\n        CHECKPOINT         : 0x0\n";

    #[test]
    fn answer_of_sc_gives_the_state() {
        assert_eq!(parse(true, RUNNING), Some(Ok(Some(State::Running))));
        let stopping = RUNNING.replace("4  RUNNING", "3  STOP_PENDING");
        assert_eq!(parse(true, &stopping), Some(Ok(Some(State::Other(3)))));
        assert_eq!(parse(true, ""), Some(Ok(None)));
    }

    #[test]
    fn error_of_sc_gives_its_code() {
        let output = "0104:err:sc:wmain failed to open service 1060\n";
        assert_eq!(
            parse(false, output),
            Some(Err(Win32Error::SERVICE_DOES_NOT_EXIST))
        );
    }

    #[test]
    fn failure_of_sc_without_a_code_is_not_taken_for_an_answer() {
        assert_eq!(parse(false, "wine: could not load kernel32.dll"), None);
    }
}
