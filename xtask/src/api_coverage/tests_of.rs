//! Tests, and what each of them names: in its own body, and in what it calls of its file and of the
//! files it shares with others.
//!
//! Knows nothing of facts, nor of what is tested.

use std::collections::BTreeSet;

use anyhow::Result;

use super::statements::{self, Statement};
use crate::tidy::Source;

/// Every test that a map may name.
pub struct Tests<'a> {
    sources: &'a [Source],
}

/// A function, an implementation or another part of a file of tests.
struct Part {
    /// It belongs to what names all of these.
    needs: BTreeSet<String>,
    words: BTreeSet<String>,
}

impl<'a> Tests<'a> {
    pub fn new(sources: &'a [Source]) -> Self {
        Self { sources }
    }

    /// What a test names, or `None` if there is no such test: `FILE::FUNCTION`, the file without
    /// `tests/` and `.rs`.
    pub fn words(&self, test: &str) -> Result<Option<BTreeSet<String>>> {
        let Some((file, function)) = test.split_once("::") else {
            return Ok(None);
        };
        let paths = [
            format!("tests/{file}.rs"),
            format!("tests/{file}/mod.rs"),
            format!("tests/{file}/main.rs"),
            format!("{file}.rs"),
        ];
        let Some(source) = self.sources.iter().find(|it| paths.contains(&it.path)) else {
            return Ok(None);
        };
        let (mut parts, mut words) = (Vec::new(), None);
        for statement in statements::parse(&source.path, &source.text)? {
            add(&mut parts, &mut words, &statement, function);
        }
        for shared in self.shared(&source.path) {
            for statement in statements::parse(&shared.path, &shared.text)? {
                add(&mut parts, &mut None, &statement, function);
            }
        }
        Ok(words.map(|words| closure(words, parts)))
    }

    /// The files that tests of a file share with others: modules above it, and `common.rs` there.
    fn shared(&self, path: &str) -> impl Iterator<Item = &'a Source> {
        let folders: Vec<_> = path.match_indices('/').map(|(at, _)| &path[..at]).collect();
        let shared = |folder: &&str| [format!("{folder}/mod.rs"), format!("{folder}/common.rs")];
        let paths: Vec<_> = folders
            .iter()
            .filter(|it| **it != "tests" && **it != "src")
            .flat_map(shared)
            .collect();
        let others = move |source: &&Source| paths.contains(&source.path);
        let own = path.to_owned();
        self.sources
            .iter()
            .filter(others)
            .filter(move |source| source.path != own)
    }
}

/// Adds a statement to the parts; `test` gets the words of the test with this name.
fn add(
    parts: &mut Vec<Part>,
    test: &mut Option<BTreeSet<String>>,
    statement: &Statement,
    function: &str,
) {
    let name = statement.name().unwrap_or_default();
    if statement.words().any(|word| word == "use") {
        return;
    }
    if statement.is_test() {
        if name == function {
            *test = Some(statement.all_words());
        }
        return;
    }
    if statement.starts_with("mod")
        || statement.words().any(|word| word == "impl") && name == "impl"
    {
        let is_module = statement.starts_with("mod");
        let (types, is_trait) = implemented(statement);
        if let Some(group) = statement.groups().last() {
            for inner in statements::split(group.stream()) {
                if is_module {
                    add(parts, test, &inner, function);
                    continue;
                }
                let method = inner.name().filter(|_| !is_trait);
                parts.push(Part {
                    needs: types.iter().cloned().chain(method).collect(),
                    words: inner.all_words(),
                });
            }
        }
        return;
    }
    parts.push(Part {
        needs: BTreeSet::from([name]),
        words: statement.all_words(),
    });
}

/// The type that an `impl` is for, and whether it implements a trait.
fn implemented(statement: &Statement) -> (Vec<String>, bool) {
    let words = statement.unbracketed_words();
    let of_trait = words.iter().position(|word| word == "for");
    let first = of_trait.map_or(1, |at| at + 1);
    (
        words.get(first).cloned().into_iter().collect(),
        of_trait.is_some(),
    )
}

/// All words that are reached from those of the test.
fn closure(mut words: BTreeSet<String>, mut parts: Vec<Part>) -> BTreeSet<String> {
    loop {
        let (reached, rest): (Vec<_>, Vec<_>) = parts
            .into_iter()
            .partition(|part| part.needs.is_subset(&words));
        if reached.is_empty() {
            return words;
        }
        words.extend(reached.into_iter().flat_map(|part| part.words));
        parts = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(test: &str) -> Option<BTreeSet<String>> {
        let sources = [
            (
                "tests/on_sim/a.rs",
                "use wsk::imported;\nstruct Handler;\n\
                 impl Events for Handler { fn accept(&self) { offer.take() } }\n\
                 impl Handler { fn used(&self) { one() } fn unused(&self) { two() } }\n\
                 fn helper() { Handler.used(); Shared::new(); }\nfn other() { three() }\n\
                 #[test]\nfn direct() { socket.send(wsk::SO_A); }\n\
                 #[test]\nfn indirect() { helper() }\n",
            ),
            (
                "tests/on_sim/common.rs",
                "impl Shared { fn new() { four() } fn old() { five() } }\n",
            ),
            (
                "src/b.rs",
                "#[cfg(test)]\nmod tests { #[test] fn unit() { six() } }\n",
            ),
        ];
        let sources = sources.map(|(path, text)| Source {
            path: path.to_owned(),
            text: text.to_owned(),
        });
        Tests::new(&sources).words(test).unwrap()
    }

    #[test]
    fn test_names_what_is_in_its_body() {
        let words = words("on_sim/a::direct").unwrap();
        assert!(words.contains("send") && words.contains("SO_A"));
        assert!(!words.contains("helper") && !words.contains("imported"));
    }

    #[test]
    fn test_names_what_it_calls_names() {
        let words = words("on_sim/a::indirect").unwrap();
        for reached in ["accept", "take", "one", "four"] {
            assert!(words.contains(reached), "{reached}: {words:?}");
        }
        for beyond in ["two", "three", "five", "send"] {
            assert!(!words.contains(beyond), "{beyond}: {words:?}");
        }
    }

    #[test]
    fn unit_tests_are_tests() {
        assert!(words("src/b::unit").unwrap().contains("six"));
    }

    #[test]
    fn what_is_no_test_is_none() {
        for test in [
            "on_sim/a::helper",
            "on_sim/a::gone",
            "on_sim/c::direct",
            "direct",
        ] {
            assert_eq!(words(test), None, "{test}");
        }
    }
}
