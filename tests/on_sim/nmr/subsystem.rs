//! WSK attached as a network module: what works on a registration works on it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use wsk::{
    AddressFamily, Buffer, ErrorKind, ListenSocket, Provider, Result, Status, Version,
    nmr::{Guid, ModuleId, wsk::Client},
};
use wsk_sim::{Sim, builder};

use crate::common::{address, block_on, passive};

const MODULE: ModuleId = ModuleId::Guid(Guid::from_u128(3));
const ONLY: core::ops::RangeInclusive<Version> = Version::V1_0..=Version::V1_0;
const LIMIT: Duration = Duration::from_secs(5);

fn register() -> Client {
    Client::register(MODULE, ONLY, passive()).expect("registered")
}

fn capture(client: &Client) -> Provider {
    client.capture_timeout(LIMIT, passive()).expect("attached")
}

fn listen(provider: &Provider) -> Result<ListenSocket> {
    let listener = ListenSocket::open(provider, AddressFamily::Inet).wait(passive())?;
    listener.bind(address()).wait(passive())?;
    Ok(listener)
}

/// An echo and back.
fn echo(sim: &Sim, provider: &Provider) -> Result<()> {
    let mut listener = listen(provider)?;
    let peer = sim.connect(address()).expect("it listens");
    let connection = listener.accept().wait(passive())?.socket;
    let mut hello = Buffer::with_capacity(5)?;
    hello.extend_from_slice(b"hello")?;
    let (sent, _) = connection.send(hello).wait(passive());
    sent?;
    connection.disconnect().wait(passive())?;
    assert_eq!(peer.read_to_end().expect("a graceful end"), b"hello");
    peer.shut_down();
    connection.close().wait(passive())?;
    listener.close().wait(passive())
}

// [wsk 12.17, 12.18]
#[test]
fn wsk_attached_as_a_module_listens_accepts_and_sends() {
    wsk_sim::seeds(300, |sim| {
        let client = register();
        let provider = capture(&client);
        assert_eq!(client.supported_versions(), Ok(ONLY));
        echo(sim, &provider).expect("no fault");
        drop(provider);
        client.deregister(passive());
    });
}

// [wsk 12.18]
#[test]
fn detach_closes_the_sockets_and_waits_for_them() {
    builder().preempt_one_in(2).seeds(300, |sim| {
        let client = register();
        let provider = capture(&client);
        let mut listener = listen(&provider).expect("no fault");
        let opening = ListenSocket::open(&provider, AddressFamily::Inet6);
        drop(provider);
        let task = sim.spawn(move || {
            let ended = listener.accept().wait(passive());
            let ended = ended.map(drop).unwrap_err().kind();
            assert!(
                matches!(ended, ErrorKind::Cancelled | ErrorKind::Closed),
                "{ended:?}"
            );
            let late = opening.wait(passive()).expect("opened, or begun to close");
            let refused = late.bind(address()).wait(passive()).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Closed);
        });
        client.deregister(passive());
        assert!(sim.connect(address()).is_err(), "it listens still");
        task.join();
    });
}

// [wsk 12.18]
#[test]
fn detach_waits_for_every_provider() {
    wsk_sim::seeds(100, |sim| {
        let client = register();
        let provider = capture(&client);
        let clone = provider.clone();
        drop(provider);
        let other = sim.clone();
        let task = sim.spawn(move || {
            other.sleep(Duration::from_secs(3));
            drop(clone);
        });
        block_on(sim, client.deregistration());
        assert!(sim.now() >= Duration::from_secs(3), "did not wait");
        task.join();
    });
}

// [wsk 12.2]
#[test]
fn capture_before_wsk_is_ready_says_not_ready() {
    wsk_sim::seeds(100, |sim| {
        sim.provider_ready_after(Duration::from_secs(3));
        let client = register();
        let early = client.try_capture().unwrap_err();
        assert_eq!(early.kind(), ErrorKind::NotReady);
        assert!(client.supported_versions().is_err());
        let short = client.capture_timeout(Duration::from_millis(500), passive());
        assert_eq!(short.unwrap_err().kind(), ErrorKind::NotReady);
        let provider = capture(&client);
        assert!(sim.now() >= Duration::from_secs(3));
        drop(provider);
    });
}

// [wsk 12.5, 12.17]
#[test]
fn version_that_wsk_lacks_says_version_not_supported() {
    wsk_sim::seeds(50, |_| {
        let (low, high) = (
            Version { major: 8, minor: 0 },
            Version { major: 9, minor: 0 },
        );
        let client = Client::register(MODULE, low..=high, passive()).expect("registered");
        let refused = client.capture_timeout(LIMIT, passive()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::VersionNotSupported);
        assert_eq!(client.supported_versions(), Ok(ONLY));
        let wide = Client::register(MODULE, Version::V1_0..=high, passive()).expect("registered");
        drop(capture(&wide));
    });
}

// [wsk 12.4, 12.6]
#[test]
fn every_fault_is_an_error_and_leaves_nothing() {
    let outcomes: Arc<Mutex<Vec<Result<()>>>> = Arc::default();
    let seen = outcomes.clone();
    wsk_sim::every_fault(move |sim| {
        let outcome = Client::register(MODULE, ONLY, passive()).and_then(|client| {
            let provider = client.capture_timeout(LIMIT, passive())?;
            echo(sim, &provider)
        });
        seen.lock().expect("not poisoned").push(outcome);
    });
    let outcomes = outcomes.lock().expect("not poisoned");
    let (whole, faulty) = outcomes.split_first().expect("a run without a fault");
    assert_eq!(*whole, Ok(()));
    for outcome in faulty {
        let error = outcome.expect_err("a fault that nobody hears of");
        let known = [Status::INSUFFICIENT_RESOURCES, Status::UNSUCCESSFUL];
        assert!(known.contains(&error.status()), "{error}");
    }
}
