//! Listening, accepting by call, and what becomes of connections nobody waits for any more.

use std::{sync::Arc, time::Duration};

use crate::common::{Client, Wakes, address, buffer, passive, poll};
use wsk::{AddressFamily, ErrorKind, ListenSocket};

const SCHEDULES: u64 = 2000;

#[test]
fn accept_gives_the_connection_with_both_addresses() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let mut listener = client.listen();
        let peer = sim.connect(address()).expect("it listens");
        let accepted = listener.accept().wait(passive()).expect("accepted");
        let (near, far) = peer.addresses();
        assert_eq!((accepted.remote, accepted.local), (Some(near), Some(far)));
        drop((accepted, peer, listener));
        client.end();
    });
}

#[test]
fn accept_that_timed_out_loses_no_connection() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let mut listener = client.listen();
        let late = listener
            .accept()
            .wait_timeout(Duration::from_secs(1), passive());
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
        let peer = sim.connect(address()).expect("it listens");
        let accepted = listener
            .accept()
            .wait(passive())
            .expect("the same connection");
        assert_eq!(accepted.remote, Some(peer.addresses().0));
        drop((accepted, peer, listener));
        client.end();
    });
}

#[test]
fn accept_that_was_dropped_loses_no_connection() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let mut listener = client.listen();
        let wakes = Arc::new(Wakes::default());
        assert!(poll(&mut listener.accept(), &wakes).is_pending());
        let peer = sim.connect(address()).expect("it listens");
        let accepted = listener
            .accept()
            .wait(passive())
            .expect("the same connection");
        assert_eq!(accepted.remote, Some(peer.addresses().0));
        drop((accepted, peer, listener));
        client.end();
    });
}

#[test]
fn accepts_in_turn_give_every_connection_once() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let mut listener = client.listen();
        let peers: Vec<_> = (0..5)
            .map(|_| sim.connect(address()).expect("it listens"))
            .collect();
        let mut remotes: Vec<_> = (0..peers.len())
            .map(|_| listener.accept().wait(passive()).expect("accepted").remote)
            .collect();
        let mut expected: Vec<_> = peers.iter().map(|peer| Some(peer.addresses().0)).collect();
        remotes.sort();
        expected.sort();
        assert_eq!(remotes, expected);
        drop((peers, listener));
        client.end();
    });
}

#[test]
fn listener_dropped_with_an_accept_in_flight_leaves_no_connection() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let mut listener = client.listen();
        let wakes = Arc::new(Wakes::default());
        assert!(poll(&mut listener.accept(), &wakes).is_pending());
        let connecting = sim.clone();
        let peer = sim.spawn(move || connecting.connect(address()).ok());
        drop(listener);
        drop(peer.join());
        client.end();
    });
}

#[test]
fn open_dropped_in_flight_leaves_no_socket() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        for _ in 0..4 {
            drop(ListenSocket::open(&client.provider, AddressFamily::Inet6));
        }
        client.end();
    });
}

#[test]
fn bind_to_an_address_in_use_says_so() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let first = client.listen();
        let second = ListenSocket::open(&client.provider, AddressFamily::Inet);
        let second = second.wait(passive()).expect("opened");
        let refused = second.bind(address()).wait(passive()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AddressInUse);
        drop((first, second));
        client.end();
    });
}

#[test]
fn bind_to_port_zero_gives_a_port() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let listener = ListenSocket::open(&client.provider, AddressFamily::Inet6);
        let listener = listener.wait(passive()).expect("opened");
        let unbound = listener.local_address().wait(passive()).unwrap_err();
        assert_eq!(unbound.kind(), ErrorKind::InvalidState);
        listener
            .bind("[::1]:0".parse().unwrap())
            .wait(passive())
            .expect("bound");
        let bound = listener.local_address().wait(passive()).expect("bound");
        assert!(bound.is_ipv6() && bound.port() != 0, "{bound}");
        drop(listener);
        client.end();
    });
}

#[test]
fn closed_listener_ends_the_accept_that_waits() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let mut listener = client.listen();
        let closer = listener.closer();
        let close = sim.spawn(move || closer.close());
        let ended = listener.accept().wait(passive()).unwrap_err().kind();
        assert!(
            matches!(ended, ErrorKind::Cancelled | ErrorKind::Closed),
            "{ended:?}"
        );
        close.join();
        drop(listener);
        client.end();
    });
}

#[test]
fn connection_graceful_end_from_both_sides() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let (sent, same) = connection.send(buffer(b"last words")).wait(passive());
        sent.expect("sent");
        connection
            .disconnect()
            .wait(passive())
            .expect("disconnected");
        assert_eq!(peer.read_to_end().expect("a graceful end"), b"last words");
        peer.shut_down();
        let (received, _) = connection.receive(same).wait(passive());
        assert_eq!(received.expect("a graceful end"), 0);
        connection.close().wait(passive()).expect("closed");
        client.end();
    });
}

#[test]
fn connection_aborted_is_reset() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        connection.abort().wait(passive()).expect("aborted");
        assert!(peer.read_to_end().is_err(), "not a reset");
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn connection_reset_by_the_peer_says_connection_lost() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        peer.reset();
        let (received, _) = connection.receive(buffer(&[0; 8])).wait(passive());
        assert_eq!(received.unwrap_err().kind(), ErrorKind::ConnectionLost);
        drop(connection);
        client.end();
    });
}

/// Each allocation and each provider call fails in turn: always an error or success, never a leak,
/// a hang or an offence.
#[test]
fn every_failure_on_the_way_leaves_nothing() {
    wsk_sim::every_fault(|sim| {
        let passive = passive();
        let Ok(registration) = wsk::Registration::register(wsk::Version::V1_0, passive) else {
            return;
        };
        let _ = whole_life(sim, &registration);
        registration.deregister(passive);
    });
}

fn whole_life(sim: &wsk_sim::Sim, registration: &wsk::Registration) -> wsk::Result<()> {
    let provider = registration.try_capture()?;
    let mut listener = ListenSocket::open(&provider, AddressFamily::Inet).wait(passive())?;
    listener.bind(address()).wait(passive())?;
    let peer = sim.connect(address()).expect("it listens");
    let mut connection = listener
        .accept()
        .wait_timeout(Duration::from_secs(9), passive())?
        .socket;
    let _ = peer.write_all(b"hello");
    let (received, filled) = connection
        .receive(wsk::Buffer::with_capacity(8)?)
        .wait(passive());
    received?;
    connection.send(filled).wait(passive()).0?;
    connection.disconnect().wait(passive())?;
    peer.shut_down();
    connection.close().wait(passive())?;
    listener.close().wait(passive())
}
