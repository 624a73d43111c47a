//! The map: which safe item wraps a fact and which tests exercise it, or why nothing does.
//!
//! One fact a line, as `xtask/data/api.txt` explains. It claims; `check` finds out whether what it
//! claims is so.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

/// The map.
pub const PATH: &str = "xtask/data/api.txt";

/// Everything that the map says.
#[derive(Debug, Default)]
pub struct Map {
    /// Constants that look like an option or a flag and are none.
    pub others: BTreeSet<String>,
    /// By the name of the fact.
    pub facts: BTreeMap<String, Entry>,
}

/// What is said of one fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A safe item wraps it, tests exercise it.
    Covered {
        /// The path of the item within `wsk`.
        item: String,
        /// `FILE::FUNCTION`, the file without `tests/` and `.rs`.
        tests: Vec<String>,
    },
    /// It is another name for this fact, which has an entry of its own.
    Same(String),
    /// It is not covered, for this reason.
    Not(String),
}

/// Reads a map.
pub fn read(text: &str) -> Result<Map> {
    let mut map = Map::default();
    for (line, text) in (1..).zip(text.lines()) {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let Some((kind, fact, what)) = parts(text) else {
            bail!("{PATH}:{line}: not `KIND FACT: WHAT`");
        };
        let entry = match kind {
            "wrapped" => match what.split_once("; ") {
                Some((item, tests)) => Entry::Covered {
                    item: item.to_owned(),
                    tests: tests.split(", ").map(str::to_owned).collect(),
                },
                None => bail!("{PATH}:{line}: not `ITEM; TEST, TEST`"),
            },
            "same" => Entry::Same(what.to_owned()),
            "not" => Entry::Not(what.to_owned()),
            "other" => {
                map.others.insert(fact.to_owned());
                continue;
            }
            _ => bail!("{PATH}:{line}: {kind} is neither wrapped, same, not nor other"),
        };
        if map.facts.insert(fact.to_owned(), entry).is_some() {
            bail!("{PATH}:{line}: {fact} has an entry already");
        }
    }
    Ok(map)
}

/// `KIND FACT: WHAT`
fn parts(line: &str) -> Option<(&str, &str, &str)> {
    let (head, what) = line.split_once(": ")?;
    let (kind, fact) = head.split_once(' ')?;
    (!what.is_empty() && !fact.contains(' ')).then_some((kind, fact, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_entries_of_their_kind() {
        let text = "# why\n\nwrapped T.Slot: A::b; c::d, e/f::g\nsame B: A\nnot C: why: so\n\
                    other NI_MAXHOST: a length\n";
        let map = read(text).unwrap();
        let covered = Entry::Covered {
            item: "A::b".to_owned(),
            tests: vec!["c::d".to_owned(), "e/f::g".to_owned()],
        };
        let expected = [
            ("B", Entry::Same("A".to_owned())),
            ("C", Entry::Not("why: so".to_owned())),
            ("T.Slot", covered),
        ];
        let entries: Vec<_> = map
            .facts
            .iter()
            .map(|(fact, it)| (fact.as_str(), it.clone()))
            .collect();
        assert_eq!(entries, expected);
        assert!(map.others.contains("NI_MAXHOST"));
    }

    #[test]
    fn lines_that_are_no_entries_are_errors_that_name_them() {
        for (text, expected) in [
            ("not C: why\nnot D\n", "api.txt:2: not `KIND FACT: WHAT`"),
            ("not: why\n", "api.txt:1: not `KIND FACT: WHAT`"),
            ("wrapped A: B::c\n", "api.txt:1: not `ITEM; TEST, TEST`"),
            ("covers A: B\n", "api.txt:1: covers is neither"),
            (
                "not A: why\nsame A: B\n",
                "api.txt:2: A has an entry already",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
