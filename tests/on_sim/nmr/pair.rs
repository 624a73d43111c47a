//! One client and one provider: they attach, call each other, and part.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use wsk::{ErrorKind, nmr};
use wsk_sim::builder;

use super::{Count, Listen, Log, client, pair, provider, try_client_that, try_provider_that};
use crate::common::{block_on, passive};

const SCHEDULES: u64 = 300;

// [wsk 12.2, 12.5, 12.8, 12.10]
#[test]
fn pair_attaches_calls_both_ways_and_parts() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let log = Arc::new(Log::default());
        let (client, provider) = pair(sim, &log);
        let to_provider = log.client(sim);
        assert_eq!(log.contexts(), 2);
        let entered = to_provider.enter().expect("attached");
        assert_eq!(entered.add(5), 5);
        assert_eq!(entered.add(2), 7);
        entered.report();
        assert_eq!(log.heard.load(SeqCst), 7);
        drop(entered);
        log.provider().enter().expect("attached").sum(3);
        assert_eq!(log.heard.load(SeqCst), 3);
        client.deregister(passive());
        assert_eq!(
            log.detaches.load(SeqCst),
            2,
            "once for each side [wsk 12.19]"
        );
        provider.deregister(passive());
        assert_eq!(log.contexts(), 0);
        assert_eq!(log.detaches.load(SeqCst), 2);
        assert_eq!(to_provider.enter().unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(log.failures(), []);
    });
}

// [wsk 12.10, 12.12]
#[test]
fn registration_dropped_deregisters_whichever_goes_first() {
    builder().preempt_one_in(2).seeds(SCHEDULES, |sim| {
        let log = Arc::new(Log::default());
        let (client, provider) = pair(sim, &log);
        if sim.seed() % 4 < 2 {
            drop(client);
            drop(provider);
        } else {
            drop(provider);
            drop(client);
        }
        assert_eq!(log.contexts(), 0);
    });
}

// [wsk 12.11]: the detach waits for whoever is inside, and for nobody else.
#[test]
fn detach_waits_for_calls_in_flight() {
    builder().preempt_one_in(2).seeds(SCHEDULES, |sim| {
        let log = Arc::new(Log::default());
        let (client, provider) = pair(sim, &log);
        let binding = log.client(sim);
        let seen = log.clone();
        let to_client = log.provider();
        let (calls, calls_back) = (sim.clone(), sim.clone());
        let tasks = [
            sim.spawn(move || {
                while let Ok(entered) = binding.enter() {
                    entered.add(1);
                    assert!(seen.contexts() >= 1, "the provider's context is there");
                    calls.sleep(Duration::from_micros(10));
                }
            }),
            sim.spawn(move || {
                while let Ok(entered) = to_client.enter() {
                    entered.sum(1);
                    calls_back.sleep(Duration::from_micros(10));
                }
            }),
        ];
        if sim.seed() % 4 < 2 {
            client.deregister(passive());
            provider.deregister(passive());
        } else {
            provider.deregister(passive());
            client.deregister(passive());
        }
        tasks.into_iter().for_each(wsk_sim::Task::join);
        assert_eq!(log.contexts(), 0);
    });
}

// [wsk 12.13]: the last one leaves at DISPATCH_LEVEL, and completes the detach there.
#[test]
fn last_one_may_leave_at_dispatch_level() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let log = Arc::new(Log::default());
        let (client, provider) = pair(sim, &log);
        let binding = log.client(sim);
        let (other, seen) = (sim.clone(), log.clone());
        let task = sim.spawn(move || {
            let entered = binding.enter().expect("attached");
            entered.add(1);
            while seen.detaches.load(SeqCst) == 0 {
                other.sleep(Duration::from_millis(1));
            }
            other.at_dispatch(|| drop(entered));
        });
        while log.sum.load(SeqCst) == 0 {
            sim.sleep(Duration::from_millis(1));
        }
        provider.deregister(passive());
        client.deregister(passive());
        task.join();
    });
}

// [wsk 12.5, 12.6, 12.8]
#[test]
fn pair_of_which_one_declines_leaves_nothing() {
    for (client_declines, provider_declines) in [(true, false), (false, true), (true, true)] {
        wsk_sim::seeds(100, move |sim| {
            let log = Arc::new(Log::default());
            let provider = try_provider_that(&log, provider_declines).expect("registered");
            let client = try_client_that(&log, client_declines).expect("registered");
            sim.sleep(Duration::from_millis(10));
            assert_eq!(log.contexts(), 0);
            assert!(log.clients.lock().expect("not poisoned").is_empty());
            let refused = usize::from(!client_declines);
            assert_eq!(log.failures().len(), refused, "only the client may wonder");
            drop((client, provider));
        });
    }
}

#[test]
fn deregistration_can_be_awaited() {
    builder().preempt_one_in(2).seeds(SCHEDULES, |sim| {
        let log = Arc::new(Log::default());
        let (client, provider) = pair(sim, &log);
        let binding = log.client(sim);
        let other = sim.clone();
        let task = sim.spawn(move || {
            let entered = binding.enter();
            other.sleep(Duration::from_millis(5));
            drop(entered);
        });
        block_on(sim, client.deregistration());
        assert_eq!(log.contexts(), 0);
        block_on(sim, provider.deregistration());
        task.join();
    });
}

#[test]
fn deregistration_dropped_waits() {
    wsk_sim::seeds(100, |sim| {
        let log = Arc::new(Log::default());
        let (client, provider) = pair(sim, &log);
        drop(client.deregistration());
        assert_eq!(log.contexts(), 0);
        drop(provider.deregistration());
    });
}

// [wsk 12.2]: neither is introduced to its own kind.
#[test]
fn clients_alone_and_providers_alone_come_and_go() {
    wsk_sim::seeds(50, |_| {
        let log = Arc::new(Log::default());
        drop([client(&log), client(&log)]);
        drop([provider(&log), provider(&log)]);
        assert_eq!(log.contexts(), 0);
    });
}

#[test]
fn handler_can_be_reached_through_the_registration() {
    wsk_sim::run(|_| {
        let log = Arc::new(Log::default());
        let registered: nmr::Client<_, _> = client(&log);
        assert!(Arc::ptr_eq(&registered.handler().log, &log));
    });
}
