//! `cargo xtask tidy`: the rules of this repository that a machine can check.
//!
//! Called by `cargo xtask test` as well. Every file that Git tracks, or would track, is read once;
//! each check looks at one file and adds findings; all findings are printed, sorted, at the end.
//! `text` checks lines of any file, `rust` the tokens of Rust sources, `contract` the cited rules,
//! `soundness` the table of lessons; `exceptions` holds what was allowed on purpose, with reasons.
//! Formatting and Clippy are steps of `cargo xtask test`; they are not repeated here.

use std::fmt;
use std::fs;

use anyhow::{Context, Result, bail};

use crate::paths;
use crate::process::ask;
use contract::Contract;
use exceptions::Exceptions;

pub mod contract;
mod exceptions;
mod rust;
mod soundness;
mod text;

/// Options of `cargo xtask tidy`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// A text file of the repository.
#[derive(Clone, Debug)]
pub struct Source {
    /// Below the root, with `/`.
    pub path: String,
    pub text: String,
}

impl Source {
    /// Whether it is a Rust source.
    pub fn is_rust(&self) -> bool {
        self.path
            .rsplit_once('.')
            .is_some_and(|(_, end)| end == "rs")
    }

    fn finding(&self, line: usize, what: impl Into<String>, advice: &'static str) -> Finding {
        Finding {
            path: self.path.clone(),
            line,
            what: what.into(),
            advice,
        }
    }
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    path: String,
    line: usize,
    what: String,
    advice: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            what,
            advice,
        } = self;
        write!(f, "{path}:{line}: {what}; {advice}")
    }
}

/// `cargo xtask tidy`.
pub fn run(_args: &Args) -> Result<()> {
    let sources = sources()?;
    let findings = check(&sources)?;
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!(
            "tidy: {} findings in {} files",
            findings.len(),
            sources.len()
        );
    }
    println!("tidy: {} files, nothing found", sources.len());
    Ok(())
}

fn check(sources: &[Source]) -> Result<Vec<Finding>> {
    let read = |path: &str| {
        let found = sources.iter().find(|source| source.path == path);
        found.with_context(|| format!("{path} is missing: restore it"))
    };
    let mut findings = Vec::new();
    let contract = Contract::read(read(contract::PATH)?, &mut findings);
    let mut exceptions = Exceptions::read(read(exceptions::PATH)?, &mut findings);
    for source in sources {
        text::check(source, &mut exceptions, &mut findings);
        contract.check(source, &mut findings);
        if source.is_rust() {
            rust::check(source, &mut exceptions, &mut findings);
        }
    }
    soundness::check(read(soundness::PATH)?, sources, &mut findings);
    exceptions.report_unused(&mut findings);
    findings.sort();
    Ok(findings)
}

/// Every file that Git tracks, or would track, and that holds text.
pub fn sources() -> Result<Vec<Source>> {
    let list = ask(
        "git",
        &[
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
    )
    .context("tidy reads the list of files from Git: run it in a clone")?;
    let mut sources = Vec::new();
    for path in list.split_terminator('\0') {
        let file = paths::root().join(path);
        if !file.is_file() {
            // Deleted, but not yet in the index.
            continue;
        }
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        if let Ok(text) = String::from_utf8(bytes) {
            sources.push(Source {
                path: path.to_owned(),
                text,
            });
        }
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn findings_of_all_files_and_checks_come_at_once() {
        let sources = [
            source(contract::PATH, "3.5 A rule.\n"),
            source(exceptions::PATH, "unsafe src/gone.rs: it was there once\n"),
            source(soundness::PATH, ""),
            source("src/a.rs", "fn a() { unsafe { b() } } \n"),
        ];
        let findings = check(&sources).unwrap();
        let found: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 6, "{found:#?}");
        assert!(found[0].starts_with("docs/SOUNDNESS.md:1: "), "{found:#?}");
        assert!(found[1].starts_with("src/a.rs:1: "), "{found:#?}");
        assert!(
            found[5].starts_with("xtask/data/tidy.txt:1: "),
            "{found:#?}"
        );
    }

    #[test]
    fn missing_contract_is_an_error_that_names_it() {
        let error = check(&[]).unwrap_err().to_string();
        assert_eq!(error, "docs/CONTRACT.md is missing: restore it");
    }
}
