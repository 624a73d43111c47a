//! The registrar of network modules: who is introduced to whom, and how they part.

use core::sync::atomic::Ordering::SeqCst;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use wdk_sys::{
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_NOINTERFACE, STATUS_PENDING,
    STATUS_SUCCESS,
};
use wsk_sim::{Fault, Sim, builder, every_fault, run, seeds};

use crate::modules::{
    Attach, DETACHES, Detach, Event, Log, Module, PLAIN, Plan, Registered, SIDES, Side, What,
    check, guid,
};

/// A client and a provider, which register in either order and part again.
fn meet(log: &Log, first: Side, plans: [Plan; 2]) {
    let [client, provider] = plans;
    let (first, second) = if first == Side::Client {
        ((Side::Client, client), (Side::Provider, provider))
    } else {
        ((Side::Provider, provider), (Side::Client, client))
    };
    let first = Registered::new(first.0, 1, first.1, log);
    let second = Registered::new(second.0, 2, second.1, log);
    first.deregister();
    second.deregister();
}

/// Waits until this has happened so often.
fn wait_for(sim: &Sim, log: &Log, side: Side, what: What, count: usize) {
    while log.count(side, what) < count {
        sim.sleep(core::time::Duration::from_millis(1));
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
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(answer);
    });
    let mut found = found.lock().unwrap();
    core::mem::take(&mut *found)
}

// [wsk 12.2, 12.8, 12.10]
#[test]
fn modules_registered_in_any_order_attach_and_part_in_order() {
    for first in SIDES {
        builder().preempt_one_in(2).seeds(200, move |sim| {
            let log = Log::default();
            let (client, provider) = pair(&log, first, PLAIN);
            wait_for(sim, &log, Side::Client, What::Attached, 1);
            client.module.call_peers();
            assert_eq!(provider.module.served.load(SeqCst), 1);
            provider.deregister();
            client.deregister();
            check(&log);
            assert_eq!(log.count(Side::Provider, What::Attached), 1);
        });
    }
}

fn pair(log: &Log, first: Side, plan: Plan) -> (Registered, Registered) {
    if first == Side::Client {
        let client = Registered::new(Side::Client, 1, plan, log);
        (client, Registered::new(Side::Provider, 2, plan, log))
    } else {
        let provider = Registered::new(Side::Provider, 2, plan, log);
        (Registered::new(Side::Client, 1, plan, log), provider)
    }
}

// [wsk 12.2]
#[test]
fn attach_comes_before_or_after_register_returns() {
    let orders = answers(100, |sim| {
        let log = Log::default();
        let (client, provider) = pair(&log, Side::Provider, PLAIN);
        wait_for(sim, &log, Side::Client, What::Attached, 1);
        client.deregister();
        provider.deregister();
        log.first(Side::Client, What::Attached) < log.first(Side::Client, What::Registered)
    });
    assert_eq!(orders, BTreeSet::from([false, true]));
}

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

// [wsk 12.2]
#[test]
fn modules_of_different_interfaces_are_not_introduced() {
    seeds(20, |_| {
        let log = Log::default();
        let other = Plan {
            interface: guid(2),
            ..PLAIN
        };
        meet(&log, Side::Client, [PLAIN, other]);
        assert_eq!(log.count(Side::Client, What::Asked), 0);
    });
}

// [wsk 12.2]
#[test]
fn clients_are_not_introduced_to_each_other() {
    seeds(20, |_| {
        let log = Log::default();
        let one = Registered::new(Side::Client, 1, PLAIN, &log);
        let other = Registered::new(Side::Client, 2, PLAIN, &log);
        one.deregister();
        other.deregister();
        assert_eq!(log.count(Side::Client, What::Asked), 0);
    });
}

// [wsk 12.5, 12.6]
#[test]
fn client_that_declines_leaves_nothing() {
    for first in SIDES {
        seeds(50, move |sim| {
            let log = Log::default();
            let refuses = Plan {
                attach: Attach::Refuse(STATUS_NOINTERFACE),
                ..PLAIN
            };
            let one = Registered::new(Side::Provider, 2, PLAIN, &log);
            let other = Registered::new(Side::Client, 1, refuses, &log);
            wait_for(sim, &log, Side::Client, What::Asked, 1);
            meet(&log, first, [refuses, PLAIN]);
            assert_eq!(log.count(Side::Provider, What::Asked), 0);
            one.deregister();
            other.deregister();
        });
    }
}

// [wsk 12.5, 12.6, 12.8]
#[test]
fn provider_that_declines_gives_the_client_its_status() {
    for status in [STATUS_NOINTERFACE, STATUS_INVALID_PARAMETER] {
        seeds(50, move |sim| {
            let log = Log::default();
            let refuses = Plan {
                attach: Attach::Refuse(status),
                ..PLAIN
            };
            let provider = Registered::new(Side::Provider, 2, refuses, &log);
            let client = Registered::new(Side::Client, 1, PLAIN, &log);
            wait_for(sim, &log, Side::Provider, What::Asked, 1);
            client.deregister();
            provider.deregister();
            assert_eq!(log.count(Side::Client, What::Attached), 0);
            check(&log);
        });
    }
}

// [wsk 12.7]
#[test]
fn client_tries_versions_in_turn() {
    seeds(50, |sim| {
        let log = Log::default();
        let offers = Plan {
            attach: Attach::Versions(2, 1),
            ..PLAIN
        };
        let takes = Plan {
            attach: Attach::Versions(1, 0),
            ..PLAIN
        };
        let provider = Registered::new(Side::Provider, 2, takes, &log);
        let client = Registered::new(Side::Client, 1, offers, &log);
        wait_for(sim, &log, Side::Client, What::Attached, 1);
        assert_eq!(log.count(Side::Provider, What::Asked), 2);
        client.deregister();
        provider.deregister();
        check(&log);
    });
}

// [wsk 12.10, 12.14]: the order of the two sides is not specified, so both must occur.
#[test]
fn detach_and_cleanup_come_in_either_order() {
    let orders = answers(300, |sim| {
        let log = Log::default();
        let (client, provider) = pair(&log, Side::Provider, PLAIN);
        wait_for(sim, &log, Side::Client, What::Attached, 1);
        client.deregister();
        provider.deregister();
        let client_first =
            |what| log.position(Side::Client, what, 1) < log.position(Side::Provider, what, 1);
        (client_first(What::Detach), client_first(What::Cleanup))
    });
    let all = [(false, false), (false, true), (true, false), (true, true)];
    assert_eq!(orders, BTreeSet::from(all));
}

// [wsk 12.13]
#[test]
fn detach_and_cleanup_come_at_passive_and_at_dispatch() {
    let irqls = answers(300, |sim| {
        let log = Log::default();
        let (client, provider) = pair(&log, Side::Provider, PLAIN);
        wait_for(sim, &log, Side::Client, What::Attached, 1);
        client.deregister();
        provider.deregister();
        let events = log.events();
        let irql = |side, what| {
            let mut meant = events.iter();
            let found = meant.find(|event| event.side == side && event.what == what);
            found.map(|event| event.irql)
        };
        SIDES.map(|side| (irql(side, What::Detach), irql(side, What::Cleanup)))
    });
    for side in 0..2 {
        for irql in [0, 2] {
            assert!(irqls.iter().any(|found| found[side].0 == Some(irql)));
            assert!(irqls.iter().any(|found| found[side].1 == Some(irql)));
        }
    }
}

// [wsk 12.10]
#[test]
fn detach_pending_completes_early_or_late() {
    for client in DETACHES {
        for provider in DETACHES {
            builder().preempt_one_in(2).seeds(60, move |sim| {
                let log = Log::default();
                let plan = |detach| Plan { detach, ..PLAIN };
                let other = Registered::new(Side::Provider, 2, plan(provider), &log);
                let one = Registered::new(Side::Client, 1, plan(client), &log);
                wait_for(sim, &log, Side::Client, What::Attached, 1);
                if sim.seed() % 2 == 0 {
                    one.deregister();
                    other.deregister();
                } else {
                    other.deregister();
                    one.deregister();
                }
                check(&log);
            });
        }
    }
}

// [wsk 12.10]: both cleanup callbacks are optional.
#[test]
fn cleanup_callbacks_are_optional() {
    for (client, provider) in [(false, true), (true, false), (false, false)] {
        seeds(30, move |sim| {
            let log = Log::default();
            let plan = |cleanup| Plan { cleanup, ..PLAIN };
            let other = Registered::new(Side::Provider, 2, plan(provider), &log);
            let one = Registered::new(Side::Client, 1, plan(client), &log);
            wait_for(sim, &log, Side::Client, What::Attached, 1);
            one.deregister();
            other.deregister();
            assert_eq!(log.count(Side::Client, What::Cleanup), usize::from(client));
            assert_eq!(
                log.count(Side::Provider, What::Cleanup),
                usize::from(provider)
            );
        });
    }
}

// [wsk 12.12]
#[test]
fn deregister_without_bindings_is_pending_as_well() {
    for side in SIDES {
        run(move |_| {
            let module = Registered::new(side, 1, PLAIN, &Log::default());
            assert_eq!(module.start_deregistering(), STATUS_PENDING);
            assert_eq!(module.wait(), STATUS_SUCCESS);
        });
    }
}

// [wsk 12.12]
#[test]
fn wait_without_deregister_or_with_a_bad_handle_is_refused() {
    for side in SIDES {
        run(move |_| {
            let log = Log::default();
            let mut module = Registered::new(side, 1, PLAIN, &log);
            assert_eq!(module.wait(), STATUS_INVALID_PARAMETER);
            let handle = module.handle;
            for bad in [
                core::ptr::null_mut(),
                core::ptr::without_provenance_mut(handle.addr() + 8),
            ] {
                module.handle = bad;
                assert_eq!(module.wait(), STATUS_INVALID_PARAMETER);
            }
            module.handle = handle;
            assert_eq!(module.start_deregistering(), STATUS_PENDING);
            assert_eq!(module.wait(), STATUS_SUCCESS);
            assert_eq!(module.wait(), STATUS_INVALID_PARAMETER);
        });
    }
}

// [wsk 12.12]: the handle of a client is none of a provider.
#[test]
fn wait_for_a_module_of_the_other_side_is_refused() {
    run(|_| {
        let log = Log::default();
        let client = Registered::new(Side::Client, 1, PLAIN, &log);
        let mut provider = Registered::new(Side::Provider, 2, PLAIN, &log);
        assert_eq!(client.start_deregistering(), STATUS_PENDING);
        let own = core::mem::replace(&mut provider.handle, client.handle);
        assert_eq!(provider.wait(), STATUS_INVALID_PARAMETER);
        provider.handle = own;
        assert_eq!(client.wait(), STATUS_SUCCESS);
        provider.deregister();
    });
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
            tasks.into_iter().for_each(wsk_sim::Task::join);
            check(&log);
        });
    }
}

/// Registers, calls, deregisters, several times over.
fn come_and_go(sim: &Sim, side: Side, number: u32, detach: Detach, log: &Log) -> wsk_sim::Task<()> {
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
        tasks.into_iter().for_each(wsk_sim::Task::join);
        check(&log);
    });
}

// [wsk 12.2]: with two peers waiting, both are introduced, also at the same time.
#[test]
fn several_peers_are_introduced_also_at_the_same_time() {
    let overlaps = answers(200, |sim| {
        let log = Log::default();
        let providers = [2, 3].map(|number| Registered::new(Side::Provider, number, PLAIN, &log));
        let client = Registered::new(Side::Client, 1, PLAIN, &log);
        wait_for(sim, &log, Side::Client, What::Attached, 2);
        assert_eq!(client.bindings(), 2);
        client.deregister();
        providers.into_iter().for_each(Registered::deregister);
        check(&log);
        let events = log.events();
        let is_client = |event: &&Event| event.side == Side::Client;
        let asked: Vec<_> = events
            .iter()
            .filter(is_client)
            .map(|event| event.what)
            .collect();
        asked
            .windows(2)
            .any(|two| two == [What::Asked, What::Asked])
    });
    assert_eq!(overlaps, BTreeSet::from([false, true]));
}

// [wsk 12.10]
#[test]
fn modules_that_deregister_at_dispatch_part_as_well() {
    seeds(100, |sim| {
        let log = Log::default();
        let (client, provider) = pair(&log, Side::Provider, PLAIN);
        let status = sim.at_dispatch(|| client.start_deregistering());
        assert_eq!(status, STATUS_PENDING);
        assert_eq!(client.wait(), STATUS_SUCCESS);
        provider.deregister();
        check(&log);
    });
}

// [wsk 12.4, 12.6]
#[test]
fn register_without_memory_is_refused() {
    for side in SIDES {
        builder().fail(Fault::Allocation, 1).run(move |_| {
            let module = Module::new(side, 1, PLAIN, &Log::default());
            let status = module.register().err();
            assert_eq!(status, Some(STATUS_INSUFFICIENT_RESOURCES));
        });
    }
}

// [wsk 12.4, 12.6]
#[test]
fn modules_survive_every_fault() {
    every_fault(|_| {
        let log = Log::default();
        let modules = SIDES.map(|side| Module::new(side, 1, PLAIN, &log).register());
        for module in modules.into_iter().flatten() {
            module.deregister();
        }
        check(&log);
    });
}
