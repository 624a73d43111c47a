//! The rules of an exchange in memory, under a paused clock: what counts as progress, and what a
//! window bounds.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::time::{Instant, sleep};
use wsk_harness::cli::SizeRange;
use wsk_harness::exchange::{self, Plan, RoundTrip};
use wsk_harness::failure::{Cause, Expected, Finding};
use wsk_harness::limit::Limit;

const WAIT: Duration = Duration::from_secs(10);

fn plan(messages: u64, size: u64, window: Option<u64>) -> Plan {
    Plan {
        seed: 1,
        connections: 1,
        messages: Some(messages),
        size: SizeRange::new(size, size).unwrap(),
        window,
        limit: Limit::Idle(WAIT),
    }
}

async fn exchange_with(plan: Plan, near: DuplexStream) -> (Result<(), Cause>, Vec<RoundTrip>) {
    let (reader, writer) = split(near);
    let mut round_trips = Vec::new();
    let result = exchange::run(&plan, 0, reader, writer, |round_trip| {
        round_trips.push(round_trip);
    })
    .await;
    (result, round_trips)
}

#[tokio::test(start_paused = true)]
async fn exchange_with_a_peer_that_stops_in_mid_message_times_out_after_exactly_the_wait() {
    let (near, mut far) = duplex(1 << 16);
    let peer = async {
        let mut message = [0; 100];
        far.read_exact(&mut message).await.unwrap();
        far.write_all(&message[..30]).await.unwrap();
    };
    let (plan, started) = (plan(5, 100, None), Instant::now());
    let ((result, round_trips), ()) = tokio::join!(exchange_with(plan, near), peer);
    let Err(Cause::TimedOut {
        offset,
        expected,
        waited,
    }) = result
    else {
        panic!("{result:?}")
    };
    assert_eq!(
        (offset, expected, waited),
        (30, Expected::Echo { outstanding: 70 }, WAIT)
    );
    assert_eq!((started.elapsed(), round_trips.len()), (WAIT, 0));
}

#[tokio::test(start_paused = true)]
async fn exchange_with_a_slow_peer_succeeds_as_long_as_every_byte_is_in_time() {
    let (near, mut far) = duplex(1 << 16);
    let pause = WAIT * 9 / 10;
    let peer = async {
        let mut message = [0; 100];
        far.read_exact(&mut message).await.unwrap();
        for byte in message {
            sleep(pause).await;
            far.write_all(&[byte]).await.unwrap();
        }
        assert_eq!(far.read(&mut message).await.unwrap(), 0);
        far.shutdown().await.unwrap();
    };
    let ((result, round_trips), ()) = tokio::join!(exchange_with(plan(1, 100, None), near), peer);
    result.unwrap();
    assert_eq!(
        (round_trips[0].bytes, round_trips[0].time),
        (100, 100 * pause)
    );
}

#[tokio::test(start_paused = true)]
async fn exchange_with_a_peer_that_does_not_close_times_out_waiting_for_end_of_file() {
    let (near, mut far) = duplex(1 << 16);
    let peer = async {
        let mut message = [0; 100];
        far.read_exact(&mut message).await.unwrap();
        far.write_all(&message).await.unwrap();
    };
    let ((result, round_trips), ()) = tokio::join!(exchange_with(plan(1, 100, None), near), peer);
    let Err(Cause::TimedOut {
        offset: 100,
        expected,
        ..
    }) = result
    else {
        panic!("{result:?}")
    };
    assert_eq!((expected, round_trips.len()), (Expected::EndOfFile, 1));
}

#[tokio::test(start_paused = true)]
async fn exchange_with_a_whole_limit_ends_then_however_much_progress_there_is() {
    let (near, far) = duplex(1 << 16);
    let lasts = Duration::from_secs(3);
    let limit = Limit::whole(lasts);
    let plan = Plan {
        messages: None,
        limit,
        ..plan(1, 10, None)
    };
    let peer = async {
        let (mut reader, mut writer) = split(far);
        let mut message = [0; 10];
        while reader.read_exact(&mut message).await.is_ok() {
            sleep(Duration::from_secs(1)).await;
            if writer.write_all(&message).await.is_err() {
                break;
            }
        }
    };
    let ((result, round_trips), ()) = tokio::join!(exchange_with(plan, near), peer);
    let Err(Cause::TimedOut {
        offset,
        expected,
        waited,
    }) = result
    else {
        panic!("{result:?}")
    };
    assert_eq!((expected, waited), (Expected::PeerToEnd, lasts));
    assert!(
        offset >= 20 && round_trips.len() as u64 == offset / 10,
        "{offset}"
    );
}

/// Reads without answering until nothing more comes, then how much that was.
async fn sent_ahead(plan: Plan) -> usize {
    let (near, mut far) = duplex(1 << 16);
    let peer = async {
        let mut sent = Vec::new();
        while let Ok(Ok(1..)) = tokio::time::timeout(WAIT / 2, far.read_buf(&mut sent)).await {}
        sent.len()
    };
    tokio::join!(exchange_with(plan, near), peer).1
}

#[tokio::test(start_paused = true)]
async fn exchange_without_window_sends_one_message_ahead() {
    assert_eq!(sent_ahead(plan(9, 100, None)).await, 100);
}

#[tokio::test(start_paused = true)]
async fn exchange_with_window_sends_exactly_so_many_bytes_ahead() {
    assert_eq!(sent_ahead(plan(9, 100, Some(250))).await, 250);
    assert_eq!(sent_ahead(plan(9, 100, Some(30))).await, 30);
    assert_eq!(sent_ahead(plan(9, 100, Some(5000))).await, 900);
}

#[tokio::test(start_paused = true)]
async fn exchange_measures_the_round_trip_of_each_pipelined_message() {
    let (near, mut far) = duplex(1 << 16);
    let peer = async {
        let mut stream = [0; 300];
        far.read_exact(&mut stream).await.unwrap();
        for message in stream.chunks(100) {
            sleep(Duration::from_secs(2)).await;
            far.write_all(message).await.unwrap();
        }
        assert_eq!(far.read(&mut stream).await.unwrap(), 0);
        far.shutdown().await.unwrap();
    };
    let ((result, round_trips), ()) =
        tokio::join!(exchange_with(plan(3, 100, Some(300)), near), peer);
    result.unwrap();
    let seconds: Vec<u64> = round_trips
        .iter()
        .map(|round_trip| round_trip.time.as_secs())
        .collect();
    assert_eq!(seconds, [2, 4, 6]);
}

#[tokio::test(start_paused = true)]
async fn exchange_names_the_message_of_a_wrong_byte_among_several_that_come_at_once() {
    let (near, mut far) = duplex(1 << 16);
    let peer = async {
        let mut stream = [0; 300];
        far.read_exact(&mut stream).await.unwrap();
        stream[210] ^= 1;
        far.write_all(&stream).await.unwrap();
    };
    let ((result, _), ()) = tokio::join!(exchange_with(plan(3, 100, Some(300)), near), peer);
    let Err(Cause::Mismatch {
        offset: 210,
        message,
        finding,
        ..
    }) = result
    else {
        panic!("{result:?}")
    };
    assert_eq!((message, finding), (2, Finding::Altered { bytes: 1 }));
}
