//! Operations: awaited, waited for, cancelled, dropped and forgotten, on many schedules. The
//! simulator checks that nothing is touched too late, freed twice or left.

use std::{mem::forget, sync::Arc, time::Duration};

use crate::common::{Client, Wakes, buffer, passive, poll};
use wsk::{AddressFamily, Buffer, ErrorKind, ListenSocket};

const SCHEDULES: u64 = 300;
const LONG: Duration = Duration::from_secs(30);

#[test]
fn operation_polled_is_woken_when_it_completes() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let wakes = Arc::new(Wakes::default());
        let mut receive = connection.receive(buffer(&[0; 8]));
        assert!(poll(&mut receive, &wakes).is_pending());
        peer.write_all(b"hello").expect("connected");
        while wakes.count() == 0 {
            sim.sleep(Duration::from_millis(1));
        }
        let (received, filled) = receive.wait(passive());
        let received = received.expect("received");
        assert_eq!(&filled[..], &b"hello"[..received]);
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn operation_polled_by_another_task_wakes_only_that_one() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let (first, second) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        let mut receive = connection.receive(buffer(&[0; 8]));
        assert!(poll(&mut receive, &first).is_pending());
        assert!(poll(&mut receive, &second).is_pending());
        peer.write_all(b"x").expect("connected");
        while second.count() == 0 {
            sim.sleep(Duration::from_millis(1));
        }
        assert_eq!(first.count(), 0);
        drop((receive, connection, peer));
        client.end();
    });
}

#[test]
fn wait_timeout_passed_gives_timed_out_and_the_buffer() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let started = sim.now();
        let receive = connection.receive(buffer(&[0; 16]));
        let (received, same) = receive.wait_timeout(LONG, passive());
        assert_eq!(received.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(sim.now() >= started + LONG);
        assert_eq!(same.capacity(), 16);
        // Nothing was lost: the stream goes on.
        peer.write_all(b"late").expect("connected");
        let (received, filled) = connection.receive(same).wait(passive());
        assert!(received.expect("received") > 0 && b"late".starts_with(&filled));
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn wait_timeout_that_loses_the_race_returns_the_bytes() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let writer = sim.clone();
        let write = sim.spawn(move || {
            writer.sleep(LONG);
            peer.write_all(b"just in time").expect("connected");
            peer
        });
        let mut all = Vec::new();
        let mut free = buffer(&[0; 64]);
        while all.len() < 12 {
            let (received, filled) = connection.receive(free).wait_timeout(LONG, passive());
            match received {
                Ok(_) => all.extend_from_slice(&filled),
                Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            }
            free = filled;
        }
        assert_eq!(all, b"just in time", "bytes were lost or doubled");
        drop((connection, write.join()));
        client.end();
    });
}

#[test]
fn cancelled_receive_gives_the_buffer_and_keeps_the_stream() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let mut receive = connection.receive(buffer(&[0; 8]));
        let writer = sim.spawn(move || {
            peer.write_all(b"abc").expect("connected");
            peer
        });
        receive.cancel();
        let (received, filled) = receive.wait(passive());
        let mut all = match received {
            Ok(_) => filled.to_vec(),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Cancelled);
                Vec::new()
            }
        };
        let mut free = filled;
        while all.len() < 3 {
            let (received, filled) = connection.receive(free).wait(passive());
            received.expect("received");
            all.extend_from_slice(&filled);
            free = filled;
        }
        assert_eq!(all, b"abc");
        drop((connection, writer.join()));
        client.end();
    });
}

#[test]
fn operations_dropped_in_flight_leave_nothing() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        drop(ListenSocket::open(&client.provider, AddressFamily::Inet));
        let (mut connection, peer) = client.connect(sim);
        drop(connection.send(buffer(b"sent or not")));
        drop(connection.receive(buffer(&[0; 8])));
        drop(connection.disconnect());
        drop(connection.close());
        drop(peer);
        client.end();
    });
}

#[test]
fn operations_forgotten_leak_at_worst() {
    // The leak is the point: the simulator reports it, and nothing worse.
    let report = wsk_sim::builder().offence(|sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        forget(connection.receive(buffer(&[0; 8])));
        peer.write_all(b"x").expect("connected");
        drop((connection, peer));
        client.end();
    });
    assert_eq!(report.rule, wsk_sim::Rule::Leak, "{report:?}");
}

#[test]
fn requests_after_close_say_closed_and_give_the_buffer() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        connection.closer().close();
        let (sent, same) = connection.send(buffer(b"late")).wait(passive());
        assert_eq!(sent.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(&same[..], b"late");
        let closed = connection.disconnect().wait(passive());
        assert_eq!(closed.unwrap_err().kind(), ErrorKind::Closed);
        connection.close().wait(passive()).expect("closed");
        drop(peer);
        client.end();
    });
}

#[test]
fn close_at_dispatch_level_cancels_what_is_in_flight() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let receive = connection.receive(buffer(&[0; 8]));
        let close = sim.at_dispatch(|| connection.close());
        let (received, _) = receive.wait(passive());
        assert_eq!(received.unwrap_err().kind(), ErrorKind::Cancelled);
        close.wait(passive()).expect("closed");
        drop(peer);
        client.end();
    });
}

#[test]
fn close_races_with_calls_of_other_threads() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let connection = Arc::new(connection);
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let connection = connection.clone();
                sim.spawn(move || connection.send(buffer(b"racing")).wait(passive()).0)
            })
            .collect();
        connection.closer().close();
        for caller in callers {
            let sent = caller.join();
            assert!(sent.is_ok_and(|count| count == 6) || sent.is_err());
        }
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn slots_are_used_again() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let mut free = buffer(b"12345678");
        for _ in 0..10 {
            let (sent, same) = connection.send(free).wait(passive());
            assert_eq!(sent.expect("sent"), 8);
            free = same;
        }
        assert_eq!(connection.requests_allocated(), 1);
        assert_eq!(peer.read_exact(80).expect("sent"), b"12345678".repeat(10));
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn buffer_bounds_are_checked() {
    wsk_sim::run(|_| {
        assert_eq!(
            Buffer::with_capacity(0).unwrap_err().kind(),
            ErrorKind::InvalidParameter
        );
        assert!(Buffer::with_capacity(usize::MAX).is_err());
        let mut buffer = Buffer::with_capacity(4).expect("memory");
        assert!(buffer.is_empty());
        assert!(buffer.extend_from_slice(b"12345").is_err());
        buffer.extend_from_slice(b"123").expect("it fits");
        assert!(buffer.extend_from_slice(b"45").is_err());
        buffer.set_filled(4).expect("within the capacity");
        assert_eq!(&buffer[..], b"123\0");
        assert!(buffer.set_filled(5).is_err());
        buffer.clear();
        assert!(buffer.is_empty() && buffer.capacity() == 4);
    });
}
