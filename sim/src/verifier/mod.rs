//! The verifier: what Windows would punish by a crash, a hang or a leak is a report here, and the
//! end of the simulation.
//!
//! - `rule`: the rules, in words
//! - `report`: an offence against one, as text
//! - `site`: where an object was created
//!
//! An export that finds an offence calls `stop`, which hands the report to the test's own thread
//! and never returns: unwinding through a driver's frames, which may be C, is not possible. The
//! threads of a stopped simulation are left behind as they are.

mod report;
mod rule;
mod site;

pub use report::Report;
pub use rule::Rule;
pub(crate) use site::{DriverNumber, Site};

use std::sync::Arc;

use crate::current::current;
use crate::sim::{Failure, Shared};

/// Shall the simulation go on although this rule was broken?
pub(crate) fn tolerates(sim: &Shared, rule: Rule) -> bool {
    sim.tolerated == Some(rule)
}

/// Ends the simulation with a report.
pub(crate) fn stop(sim: &Arc<Shared>, rule: Rule, details: &str) -> ! {
    let here = Site::here(sim);
    let details = format!("{}\n  noticed{here}", details.trim_end());
    let report = Report {
        rule,
        details: details.trim_end_matches("\n  noticed").to_owned(),
        replay: sim.sched.replay(),
    };
    sim.finish(Err(Failure::Offence(report)));
    sim.sched.abandon(&current())
}
