//! Memory that cannot be had.

use std::time::Duration;

use wsk_sim::{Fault, Sim, builder};

use super::{Client, Provider, alone};

/// Loads both, lets them meet, and unloads both. `true`: they have met and called.
fn meet_if_possible(sim: &Sim) -> bool {
    let provider = sim.load(Provider.name(), wsk_npi_provider::driver_entry);
    let client = sim.load(Client.name(), wsk_npi_client::driver_entry);
    let both = provider.is_ok() && client.is_ok();
    sim.sleep(Duration::from_millis(10));
    for driver in [provider, client].into_iter().flatten() {
        driver.unload(sim);
    }
    both && Client.counted(sim).get("adds") > 0
}

// [wsk 12.1, 12.6]
#[test]
fn pair_with_any_failing_allocation_starts_or_refuses_and_leaves_nothing() {
    const MOST: u64 = 100;
    let _alone = alone();
    let attempt = |number| {
        builder()
            .fail(Fault::Allocation, number)
            .run(meet_if_possible)
    };
    let noticed: Vec<_> = (1..=MOST).filter(|number| !attempt(*number)).collect();
    let last = *noticed.last().expect("some are noticed");
    assert!(last < MOST / 2, "there may be more than {MOST} allocations");
}
