//! The registrar of network modules, used as it is meant.
//!
//! - `attach`: who is introduced to whom
//! - `detach`: how they part
//! - `races`: what happens at the same time

mod attach;
mod detach;
mod races;

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use wsk_sim::{Sim, builder};

use crate::modules::{Log, Plan, Registered, Side, What};

/// A client and a provider, of which `first` registers first.
fn pair(log: &Log, first: Side, plan: Plan) -> (Registered, Registered) {
    pair_of(log, first, [plan; 2])
}

/// The same with a plan for each.
fn pair_of(log: &Log, first: Side, plans: [Plan; 2]) -> (Registered, Registered) {
    let client = || Registered::new(Side::Client, 1, plans[0], log);
    let provider = || Registered::new(Side::Provider, 2, plans[1], log);
    if first == Side::Client {
        let client = client();
        (client, provider())
    } else {
        let provider = provider();
        (client(), provider)
    }
}

/// Waits until this has happened so often.
fn wait_for(sim: &Sim, log: &Log, side: Side, what: What, count: usize) {
    while log.count(side, what) < count {
        sim.sleep(Duration::from_millis(1));
    }
}

/// What the log of each of many schedules says about a question.
fn answers<T: Ord + Send + 'static>(
    count: u64,
    body: impl Fn(&Sim) -> T + Send + Sync + 'static,
) -> BTreeSet<T> {
    let found = Arc::new(Mutex::new(BTreeSet::new()));
    let answers = Arc::clone(&found);
    builder().preempt_one_in(2).seeds(count, move |sim| {
        let answer = body(sim);
        answers.lock().unwrap().insert(answer);
    });
    let mut found = found.lock().unwrap();
    core::mem::take(&mut found)
}
