//! A writer that keeps as much outstanding as the connection can use.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::common::{Client, block_on, buffer, passive};
use crate::random::Random;
use wsk::{
    BacklogWriter, Buffer, ConnectionEventSet, ConnectionEvents, ErrorKind, Indication, Received,
};

const SCHEDULES: u64 = 200;

fn pattern(at: usize, length: usize) -> Vec<u8> {
    let byte = |index: usize| u8::try_from(index % 251).expect("below 251");
    (at..at + length).map(byte).collect()
}

/// [wsk 9.1]
#[test]
fn writer_sends_everything_in_order_and_never_more_than_the_ideal_and_one() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let (read, half) = connection.into_split();
        let mut writer = BacklogWriter::<6>::new(half, 25_000);
        let mut random = Random::new(sim.seed());
        let reader = sim.spawn(move || (peer.read_to_end(), peer));
        let (mut at, mut made) = (0, 0);
        while at < 150_000 {
            let mut free = if let Some((sent, free)) = block_on(sim, writer.room()) {
                assert_eq!(sent.expect("sent"), free.len());
                free
            } else {
                made += 1;
                Buffer::with_capacity(10_000).expect("memory")
            };
            let length = 1 + random.below(10_000);
            free.clear();
            free.extend_from_slice(&pattern(at, length))
                .expect("it fits");
            at += length;
            writer.send(free).expect("there is room");
            assert!(writer.outstanding() < 25_000 + 10_000);
        }
        assert!((1..=6).contains(&made), "{made} buffers");
        while let Some((sent, _)) = block_on(sim, writer.finish()) {
            sent.expect("sent");
        }
        assert_eq!(writer.outstanding(), 0);
        let half = writer.into_half().expect("nothing is outstanding");
        half.disconnect().wait(passive()).expect("disconnected");
        let (all, peer) = reader.join();
        assert!(
            all.expect("a graceful end") == pattern(0, at),
            "other bytes"
        );
        drop((read, half, peer));
        client.end();
    });
}

#[test]
fn writer_without_room_waits_up_to_its_deadline() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let (read, half) = connection.into_split();
        let mut writer = BacklogWriter::<2>::new(half, usize::MAX);
        // More than the connection holds: nobody reads.
        for _ in 0..2 {
            let room = writer
                .room()
                .wait_timeout(Duration::from_secs(1), passive());
            assert!(room.expect("room").is_none());
            writer
                .send(buffer(&vec![7; 200_000]))
                .expect("there is room");
        }
        let room = writer
            .room()
            .wait_timeout(Duration::from_secs(1), passive());
        assert_eq!(room.unwrap_err().kind(), ErrorKind::TimedOut);
        let (error, same) = writer.send(buffer(b"more")).expect_err("no room");
        assert_eq!(error.kind(), ErrorKind::InvalidState);
        assert_eq!(same[..], *b"more");
        let writer = writer.into_half().expect_err("two are outstanding");
        assert_eq!(writer.outstanding(), 400_000);
        // Dropped: cancelled.
        drop((writer, read, peer));
        client.end();
    });
}

#[test]
fn writer_whose_connection_ends_says_so_for_each_send() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let closer = connection.closer();
        let (read, half) = connection.into_split();
        let mut writer = BacklogWriter::<3>::new(half, 1);
        for _ in 0..3 {
            writer
                .send(buffer(&vec![1; 60_000]))
                .expect("there is room");
        }
        closer.close();
        for _ in 0..3 {
            let finish = writer.finish();
            let sent = finish.wait_timeout(Duration::from_secs(1), passive());
            let (sent, same) = sent.expect("in time").expect("a send");
            assert_eq!(same.len(), 60_000);
            if let Err(error) = sent {
                assert_eq!(error.kind(), ErrorKind::Cancelled);
            }
        }
        assert!(block_on(sim, writer.finish()).is_none());
        drop((writer, read, peer));
        client.end();
    });
}

/// Remembers the last ideal backlog that it was told.
struct Listener(Arc<AtomicUsize>);

impl ConnectionEvents for Listener {
    fn receive<'call>(&self, indication: Indication<'call>) -> Received<'call> {
        indication.consume()
    }

    fn ideal_backlog_changed(&self, bytes: usize) {
        self.0.store(bytes, Ordering::SeqCst);
    }
}

/// [wsk 9.1]: the event tells what a query tells from then on.
#[test]
fn ideal_backlog_that_changes_is_an_event() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let told = Arc::new(AtomicUsize::new(0));
        connection
            .set_events(Listener(told.clone()))
            .expect("memory");
        connection
            .enable_events(ConnectionEventSet::SEND_BACKLOG)
            .expect("connected");
        while told.load(Ordering::SeqCst) == 0 {
            let (sent, _) = connection.send(buffer(b"x")).wait(passive());
            sent.expect("sent");
            assert_eq!(peer.read_exact(1).expect("sent"), b"x");
            sim.sleep(Duration::from_millis(10));
        }
        let ideal = connection.ideal_send_backlog().wait(passive());
        assert_eq!(ideal, Ok(told.load(Ordering::SeqCst)));
        connection.close().wait(passive()).expect("closed");
        drop(peer);
        client.end();
    });
}
