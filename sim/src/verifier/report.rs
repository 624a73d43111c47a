//! One offence, as the test sees it.
use std::fmt;

use super::Rule;

/// What a driver did wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The rule it broke.
    pub rule: Rule,
    /// Which object, where it was created, and where the offence was noticed.
    pub details: String,
    /// The environment variable that replays the schedule under which it happened.
    pub replay: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "offence {:?}: {}", self.rule, self.rule.statement())?;
        writeln!(f, "{}", self.details)?;
        write!(f, "replay with {}", self.replay)
    }
}
