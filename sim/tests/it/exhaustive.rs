//! Exploring every schedule of a body.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;
use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex};

use wsk_sim::{Builder, Explored, Sim, Task, builder};

use crate::common::Memory;
use crate::modules::{DETACHES, Log, PLAIN, Plan, Registered, Side, check};

/// Two threads that each add one, with a scheduling point between reading and writing.
fn add_twice(sim: &Sim) -> u32 {
    let number = Arc::new(AtomicU32::new(0));
    let add = |sim: Sim| {
        let number = Arc::clone(&number);
        move || {
            let read = number.load(SeqCst);
            sim.at_dispatch(|| ());
            number.store(read + 1, SeqCst);
        }
    };
    let tasks = [sim.spawn(add(sim.clone())), sim.spawn(add(sim.clone()))];
    tasks.into_iter().for_each(Task::join);
    number.load(SeqCst)
}

/// Explores `add_twice`: what was explored, and the sums that occurred.
fn explore(builder: Builder, limit: u64) -> (Explored, BTreeSet<u32>) {
    let sums = Arc::new(Mutex::new(BTreeSet::new()));
    let found = Arc::clone(&sums);
    let explored = builder.exhaustive(limit, move |sim| {
        let sum = add_twice(sim);
        found.lock().unwrap().insert(sum);
    });
    let sums = sums.lock().unwrap().clone();
    (explored, sums)
}

#[test]
fn exhaustive_finds_the_lost_update_and_the_kept_one() {
    let (explored, sums) = explore(builder(), u64::MAX);
    assert!(explored.complete);
    assert_eq!(sums, BTreeSet::from([1, 2]));
    assert_eq!(
        explore(builder(), u64::MAX).0,
        explored,
        "always the same tree"
    );
}

#[test]
fn exhaustive_without_preemption_loses_nothing() {
    let (explored, sums) = explore(builder().preemptions_at_most(0), u64::MAX);
    assert!(explored.complete);
    assert_eq!(sums, BTreeSet::from([2]));
}

#[test]
fn exhaustive_stops_at_the_limit() {
    let (explored, _) = explore(builder(), 2);
    assert_eq!((explored.schedules, explored.complete), (2, false));
}

#[test]
fn exhaustive_failure_names_its_choices() {
    let explore = || {
        let body = |sim: &Sim| {
            if add_twice(sim) == 1 {
                core::mem::forget(Memory::new(8));
            }
        };
        let _ = builder().exhaustive(u64::MAX, body);
    };
    let payload = catch_unwind(explore).unwrap_err();
    let message = payload.downcast_ref::<String>().unwrap();
    assert!(
        message.contains("replay with WSK_SIM_CHOICES="),
        "{message}"
    );
}

// [wsk 12.2, 12.10, 12.12]: every order of the callbacks, at every IRQL, with what one preemption
// can bring about.
#[test]
fn client_and_provider_part_in_order_in_every_schedule() {
    for detach in DETACHES {
        let explored = builder()
            .preemptions_at_most(0)
            .exhaustive(u64::MAX, move |_| {
                let log = Log::default();
                let plan = Plan { detach, ..PLAIN };
                let provider = Registered::new(Side::Provider, 2, plan, &log);
                let client = Registered::new(Side::Client, 1, plan, &log);
                client.deregister();
                provider.deregister();
                check(&log);
            });
        assert!(explored.complete);
        println!("one after the other, {detach:?}: {explored:?}");
    }
    let explored = builder()
        .preemptions_at_most(1)
        .exhaustive(u64::MAX, |sim| {
            let log = Log::default();
            let other = log.clone();
            let task = sim.spawn(move || {
                Registered::new(Side::Provider, 2, PLAIN, &other).deregister();
            });
            Registered::new(Side::Client, 1, PLAIN, &log).deregister();
            task.join();
            check(&log);
        });
    assert!(explored.complete);
    println!("at the same time: {explored:?}");
}
