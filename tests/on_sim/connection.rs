//! Connections: what is sent arrives, in order, whatever the sizes; and how connections end.

use std::{sync::Arc, time::Duration};

use crate::common::{Client, Wakes, address, block_on, buffer, passive, poll};
use wsk::{Buffer, ErrorKind};

const SCHEDULES: u64 = 100;
/// More than a connection of the simulator holds before the sender has to wait.
const TOO_MUCH: usize = 100_000;

/// Bytes that show where one is missing or misplaced.
fn pattern(length: usize) -> Vec<u8> {
    let byte = |index: usize| u8::try_from(index % 251).expect("below 251");
    (0..length).map(byte).collect()
}

#[test]
fn sends_in_flight_at_once_go_out_in_the_order_of_the_calls() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let sends: Vec<_> = (1..=5_u8)
            .map(|part| connection.send(buffer(&[part; 3000])))
            .collect();
        for (part, send) in (1..=5_u8).zip(sends) {
            let (sent, same) = send.wait(passive());
            assert_eq!(sent.expect("sent"), 3000);
            assert_eq!(same[..], [part; 3000]);
        }
        let expected: Vec<u8> = (1..=5_u8).flat_map(|part| [part; 3000]).collect();
        assert_eq!(peer.read_exact(15_000).expect("sent"), expected);
        assert_eq!(connection.requests_allocated(), 5);
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn requests_allocated_grows_to_the_most_in_flight_and_no_further() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let mut free = [buffer(&[0; 8]), buffer(&[0; 8]), buffer(&[0; 8])];
        for round in 0..4 {
            let receives = free.map(|free| connection.receive(free));
            assert_eq!(connection.requests_allocated(), 3, "round {round}");
            let cancelled = receives.map(|mut receive| {
                receive.cancel();
                receive.wait(passive())
            });
            free = cancelled.map(|(received, same)| {
                assert_eq!(received.unwrap_err().kind(), ErrorKind::Cancelled);
                same
            });
        }
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn send_larger_than_the_window_waits_for_the_reader() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let send = connection.send(buffer(&pattern(TOO_MUCH)));
        let reader = sim.spawn(move || (peer.read_exact(TOO_MUCH), peer));
        let (sent, same) = send.wait(passive());
        assert_eq!(sent.expect("sent"), TOO_MUCH);
        assert_eq!(same[..], pattern(TOO_MUCH));
        let (read, peer) = reader.join();
        assert!(read.expect("connected") == pattern(TOO_MUCH), "other bytes");
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn send_to_a_peer_that_does_not_read_ends_at_its_deadline() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let send = connection.send(buffer(&pattern(TOO_MUCH)));
        let (sent, same) = send.wait_timeout(Duration::from_secs(5), passive());
        assert_eq!(sent.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(same[..], pattern(TOO_MUCH));
        drop((connection, peer));
        client.end();
    });
}

/// The recovery that `disconnect` documents [wsk 9.5].
#[test]
fn disconnect_behind_a_stalled_send_is_ended_by_abort() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let send = connection.send(buffer(&pattern(TOO_MUCH)));
        let disconnect = connection.disconnect();
        connection.abort().wait(passive()).expect("aborted");
        assert!(
            send.wait(passive()).0.is_err(),
            "sent in spite of the abort"
        );
        assert!(disconnect.wait(passive()).is_err(), "graceful after abort");
        assert!(peer.read_to_end().is_err(), "not a reset");
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn disconnect_behind_a_stalled_send_is_ended_by_close() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let send = connection.send(buffer(&pattern(TOO_MUCH)));
        let disconnect = connection.disconnect();
        let passed = connection
            .disconnect()
            .wait_timeout(Duration::from_secs(1), passive());
        assert_eq!(passed.unwrap_err().kind(), ErrorKind::TimedOut);
        connection.close().wait(passive()).expect("closed");
        let sent = send.wait(passive()).0.unwrap_err();
        let disconnected = disconnect.wait(passive()).unwrap_err();
        let both = [sent, disconnected].map(wsk::Error::kind);
        assert_eq!(both, [ErrorKind::Cancelled; 2]);
        drop(peer);
        client.end();
    });
}

#[test]
fn receive_goes_on_after_this_side_has_disconnected() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        block_on(sim, connection.disconnect()).expect("disconnected");
        assert_eq!(peer.read(1).expect("a graceful end"), b"");
        peer.write_all(&pattern(9000)).expect("still open");
        peer.shut_down();
        let (mut all, mut free) = (Vec::new(), buffer(&[0; 4096]));
        loop {
            let (received, filled) = block_on(sim, connection.receive(free));
            if received.expect("still open") == 0 {
                break;
            }
            all.extend_from_slice(&filled);
            free = filled;
        }
        assert!(all == pattern(9000), "other bytes");
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn connection_dropped_is_a_reset() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        drop(connection);
        assert!(peer.read(1).is_err(), "not a reset");
        drop(peer);
        client.end();
    });
}

#[test]
fn connection_lives_on_when_its_listener_is_closed() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let mut listener = client.listen();
        let peer = sim.connect(address()).expect("it listens");
        let accepted = listener.accept().wait(passive()).expect("accepted");
        listener.close().wait(passive()).expect("closed");
        let (sent, _) = accepted.socket.send(buffer(b"still here")).wait(passive());
        sent.expect("sent");
        assert_eq!(peer.read_exact(10).expect("connected"), b"still here");
        drop((accepted, peer));
        client.end();
    });
}

#[test]
fn connection_is_used_by_two_threads_at_once() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let (mut read, write) = connection.into_split();
        let sender = sim.spawn(move || {
            for part in pattern(5000).chunks(100) {
                write.send(buffer(part)).wait(passive()).0.expect("sent");
            }
            write
        });
        peer.write_all(&pattern(5000)).expect("connected");
        let (mut all, mut free) = (Vec::new(), buffer(&[0; 512]));
        while all.len() < 5000 {
            let (received, filled) = read.receive(free).wait(passive());
            received.expect("received");
            all.extend_from_slice(&filled);
            free = filled;
        }
        let connection = read.reunite(sender.join()).expect("one connection");
        assert!(all == pattern(5000), "other bytes received");
        assert!(peer.read_exact(5000).expect("sent") == pattern(5000));
        drop((connection, peer));
        client.end();
    });
}

/// Around the ends of pages, where the description of a buffer gets longer.
#[test]
fn buffer_of_any_size_carries_every_byte() {
    wsk_sim::seeds(10, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        for size in [1, 15, 16, 17, 4095, 4096, 4097, 8191, 8192, 8193, 20_000] {
            connection
                .send(buffer(&pattern(size)))
                .wait(passive())
                .0
                .expect("sent");
            assert!(peer.read_exact(size).expect("sent") == pattern(size));
            peer.write_all(&pattern(size)).expect("connected");
            let (mut all, mut free) = (Vec::new(), Buffer::with_capacity(size).expect("memory"));
            while all.len() < size {
                let (received, filled) = connection.receive(free).wait(passive());
                assert_eq!(received.expect("received"), filled.len());
                all.extend_from_slice(&filled);
                free = filled;
            }
            assert!(all == pattern(size), "{size} bytes received");
        }
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn buffer_is_sent_as_far_as_it_is_filled_and_filled_as_far_as_received() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let mut partly = Buffer::with_capacity(64).expect("memory");
        partly.extend_from_slice(b"filled").expect("it fits");
        partly[0] = b'F';
        let (sent, same) = connection.send(partly).wait(passive());
        assert_eq!(sent.expect("sent"), 6);
        connection
            .disconnect()
            .wait(passive())
            .expect("disconnected");
        assert_eq!(peer.read_to_end().expect("a graceful end"), b"Filled");
        // Receiving uses the capacity, and leaves no old byte in the filled part.
        peer.write_all(b"ab").expect("connected");
        let (received, filled) = connection.receive(same).wait(passive());
        let count = received.expect("received");
        assert_eq!(filled[..], b"ab"[..count]);
        // On failure nothing is filled.
        peer.reset();
        let (mut failed, mut last) = (false, filled);
        while !failed {
            let (received, filled) = connection.receive(last).wait(passive());
            failed = received.is_err();
            last = filled;
        }
        assert!(last.is_empty());
        drop(connection);
        client.end();
    });
}

#[test]
fn buffers_are_made_filled_and_dropped_at_dispatch_level() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let (mut send, mut receive) = sim.at_dispatch(|| {
            drop(Buffer::with_capacity(10_000).expect("memory"));
            let send = connection.send(buffer(b"from dispatch level"));
            (send, connection.receive(buffer(&[0; 8])))
        });
        let wakes = Arc::new(Wakes::default());
        let polled = sim.at_dispatch(|| poll(&mut receive, &wakes).is_ready());
        assert!(!polled, "received what nobody sent");
        // As an executor at DISPATCH_LEVEL has it.
        let sent = sim.at_dispatch(|| poll(&mut send, &wakes));
        drop(sent);
        drop(send);
        sim.at_dispatch(|| drop((receive, connection)));
        drop(peer);
        client.end();
    });
}

/// After the first round nothing is allocated: no pool, IRP or MDL, whatever completes when.
#[test]
fn steady_connection_allocates_nothing() {
    wsk_sim::seeds(500, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let mut buffers = [buffer(b"ping"), buffer(&[0; 4])];
        let mut allocations = 0;
        for round in 0..10 {
            let [ping, room] = buffers;
            let receive = connection.receive(room);
            let (sent, ping) = connection.send(ping).wait(passive());
            assert_eq!(sent, Ok(4));
            assert_eq!(peer.read_exact(4).expect("sent"), b"ping");
            peer.write_all(b"p").expect("connected");
            let (received, room) = receive.wait(passive());
            assert_eq!(received, Ok(1));
            peer.write_all(b"ong!").expect("connected");
            let (received, room) = connection.receive_exact(room).wait(passive());
            assert_eq!((received, &room[..]), (Ok(4), &b"ong!"[..]));
            buffers = [ping, room];
            if round == 0 {
                allocations = sim.allocations();
            }
        }
        assert_eq!(sim.allocations(), allocations);
        assert_eq!(connection.requests_allocated(), 2);
        drop((connection, peer));
        client.end();
    });
}
