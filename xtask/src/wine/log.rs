//! What drivers print with `DbgPrint`, taken out of Wine's debug output while it arrives.
//!
//! The first Wine process of a session starts the services, which start the processes that host
//! drivers; all of them inherit its standard error. `Log::follow` reads that stream on a thread of
//! its own until the last of them has ended. Three kinds of lines matter: a driver's `DbgPrint`,
//! the loader's word on a `DriverEntry` that failed, and what Wine itself complains about (a call
//! of a function that it lacks ends the process that hosts the driver).

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::codes::NtStatus;
use crate::process;

/// How often a wait looks whether the user has interrupted.
const TICK: Duration = Duration::from_millis(50);
/// How many lines an error repeats.
const LAST_LINES: usize = 12;

/// One line of Wine's debug output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A driver printed this.
    Driver(String),
    /// The `DriverEntry` of this service returned this status.
    LoadFailed { service: String, status: NtStatus },
    /// Wine's own words.
    Wine(String),
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(text) | Self::Wine(text) => f.write_str(text),
            Self::LoadFailed { service, status } => {
                write!(f, "DriverEntry of {service} returned {status}")
            }
        }
    }
}

/// All lines of one session, in order of arrival. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Vec<Line>>,
    arrived: Condvar,
}

/// A place in the log: everything that arrives later comes after it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Position(usize);

impl Log {
    /// Reads `stream` to its end on a thread of its own; keeps a raw copy in `copy`.
    pub fn follow(stream: impl Read + Send + 'static, copy: &Path) -> io::Result<Self> {
        let log = Self::default();
        let mut copy = File::create(copy)?;
        let shared = log.clone();
        thread::Builder::new()
            .name("driver log".to_owned())
            .spawn(move || {
                for line in BufReader::new(stream).split(b'\n') {
                    let Ok(line) = line else { return };
                    let line = String::from_utf8_lossy(&line);
                    // A full disk must not end the session: the lines are kept in memory as well.
                    let _ = writeln!(copy, "{line}");
                    if let Some(line) = parse(line.trim_end()) {
                        shared.lines().push(line);
                        shared.0.arrived.notify_all();
                    }
                }
            })?;
        Ok(log)
    }

    /// The end of what has arrived so far.
    pub fn position(&self) -> Position {
        Position(self.lines().len())
    }

    /// What drivers have printed so far.
    pub fn driver_lines(&self) -> Vec<String> {
        self.driver_lines_after(Position::default())
    }

    /// What drivers have printed after `from`.
    pub fn driver_lines_after(&self, from: Position) -> Vec<String> {
        let driver = |line: &Line| match line {
            Line::Driver(text) => Some(text.clone()),
            Line::LoadFailed { .. } | Line::Wine(_) => None,
        };
        self.lines()[from.0..].iter().filter_map(driver).collect()
    }

    /// Waits until `find` finds what it looks for in a line after `from`. The error says what did
    /// arrive instead.
    pub fn wait_for<T>(
        &self,
        from: Position,
        what: &str,
        limit: Duration,
        find: impl Fn(&Line) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        let mut lines = self.lines();
        let mut seen = from.0;
        loop {
            if let Some(found) = lines[seen..].iter().find_map(&find) {
                return Ok(found);
            }
            seen = lines.len();
            if Instant::now() >= deadline {
                bail!(
                    "no {what} in the driver's log within {} s; it says:{}",
                    limit.as_secs(),
                    quote(&lines[from.0..])
                );
            }
            process::check_interrupt()?;
            lines = self
                .0
                .arrived
                .wait_timeout(lines, TICK)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// The last lines after `from`, for an error message.
    pub fn quote(&self, from: Position) -> String {
        quote(&self.lines()[from.0..])
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        // Lines are only ever appended, so a panic elsewhere leaves them intact.
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn quote(lines: &[Line]) -> String {
    if lines.is_empty() {
        return " nothing".to_owned();
    }
    let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
    let last: Vec<_> = last.iter().map(ToString::to_string).collect();
    format!("\n  | {}", last.join("\n  | "))
}

/// Takes one raw line apart. `None` for the output of a user-mode program and for blank lines.
fn parse(raw: &str) -> Option<Line> {
    if let Some((_, text)) = raw.split_once(":debugstr:vDbgPrintExWithPrefix ") {
        // "component:level: text", both eight hexadecimal digits.
        let text = text.splitn(3, ':').nth(2).unwrap_or(text);
        return Some(Line::Driver(text.trim().to_owned()));
    }
    if raw.contains(":debugstr:") || raw.trim().is_empty() {
        return None;
    }
    Some(load_failure(raw).unwrap_or_else(|| Line::Wine(raw.to_owned())))
}

/// `..:ZwLoadDriver failed to create driver L"\\Registry\\..\\Services\\NAME": c000000d`
fn load_failure(raw: &str) -> Option<Line> {
    let (_, rest) = raw.split_once(":ZwLoadDriver failed to create driver L\"")?;
    let (key, status) = rest.split_once("\": ")?;
    let service = key.rsplit('\\').next()?.to_owned();
    let status = NtStatus(u32::from_str_radix(status.trim(), 16).ok()?);
    Some(Line::LoadFailed { service, status })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTENING: &str = "0204:warn:debugstr:vDbgPrintExWithPrefix 00000000:00000001: \
                             wsk_echo: listening on 127.0.0.1:5000";
    const FAILED: &str = concat!(
        r#"0140:err:ntoskrnl:ZwLoadDriver failed to create driver L"\\Registry\\Machine\\System"#,
        r#"\\CurrentControlSet\\Services\\wsk_echo": c000000d"#
    );

    #[test]
    fn dbgprint_line_loses_what_wine_puts_before_it() {
        let text = "wsk_echo: listening on 127.0.0.1:5000".to_owned();
        assert_eq!(parse(LISTENING), Some(Line::Driver(text)));
    }

    #[test]
    fn failed_driver_entry_gives_service_and_status() {
        let status = NtStatus::INVALID_PARAMETER;
        let service = "wsk_echo".to_owned();
        assert_eq!(parse(FAILED), Some(Line::LoadFailed { service, status }));
    }

    #[test]
    fn line_of_wine_itself_is_kept_and_user_mode_output_is_not() {
        let missing = "wine: Call from 1 to unimplemented function ntoskrnl.exe.X, aborting";
        assert_eq!(parse(missing), Some(Line::Wine(missing.to_owned())));
        assert_eq!(parse("0024:warn:debugstr:OutputDebugStringA \"x\""), None);
        assert_eq!(parse("  "), None);
    }

    #[test]
    fn wait_for_a_line_that_never_comes_quotes_what_came() {
        let log = Log::default();
        log.lines().extend(parse(LISTENING));
        let none = |_: &Line| None::<()>;
        let error = log
            .wait_for(Position(0), "farewell", Duration::ZERO, none)
            .unwrap_err()
            .to_string();
        assert!(error.contains("no farewell"), "{error}");
        assert!(error.contains("listening on 127.0.0.1:5000"), "{error}");
    }

    #[test]
    fn wait_for_looks_only_at_lines_after_its_position() {
        let log = Log::default();
        log.lines().extend(parse(LISTENING));
        let any = |line: &Line| Some(line.clone());
        assert!(
            log.wait_for(Position(0), "line", Duration::ZERO, any)
                .is_ok()
        );
        assert!(
            log.wait_for(log.position(), "line", Duration::ZERO, any)
                .is_err()
        );
    }
}
