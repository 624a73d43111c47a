//! What must be gone, and intact: of everybody when a test ends, of a driver when it is unloaded.
//!
//! Asks every part of the simulation for what is left and reports it all at once. It knows no
//! details of the parts.

use std::sync::Arc;

use crate::sched::Role;
use crate::sim::{Shared, lock};
use crate::verifier::{self, DriverNumber, Rule};

/// Ends the simulation with a report if anything is left at the end.
pub(crate) fn check(sim: &Arc<Shared>) {
    let damage = lock(&sim.kernel.pool).check();
    if let Err((rule, details)) = damage {
        verifier::stop(sim, rule, &details);
    }
    let left = left(sim, None);
    if !left.is_empty() {
        verifier::stop(
            sim,
            Rule::Leak,
            &format!("left behind:\n  {}", left.join("\n  ")),
        );
    }
}

/// What is left, of one driver or of all and the test itself.
pub(crate) fn left(sim: &Shared, driver: Option<DriverNumber>) -> Vec<String> {
    let mut left = threads(sim, driver);
    left.extend(sim.wsk.leaks(driver));
    left.extend(sim.nmr.leaks(driver));
    left.extend(sim.kernel.leaks(driver));
    left.extend(sim.sched.leaks(driver));
    left
}

fn threads(sim: &Shared, driver: Option<DriverNumber>) -> Vec<String> {
    let alive = sim.sched.live_threads();
    // Thread 0 is the test's body, which runs this.
    let left = alive.iter().filter(|thread| {
        thread.role != Role::Helper && thread.id != 0 && thread.site.is_of(driver)
    });
    left.map(|thread| format!("{} started{}", thread.describe(), thread.site))
        .collect()
}
