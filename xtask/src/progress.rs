//! What a running step shows on the terminal: one line that tells its name, its time and the last
//! thing it wrote.
//!
//! Used by `process` alone. Without a terminal (a log file, continuous integration) there is one
//! line at the start and one at the end of each step.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// What a step shows while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// The last line of its output.
    LastLine,
    /// Nothing, not even that it runs.
    Nothing,
}

/// The line of one step.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    show: Show,
    what: String,
    finished: bool,
}

impl Progress {
    /// Starts to show the step named `what`.
    pub fn new(show: Show, what: &str) -> Self {
        let bar = ProgressBar::hidden();
        let progress = Self {
            bar,
            show,
            what: what.to_owned(),
            finished: false,
        };
        if show == Show::Nothing {
            return progress;
        }
        let style = ProgressStyle::with_template("{spinner} {prefix} [{elapsed}] {wide_msg:.dim}")
            .expect("the template is well formed");
        let bar = ProgressBar::new_spinner()
            .with_style(style)
            .with_prefix(what.to_owned());
        if bar.is_hidden() {
            eprintln!("  {what} ...");
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, ..progress }
    }

    /// Shows one line of the step's output.
    pub fn line(&self, line: &str) {
        if self.show == Show::LastLine {
            self.bar.set_message(line.trim().to_owned());
        }
    }

    /// Shows how the step ended. Only the first call counts.
    pub fn finish(&mut self, success: bool, elapsed: Duration) {
        if self.show == Show::Nothing || std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.bar.finish_and_clear();
        let mark = if success { "ok  " } else { "FAIL" };
        eprintln!("  {mark} {} ({:.1} s)", self.what, elapsed.as_secs_f64());
    }
}
