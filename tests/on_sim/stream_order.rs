//! The order of received bytes: whatever happens to receives, what is received is what was sent,
//! in order, nothing twice, nothing left out.

use std::{sync::Arc, task::Poll, time::Duration};

use crate::common::{Client, Wakes, block_on, buffer, passive, poll};
use crate::random::Random;
use wsk::{Buffer, ConnectionSocket, ErrorKind, Operation, request::Receive};
use wsk_sim::{Builder, Peer, Sim};

const SCHEDULES: u64 = 2000;
const SHORT: Duration = Duration::from_micros(50);

fn empty(capacity: usize) -> Buffer {
    Buffer::with_capacity(capacity).expect("memory")
}

/// A connection to which a peer sends the numbers from 0 on, and what has come of them.
struct Reader {
    connection: ConnectionSocket,
    sent: u8,
    got: Vec<u8>,
}

impl Reader {
    fn write(&mut self, peer: &Peer, count: u8) {
        let bytes: Vec<u8> = (self.sent..self.sent + count).collect();
        peer.write_all(&bytes).expect("connected");
        self.sent += count;
    }

    fn take(&mut self, (received, filled): (wsk::Result<usize>, Buffer)) {
        match received {
            Ok(count) => {
                assert_eq!(count, filled.len());
                self.got.extend_from_slice(&filled);
            }
            Err(error) => {
                let expected = [ErrorKind::Cancelled, ErrorKind::TimedOut];
                assert!(expected.contains(&error.kind()), "{error}");
                assert!(filled.is_empty(), "bytes in spite of {error}");
            }
        }
    }

    /// Receives the rest, and compares all.
    fn end(mut self, sim: &Sim, random: &mut Random) {
        while self.got.len() < usize::from(self.sent) {
            let receive = self.connection.receive(empty(1 + random.below(9)));
            self.take(receive.wait(passive()));
        }
        let expected: Vec<u8> = (0..self.sent).collect();
        assert_eq!(self.got, expected, "seed {}", sim.seed());
    }
}

/// On half of the schedules threads change at every occasion.
fn on_schedules(count: u64, body: fn(&Sim, &mut Random, &mut Reader, &Peer)) {
    let often = wsk_sim::builder().preempt_one_in(1);
    for builder in [wsk_sim::builder(), often] {
        run_schedules(builder, count / 2, body);
    }
}

fn run_schedules(builder: Builder, count: u64, body: fn(&Sim, &mut Random, &mut Reader, &Peer)) {
    builder.seeds(count, move |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let mut random = Random::new(sim.seed());
        let mut reader = Reader {
            connection,
            sent: 0,
            got: Vec::new(),
        };
        body(sim, &mut random, &mut reader, &peer);
        reader.end(sim, &mut random);
        drop(peer);
        client.end();
    });
}

#[test]
fn receive_dropped_in_flight_leaves_its_bytes_to_the_next() {
    on_schedules(SCHEDULES, |_, random, reader, peer| {
        for _ in 0..4 {
            let receive = reader.connection.receive(empty(1 + random.below(6)));
            reader.write(peer, 5);
            drop(receive);
        }
    });
}

#[test]
fn receive_started_while_a_dropped_one_is_in_flight_waits_for_it() {
    on_schedules(SCHEDULES, |_, random, reader, peer| {
        reader.write(peer, 6);
        drop(reader.connection.receive(empty(4)));
        let receive = reader.connection.receive(empty(1 + random.below(8)));
        reader.take(receive.wait(passive()));
    });
}

/// The last bytes there are: the next receive would wait for ever if it were left with WSK.
#[test]
fn receive_in_flight_gets_the_bytes_of_an_earlier_one_that_is_dropped() {
    on_schedules(SCHEDULES, |sim, random, reader, peer| {
        let first = reader.connection.receive(empty(3));
        let second = reader.connection.receive(empty(1 + random.below(6)));
        let third = reader.connection.receive(empty(1 + random.below(6)));
        reader.write(peer, 3);
        sim.sleep(Duration::from_millis(random.below(3) as u64));
        drop(first);
        reader.take(second.wait(passive()));
        drop(third);
    });
}

#[test]
fn receives_of_which_some_are_dropped_give_the_stream_in_order() {
    on_schedules(SCHEDULES, |sim, random, reader, peer| {
        let mut pending: Vec<Operation<Receive>> = Vec::new();
        for _ in 0..20 {
            match random.below(6) {
                0 | 1 => {
                    let free = empty(1 + random.below(5));
                    pending.push(reader.connection.receive(free));
                }
                2 if reader.sent < 200 => reader.write(peer, 1 + random.small(7)),
                3 if !pending.is_empty() => drop(pending.remove(random.below(pending.len()))),
                4 if !pending.is_empty() => {
                    let first = pending.remove(0);
                    reader.take(first.wait_timeout(SHORT, passive()));
                }
                5 if !pending.is_empty() => poll_first(random, reader, &mut pending),
                _ => sim.sleep(SHORT),
            }
        }
        for first in pending {
            reader.take(first.wait_timeout(SHORT, passive()));
        }
    });
}

/// Polls the first one, cancels it perhaps.
fn poll_first(random: &mut Random, reader: &mut Reader, pending: &mut Vec<Operation<Receive>>) {
    let mut first = pending.remove(0);
    if random.below(2) == 0 {
        first.cancel();
    }
    match poll(&mut first, &Arc::new(Wakes::default())) {
        Poll::Ready(received) => reader.take(received),
        Poll::Pending => pending.insert(0, first),
    }
}

#[test]
fn receives_dropped_at_dispatch_level_and_elsewhere_lose_nothing() {
    on_schedules(SCHEDULES, |sim, _, reader, peer| {
        let first = reader.connection.receive(empty(2));
        let second = reader.connection.receive(empty(3));
        let third = reader.connection.receive(empty(4));
        let elsewhere = sim.spawn(move || drop(second));
        reader.write(peer, 7);
        sim.at_dispatch(|| drop(first));
        elsewhere.join();
        reader.take(third.wait(passive()));
    });
}

#[test]
fn receive_smaller_than_what_is_kept_takes_a_part() {
    on_schedules(SCHEDULES, |sim, _, reader, peer| {
        let mut first = reader.connection.receive(empty(8));
        let wakes = Arc::new(Wakes::default());
        assert!(poll(&mut first, &wakes).is_pending());
        reader.write(peer, 8);
        while wakes.count() == 0 {
            sim.sleep(Duration::from_millis(1));
        }
        drop(first);
        let allocated = reader.connection.requests_allocated();
        // What is kept is there at once: at least one byte.
        let receive = reader.connection.receive(empty(1));
        let (received, filled) = receive.wait_timeout(Duration::ZERO, passive());
        assert_eq!(received.expect("kept"), 1);
        reader.got.extend_from_slice(&filled);
        let receive = reader.connection.receive(empty(2));
        reader.take(receive.wait_timeout(Duration::ZERO, passive()));
        assert!(reader.connection.requests_allocated() <= allocated + 1);
    });
}

#[test]
fn end_of_the_stream_comes_after_what_is_kept() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let first = connection.receive(empty(4));
        let second = connection.receive(empty(4));
        peer.write_all(b"last").expect("connected");
        peer.shut_down();
        sim.sleep(Duration::from_millis(sim.seed() % 3));
        drop(first);
        let mut all = Vec::new();
        let (mut received, mut filled) = second.wait(passive());
        while received.expect("no failure") > 0 {
            all.extend_from_slice(&filled);
            (received, filled) = connection.receive(empty(3)).wait(passive());
        }
        assert_eq!(all, b"last");
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn reset_comes_after_what_is_kept() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let mut first = connection.receive(empty(4));
        let wakes = Arc::new(Wakes::default());
        assert!(poll(&mut first, &wakes).is_pending());
        peer.write_all(b"x").expect("connected");
        while wakes.count() == 0 {
            sim.sleep(Duration::from_millis(1));
        }
        let second = connection.receive(empty(4));
        peer.reset();
        drop(first);
        let (received, filled) = second.wait(passive());
        assert_eq!(received.expect("kept"), 1);
        assert_eq!(filled[..], *b"x");
        let (received, _) = connection.receive(filled).wait(passive());
        assert_eq!(received.unwrap_err().kind(), ErrorKind::ConnectionLost);
        drop(connection);
        client.end();
    });
}

#[test]
fn receive_whose_successor_was_taken_first_loses_its_bytes_and_says_so() {
    wsk_sim::seeds(500, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let before = wsk::counters().lost_bytes;
        let first = connection.receive(empty(1));
        let second = connection.receive(empty(1));
        peer.write_all(b"12").expect("connected");
        let (received, filled) = second.wait(passive());
        assert_eq!(received.expect("received"), 1);
        assert_eq!(filled[..], *b"2");
        drop(first);
        // Its completion may have been on its way still.
        sim.sleep(Duration::from_millis(1));
        let (received, same) = connection.receive(empty(4)).wait(passive());
        assert_eq!(received.unwrap_err().kind(), ErrorKind::DataLost);
        assert_eq!(same.capacity(), 4);
        assert!(wsk::counters().lost_bytes > before);
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn kept_bytes_are_dropped_when_the_connection_is_closed() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        peer.write_all(b"for nobody").expect("connected");
        drop(connection.receive(empty(3)));
        let second = connection.receive(empty(2));
        drop(connection.receive(empty(3)));
        let closer = sim.spawn(move || drop(connection));
        let (received, filled) = second.wait(passive());
        let got = received.unwrap_or_else(|error| {
            assert_eq!(error.kind(), ErrorKind::Cancelled);
            0
        });
        assert_eq!(filled[..], b"for nobody"[..got]);
        closer.join();
        drop(peer);
        client.end();
    });
}

#[test]
fn receive_exact_gives_as_many_bytes_as_asked_for() {
    on_schedules(500, |sim, random, reader, peer| {
        for _ in 0..3 {
            let wanted = 1 + random.small(30);
            reader.write(peer, wanted);
            let exact = reader.connection.receive_exact(empty(wanted.into()));
            let (received, filled) = if random.below(2) == 0 {
                exact.wait(passive())
            } else {
                block_on(sim, exact)
            };
            assert_eq!(received.expect("all came"), usize::from(wanted));
            reader.got.extend_from_slice(&filled);
        }
    });
}

#[test]
fn receive_exact_dropped_or_timed_out_loses_nothing() {
    on_schedules(SCHEDULES, |sim, random, reader, peer| {
        let fewer = random.small(5);
        reader.write(peer, fewer);
        let mut exact = reader.connection.receive_exact(empty(6));
        if random.below(2) == 0 {
            assert!(poll(&mut exact, &Arc::new(Wakes::default())).is_pending());
            sim.sleep(SHORT);
            assert!(poll(&mut exact, &Arc::new(Wakes::default())).is_pending());
            drop(exact);
        } else {
            let (received, filled) = exact.wait_timeout(SHORT, passive());
            assert_eq!(received.unwrap_err().kind(), ErrorKind::TimedOut);
            reader.got.extend_from_slice(&filled);
        }
        reader.write(peer, 2);
        if random.below(2) == 0 {
            drop(reader.connection.receive_exact(empty(8)));
        }
    });
}

#[test]
fn receive_exact_at_the_end_of_the_stream_gives_what_there_is() {
    wsk_sim::seeds(500, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        peer.write_all(b"short").expect("connected");
        peer.shut_down();
        let (received, filled) = connection.receive_exact(empty(9)).wait(passive());
        assert_eq!(received.expect("no failure"), 5);
        assert_eq!(filled[..], *b"short");
        drop((connection, peer));
        client.end();
    });
}

/// [wsk 8.7]
#[test]
fn receive_all_completes_once_when_everything_is_there() {
    wsk_sim::seeds(500, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let receive = connection.receive_all(empty(6));
        for byte in 0..6 {
            peer.write_all(&[byte]).expect("connected");
        }
        let (received, filled) = receive.wait(passive());
        assert_eq!(received.expect("received"), 6);
        assert_eq!(filled[..], [0, 1, 2, 3, 4, 5]);
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn receive_all_given_up_is_not_followed_by_a_stream_with_a_hole() {
    wsk_sim::seeds(500, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        peer.write_all(b"abc").expect("connected");
        let receive = connection.receive_all(empty(6));
        if sim.seed() % 2 == 0 {
            drop(receive);
            sim.sleep(Duration::from_millis(5));
        } else {
            let (received, _) = receive.wait_timeout(SHORT, passive());
            assert_eq!(received.unwrap_err().kind(), ErrorKind::TimedOut);
        }
        let (received, _) = connection.receive(empty(1)).wait(passive());
        assert_eq!(received.unwrap_err().kind(), ErrorKind::DataLost);
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn receive_all_beside_another_receive_is_refused() {
    wsk_sim::seeds(100, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let other = connection.receive(empty(1));
        let (received, same) = connection.receive_all(buffer(b"ab")).wait(passive());
        assert_eq!(received.unwrap_err().kind(), ErrorKind::InvalidState);
        assert_eq!(same.capacity(), 2);
        drop((other, connection, peer));
        client.end();
    });
}

/// [wsk 8.7]
#[test]
fn drain_drops_everything_until_the_end() {
    wsk_sim::seeds(500, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        peer.write_all(b"not wanted").expect("connected");
        drop(connection.receive(empty(3)));
        let drain = connection.drain();
        peer.write_all(b"neither").expect("connected");
        peer.shut_down();
        drain.wait(passive()).expect("the end");
        let (received, _) = connection.receive(empty(3)).wait(passive());
        assert_eq!(received.expect("the end again"), 0);
        drop((connection, peer));
        client.end();
    });
}
