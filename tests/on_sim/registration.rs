//! Registration, provider capture and deregistration, on many schedules.

use std::{sync::Arc, time::Duration};

use crate::common::{Client, passive};
use wsk::{AddressFamily, ErrorKind, ListenSocket, Registration, Version};

const SCHEDULES: u64 = 200;

fn register() -> Registration {
    Registration::register(Version::V1_0, passive()).expect("registered")
}

#[test]
fn capture_before_the_provider_is_ready_says_not_ready() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        sim.provider_ready_after(Duration::from_secs(3));
        let registration = register();
        assert_eq!(
            registration.try_capture().unwrap_err().kind(),
            ErrorKind::NotReady
        );
        let short = registration.capture_timeout(Duration::from_millis(500), passive());
        assert_eq!(short.unwrap_err().kind(), ErrorKind::NotReady);
        drop(
            registration
                .capture_timeout(Duration::from_secs(30), passive())
                .expect("ready"),
        );
        registration.deregister(passive());
    });
}

#[test]
fn capture_without_limit_waits_for_the_provider() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        sim.provider_ready_after(Duration::from_hours(1));
        let registration = register();
        let provider = registration.capture(passive()).expect("ready");
        assert!(sim.now() >= Duration::from_hours(1));
        drop(provider);
    });
}

#[test]
fn capture_of_another_version_says_version_not_supported() {
    wsk_sim::run(|_| {
        let version = Version { major: 9, minor: 0 };
        let registration = Registration::register(version, passive()).expect("registered");
        let refused = registration.try_capture().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::VersionNotSupported);
        assert_eq!(
            refused.to_string(),
            "WskCaptureProviderNPI: STATUS_NOINTERFACE (0xC00002B9)"
        );
    });
}

#[test]
fn deregister_wakes_a_capture_that_waits() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        sim.provider_never_ready();
        let registration = Arc::new(register());
        let waiting = registration.clone();
        let capture = sim.spawn(move || waiting.capture(passive()).map(drop));
        registration.deregister(passive());
        assert_eq!(capture.join().unwrap_err().kind(), ErrorKind::NotReady);
    });
}

#[test]
fn deregister_waits_for_every_provider() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let registration = register();
        let provider = registration.try_capture().expect("ready");
        let clone = provider.clone();
        drop(provider);
        let sleeper = sim.clone();
        let holder = sim.spawn(move || {
            sleeper.sleep(Duration::from_secs(5));
            drop(clone);
        });
        registration.deregister(passive());
        assert!(sim.now() >= Duration::from_secs(5), "did not wait");
        holder.join();
    });
}

#[test]
fn deregister_waits_for_sockets_that_are_closing() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        drop(client.listen());
        client.end();
    });
}

#[test]
fn deregister_twice_and_from_two_threads_is_one_deregistration() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let registration = Arc::new(register());
        let other = registration.clone();
        let second = sim.spawn(move || other.deregister(passive()));
        registration.deregister(passive());
        registration.deregister(passive());
        second.join();
        assert_eq!(
            registration.try_capture().unwrap_err().kind(),
            ErrorKind::NotReady
        );
    });
}

#[test]
fn registrations_are_independent() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let (first, second) = (Client::new(), Client::new());
        first.end();
        drop(second.listen());
        second.end();
    });
}

#[test]
fn close_sockets_closes_those_that_are_open_and_those_that_come() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let mut listener = client.listen();
        let opening = ListenSocket::open(&client.provider, AddressFamily::Inet);
        client.registration.close_sockets();
        let refused = listener.accept().wait(passive()).unwrap_err().kind();
        assert!(
            matches!(refused, ErrorKind::Closed | ErrorKind::Cancelled),
            "{refused:?}"
        );
        let late = opening.wait(passive()).expect("opened");
        let refused = late
            .bind(crate::common::address())
            .wait(passive())
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed);
        drop((listener, late));
        client.end();
        assert!(
            sim.connect(crate::common::address()).is_err(),
            "still listens"
        );
    });
}

#[test]
fn registration_dropped_deregisters() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let Client {
            registration,
            provider,
        } = Client::new();
        drop(provider);
        drop(registration);
    });
}
