//! Every order in which two drivers can come and go.

use std::time::Duration;

use wdk_sys::STATUS_ADDRESS_ALREADY_EXISTS;
use wsk_sim::builder;

use super::{ATTACHED, Client, DETACHING, Provider, Which, agree, alone, times, wait_for};

const SCHEDULES: u64 = 100;

const ORDERS: [[Which; 2]; 2] = [[Client, Provider], [Provider, Client]];

// [wsk 12.2, 12.10, 12.11, 12.19]
#[test]
fn pair_meets_and_calls_whichever_comes_first_and_whichever_goes_first() {
    let _alone = alone();
    for [first, second] in ORDERS {
        for [leaver, other] in ORDERS {
            builder().preempt_one_in(3).seeds(SCHEDULES, move |sim| {
                let mut loaded = [first, second].map(|which| Some((which, which.load(sim))));
                let mut unload = |wanted: Which| {
                    let found = loaded
                        .iter_mut()
                        .find(|driver| driver.as_ref().is_some_and(|(which, _)| *which == wanted))
                        .and_then(Option::take);
                    found.expect("it is loaded").1.unload(sim);
                };
                wait_for(sim, ATTACHED, 1);
                sim.sleep(Duration::from_millis(50));
                unload(leaver);
                assert_eq!(times(sim, DETACHING), 1, "the client knows");
                unload(other);
                let (client, _) = agree(sim);
                assert_eq!(client.get("providers"), 1);
                let adds = client.get("adds");
                assert!(adds >= 20, "two callers for 50 ms: {client:?}");
                // Only while the provider is leaving may it have nobody to tell.
                let passed = adds / 10;
                let heard = client.get("heard");
                assert!(heard == passed || heard + 1 == passed, "{client:?}");
            });
        }
    }
}

#[test]
fn driver_that_stays_meets_the_other_again_each_time_that_it_is_reloaded() {
    const RELOADS: usize = 5;
    let _alone = alone();
    for [stays, comes] in ORDERS {
        builder().preempt_one_in(3).seeds(SCHEDULES, move |sim| {
            let driver = stays.load(sim);
            for round in 1..=RELOADS {
                let other = comes.load(sim);
                wait_for(sim, ATTACHED, round);
                sim.sleep(Duration::from_millis(5));
                other.unload(sim);
                assert_eq!(times(sim, DETACHING), round);
            }
            driver.unload(sim);
            let (client, _) = agree(sim);
            assert_eq!(client.get("providers"), RELOADS as u64);
            assert!(client.get("adds") >= RELOADS as u64);
        });
    }
}

#[test]
fn driver_alone_comes_and_goes() {
    let _alone = alone();
    for which in [Client, Provider] {
        wsk_sim::seeds(SCHEDULES, move |sim| {
            for _ in 0..3 {
                let driver = which.load(sim);
                sim.sleep(Duration::from_millis(5));
                driver.unload(sim);
            }
            let counted = which.counted(sim);
            assert_eq!(counted.unloads, 3);
            assert!(counted.numbers.values().all(|number| *number == 0));
        });
    }
}

#[test]
fn driver_that_runs_already_does_not_start_again() {
    let _alone = alone();
    wsk_sim::run(|sim| {
        let drivers = [Client.load(sim), Provider.load(sim)];
        let again = [
            sim.load("again", wsk_npi_client::driver_entry).err(),
            sim.load("again", wsk_npi_provider::driver_entry).err(),
        ];
        assert_eq!(again, [Some(STATUS_ADDRESS_ALREADY_EXISTS); 2]);
        for driver in drivers {
            driver.unload(sim);
        }
    });
}
