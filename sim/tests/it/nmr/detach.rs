//! How modules part: the order and the IRQL of callbacks, pending detaches, the wait.

use std::collections::BTreeSet;

use wdk_sys::{STATUS_INVALID_PARAMETER, STATUS_PENDING, STATUS_SUCCESS};
use wsk_sim::{builder, run, seeds};

use super::{answers, pair, pair_of, wait_for};
use crate::modules::{DETACHES, Log, PLAIN, Plan, Registered, SIDES, Side, What, check};

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
                let plans = [client, provider].map(|detach| Plan { detach, ..PLAIN });
                let (one, other) = pair_of(&log, Side::Provider, plans);
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
            let plans = [client, provider].map(|cleanup| Plan { cleanup, ..PLAIN });
            let (one, other) = pair_of(&log, Side::Provider, plans);
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
