//! What is allowed on purpose, with the reason: `xtask/data/tidy.txt`.
//!
//! One exception a line, `KIND PATH: REASON`. One that no file needs any more is a finding, so the
//! list says what is, not what was.

use super::{Finding, Source};

/// The list.
pub const PATH: &str = "xtask/data/tidy.txt";

/// What may be excepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The module contains unsafe code.
    Unsafe,
    /// The file is longer than the limit.
    Long,
    /// The test sleeps.
    Sleep,
}

/// All exceptions.
#[derive(Debug, Default)]
pub struct Exceptions {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    path: String,
    line: usize,
    used: bool,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Unsafe => "unsafe",
            Self::Long => "long",
            Self::Sleep => "sleep",
        }
    }
}

impl Exceptions {
    /// Reads the list.
    pub fn read(source: &Source, findings: &mut Vec<Finding>) -> Self {
        let mut exceptions = Self::default();
        for (line, text) in (1..).zip(source.text.lines()) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            match parse(text) {
                Some((kind, path)) if !exceptions.contains(kind, path) => {
                    let path = path.to_owned();
                    exceptions.entries.push(Entry {
                        kind,
                        path,
                        line,
                        used: false,
                    });
                }
                Some(_) => findings.push(source.finding(line, "listed twice", "remove one line")),
                None => findings.push(source.finding(
                    line,
                    "not an exception",
                    "write `KIND PATH: REASON`, KIND being unsafe, long or sleep",
                )),
            }
        }
        exceptions
    }

    fn contains(&self, kind: Kind, path: &str) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.kind == kind && entry.path == path)
    }

    /// Whether `path` may do this. Notes that it does.
    pub fn allow(&mut self, kind: Kind, path: &str) -> bool {
        let wanted = |entry: &&mut Entry| entry.kind == kind && entry.path == path;
        let found = self.entries.iter_mut().find(wanted);
        found.map(|entry| entry.used = true).is_some()
    }

    /// To be called when all files have been checked.
    pub fn report_unused(&self, findings: &mut Vec<Finding>) {
        for Entry {
            kind, path, line, ..
        } in self.entries.iter().filter(|entry| !entry.used)
        {
            findings.push(Finding {
                path: PATH.to_owned(),
                line: *line,
                what: format!("`{} {path}` is needed by no file", kind.name()),
                advice: "remove the line",
            });
        }
    }
}

/// `KIND PATH: REASON`
fn parse(line: &str) -> Option<(Kind, &str)> {
    let (kind, rest) = line.split_once(' ')?;
    let kind = [Kind::Unsafe, Kind::Long, Kind::Sleep]
        .into_iter()
        .find(|candidate| candidate.name() == kind)?;
    let (path, reason) = rest.split_once(": ")?;
    (!path.is_empty() && !reason.trim().is_empty()).then_some((kind, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Exceptions, Vec<Finding>) {
        let source = Source {
            path: PATH.to_owned(),
            text: text.to_owned(),
        };
        let mut findings = Vec::new();
        (Exceptions::read(&source, &mut findings), findings)
    }

    #[test]
    fn listed_file_is_allowed_and_no_other() {
        let (mut exceptions, findings) = read("# why\n\nunsafe src/op.rs: IRPs\n");
        assert!(findings.is_empty(), "{findings:?}");
        assert!(exceptions.allow(Kind::Unsafe, "src/op.rs"));
        assert!(!exceptions.allow(Kind::Sleep, "src/op.rs"));
        assert!(!exceptions.allow(Kind::Unsafe, "src/op2.rs"));
    }

    #[test]
    fn exception_that_no_file_needs_is_found() {
        let (mut exceptions, _) = read("long a.rs: tables\nlong b.rs: tables\n");
        assert!(exceptions.allow(Kind::Long, "a.rs"));
        let mut findings = Vec::new();
        exceptions.report_unused(&mut findings);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].line, 2);
    }

    #[test]
    fn exception_without_reason_or_of_no_kind_is_found() {
        for text in [
            "unsafe a.rs",
            "unsafe a.rs: ",
            "fast a.rs: why not",
            "long a: b\nlong a: c",
        ] {
            let (_, findings) = read(text);
            assert_eq!(findings.len(), 1, "{text}: {findings:?}");
        }
    }
}
