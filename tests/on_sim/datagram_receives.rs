//! Receives of datagrams that are dropped, cancelled or timed out: every datagram is received once,
//! whatever happens to the receives, with everything that came with it.

use std::{sync::Arc, time::Duration};

use crate::common::{Wakes, buffer, passive, poll};
use crate::datagram::Scene;
use crate::random::Random;
use wsk::{
    AddressFamily, Buffer, Datagram, DatagramFlags, ErrorKind, Operation, option,
    request::ReceiveFrom,
};
use wsk_sim::Sim;

const SCHEDULES: u64 = 2000;
const SHORT: Duration = Duration::from_micros(50);
/// Longer than any datagram is under way.
const LONG: Duration = Duration::from_secs(1);

/// A socket to which numbers are sent, and what has come of them.
struct Reader {
    scene: Scene,
    in_flight: Vec<Operation<ReceiveFrom>>,
    sent: u8,
    got: Vec<u8>,
}

impl Reader {
    fn new(sim: &Sim) -> Self {
        let scene = Scene::new(sim, AddressFamily::Inet);
        let wanted = scene
            .socket
            .set_option(&option::ipv4::RECEIVE_PACKET_INFO, true);
        wanted.wait(passive()).expect("supported");
        Self {
            scene,
            in_flight: Vec::new(),
            sent: 0,
            got: Vec::new(),
        }
    }

    /// Sends the next number, as often as it says and once more.
    fn send(&mut self) {
        let data = vec![self.sent; 1 + usize::from(self.sent)];
        self.scene.send(&data);
        self.sent += 1;
    }

    fn start(&self) -> Operation<ReceiveFrom> {
        let buffer = Buffer::with_capacity(64).expect("memory");
        self.scene.socket.receive_from(buffer)
    }

    fn note(&mut self, (received, filled): (wsk::Result<Datagram>, Buffer)) {
        assert_eq!(filled.capacity(), 64, "another buffer came back");
        match received {
            Ok(datagram) => {
                let number = *filled.first().expect("none is empty");
                assert_eq!(filled[..], vec![number; 1 + usize::from(number)]);
                assert_eq!(datagram.length, filled.len());
                assert_eq!(datagram.flags, DatagramFlags::NONE);
                assert_eq!(datagram.remote, Some(self.scene.peer.local_addr()));
                let info = datagram.ancillary().packet_info.expect("asked for");
                assert_eq!(info.address, self.scene.address.ip());
                self.got.push(number);
            }
            Err(error) => {
                let expected = [ErrorKind::Cancelled, ErrorKind::TimedOut];
                assert!(expected.contains(&error.kind()), "{error}");
                assert!(filled.is_empty(), "data in spite of {error}");
            }
        }
    }

    fn step(&mut self, sim: &Sim, random: &mut Random) {
        let at = random.below(self.in_flight.len().max(1));
        match random.below(8) {
            0 | 1 if self.sent < 30 => self.send(),
            2 | 3 => self.in_flight.push(self.start()),
            _ if self.in_flight.is_empty() => {}
            4 => drop(self.in_flight.remove(at)),
            5 => {
                let operation = self.in_flight.remove(at);
                self.note(operation.wait_timeout(SHORT, passive()));
            }
            6 => {
                let mut operation = self.in_flight.remove(at);
                operation.cancel();
                self.note(operation.wait(passive()));
            }
            _ => {
                let wakes = Arc::new(Wakes::default());
                let mut operation = self.in_flight.remove(at);
                match poll(&mut operation, &wakes) {
                    std::task::Poll::Ready(output) => self.note(output),
                    std::task::Poll::Pending if random.below(2) == 0 => {
                        sim.spawn(move || drop(operation)).join();
                    }
                    std::task::Poll::Pending => self.in_flight.push(operation),
                }
            }
        }
    }

    /// Receives the rest, and compares all.
    fn end(mut self, sim: &Sim, random: &mut Random) {
        for operation in std::mem::take(&mut self.in_flight) {
            if random.below(2) == 0 {
                drop(operation);
            } else {
                self.note(operation.wait_timeout(LONG, passive()));
            }
        }
        while self.got.len() < usize::from(self.sent) {
            let received = self.start().wait_timeout(LONG, passive());
            assert!(
                received.0.is_ok(),
                "seed {}: datagrams are lost",
                sim.seed()
            );
            self.note(received);
        }
        let (received, _) = self.start().wait_timeout(LONG, passive());
        let error = received.expect_err("a datagram too many");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        self.got.sort_unstable();
        let expected: Vec<u8> = (0..self.sent).collect();
        assert_eq!(self.got, expected, "seed {}", sim.seed());
        self.scene.end();
    }
}

/// On half of the schedules threads change at every occasion.
#[test]
fn every_datagram_is_received_once_whatever_happens_to_receives() {
    let often = wsk_sim::builder().preempt_one_in(1);
    for builder in [wsk_sim::builder(), often] {
        builder.seeds(SCHEDULES / 2, |sim| {
            let mut random = Random::new(sim.seed());
            let mut reader = Reader::new(sim);
            for _ in 0..24 {
                reader.step(sim, &mut random);
            }
            reader.end(sim, &mut random);
        });
    }
}

/// Another receive, which waits while nothing more comes, gets what the dropped one has taken.
#[test]
fn receive_in_flight_gets_the_datagram_of_a_dropped_one() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let mut reader = Reader::new(sim);
        let wakes = Arc::new(Wakes::default());
        let mut first = reader.start();
        assert!(poll(&mut first, &wakes).is_pending());
        let second = reader.start();
        reader.send();
        // One of them has it, or will have.
        sim.sleep(SHORT);
        drop(first);
        reader.note(second.wait(passive()));
        assert_eq!(reader.got, [0]);
        reader.scene.end();
    });
}

/// The one that got the datagram completed long ago.
#[test]
fn datagram_of_a_completed_receive_that_is_dropped_comes_next() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let mut reader = Reader::new(sim);
        let wakes = Arc::new(Wakes::default());
        let mut receive = reader.start();
        assert!(poll(&mut receive, &wakes).is_pending());
        reader.send();
        while wakes.count() == 0 {
            sim.sleep(SHORT);
        }
        drop(receive);
        let next = reader.start();
        reader.note(next.wait(passive()));
        assert_eq!(reader.got, [0]);
        // Nothing is in flight but what one asks for: one request each.
        assert_eq!(reader.scene.socket.requests_allocated(), 2);
        reader.scene.end();
    });
}

/// [wsk 8.8] As if it had been received into that buffer.
#[test]
fn kept_datagram_longer_than_the_next_buffer_is_cut_and_said_to_be() {
    wsk_sim::seeds(500, |sim| {
        let scene = Scene::new(sim, AddressFamily::Inet);
        let wakes = Arc::new(Wakes::default());
        let mut receive = scene.socket.receive_from(buffer(&[0; 8]));
        assert!(poll(&mut receive, &wakes).is_pending());
        scene.send(b"12345678");
        while wakes.count() == 0 {
            sim.sleep(SHORT);
        }
        drop(receive);
        let (datagram, filled) = scene.receive(3);
        assert_eq!((&filled[..], datagram.length), (&b"123"[..], 3));
        assert_eq!(datagram.flags, DatagramFlags::TRUNCATED);
        scene.end();
    });
}

#[test]
fn steady_exchange_allocates_nothing() {
    wsk_sim::seeds(500, |sim| {
        let scene = Scene::new(sim, AddressFamily::Inet);
        let mut buffers = [buffer(b"ping"), buffer(&[0; 16])];
        let mut allocations = 0;
        for round in 0..10 {
            let [ping, room] = buffers;
            let receive = scene.socket.receive_from(room);
            let remote = scene.peer.local_addr();
            let (sent, ping) = scene.socket.send_to(ping, remote).wait(passive());
            assert_eq!(sent, Ok(4));
            scene.send(b"pong");
            let (received, room) = receive.wait(passive());
            assert_eq!(received.expect("received").length, 4);
            buffers = [ping, room];
            if round == 0 {
                allocations = sim.allocations();
            }
        }
        assert_eq!(sim.allocations(), allocations);
        assert_eq!(scene.socket.requests_allocated(), 2);
        scene.end();
    });
}
