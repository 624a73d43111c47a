//! Four modules that come and go under calls: on random schedules, and one pair on all schedules
//! with few preemptions.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use wsk_sim::{Sim, Task, builder};

use super::{Count, Listen, Log, client, provider, try_client_that, try_provider_that};
use crate::{
    common::{block_on, passive},
    random::Random,
};

/// Enters the bindings that there are, as the client, and calls.
fn call_providers(log: &Log, random: &mut Random) {
    let bindings = log.clients.lock().expect("not poisoned").clone();
    for binding in bindings {
        if let Ok(entered) = binding.enter() {
            let again = entered.clone();
            entered.add(1);
            drop(entered);
            if random.below(2) == 0 {
                again.report();
            }
        }
    }
}

/// Enters the bindings that there are, as the provider, and calls back.
fn call_clients(log: &Log) {
    let bindings = log.providers.lock().expect("not poisoned").clone();
    for binding in bindings {
        if let Ok(entered) = binding.enter() {
            entered.sum(1);
        }
    }
}

/// A module that registers, calls, waits and deregisters, in one of three ways.
fn come_and_go(sim: &Sim, log: &Arc<Log>, number: u64) -> Task<()> {
    let (log, other) = (log.clone(), sim.clone());
    let seed = sim.seed() * 4 + number;
    sim.spawn(move || {
        let mut random = Random::new(seed);
        for _ in 0..2 {
            let declines = random.below(8) == 0;
            let pause = Duration::from_micros(u64::from(random.small(3)) * 100);
            if number < 2 {
                let module = try_client_that(&log, declines).expect("memory");
                call_providers(&log, &mut random);
                other.sleep(pause);
                call_providers(&log, &mut random);
                match random.below(3) {
                    0 => drop(module),
                    1 => module.deregister(passive()),
                    _ => block_on(&other, module.deregistration()),
                }
            } else {
                let module = try_provider_that(&log, declines).expect("memory");
                call_clients(&log);
                other.sleep(pause);
                call_clients(&log);
                match random.below(3) {
                    0 => drop(module),
                    1 => module.deregister(passive()),
                    _ => block_on(&other, module.deregistration()),
                }
            }
        }
    })
}

// [wsk 12.2, 12.3, 12.10, 12.11, 12.12, 12.13, 12.14, 12.19]: no leak, no use after detach, no
// double completion: the simulator watches the last, contexts that are gone refuse to be called,
// and nothing is left.
#[test]
fn four_modules_come_and_go_under_calls() {
    builder().preempt_one_in(3).seeds(2000, |sim| {
        let log = Arc::new(Log::default());
        let tasks = [0, 1, 2, 3].map(|number| come_and_go(sim, &log, number));
        tasks.into_iter().for_each(Task::join);
        assert_eq!(log.contexts(), 0);
        for binding in log.clients.lock().expect("not poisoned").iter() {
            assert!(binding.enter().is_err(), "the peer is gone");
        }
        for binding in log.providers.lock().expect("not poisoned").iter() {
            assert!(binding.enter().is_err(), "the peer is gone");
        }
    });
}

// The same body would say nothing if the modules never met.
#[test]
fn four_modules_do_meet_and_call() {
    let (sums, failures) = (Arc::new(Log::default()), Arc::new(Log::default()));
    let (seen, failed) = (sums.clone(), failures.clone());
    builder().preempt_one_in(3).seeds(50, move |sim| {
        let log = Arc::new(Log::default());
        let tasks = [0, 1, 2, 3].map(|number| come_and_go(sim, &log, number));
        tasks.into_iter().for_each(Task::join);
        seen.sum.fetch_add(log.sum.load(SeqCst), SeqCst);
        seen.heard.fetch_add(log.heard.load(SeqCst), SeqCst);
        let refusals = u32::try_from(log.failures().len()).expect("few");
        failed.sum.fetch_add(refusals, SeqCst);
    });
    assert!(sums.sum.load(SeqCst) > 50, "clients called");
    assert!(sums.heard.load(SeqCst) > 10, "providers called back");
    assert!(failures.sum.load(SeqCst) > 5, "some were refused");
}

// [wsk 12.10, 12.11, 12.13]: a pair that is parted while a call is in flight, on every schedule
// with one preemption.
#[test]
fn pair_parts_during_a_call_in_every_schedule_with_one_preemption() {
    let explored = builder()
        .preemptions_at_most(1)
        .exhaustive(u64::MAX, |sim| {
            let log = Arc::new(Log::default());
            let provider = provider(&log);
            let client = client(&log);
            let found = log.clients.lock().expect("not poisoned").first().cloned();
            let calls = found.map(|binding| {
                sim.spawn(move || {
                    if let Ok(entered) = binding.enter() {
                        entered.add(1);
                    }
                })
            });
            client.deregister(passive());
            provider.deregister(passive());
            if let Some(calls) = calls {
                calls.join();
            }
            assert_eq!(log.contexts(), 0);
        });
    assert!(explored.complete);
    println!("a pair that parts during a call: {explored:?}");
}

// [wsk 12.2, 12.3]: the same, while the two are about to meet.
#[test]
fn pair_meets_and_parts_in_every_schedule_with_one_preemption() {
    let explored = builder()
        .preemptions_at_most(1)
        .exhaustive(u64::MAX, |sim| {
            let log = Arc::new(Log::default());
            let other = log.clone();
            let task = sim.spawn(move || provider(&other).deregister(passive()));
            client(&log).deregister(passive());
            task.join();
            assert_eq!(log.contexts(), 0);
        });
    assert!(explored.complete);
    println!("a pair that meets and parts: {explored:?}");
}
