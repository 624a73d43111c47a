//! Reads what test runners report: how many tests passed, failed and were skipped, and which
//! failed.
//!
//! Understands the lines of Rust's own runner, which `cargo xtask tidy` and `cargo xtask
//! driver-tests` write as well. Knows nothing of steps.

/// Numbers of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ran and succeeded.
    pub passed: u64,
    /// Ran and failed.
    pub failed: u64,
    /// Did not run.
    pub skipped: u64,
}

impl Counts {
    /// A step as one test.
    pub fn step(passed: bool) -> Self {
        Self {
            passed: u64::from(passed),
            failed: u64::from(!passed),
            skipped: 0,
        }
    }

    /// Adds the numbers of `other`.
    pub fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The counts of all runs in `output`, and the names of the tests that failed.
pub fn read(output: &str) -> (Counts, Vec<String>) {
    let mut total = Counts::default();
    let mut failed = Vec::new();
    for line in output.lines() {
        if let Some(summary) = line.strip_prefix("test result: ") {
            total.add(&summary_counts(summary));
        } else if let Some(name) = failed_test(line) {
            failed.push(name.to_owned());
        }
    }
    (total, failed)
}

/// The tests in `output` that did not run, each with the reason if it has one.
pub fn skipped(output: &str) -> impl Iterator<Item = String> {
    output.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
        let reason = rest.trim_start_matches([':', ',', ' ']);
        let reason = reason.strip_prefix("SKIPPED, ").unwrap_or(reason);
        let reason = if reason.is_empty() {
            "it says no reason"
        } else {
            reason
        };
        Some(format!("{name}: {reason}"))
    })
}

/// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`
fn summary_counts(summary: &str) -> Counts {
    let number = |word: &str| {
        let mut parts = summary
            .split([' ', '.', ';'])
            .filter(|part| !part.is_empty());
        let mut before = "";
        parts.find_map(|part| {
            let number = (part == word).then(|| before.parse().ok()).flatten();
            before = part;
            number
        })
    };
    Counts {
        passed: number("passed").unwrap_or(0),
        failed: number("failed").unwrap_or(0),
        skipped: number("ignored").unwrap_or(0),
    }
}

/// `test NAME ... FAILED`
fn failed_test(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

#[cfg(test)]
mod tests {
    use super::{Counts, read, skipped};

    #[test]
    fn read_several_runs_adds_them() {
        let output = "running 2 tests\ntest a ... ok\ntest b::c ... FAILED\n\n\
                      test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured\n\
                      test result: ok. 10 passed; 0 failed; 2 ignored; 0 measured; \
                      5 filtered out; finished in 0.10s\n";
        let (counts, failed) = read(output);
        assert_eq!(
            counts,
            Counts {
                passed: 11,
                failed: 1,
                skipped: 2
            }
        );
        assert_eq!(failed, ["b::c"]);
    }

    #[test]
    fn read_output_without_tests_counts_nothing() {
        assert_eq!(
            read("Compiling a\nFinished\n"),
            (Counts::default(), Vec::new())
        );
    }

    #[test]
    fn skipped_tests_are_told_with_their_reasons() {
        let output = "test a ... ok\ntest driver::b ... ignored: SKIPPED, this netio.sys is old\n\
                      test c ... ignored, too slow\ntest d ... ignored\n";
        let told: Vec<_> = skipped(output).collect();
        let expected = [
            "driver::b: this netio.sys is old",
            "c: too slow",
            "d: it says no reason",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn step_counts_as_one_test() {
        let mut total = Counts::step(true);
        total.add(&Counts::step(false));
        assert_eq!(
            total,
            Counts {
                passed: 1,
                failed: 1,
                skipped: 0
            }
        );
    }
}
