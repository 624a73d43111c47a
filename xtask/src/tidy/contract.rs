//! Cited rules exist: every `wsk` citation in brackets names rules, or headings, of the contract.

use std::collections::BTreeSet;

use super::{Finding, Source};

/// The numbered rules.
pub const PATH: &str = "docs/CONTRACT.md";

/// How a citation begins; in pieces, because this file is checked as well.
const CITATION: &str = concat!("[ws", "k");
/// How the contract marks a must.
const MUST: &str = "**[M]**";
/// The longest citation, in bytes.
const LONGEST: usize = 120;

/// The numbers that can be cited.
#[derive(Debug)]
pub struct Contract {
    numbers: BTreeSet<String>,
}

impl Contract {
    /// Reads the rules; a number that is given twice is a finding.
    pub fn read(source: &Source, findings: &mut Vec<Finding>) -> Self {
        let mut numbers = BTreeSet::new();
        for (line, text) in (1..).zip(source.text.lines()) {
            let Some(number) = heading(text).or_else(|| rule(text)) else {
                continue;
            };
            if !numbers.insert(number.to_owned()) {
                findings.push(source.finding(
                    line,
                    format!("rule {number} is there twice"),
                    "give the new rule a new number at the end of its section",
                ));
            }
        }
        Self { numbers }
    }

    /// Checks what a file cites.
    pub fn check(&self, source: &Source, findings: &mut Vec<Finding>) {
        for Citation { line, numbers } in citations(&source.text) {
            let mut add = |what| findings.push(source.finding(line, what, ADVICE));
            let Some(numbers) = numbers else {
                add("a citation without an end".to_owned());
                continue;
            };
            if numbers.is_empty() {
                add("a citation without a number".to_owned());
            }
            for number in numbers {
                if !self.numbers.contains(number) {
                    add(format!("there is no rule {number} in {PATH}"));
                }
            }
        }
    }
}

/// A place that cites rules.
#[derive(Debug)]
pub struct Citation<'a> {
    pub line: usize,
    /// None if the citation does not end.
    pub numbers: Option<Vec<&'a str>>,
}

/// The citations in a text.
pub fn citations(text: &str) -> impl Iterator<Item = Citation<'_>> {
    text.match_indices(CITATION).filter_map(|(at, _)| {
        let rest = &text[at + CITATION.len()..];
        let end = rest.find(']').filter(|length| *length <= LONGEST);
        rest.starts_with([' ', '\n']).then(|| Citation {
            line: 1 + text[..at].matches('\n').count(),
            numbers: end.map(|end| numbers(&rest[..end]).collect()),
        })
    })
}

/// The numbers of the rules that the contract marks as musts, in their order.
pub fn musts(contract: &str) -> Vec<&str> {
    let mut musts = Vec::new();
    let mut current = None;
    for line in contract.lines() {
        if line.is_empty() || heading(line).is_some() {
            current = None;
        }
        current = rule(line).or(current);
        if let Some(number) = current.filter(|_| line.contains(MUST)) {
            musts.push(number);
            // Once is enough.
            current = None;
        }
    }
    musts
}

const ADVICE: &str = "cite existing rules, several as `3.5, 3.8`";

/// The numbers of a citation; it may go on in the next comment line.
fn numbers(cited: &str) -> impl Iterator<Item = &str> {
    let comment = |word: &str| word.trim_matches(['/', '!', '*', '#']).is_empty();
    let words = cited.split([' ', ',', '\n']);
    words.filter(move |word| !comment(word))
}

/// `## 3. IRPs` or `### 3a. When the IRP may be NULL`
fn heading(line: &str) -> Option<&str> {
    let text = line
        .strip_prefix("## ")
        .or_else(|| line.strip_prefix("### "))?;
    let (number, _) = text.split_once(". ")?;
    number
        .starts_with(|c: char| c.is_ascii_digit())
        .then_some(number)
}

/// `3.5 **[M]** The provider ...`
fn rule(line: &str) -> Option<&str> {
    let (number, _) = line.split_once(' ')?;
    let (section, rule) = number.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(section) && digits(rule)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "# Contract\n## 3. IRPs\n3.5 **[M]** One.\n3.14 Two.\n### 3a. Tables\n";

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn findings(text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        let contract = Contract::read(&source(PATH, RULES), &mut findings);
        contract.check(&source("src/a.rs", text), &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    fn cite(numbers: &str) -> String {
        format!("// SAFETY: {CITATION} {numbers}], so it is alive\n")
    }

    #[test]
    fn citation_of_rules_and_headings_that_exist_is_accepted() {
        for numbers in ["3.5", "3.5, 3.14", "3", "3a", "3.5,\n    // 3.14"] {
            assert_eq!(findings(&cite(numbers)), [""; 0], "{numbers}");
        }
    }

    #[test]
    fn citation_of_a_rule_that_does_not_exist_is_found() {
        for numbers in ["3.6", "3.5, 9.1", "3.", "3.5,\n// 9.1", ""] {
            assert_eq!(findings(&cite(numbers)).len(), 1, "{numbers}");
        }
    }

    #[test]
    fn citation_that_does_not_end_is_found() {
        assert_eq!(findings(&format!("// {CITATION} 3.5, so\n")).len(), 1);
        assert_eq!(findings(&format!("{CITATION}](https://a.b)\n")), [""; 0]);
    }

    #[test]
    fn musts_are_the_rules_with_the_mark_anywhere_in_their_text() {
        let text = "3.1 One.\n3.2 **[M]** Two. **[M]** Again.\n3.3 Three:\n  * **[M]** a part\n\n\
                    **[M]** of no rule\n### 4. Heading\n4.1 **[M]** Four.\n";
        assert_eq!(musts(text), ["3.2", "3.3", "4.1"]);
    }

    #[test]
    fn rule_number_that_is_given_twice_is_found() {
        let mut findings = Vec::new();
        let _ = Contract::read(&source(PATH, "3.5 One.\n3.5 Two.\n"), &mut findings);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].line, 2);
    }
}
