//! The map: which safe item wraps a fact and which tests exercise it, or why nothing does.
//!
//! It claims; `check` finds out whether what it claims is so.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Deserialize;

/// The map.
pub const PATH: &str = "xtask/data/api.toml";

/// Everything that the map says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// Constants that look like an option or a flag and are none.
    pub others: BTreeSet<String>,
    /// By the name of the fact.
    pub facts: BTreeMap<String, Entry>,
}

/// What is said of one fact.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "`item` and `tests`, or `same_as`, or `reason` expected"
)]
pub enum Entry {
    /// A safe item wraps it, tests exercise it.
    Covered(Covered),
    /// It is another name for a fact with an entry of its own.
    SameAs(SameAs),
    /// It is not covered.
    Reason(Reason),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Covered {
    /// Its path within `wsk`.
    pub item: String,
    /// `FILE::FUNCTION`, the file without `tests/` and `.rs`.
    pub tests: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SameAs {
    pub same_as: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    pub reason: String,
}

/// Reads a map. A name that stands there twice is an error.
pub fn read(text: &str) -> Result<Map> {
    toml::from_str(text).with_context(|| format!("cannot read {PATH}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(facts: &str) -> String {
        let text = format!("others = []\n[facts]\n{facts}\n");
        format!("{:#}", read(&text).unwrap_err())
    }

    #[test]
    fn entries_are_of_three_kinds() {
        let text = "others = [\"NI_MAXHOST\"]\n[facts]\n\
                    \"TABLE.Slot\" = { item = \"A::b\", tests = [\"c::d\"] }\n\
                    B = { same_as = \"A\" }\nC = { reason = \"why\" }\n";
        let map = read(text).unwrap();
        let kinds: Vec<_> = map.facts.values().collect();
        assert!(matches!(
            kinds[..],
            [Entry::SameAs(_), Entry::Reason(_), Entry::Covered(_)]
        ));
    }

    #[test]
    fn entry_of_no_kind_and_one_of_two_are_errors() {
        for facts in [
            "A = { item = \"B\" }",
            "A = { reason = \"B\", same_as = \"C\" }",
            "A = { item = \"B\", tests = [], reason = \"C\" }",
        ] {
            let error = error(facts);
            assert!(error.contains("expected"), "{error}");
        }
    }

    #[test]
    fn fact_that_stands_there_twice_is_an_error() {
        let error = error("A = { reason = \"b\" }\nA = { reason = \"c\" }");
        assert!(error.contains("duplicate key"), "{error}");
    }
}
