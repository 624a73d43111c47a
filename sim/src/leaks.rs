//! What must be gone, and intact, when a test ends.
//!
//! Asks every part of the simulation for what is left and reports it all at once. It knows no
//! details of the parts.

use std::sync::Arc;

use crate::sched::Role;
use crate::sim::{Shared, lock};
use crate::verifier::{self, Rule};

/// Ends the simulation with a report if anything is left.
pub(crate) fn check(sim: &Arc<Shared>) {
    let damage = lock(&sim.kernel.pool).check();
    if let Err((rule, details)) = damage {
        verifier::stop(sim, rule, &details);
    }
    let mut left = threads(sim);
    left.extend(sim.wsk.leaks());
    left.extend(sim.kernel.leaks());
    left.extend(
        sim.sched
            .set_timers()
            .iter()
            .map(|timer| format!("timer at {timer:#x} still set")),
    );
    if !left.is_empty() {
        verifier::stop(
            sim,
            Rule::Leak,
            &format!("left behind:\n  {}", left.join("\n  ")),
        );
    }
}

fn threads(sim: &Arc<Shared>) -> Vec<String> {
    let alive = sim.sched.live_threads();
    // Thread 0 is the test's body, which runs this.
    let left = alive
        .iter()
        .filter(|thread| thread.role != Role::Helper && thread.id != 0);
    left.map(|thread| format!("{} started{}", thread.describe(), thread.site))
        .collect()
}
