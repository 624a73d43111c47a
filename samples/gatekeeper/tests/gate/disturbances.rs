//! Clients that give up, stopping at any moment, and whatever can fail.

use std::time::Duration;

use wdk_sys::{STATUS_ADDRESS_ALREADY_EXISTS, STATUS_DEVICE_NOT_READY, STATUS_UNSUCCESSFUL};
use wsk_sim::{Fault, Sim};

use super::{
    SCHEDULES, alone, begin, connect, counters, host, is_served, load, service, set_prefixes,
    set_rate, unload,
};

#[test]
fn driver_stopped_while_inspections_pend_leaves_nothing() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES * 3, |sim| {
        set_rate(sim, 4, 60);
        set_prefixes(sim, "Deny", &["127.0.0.3"]);
        let driver = load(sim);
        let attempts: Vec<_> = (0..16).map(|n| begin(sim, host(n % 4 + 1))).collect();
        // How far they get until then is the schedule's choice.
        if sim.seed() % 2 == 0 {
            sim.sleep(Duration::from_micros(sim.seed() * 10));
        }
        unload(driver, sim);
        drop(attempts);
    });
}

#[test]
fn driver_stopped_while_it_serves_leaves_nothing() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES, |sim| {
        let driver = load(sim);
        let clients: Vec<_> = (1..5)
            .map(|last| connect(sim, host(last)).expect("everybody may"))
            .collect();
        for client in &clients {
            is_served(client, b"busy");
            client.write_all(&[1; 1000]).expect("connected");
        }
        unload(driver, sim);
    });
}

#[test]
fn clients_that_give_up_are_aborted_or_reset_and_the_others_served() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES * 3, |sim| {
        set_rate(sim, 100, 60);
        let driver = load(sim);
        for _ in 0..5 {
            drop(begin(sim, host(1)));
        }
        let client = connect(sim, host(2)).expect("it stays");
        is_served(&client, b"hello");
        sim.sleep(Duration::from_secs(1));
        let [
            inspected,
            accepted,
            by_rule,
            by_rate,
            pended,
            aborted,
            served,
            _,
        ] = counters(sim);
        assert_eq!(inspected, pended);
        assert_eq!((by_rule, by_rate), (0, 0));
        // Whoever was not served was aborted: before the decision, or after it.
        assert!(accepted <= inspected && served <= accepted);
        assert_eq!(served + aborted, inspected);
        unload(driver, sim);
    });
}

#[test]
fn client_that_resets_ends_its_own_session_only() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES, |sim| {
        let driver = load(sim);
        let client = connect(sim, host(1)).expect("everybody may");
        client.write_all(b"half of a mess").expect("connected");
        client.reset();
        is_served(&connect(sim, host(1)).expect("everybody may"), b"next");
        unload(driver, sim);
    });
}

#[test]
fn driver_on_a_busy_port_does_not_start() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES, |sim| {
        let _listener = sim.listen(service()).expect("free");
        let refused = sim.load("wsk_gate", wsk_gate::driver_entry).err();
        assert_eq!(refused, Some(STATUS_ADDRESS_ALREADY_EXISTS));
    });
}

#[test]
fn driver_without_a_provider_does_not_wait_for_ever() {
    let _alone = alone();
    wsk_sim::run(|sim| {
        sim.provider_never_ready();
        let refused = sim.load("wsk_gate", wsk_gate::driver_entry).err();
        assert_eq!(refused, Some(STATUS_DEVICE_NOT_READY));
    });
}

/// Lets each allocation, each call of the provider and each completion fail in turn. The body says
/// whether it noticed nothing; so it must be when there are no more.
fn each_failure(body: fn(&Sim) -> bool) {
    const MOST: u64 = 200;
    let completion = Fault::Completion(STATUS_UNSUCCESSFUL);
    for fault in [Fault::Allocation, Fault::ProviderCall, completion] {
        let mut noticed: Vec<_> = (1..=MOST).collect();
        noticed.retain(|number| !wsk_sim::builder().fail(fault, *number).run(body));
        let last = *noticed.last().expect("some are noticed");
        assert!(
            last < MOST / 2,
            "there may be more than {MOST} of {fault:?}"
        );
    }
}

#[test]
fn driver_with_any_failure_leaves_nothing() {
    let _alone = alone();
    each_failure(|sim| {
        let Ok(driver) = sim.load("wsk_gate", wsk_gate::driver_entry) else {
            return false;
        };
        let echoed = connect(sim, host(1)).and_then(|client| {
            let line = format!("admitted {}\n", client.addresses().0);
            client.write_all(b"hello")?;
            client.read_exact(line.len() + 5)
        });
        driver.unload(sim);
        echoed.is_ok_and(|bytes| bytes.ends_with(b"\nhello"))
    });
}

#[test]
fn driver_that_pends_with_any_failure_leaves_nothing() {
    let _alone = alone();
    each_failure(|sim| {
        set_rate(sim, 1, 60);
        let Ok(driver) = sim.load("wsk_gate", wsk_gate::driver_entry) else {
            return false;
        };
        for _ in 0..2 {
            let attempt = begin(sim, host(1));
            // A decision that does not reach the provider leaves the client waiting: it gives up.
            sim.sleep(Duration::from_secs(1));
            drop(attempt);
        }
        let [_, accepted, _, by_rate, _, aborted, served, _] = counters(sim);
        driver.unload(sim);
        (accepted, by_rate, aborted, served) == (1, 1, 0, 1)
    });
}
