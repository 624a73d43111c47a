//! Whether what the map claims is so.
//!
//! An entry counts as covered if its item is public, its documentation names the fact, each of its
//! tests exists and names the item, and the library's code uses the fact; where it does not, since
//! the fact is asked for by number or expressed in Rust, the tests name it. Tests are a crate of
//! their own, so that what they name is public to the compiler as well.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::facts::{self, Fact, Kind, Mark};
use super::library::Library;
use super::map::{self, Entry, Map};
use super::reached::{Reached, names_of};
use super::tests_of::Tests;

/// Items that take the number of an option or a control operation: the tests name it, and their
/// documentation cannot.
const BY_NUMBER: [&str; 3] = ["set_raw_option", "raw_option", "raw_ioctl"];

/// What is known about a fact.
#[derive(Debug, Serialize)]
pub struct Checked {
    pub kind: Kind,
    pub fact: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    #[serde(flatten)]
    pub state: State,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum State {
    Covered {
        item: String,
        /// `FILE:LINE` of the item.
        defined: String,
        /// `FILE:LINE` where the library's code uses the fact.
        #[serde(skip_serializing_if = "Option::is_none")]
        used: Option<String>,
        tests: Vec<String>,
        /// Whether the simulator has written down that the tests reached it.
        reached: bool,
    },
    SameAs {
        fact: String,
    },
    Reason {
        reason: String,
    },
    /// The entry is missing, or does not hold.
    Wrong {
        problem: String,
    },
}

/// What the entries are checked against.
pub struct Evidence<'a> {
    pub library: &'a Library,
    pub tests: &'a Tests<'a>,
    /// Of a run of the tests, if there was one.
    pub reached: Option<&'a Reached>,
}

/// Checks every fact, and that the map has no others.
pub fn check(facts: &[Fact], map: &Map, evidence: &Evidence<'_>) -> Result<Vec<Checked>> {
    let by_name: BTreeMap<_, _> = facts
        .iter()
        .map(|fact| (fact.name.as_str(), fact))
        .collect();
    let mut all = Vec::new();
    for fact in facts {
        let state = match map.facts.get(&fact.name) {
            None => wrong(format!("it has no entry in {}", map::PATH)),
            Some(Entry::Covered { item, tests }) => evidence.covered(fact, item, tests)?,
            Some(Entry::Same(other)) => same(fact, other, &by_name, map),
            Some(Entry::Not(reason)) => excused(fact, reason),
        };
        all.push(Checked {
            kind: fact.kind,
            fact: fact.name.clone(),
            mark: fact.mark,
            state,
        });
    }
    Ok(all)
}

/// The names in the map that are none of a fact.
pub fn unknown<'a>(facts: &[Fact], map: &'a Map) -> Vec<&'a str> {
    let names = map.facts.keys().map(String::as_str);
    names
        .filter(|name| facts.iter().all(|fact| fact.name != *name))
        .collect()
}

fn wrong(problem: String) -> State {
    State::Wrong { problem }
}

fn same(fact: &Fact, name: &str, facts: &BTreeMap<&str, &Fact>, map: &Map) -> State {
    let prefix = |name: &str| name.split('_').next().map(str::to_owned);
    let agrees = |other: &&Fact| {
        let level = prefix(&other.name) == prefix(&fact.name);
        level && other.kind == fact.kind && other.value.is_some() && other.value == fact.value
    };
    let covered = matches!(map.facts.get(name), Some(Entry::Covered { .. }));
    if covered && facts.get(name).is_some_and(agrees) {
        return State::SameAs {
            fact: name.to_owned(),
        };
    }
    wrong(format!(
        "{name} is not covered, or of another number or level"
    ))
}

fn excused(fact: &Fact, reason: &str) -> State {
    if fact.mark.is_none() {
        return wrong(format!(
            "a reason is for what {} marks as reserved, withdrawn, undocumented or Winsock's",
            facts::PATH
        ));
    }
    State::Reason {
        reason: reason.to_owned(),
    }
}

impl Evidence<'_> {
    fn covered(&self, fact: &Fact, path: &str, tests: &[String]) -> Result<State> {
        let (word, member) = (fact.word(), last(path));
        let by_number = BY_NUMBER.contains(&member);
        let Some(item) = self.library.find(path) else {
            return Ok(wrong(format!("`{path}` is no public item of wsk")));
        };
        let used = self.library.uses(word).filter(|_| !by_number);
        if !by_number && !item.names(word) {
            return Ok(wrong(format!(
                "the documentation of `{path}` ({}) does not name {word}",
                item.place()
            )));
        }
        for test in tests {
            let Some(words) = self.tests.words(test)? else {
                return Ok(wrong(format!("there is no test `{test}`")));
            };
            if !words.contains(member) {
                return Ok(wrong(format!("test `{test}` does not name `{member}`")));
            }
            if used.is_none() && !words.contains(word) {
                let what = "nor does the code of wsk use it";
                return Ok(wrong(format!("test `{test}` does not name {word}, {what}")));
            }
        }
        let reached = match self.reached_by(fact, tests)? {
            Ok(reached) => reached,
            Err(problem) => return Ok(wrong(problem)),
        };
        Ok(State::Covered {
            item: path.to_owned(),
            defined: item.place(),
            used: used.map(str::to_owned),
            tests: tests.to_vec(),
            reached,
        })
    }

    /// Whether the tests have reached a fact when they ran; which of them has not. Unit tests are
    /// not asked: they may do for themselves what a provider would.
    fn reached_by(&self, fact: &Fact, tests: &[String]) -> Result<Result<bool, String>> {
        let names = names_of(fact);
        let Some(record) = self.reached.filter(|_| !names.is_empty()) else {
            return Ok(Ok(false));
        };
        let mut asked = tests
            .iter()
            .filter(|test| !test.starts_with("src/"))
            .peekable();
        let any = asked.peek().is_some();
        for test in asked {
            let Some(reached) = record.by(test)? else {
                return Ok(Err(format!(
                    "test `{test}` has left no record: has it run?"
                )));
            };
            if !names.iter().any(|name| reached.contains(name)) {
                let names = names.join(" or ");
                return Ok(Err(format!("test `{test}` has not reached {names}")));
            }
        }
        Ok(Ok(any))
    }
}

fn last(path: &str) -> &str {
    path.rsplit_once("::").map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::Source;

    fn sources() -> Vec<Source> {
        let sources = [
            ("src/lib.rs", "mod socket;\npub use self::socket::Socket;\n"),
            (
                "src/socket.rs",
                "impl Socket {\n/// `WSK_FLAG_A`, `WSK_FLAG_UNUSED`\npub fn send(&self) { \
                 f(WSK_FLAG_A) }\npub fn raw_option(&self) {}\npub fn other(&self) {}\n\
                 fn hidden(&self) {} }\n",
            ),
            (
                "tests/on_sim/a.rs",
                "#[test]\nfn sends() { s.send() }\n#[test]\nfn asks() { s.raw_option(SO_B) }\n",
            ),
        ];
        let source = |(path, text): (&str, &str)| Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        sources.map(source).to_vec()
    }

    fn fact(name: &str, value: i64, mark: Option<Mark>) -> Fact {
        Fact {
            kind: Kind::Flag,
            name: name.to_owned(),
            value: Some(value),
            mark,
        }
    }

    fn covered(item: &str, test: &str) -> Entry {
        Entry::Covered {
            item: item.to_owned(),
            tests: vec![test.to_owned()],
        }
    }

    /// The state of the first of these facts, without a run of the tests.
    fn state(facts: &[Fact], entries: &[(&str, Entry)]) -> State {
        state_after(facts, entries, None)
    }

    fn state_after(facts: &[Fact], entries: &[(&str, Entry)], reached: Option<&Reached>) -> State {
        let sources = sources();
        let evidence = Evidence {
            library: &Library::read(&sources).unwrap(),
            tests: &Tests::new(&sources),
            reached,
        };
        let map = Map {
            others: [].into(),
            facts: entries
                .iter()
                .map(|(name, entry)| ((*name).to_owned(), entry.clone()))
                .collect(),
        };
        check(facts, &map, &evidence).unwrap().remove(0).state
    }

    fn problem(state: State) -> String {
        let State::Wrong { problem } = state else {
            panic!("{state:?}");
        };
        problem
    }

    #[test]
    fn entry_whose_claims_hold_is_covered() {
        let facts = [fact("WSK_FLAG_A", 1, None)];
        let entry = covered("Socket::send", "on_sim/a::sends");
        let State::Covered { defined, used, .. } = state(&facts, &[("WSK_FLAG_A", entry)]) else {
            panic!("not covered");
        };
        assert_eq!(defined, "src/socket.rs:3");
        assert_eq!(used.as_deref(), Some("src/socket.rs:3"));
    }

    #[test]
    fn each_claim_that_does_not_hold_has_a_problem_of_its_own() {
        let test = "on_sim/a::sends";
        for (name, entry, expected) in [
            (
                "WSK_FLAG_A",
                covered("Socket::hidden", test),
                "no public item",
            ),
            (
                "WSK_FLAG_A",
                covered("Socket::other", test),
                "does not name WSK_FLAG_A",
            ),
            (
                "WSK_FLAG_UNUSED",
                covered("Socket::send", test),
                "does not name WSK_FLAG_UNUSED, nor",
            ),
            (
                "WSK_FLAG_A",
                covered("Socket::send", "on_sim/a::gone"),
                "there is no test",
            ),
            (
                "WSK_FLAG_A",
                covered("Socket::send", "on_sim/a::asks"),
                "does not name `send`",
            ),
            (
                "WSK_FLAG_B",
                covered("Socket::raw_option", "on_sim/a::asks"),
                "does not name WSK_FLAG_B, nor",
            ),
        ] {
            let problem = problem(state(&[fact(name, 1, None)], &[(name, entry)]));
            assert!(problem.contains(expected), "{problem}");
        }
    }

    #[test]
    fn what_is_asked_for_by_number_is_named_by_its_test() {
        let entry = covered("Socket::raw_option", "on_sim/a::asks");
        let state = state(&[fact("SO_B", 1, None)], &[("SO_B", entry)]);
        assert!(
            matches!(state, State::Covered { used: None, .. }),
            "{state:?}"
        );
    }

    #[test]
    fn fact_without_an_entry_is_wrong() {
        let problem = problem(state(&[fact("WSK_FLAG_A", 1, None)], &[]));
        assert!(problem.contains("no entry"), "{problem}");
    }

    #[test]
    fn reason_needs_a_mark() {
        let reason = Entry::Not("why".to_owned());
        let entries = [("A", reason)];
        let excused = state(&[fact("A", 1, Some(Mark::Reserved))], &entries);
        assert!(matches!(excused, State::Reason { .. }), "{excused:?}");
        let problem = problem(state(&[fact("A", 1, None)], &entries));
        assert!(problem.contains("marks"), "{problem}");
    }

    #[test]
    fn same_fact_has_the_same_number_and_level_and_is_covered() {
        let same = || Entry::Same("WSK_FLAG_A".to_owned());
        let of = |name: &str, value, other| {
            let facts = [fact(name, value, None), fact("WSK_FLAG_A", 1, None)];
            state(&facts, &[(name, same()), ("WSK_FLAG_A", other)])
        };
        let wrapped = || covered("Socket::send", "on_sim/a::sends");
        let right = of("WSK_FLAG_Z", 1, wrapped());
        assert!(matches!(right, State::SameAs { .. }), "{right:?}");
        for state in [
            of("WSK_FLAG_Z", 2, wrapped()),
            of("MSG_Z", 1, wrapped()),
            of("WSK_FLAG_Z", 1, same()),
        ] {
            assert!(problem(state).contains("WSK_FLAG_A is not covered"));
        }
    }

    #[test]
    fn names_that_are_no_facts_are_told() {
        let map = Map {
            others: [].into(),
            facts: [("GONE".to_owned(), covered("a", "b"))].into(),
        };
        assert_eq!(unknown(&[fact("A", 1, None)], &map), ["GONE"]);
    }

    #[test]
    fn tests_that_ran_have_reached_the_fact() {
        let directory = tempfile::tempdir().unwrap();
        let reached = Reached::new(directory.path().to_owned());
        let fact = Fact {
            kind: Kind::Function,
            ..fact("WSK_FLAG_A", 1, None)
        };
        let entries = [("WSK_FLAG_A", covered("Socket::send", "on_sim/a::sends"))];
        let after = || state_after(std::slice::from_ref(&fact), &entries, Some(&reached));
        assert!(problem(after()).contains("has left no record"));
        let record = directory.path().join("on_sim--a--sends");
        std::fs::write(&record, "WskSend\n").unwrap();
        assert!(problem(after()).contains("has not reached WSK_FLAG_A"));
        std::fs::write(&record, "WskSend\nWSK_FLAG_A\n").unwrap();
        assert!(matches!(after(), State::Covered { reached: true, .. }));
    }
}
