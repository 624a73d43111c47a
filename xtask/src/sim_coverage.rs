//! `cargo xtask sim-coverage`: every must of docs/CONTRACT.md is implemented in the simulator and
//! tested, or has a reason why not.
//!
//! What counts is a citation, as comments and the names of tests make them: below `sim/src` for
//! what implements a rule, below `sim/tests` for what tests it. `xtask/data/sim-coverage.txt` has
//! the reasons. A reason that is not needed any more is an error, so that the list says what is.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::tidy::contract::{self, citations, musts};
use crate::tidy::{Source, sources};

const SOURCES: &str = "sim/src/";
const TESTS: &str = "sim/tests/";
const REASONS: &str = "xtask/data/sim-coverage.txt";

/// Options of `cargo xtask sim-coverage`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Where rules are cited: `FILE:LINE`, by number.
type Places = BTreeMap<String, Vec<String>>;

/// How a rule is covered.
#[derive(Debug, PartialEq, Eq)]
enum Coverage<'a> {
    Both(&'a [String], &'a [String]),
    Reason(&'a str),
    /// What is missing.
    Missing(&'static str),
    /// A reason in spite of both.
    Needless,
}

/// `cargo xtask sim-coverage`.
pub fn run(_args: &Args) -> Result<()> {
    let sources = sources()?;
    let find = |path: &str| {
        let found = sources.iter().find(|source| source.path == path);
        found.with_context(|| format!("{path} is missing: restore it"))
    };
    let rules = musts(&find(contract::PATH)?.text);
    let reasons = reasons(&find(REASONS)?.text, &rules)?;
    let places = |root| {
        places(
            sources
                .iter()
                .filter(|source| source.path.starts_with(root)),
        )
    };
    let (implemented, tested) = (places(SOURCES), places(TESTS));
    let covered = rules.iter().map(|rule| {
        let reason = reasons.get(rule).copied();
        (
            *rule,
            cover(get(&implemented, rule), get(&tested, rule), reason),
        )
    });
    report(&covered.collect::<Vec<_>>())
}

fn get<'a>(places: &'a Places, rule: &str) -> &'a [String] {
    places.get(rule).map_or(&[], Vec::as_slice)
}

fn cover<'a>(
    implemented: &'a [String],
    tested: &'a [String],
    reason: Option<&'a str>,
) -> Coverage<'a> {
    match (implemented.is_empty(), tested.is_empty(), reason) {
        (false, false, None) => Coverage::Both(implemented, tested),
        (false, false, Some(_)) => Coverage::Needless,
        (_, _, Some(reason)) => Coverage::Reason(reason),
        (true, true, None) => Coverage::Missing("neither implemented nor tested"),
        (true, false, None) => Coverage::Missing("tested, but cited nowhere in the simulator"),
        (false, true, None) => Coverage::Missing("implemented, but cited by no test"),
    }
}

/// Prints what covers each rule, and fails if something does not.
fn report(covered: &[(&str, Coverage<'_>)]) -> Result<()> {
    let (mut both, mut reasons, mut problems) = (0, 0, 0);
    for (rule, coverage) in covered {
        let text = match coverage {
            Coverage::Both(implemented, tested) => {
                both += 1;
                format!("{}; {}", name(implemented), name(tested))
            }
            Coverage::Reason(reason) => {
                reasons += 1;
                format!("not: {reason}")
            }
            Coverage::Missing(what) => {
                problems += 1;
                format!("MISSING: {what}")
            }
            Coverage::Needless => {
                problems += 1;
                format!("COVERED: remove the line from {REASONS}")
            }
        };
        println!("{rule:>6}  {text}");
    }
    println!(
        "{} musts: {both} implemented and tested, {reasons} with a reason, {problems} missing",
        covered.len()
    );
    if problems > 0 {
        bail!(
            "the simulator does not cover {problems} rules\n  what to do: cite the rule where it \
             is implemented and in a test, or say in {REASONS} why it cannot be"
        );
    }
    Ok(())
}

/// The first place, and how many more there are.
fn name(places: &[String]) -> String {
    match places {
        [] => "nowhere".to_owned(),
        [only] => only.clone(),
        [first, more @ ..] => format!("{first} and {} more", more.len()),
    }
}

/// Where the rules are cited.
fn places<'a>(sources: impl Iterator<Item = &'a Source>) -> Places {
    let mut places = Places::new();
    for source in sources {
        let mut add = |number: &str, line: usize| {
            let place = format!("{}:{line}", source.path);
            places.entry(number.to_owned()).or_default().push(place);
        };
        for citation in citations(&source.text) {
            for number in citation.numbers.into_iter().flatten() {
                add(number, citation.line);
            }
        }
        for (line, text) in (1..).zip(source.text.lines()) {
            for number in named(text) {
                add(&number, line);
            }
        }
    }
    places
}

/// The rules in the name of a test: `fn wsk_3_5_irp_freed_while_pending_is_reported`, or
/// `fn wsk_8_6_and_10_4_close_with_a_retained_list_is_reported`.
fn named(line: &str) -> Vec<String> {
    let digits = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let name = line.trim_start().strip_prefix("fn wsk_");
    let mut words = name.unwrap_or_default().split('_');
    let mut rules = Vec::new();
    while let (Some(section), Some(rule)) = (words.next(), words.next()) {
        if !(digits(section) && digits(rule)) {
            break;
        }
        rules.push(format!("{section}.{rule}"));
        if words.next() != Some("and") {
            break;
        }
    }
    rules
}

/// Why rules are not covered: `NUMBER: REASON`, one a line.
fn reasons<'a>(text: &'a str, rules: &[&str]) -> Result<BTreeMap<&'a str, &'a str>> {
    let mut reasons = BTreeMap::new();
    for (line, text) in (1..).zip(text.lines()) {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let Some((rule, reason)) = text.split_once(": ") else {
            bail!("{REASONS}:{line}: not `NUMBER: REASON`");
        };
        if !rules.contains(&rule) {
            bail!("{REASONS}:{line}: {rule} is no must of {}", contract::PATH);
        }
        if reasons.insert(rule, reason).is_some() {
            bail!("{REASONS}:{line}: {rule} has a reason already");
        }
    }
    Ok(reasons)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source {
            path: "sim/tests/a.rs".to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn places_are_comments_and_names_of_tests() {
        let text = concat!(
            "// [ws",
            "k 3.5, 3.8]\nfn wsk_8_2_and_9_1_kept() {}\nfn wsk_send_all() {}\n"
        );
        let places = places([source(text)].iter());
        let all: Vec<_> = places
            .iter()
            .map(|(rule, at)| (rule.as_str(), at.join(" ")))
            .collect();
        let at = |line| format!("sim/tests/a.rs:{line}");
        assert_eq!(
            all,
            [
                ("3.5", at(1)),
                ("3.8", at(1)),
                ("8.2", at(2)),
                ("9.1", at(2))
            ]
        );
    }

    #[test]
    fn cover_needs_both_or_a_reason_and_not_all() {
        let place = ["a".to_owned()];
        let missing = |coverage| matches!(coverage, Coverage::Missing(_));
        assert_eq!(cover(&place, &place, None), Coverage::Both(&place, &place));
        assert!(missing(cover(&place, &[], None)));
        assert!(missing(cover(&[], &place, None)));
        assert!(missing(cover(&[], &[], None)));
        assert_eq!(cover(&place, &[], Some("why")), Coverage::Reason("why"));
        assert_eq!(cover(&place, &place, Some("why")), Coverage::Needless);
    }

    #[test]
    fn reasons_name_musts_once() {
        let read = |text| reasons(text, &["3.4", "3.8"]).is_ok();
        assert!(read("# why\n\n3.4: cannot be seen\n3.8: the same\n"));
        assert!(!read("3.5: no such must\n"));
        assert!(!read("3.4: one\n3.4: two\n"));
        assert!(!read("3.4 without a colon\n"));
    }
}
