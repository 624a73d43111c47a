//! Who may connect: rules, their precedence, and rates.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use wsk_sim::RegistryValue;

use super::{
    SCHEDULES, alone, begin, connect, counters, end, host, is_served, load, set, set_prefixes,
    set_rate, unload,
};

#[test]
fn rules_let_in_whom_they_allow_and_refuse_the_others() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES, |sim| {
        set_prefixes(sim, "Allow", &["127.0.0.0/29", "127.0.0.77"]);
        set_prefixes(sim, "Deny", &["127.0.0.2/31"]);
        let driver = load(sim);
        for last in [1, 4, 7, 77] {
            let client = connect(sim, host(last)).expect("allowed");
            is_served(&client, b"hello");
            end(&client);
        }
        for last in [2, 3, 8, 76, 78] {
            assert!(connect(sim, host(last)).is_err(), "127.0.0.{last}");
        }
        let [inspected, accepted, by_rule, by_rate, pended, ..] = counters(sim);
        assert_eq!((inspected, accepted, by_rule), (9, 4, 5));
        assert_eq!((by_rate, pended), (0, 0));
        unload(driver, sim);
    });
}

#[test]
fn deny_decides_before_allow() {
    let _alone = alone();
    // Allow, deny, and whether 127.0.0.5 may connect.
    let cases: [(&[&str], &[&str], bool); 10] = [
        (&[], &[], true),
        (&["127.0.0.5"], &[], true),
        (&["127.0.0.4"], &[], false),
        (&["10.0.0.0/8", "127.0.0.0/8"], &[], true),
        (&[], &["127.0.0.4"], true),
        (&[], &["127.0.0.5"], false),
        (&["127.0.0.5"], &["127.0.0.0/8"], false),
        (&["127.0.0.0/8"], &["127.0.0.5/32"], false),
        (&["0.0.0.0/0"], &["::/0"], true),
        (&["::/0"], &[], false),
    ];
    for (allow, deny, admitted) in cases {
        wsk_sim::run(move |sim| {
            set_prefixes(sim, "Allow", allow);
            set_prefixes(sim, "Deny", deny);
            let driver = load(sim);
            let client = connect(sim, host(5));
            assert_eq!(client.is_ok(), admitted, "allow {allow:?}, deny {deny:?}");
            drop(client);
            unload(driver, sim);
        });
    }
}

#[test]
fn rules_of_both_families_work_on_an_ipv6_address() {
    let _alone = alone();
    for (deny, admitted) in [("::1", false), ("8000::/1", true), ("::/127", false)] {
        wsk_sim::seeds(SCHEDULES / 10, move |sim| {
            set(sim, "Address", RegistryValue::String("::1".to_owned()));
            set_prefixes(sim, "Deny", &["0.0.0.0/0", deny]);
            set_rate(sim, 1, 60);
            let driver = load(sim);
            let localhost = IpAddr::from(Ipv6Addr::LOCALHOST);
            let first = connect(sim, localhost);
            assert_eq!(first.is_ok(), admitted, "deny {deny}");
            assert!(connect(sim, localhost).is_err(), "one too many");
            drop(first);
            unload(driver, sim);
        });
    }
}

#[test]
fn source_above_its_rate_is_refused_until_its_period_is_over() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES, |sim| {
        set_rate(sim, 2, 10);
        set_prefixes(sim, "Deny", &["127.0.0.9"]);
        let driver = load(sim);
        for _ in 0..2 {
            is_served(&connect(sim, host(1)).expect("below its rate"), b"hello");
        }
        assert!(connect(sim, host(1)).is_err(), "above its rate");
        assert!(connect(sim, host(9)).is_err(), "denied");
        is_served(&connect(sim, host(2)).expect("another source"), b"hello");
        assert!(connect(sim, host(1)).is_err(), "still above its rate");
        sim.sleep(Duration::from_secs(10));
        is_served(&connect(sim, host(1)).expect("a new period"), b"hello");
        let [inspected, accepted, by_rule, by_rate, pended, ..] = counters(sim);
        assert_eq!((inspected, accepted), (7, 4));
        assert_eq!((by_rule, by_rate, pended), (1, 2, 6));
        unload(driver, sim);
    });
}

#[test]
fn sources_above_the_number_of_accounts_are_refused() {
    const ACCOUNTS: u16 = 1024;
    let _alone = alone();
    wsk_sim::run(|sim| {
        set_rate(sim, 5, 3600);
        let driver = load(sim);
        let source = |number: u16| {
            let [high, low] = number.to_be_bytes();
            IpAddr::from([127, 1, high, low])
        };
        for number in 0..ACCOUNTS {
            drop(connect(sim, source(number)).expect("an account is free"));
        }
        assert!(connect(sim, source(ACCOUNTS)).is_err(), "no account");
        drop(connect(sim, source(0)).expect("it has one"));
        sim.sleep(Duration::from_hours(1));
        drop(connect(sim, source(ACCOUNTS)).expect("accounts are free again"));
        unload(driver, sim);
    });
}

#[test]
fn source_that_connects_many_times_at_once_gets_as_many_as_its_rate() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES, |sim| {
        set_rate(sim, 3, 60);
        let driver = load(sim);
        let attempts: Vec<_> = (0..8).map(|_| begin(sim, host(1))).collect();
        let clients = attempts.into_iter().map(wsk_sim::Connecting::finish);
        let clients: Vec<_> = clients.flatten().collect();
        assert_eq!(clients.len(), 3);
        for client in &clients {
            is_served(client, b"hi");
        }
        unload(driver, sim);
    });
}
