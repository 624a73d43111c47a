//! The table of lessons stays true: every lesson is there, names a test, and each test exists.
//!
//! A name is a file of `tests/compile_fail/`, or a file and a test function in it. Knows nothing of
//! what a lesson says.

use std::collections::BTreeSet;

use super::{Finding, Source};

/// The table.
pub const PATH: &str = "docs/SOUNDNESS.md";
/// How many lessons there are.
const LESSONS: usize = 46;
/// The column of the tests, in a line that begins with a bar.
const TESTS: usize = 4;
/// Where each file is a test, and how the table names them.
const COMPILE_FAIL: (&str, &str) = ("tests/compile_fail/", "compile_fail/");

/// Checks the table against the sources.
pub fn check(table: &Source, sources: &[Source], findings: &mut Vec<Finding>) {
    let mut lessons = 0;
    let mut named = BTreeSet::new();
    for (line, text) in (1..).zip(table.text.lines()) {
        let Some((number, tests)) = row(text) else {
            continue;
        };
        let mut add = |what: String, advice| findings.push(table.finding(line, what, advice));
        lessons += 1;
        if number != lessons {
            let what = format!("lesson {number} stands where {lessons} is expected");
            add(what, "keep all lessons, in order");
        }
        if tests.is_empty() {
            let what = format!("lesson {number} has no test");
            add(what, "write one, and name it");
        }
        for test in tests {
            if !exists(test, sources) {
                let advice = "name it as FILE::FUNCTION, or compile_fail/FILE";
                add(format!("there is no test {test}"), advice);
            }
            named.insert(test);
        }
    }
    if lessons != LESSONS {
        let what = format!("{lessons} lessons instead of {LESSONS}");
        findings.push(table.finding(1, what, "keep all lessons, in order"));
    }
    for source in sources {
        if misuse(source).is_some_and(|name| !named.contains(name.as_str())) {
            let what = format!("{PATH} does not name this test");
            findings.push(source.finding(1, what, "name it there"));
        }
    }
}

/// The number of a lesson and its tests: `| 7 | ... | ... | `a`, `b` |`.
fn row(line: &str) -> Option<(usize, Vec<&str>)> {
    let columns: Vec<_> = line.split('|').collect();
    let number = columns.get(1)?.trim().parse().ok()?;
    let tests = columns.get(TESTS).copied().unwrap_or_default();
    Some((number, tests.split('`').skip(1).step_by(2).collect()))
}

/// The name of a file that must not compile.
fn misuse(source: &Source) -> Option<String> {
    let (directory, prefix) = COMPILE_FAIL;
    let name = source.path.strip_prefix(directory)?.strip_suffix(".rs")?;
    Some(format!("{prefix}{name}"))
}

fn exists(test: &str, sources: &[Source]) -> bool {
    let Some((file, function)) = test.split_once("::") else {
        return sources
            .iter()
            .any(|source| misuse(source).as_deref() == Some(test));
    };
    let paths = [
        format!("tests/{file}.rs"),
        format!("tests/{file}/main.rs"),
        format!("{file}.rs"),
    ];
    let mut files = sources.iter().filter(|source| paths.contains(&source.path));
    files.any(|source| has_test(&source.text, function))
}

/// Whether `#[test]` stands above the function, with nothing but attributes between.
fn has_test(text: &str, function: &str) -> bool {
    let head = format!("fn {function}(");
    let mut is_test = false;
    for line in text.lines().map(str::trim_start) {
        if is_test && line.starts_with(&head) {
            return true;
        }
        is_test = line == "#[test]" || is_test && line.starts_with("#[");
    }
    false
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

    fn sources() -> Vec<Source> {
        vec![
            source(
                "tests/a/b.rs",
                "#[test]\n#[cfg(x)]\nfn one() {}\n\nfn two() {}\n",
            ),
            source("sys/tests/c.rs", "    #[test]\n    fn three() {}\n"),
            source("tests/compile_fail/four.rs", ""),
        ]
    }

    /// A table in which all lessons have these tests.
    fn table(tests: &str) -> String {
        let rows = (1..=LESSONS).map(|number| format!("| {number} | a | `b` | {tests} |\n"));
        rows.collect::<Vec<_>>().concat()
    }

    fn findings_of(text: &str, sources: &[Source]) -> Vec<String> {
        let mut findings = Vec::new();
        check(&source(PATH, text), sources, &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn table_whose_tests_all_exist_is_accepted() {
        let text = table("`a/b::one`, `sys/tests/c::three`, `compile_fail/four`");
        assert_eq!(findings_of(&text, &sources()), [""; 0]);
    }

    #[test]
    fn test_that_does_not_exist_is_found() {
        for test in [
            "a/b::two",
            "a/b::on",
            "a/c::one",
            "compile_fail/five",
            "four",
        ] {
            let text = table("`compile_fail/four`").replacen(
                "`compile_fail/four`",
                &format!("`{test}`"),
                1,
            );
            let found = findings_of(&text, &sources());
            assert_eq!(found.len(), 1, "{test}: {found:?}");
            assert!(found[0].contains(test), "{found:?}");
        }
    }

    #[test]
    fn lesson_without_a_test_is_found() {
        let text = table("`compile_fail/four`").replacen("`compile_fail/four`", "none", 2);
        assert_eq!(findings_of(&text, &sources()).len(), 2);
    }

    #[test]
    fn lessons_that_are_missing_or_out_of_order_are_found() {
        let found = findings_of("| 2 | a | b | `compile_fail/four` |\n", &sources());
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn misuse_that_no_lesson_names_is_found() {
        let mut sources = sources();
        sources.push(source("tests/compile_fail/six.rs", ""));
        let found = findings_of(&table("`compile_fail/four`"), &sources);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("tests/compile_fail/six.rs"),
            "{found:?}"
        );
    }
}
