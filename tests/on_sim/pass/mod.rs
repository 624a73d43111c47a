//! Requests of the driver's own clients, passed down to WSK [wsk 3.1, 3.3].

mod device;
mod ends;
mod refusals;

use std::time::Duration;

use wsk::{Buffer, ConnectionSocket, PendingIrp, RefusedIrp};
use wsk_sim::{Peer, Sim};

use self::device::Device;
use crate::common::{Client, passive};

const SEEDS: u64 = 300;

/// A driver with a connection, and a client of its own.
struct Fixture {
    device: Device,
    client: Client,
    connection: ConnectionSocket,
    peer: Peer,
}

impl Fixture {
    fn new(sim: &Sim) -> Self {
        let device = Device::new(sim);
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        Self {
            device,
            client,
            connection,
            peer,
        }
    }

    fn end(self, sim: &Sim) {
        drop(self.connection);
        self.client.end();
        self.device.end(sim);
    }

    /// A read that is passed down.
    fn start_read(&self, length: usize) -> wsk_sim::DeviceRequest {
        let request = self.device.handle.start_read(length);
        accepted(self.connection.receive_into(self.device.take()));
        request
    }

    /// A write that is passed down.
    fn start_write(&self, data: &[u8]) -> wsk_sim::DeviceRequest {
        let request = self.device.handle.start_write(data);
        accepted(self.connection.send_from(self.device.take()));
        request
    }

    /// Reads until there are `count` bytes.
    fn read_exact(&self, count: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < count {
            let bytes = self.start_read(count - all.len()).wait().expect("data");
            assert!(!bytes.is_empty(), "the other side has not ended");
            all.extend(bytes);
        }
        all
    }
}

fn accepted(passed: Result<(), RefusedIrp>) {
    if let Err(refused) = passed {
        panic!("{refused}");
    }
}

#[test]
fn write_of_a_client_is_sent_whole() {
    wsk_sim::seeds(SEEDS, |sim| {
        let fixture = Fixture::new(sim);
        let data: Vec<u8> = (0..=250).cycle().take(20_000).collect();
        let write = fixture.start_write(&data);
        assert_eq!(fixture.peer.read_exact(data.len()), Ok(data.clone()));
        assert_eq!(write.wait(), Ok(data));
        fixture.end(sim);
    });
}

#[test]
fn read_of_a_client_gets_what_is_there() {
    wsk_sim::seeds(SEEDS, |sim| {
        let fixture = Fixture::new(sim);
        fixture.peer.write_all(b"hello").expect("connected");
        let bytes = fixture.start_read(64).wait().expect("data");
        assert!(
            !bytes.is_empty() && b"hello".starts_with(&bytes),
            "{bytes:?}"
        );
        let rest = fixture.read_exact(5 - bytes.len());
        assert_eq!([bytes, rest].concat(), b"hello");
        fixture.end(sim);
    });
}

#[test]
fn read_of_a_client_waits_for_data() {
    wsk_sim::seeds(SEEDS, |sim| {
        let fixture = Fixture::new(sim);
        let read = fixture.start_read(1);
        sim.sleep(Duration::from_secs(1));
        assert!(read.is_pending());
        fixture.peer.write_all(b"x").expect("connected");
        assert_eq!(read.wait(), Ok(b"x".to_vec()));
        fixture.end(sim);
    });
}

#[test]
fn several_reads_in_flight_get_the_stream_in_their_order() {
    wsk_sim::seeds(SEEDS, |sim| {
        let fixture = Fixture::new(sim);
        let reads = [1, 2, 3].map(|length| fixture.start_read(length));
        fixture.peer.write_all(b"abcdef").expect("connected");
        let got = reads.map(|read| read.wait().expect("data")).concat();
        assert!(got.len() >= 3 && b"abcdef".starts_with(&got), "{got:?}");
        assert_eq!(
            [got.clone(), fixture.read_exact(6 - got.len())].concat(),
            b"abcdef"
        );
        fixture.end(sim);
    });
}

#[test]
fn receives_of_the_driver_go_on_where_reads_have_ended() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut fixture = Fixture::new(sim);
        fixture.peer.write_all(b"oneTWOthree").expect("connected");
        assert_eq!(fixture.read_exact(3), b"one");
        let buffer = Buffer::with_capacity(3).expect("memory");
        let (received, buffer) = fixture.connection.receive_exact(buffer).wait(passive());
        assert_eq!((received, &buffer[..]), (Ok(3), &b"TWO"[..]));
        assert_eq!(fixture.read_exact(5), b"three");
        fixture.end(sim);
    });
}

#[test]
fn requests_one_after_the_other_allocate_once() {
    wsk_sim::seeds(SEEDS, |sim| {
        let fixture = Fixture::new(sim);
        for _ in 0..5 {
            assert_eq!(fixture.start_write(b"ping").wait(), Ok(b"ping".to_vec()));
            assert_eq!(fixture.peer.read_exact(4), Ok(b"ping".to_vec()));
            fixture.peer.write_all(b"pong").expect("connected");
            assert_eq!(fixture.read_exact(4), b"pong");
        }
        assert_eq!(fixture.connection.requests_allocated(), 1);
        fixture.end(sim);
    });
}

#[test]
fn halves_pass_reads_and_writes_at_the_same_time() {
    wsk_sim::seeds(SEEDS, |sim| {
        let fixture = Fixture::new(sim);
        let (read, write) = fixture.connection.into_split();
        let reading = fixture.device.handle.start_read(4);
        accepted(read.receive_into(fixture.device.take()));
        let writing = fixture.device.handle.start_write(b"ping");
        accepted(write.send_from(fixture.device.take()));
        assert_eq!(fixture.peer.read_exact(4), Ok(b"ping".to_vec()));
        fixture.peer.write_all(b"p").expect("connected");
        assert_eq!(writing.wait(), Ok(b"ping".to_vec()));
        assert_eq!(reading.wait(), Ok(b"p".to_vec()));
        drop((read, write));
        fixture.client.end();
        fixture.device.end(sim);
    });
}

#[test]
fn requests_are_passed_at_dispatch_level_too() {
    wsk_sim::seeds(SEEDS, |sim| {
        let fixture = Fixture::new(sim);
        let read = fixture.device.handle.start_read(1);
        let write = fixture.device.handle.start_write(b"x");
        let (reading, writing) = (fixture.device.take(), fixture.device.take());
        sim.at_dispatch(|| {
            accepted(fixture.connection.receive_into(reading));
            accepted(fixture.connection.send_from(writing));
        });
        assert_eq!(fixture.peer.read_exact(1), Ok(b"x".to_vec()));
        fixture.peer.write_all(b"y").expect("connected");
        assert_eq!(
            (read.wait(), write.wait()),
            (Ok(b"y".to_vec()), Ok(b"x".to_vec()))
        );
        fixture.end(sim);
    });
}

#[test]
fn requests_of_no_bytes_succeed_at_once() {
    wsk_sim::run(|sim| {
        let fixture = Fixture::new(sim);
        assert_eq!(fixture.start_read(0).wait(), Ok(Vec::new()));
        assert_eq!(fixture.start_write(b"").wait(), Ok(Vec::new()));
        fixture.end(sim);
    });
}

#[test]
fn length_is_what_the_client_asks_for() {
    wsk_sim::run(|sim| {
        let device = Device::new(sim);
        let requests = (device.handle.start_read(7), device.handle.start_write(b"x"));
        let lengths: [PendingIrp; 2] = [device.take(), device.take()];
        assert_eq!(lengths.each_ref().map(PendingIrp::length), [7, 1]);
        drop(lengths);
        let _ = (requests.0.wait(), requests.1.wait());
        device.end(sim);
    });
}
