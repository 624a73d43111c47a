//! What happens at the same time: registering, attaching, calling, deregistering.

use std::sync::Arc;

use wsk_sim::{Sim, Task, builder};

use super::{answers, pair};
use crate::modules::{DETACHES, Detach, Log, PLAIN, Plan, Registered, SIDES, Side, What, check};

// [wsk 12.3]
#[test]
fn detach_can_come_before_register_returns() {
    let orders = answers(300, |sim| {
        let log = Log::default();
        let provider = Registered::new(Side::Provider, 2, PLAIN, &log);
        let task = sim.spawn(move || provider.deregister());
        let client = Registered::new(Side::Client, 1, PLAIN, &log);
        task.join();
        client.deregister();
        check(&log);
        let cleanup = log.first(Side::Client, What::Cleanup);
        cleanup.is_some() && cleanup < log.first(Side::Client, What::Registered)
    });
    assert!(orders.contains(&true), "no schedule detached that early");
}

// [wsk 12.19]
#[test]
fn both_deregister_at_once_detach_once() {
    for detach in DETACHES {
        builder().preempt_one_in(1).seeds(200, move |sim| {
            let log = Log::default();
            let plan = Plan { detach, ..PLAIN };
            let (client, provider) = pair(&log, Side::Provider, plan);
            let task = sim.spawn(move || client.deregister());
            provider.deregister();
            task.join();
            check(&log);
        });
    }
}

// [wsk 12.2, 12.10]: a deregistration waits for an attach in flight, and detaches what it makes.
#[test]
fn deregister_while_an_attach_is_in_flight_detaches_it() {
    for first in SIDES {
        builder().preempt_one_in(1).seeds(300, move |sim| {
            let log = Log::default();
            let (second, plan) = match first {
                Side::Client => (Side::Provider, PLAIN),
                Side::Provider => (Side::Client, PLAIN),
            };
            let one = Registered::new(first, 1, plan, &log);
            let shared = log.clone();
            let task = sim.spawn(move || {
                let other = Registered::new(second, 2, plan, &shared);
                other.deregister();
            });
            one.deregister();
            task.join();
            check(&log);
        });
    }
}

// [wsk 12.11]
#[test]
fn calls_in_flight_delay_the_detach() {
    for detach in DETACHES {
        builder().preempt_one_in(2).seeds(200, move |sim| {
            let log = Log::default();
            let plan = Plan { detach, ..PLAIN };
            let (client, provider) = pair(&log, Side::Client, plan);
            let tasks = [&client, &provider].map(|registered| {
                let module = Arc::clone(&registered.module);
                sim.spawn(move || (0..8).for_each(|_| module.call_peers()))
            });
            if sim.seed() % 2 == 0 {
                client.deregister();
                provider.deregister();
            } else {
                provider.deregister();
                client.deregister();
            }
            tasks.into_iter().for_each(Task::join);
            check(&log);
        });
    }
}

/// Registers, calls, deregisters, several times over.
fn come_and_go(sim: &Sim, side: Side, number: u32, detach: Detach, log: &Log) -> Task<()> {
    let log = log.clone();
    sim.spawn(move || {
        for round in 0..2 {
            let plan = Plan { detach, ..PLAIN };
            let module = Registered::new(side, number * 10 + round, plan, &log);
            module.module.call_peers();
            module.deregister();
        }
    })
}

// [wsk 12.2, 12.10, 12.11, 12.12]
#[test]
fn many_modules_come_and_go_under_calls() {
    builder().preempt_one_in(3).seeds(300, |sim| {
        let log = Log::default();
        let mut tasks = Vec::new();
        for (number, detach) in (1..).zip(DETACHES) {
            for side in SIDES {
                tasks.push(come_and_go(sim, side, number, detach, &log));
            }
        }
        tasks.into_iter().for_each(Task::join);
        check(&log);
    });
}
