//! Checks that need no more than lines: of every file, and of Rust sources those that are about
//! their shape.

use super::exceptions::{Exceptions, Kind};
use super::{Finding, Source};

/// The most lines of a Rust file.
const MOST_LINES: usize = 600;
/// The most columns of a Rust line.
const MOST_COLUMNS: usize = 100;
/// Where Cargo.lock may say that a package comes from.
const STOCK_REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The first names of hosts that serve packages.
const SERVERS: [&str; 9] = [
    "index",
    "static",
    "registry",
    "mirror",
    "mirrors",
    "artifactory",
    "nexus",
    "pypi",
    "deb",
];

/// Runs every check of this module.
pub fn check(source: &Source, exceptions: &mut Exceptions, findings: &mut Vec<Finding>) {
    let mut add = |line, what: String, advice| findings.push(source.finding(line, what, advice));
    for (line, text) in (1..).zip(source.text.lines()) {
        if text.ends_with([' ', '\t', '\r']) {
            add(
                line,
                "blanks at the end of the line".to_owned(),
                "remove them",
            );
        }
        if let Some(word) = left_over(text) {
            add(line, format!("`{word}`"), "do it now, or write an issue");
        }
        if let Some(path) = machine_path(text) {
            add(
                line,
                format!("`{path}` is a path of one machine"),
                "say it relative to the root",
            );
        }
        if let Some(host) = registry_host(&source.path, text) {
            add(
                line,
                format!("`{host}` is the host of a package registry"),
                "leave the choice of a registry to Cargo's configuration outside the repository",
            );
        }
    }
    if !source.text.is_empty() && !source.text.ends_with('\n') {
        let last = source.text.lines().count();
        add(
            last,
            "no line end at the end of the file".to_owned(),
            "add it",
        );
    }
    if source.is_rust() {
        check_shape(source, exceptions, findings);
    }
}

fn check_shape(source: &Source, exceptions: &mut Exceptions, findings: &mut Vec<Finding>) {
    if !source.text.starts_with("//!") {
        findings.push(source.finding(
            1,
            "no head comment",
            "start it with `//!`: why it exists, its place in the flow, what it must not know",
        ));
    }
    for (line, text) in (1..).zip(source.text.lines()) {
        let columns = text.chars().count();
        if columns > MOST_COLUMNS && !text.contains("://") {
            findings.push(source.finding(
                line,
                format!("{columns} columns, more than {MOST_COLUMNS}"),
                "break the line",
            ));
        }
    }
    let lines = source.text.lines().count();
    if lines > MOST_LINES && !exceptions.allow(Kind::Long, &source.path) {
        findings.push(source.finding(
            lines,
            format!("{lines} lines, more than {MOST_LINES}"),
            concat!(
                "split the file by what it is about; if that would hide more than it shows, add ",
                "`long PATH: REASON` to xtask/data/tidy.txt"
            ),
        ));
    }
}

/// A word that marks unfinished work.
fn left_over(line: &str) -> Option<&'static str> {
    // In pieces, because this file is checked as well.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    words.into_iter().find(|word| {
        line.match_indices(word).any(|(at, _)| {
            !line[..at].ends_with(of_word) && !line[at + word.len()..].starts_with(of_word)
        })
    })
}

/// An absolute path of a developer's machine.
fn machine_path(line: &str) -> Option<&str> {
    let of_path = |c: char| c.is_ascii_alphanumeric() || "_-./~$}".contains(c);
    let unix = ["root", "home", "work", "farm", "Users"]
        .iter()
        .find_map(|folder| {
            let path = format!("/{folder}/");
            let (at, _) = line
                .match_indices(&path)
                .find(|(at, _)| !line[..*at].ends_with(of_path))?;
            Some(at)
        });
    let windows = || {
        line.match_indices(":\\")
            .chain(line.match_indices(":/"))
            .find_map(|(at, _)| {
                let drive = line[..at].ends_with(|c: char| c.is_ascii_alphabetic());
                let folder = line[at + 2..].trim_start_matches('\\');
                (drive && folder.starts_with("Users")).then(|| at - 1)
            })
    };
    let start = unix.or_else(windows)?;
    let length = line[start..].find([' ', '"', '`', '\'', ')', ',']);
    Some(&line[start..length.map_or(line.len(), |length| start + length)])
}

/// The host of a package registry: a mirror in Cargo.lock, or a URL whose host serves packages.
fn registry_host<'a>(path: &str, line: &'a str) -> Option<&'a str> {
    if path.ends_with("Cargo.lock") {
        let source = line.strip_prefix("source = \"")?.trim_end_matches('"');
        return (source != STOCK_REGISTRY).then_some(source);
    }
    line.split("://").skip(1).find_map(|rest| {
        let host = rest
            .split(['/', ':', '"', '\'', ' ', ')', '`', '>'])
            .next()?;
        let (first, _) = host.split_once('.')?;
        SERVERS.contains(&first).then_some(host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let mut findings = Vec::new();
        check(&source, &mut Exceptions::default(), &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    fn assert_found(path: &str, text: &str, expected: &str) {
        let found = findings(path, text);
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "{text}: {found:?}"
        );
    }

    #[test]
    fn orderly_file_has_no_findings() {
        let text = "//! Why.\n\n/// See https://docs.rs/wsk and drive_c/windows.\nfn f() {}\n";
        assert_eq!(findings("src/a.rs", text), [""; 0]);
    }

    #[test]
    fn file_without_head_comment_is_found() {
        assert_found("src/a.rs", "fn f() {}\n", "a.rs:1: no head comment");
        assert_eq!(findings("a.toml", "[package]\n"), [""; 0]);
    }

    #[test]
    fn long_line_is_found_unless_it_holds_a_link() {
        let line = "x".repeat(101);
        assert_found(
            "a.rs",
            &format!("//! Why.\n// {line}\n"),
            "a.rs:2: 104 columns",
        );
        assert_eq!(
            findings("a.rs", &format!("//! https://a.b/{line}\n")),
            [""; 0]
        );
    }

    #[test]
    fn long_file_is_found_unless_it_is_excepted() {
        let text = format!("//! Why.\n{}", "\n".repeat(600));
        assert_found("a.rs", &text, "601 lines");
        let list = Source {
            path: "list".to_owned(),
            text: "long a.rs: a table\n".to_owned(),
        };
        let mut findings = Vec::new();
        let mut exceptions = Exceptions::read(&list, &mut findings);
        let source = Source {
            path: "a.rs".to_owned(),
            text,
        };
        check(&source, &mut exceptions, &mut findings);
        assert_eq!(findings, []);
    }

    #[test]
    fn blank_at_the_end_of_a_line_is_found() {
        assert_found("a.md", "text \n", "a.md:1: blanks");
        assert_found("a.md", "text\t\nmore\n", "a.md:1: blanks");
        assert_found("a.md", "text", "no line end");
    }

    #[test]
    fn word_of_unfinished_work_is_found() {
        assert_found("a.md", concat!("later (TO", "DO)\n"), "a.md:1: `TO");
        assert_found("a.md", concat!("FIX", "ME: x\n"), "a.md:1: `FIX");
        assert_eq!(
            findings("a.md", concat!("TO", "DOS and 0xXX", "X0\n")),
            [""; 0]
        );
    }

    #[test]
    fn path_of_a_machine_is_found() {
        for path in [
            concat!("/ro", "ot/kit/x"),
            concat!("/ho", "me/me/x"),
            concat!("C:", r"\Users\me"),
            concat!("C:", r"\\Users\\me"),
        ] {
            assert_found(
                "a.md",
                &format!("cd \"{path}\" now\n"),
                &format!("`{path}`"),
            );
        }
    }

    #[test]
    fn path_below_the_repository_is_accepted() {
        for path in [
            "target/work/x",
            "$HOME/work/x",
            "https://a.b/home/",
            r"C:\windows\system32",
        ] {
            assert_eq!(findings("a.md", &format!("cd {path}\n")), [""; 0], "{path}");
        }
    }

    #[test]
    fn registry_that_is_not_the_stock_one_is_found() {
        let lock = |source: &str| format!("source = \"{source}\"\n");
        assert_eq!(findings("Cargo.lock", &lock(STOCK_REGISTRY)), [""; 0]);
        assert_found(
            "Cargo.lock",
            &lock("sparse+https://mine.example/"),
            "mine.example",
        );
        let url = concat!("https://stat", "ic.crates.io/x");
        assert_found(
            "a.md",
            &format!("from <{url}>\n"),
            "host of a package registry",
        );
        assert_eq!(
            findings("a.md", "see https://docs.rs/ and https://crates.io/\n"),
            [""; 0]
        );
    }
}
