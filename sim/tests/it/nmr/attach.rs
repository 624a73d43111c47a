//! Who is introduced to whom, when, and what becomes of it.

use core::sync::atomic::Ordering::SeqCst;
use std::collections::BTreeSet;

use wdk_sys::{STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_NOINTERFACE};
use wsk_sim::{Fault, builder, every_fault, seeds};

use super::{answers, pair, pair_of, wait_for};
use crate::modules::{
    Attach, Event, Log, Module, PLAIN, Plan, Registered, SIDES, Side, What, check, guid,
};

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

// [wsk 12.2]
#[test]
fn modules_of_different_interfaces_are_not_introduced() {
    seeds(20, |_| {
        let log = Log::default();
        let other = Plan {
            interface: guid(2),
            ..PLAIN
        };
        let (client, provider) = pair_of(&log, Side::Client, [PLAIN, other]);
        client.deregister();
        provider.deregister();
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
            let (client, provider) = pair_of(&log, first, [refuses, PLAIN]);
            wait_for(sim, &log, Side::Client, What::Asked, 1);
            client.deregister();
            provider.deregister();
            assert_eq!(log.count(Side::Provider, What::Asked), 0);
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
            let (client, provider) = pair_of(&log, Side::Provider, [PLAIN, refuses]);
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
        let (client, provider) = pair_of(&log, Side::Provider, [offers, takes]);
        wait_for(sim, &log, Side::Client, What::Attached, 1);
        assert_eq!(log.count(Side::Provider, What::Asked), 2);
        client.deregister();
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
