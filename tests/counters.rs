//! The library's own counters: exact, and back to zero. They are one set for the image, so these
//! tests have an image of their own, and run one at a time.

#[path = "on_sim/common.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod common;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use common::{Client, Wakes, address, block_on, buffer, passive, poll};
use wsk::{AddressFamily, Buffer, Counters, DatagramSocket, ListenSocket, counters};
use wsk_sim::Sim;

const SCHEDULES: u64 = 300;

/// Runs `body` with nobody else in the image, on many schedules. In the end all is zero again.
fn alone(body: fn(&Sim)) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    wsk_sim::seeds(SCHEDULES, move |sim| {
        body(sim);
        let now = counters();
        let zero = Counters {
            lost_bytes: now.lost_bytes,
            lost_datagrams: now.lost_datagrams,
            ..Counters::default()
        };
        assert_eq!(now, zero);
    });
}

/// Operations, buffers and sockets.
fn counts() -> (usize, usize, usize) {
    let now = counters();
    (now.operations, now.buffers, now.sockets)
}

#[test]
fn counters_follow_each_object() {
    alone(|sim| {
        let client = Client::new();
        assert_eq!(counts(), (0, 0, 0));
        let opening = ListenSocket::open(&client.provider, AddressFamily::Inet);
        assert_eq!(counts().0, 1);
        let mut listener = opening.wait(passive()).expect("opened");
        assert_eq!(counts(), (0, 0, 1));
        listener.bind(address()).wait(passive()).expect("bound");
        let peer = sim.connect(address()).expect("it listens");
        let mut connection = listener.accept().wait(passive()).expect("accepted").socket;
        assert_eq!(counts(), (0, 0, 2));
        let buffers = (buffer(b"1"), buffer(b"2"));
        assert_eq!(counts(), (0, 2, 2));
        let receive = connection.receive(buffers.0);
        assert_eq!(counts(), (1, 2, 2));
        let (sent, same) = connection.send(buffers.1).wait(passive());
        sent.expect("sent");
        assert_eq!(counts(), (1, 2, 2));
        drop(same);
        assert_eq!(counts(), (1, 1, 2));
        listener.close().wait(passive()).expect("closed");
        assert_eq!(counts(), (1, 1, 1));
        connection.close().wait(passive()).expect("closed");
        // The receive has completed, but its operation is still there.
        assert_eq!(counts(), (1, 1, 0));
        drop(receive);
        drop(peer);
        client.end();
    });
}

/// When deregistration has returned, nothing is alive, whatever was dropped in flight before.
#[test]
fn counters_are_zero_when_deregistration_returns() {
    alone(|sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        drop(ListenSocket::open(&client.provider, AddressFamily::Inet6));
        drop(connection.receive(buffer(&[0; 16])));
        drop(connection.send(buffer(b"abandoned")));
        drop(connection.disconnect());
        drop((connection, peer));
        client.end();
        assert_eq!(counts(), (0, 0, 0));
    });
}

#[test]
fn refused_requests_are_not_counted() {
    alone(|sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        connection.closer().close();
        let refused = connection.send(buffer(b"late"));
        assert_eq!(counts().0, 0);
        assert_eq!(counts().1, 1);
        drop(refused);
        assert_eq!(counts().1, 0);
        drop((connection, peer));
        client.end();
    });
}

/// Bytes that a dropped receive took are kept for the next one. If there is none before the close,
/// they are lost, and counted to the byte; others are still with WSK.
#[test]
fn lost_bytes_are_those_that_were_kept_for_nobody() {
    alone(|sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let before = counters().lost_bytes;
        let wakes = Arc::new(Wakes::default());
        let mut receive = connection.receive(Buffer::with_capacity(4).expect("memory"));
        let waits = poll(&mut receive, &wakes).is_pending();
        assert!(waits, "received what nobody sent");
        peer.write_all(b"much more than four").expect("connected");
        while wakes.count() == 0 {
            sim.sleep(Duration::from_millis(1));
        }
        // Completed: it has taken one to four bytes, which nobody fetches.
        drop(receive);
        assert_eq!(counters().lost_bytes, before, "not lost yet");
        block_on(sim, connection.close()).expect("closed");
        let lost = counters().lost_bytes - before;
        assert!((1..=4).contains(&lost), "lost {lost}");
        drop(peer);
        client.end();
    });
}

#[test]
fn cancelled_receives_lose_no_bytes() {
    alone(|sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let before = counters().lost_bytes;
        drop(connection.receive(buffer(&[0; 4])));
        connection.close().wait(passive()).expect("closed");
        assert_eq!(counters().lost_bytes, before, "nobody sent anything");
        drop(peer);
        client.end();
    });
}

/// As bytes of a stream: kept for the next receive, and lost if there is none. Empty ones too.
#[test]
fn lost_datagrams_are_those_that_were_kept_for_nobody() {
    alone(|sim| {
        let client = Client::new();
        let socket = DatagramSocket::open(&client.provider, AddressFamily::Inet);
        let socket = socket.wait(passive()).expect("opened");
        socket.bind(address()).wait(passive()).expect("bound");
        let peer = sim
            .datagram_peer(([127, 0, 0, 1], 0).into())
            .expect("a free one");
        let before = counters();
        for data in [&b"four"[..], b""] {
            let wakes = Arc::new(Wakes::default());
            let mut receive = socket.receive_from(buffer(&[0; 8]));
            assert!(poll(&mut receive, &wakes).is_pending());
            peer.send_to(data, address()).expect("sent");
            while wakes.count() == 0 {
                sim.sleep(Duration::from_millis(1));
            }
            drop(receive);
            // As many operations as datagrams are kept; the next one takes the first.
            assert_eq!(counts().0, 1);
            if !data.is_empty() {
                let (received, same) = socket.receive_from(buffer(&[0; 8])).wait(passive());
                assert_eq!(received.expect("kept").length, 4);
                drop(same);
                assert_eq!(counts(), (0, 0, 1));
            }
        }
        assert_eq!(
            counters().lost_datagrams,
            before.lost_datagrams,
            "not lost yet"
        );
        block_on(sim, socket.close()).expect("closed");
        assert_eq!(counters().lost_datagrams, before.lost_datagrams + 1);
        assert_eq!(counters().lost_bytes, before.lost_bytes);
        drop(peer);
        client.end();
    });
}
