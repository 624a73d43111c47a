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
    use super::{Counts, read};

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
