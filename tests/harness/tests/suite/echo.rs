//! `echo` over real loopback sockets: a correct peer passes; every fault is found with its
//! connection and offset.

use crate::peer::{self, Answer, SIZE, echo_messages, refusing, run, start};
use wsk_harness::content::Content;
use wsk_harness::failure::Exit;

/// Three connections, four messages each: faults are put on connection 1, byte 10 of message 2.
const COMMAND: &str = "echo --connections 3 --messages 4 --size 100";
const FAULTY: (u32, u64) = (1, 2);
const OFFSET: u64 = 210;

/// The faulty server: `fault` changes the one message.
macro_rules! peer {
    ($fault:expr) => {
        start(|stream| {
            let fault = |connection, message, bytes| -> Answer {
                if (connection, message) == FAULTY {
                    $fault(bytes)
                } else {
                    Answer::Send(bytes)
                }
            };
            echo_messages(stream, fault, b"")
        })
        .await
    };
}

#[tokio::test]
async fn echo_of_a_correct_peer_succeeds() {
    let ran = run(
        "echo --connections 5 --messages 20 --size 1..40000",
        start(peer::echo).await,
    )
    .await;
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Success, ""));
    assert_eq!((ran.row("connections"), ran.row("messages")), ("5", "100"));
    for name in ["mismatches", "ended early", "refused", "timeouts"] {
        assert_eq!(ran.row(name), "0", "{name}");
    }
    let sizes = (0..5).flat_map(|connection| (0..20).map(move |message| (connection, message)));
    let bytes =
        sizes.map(|(connection, message)| 1 + Content::new(1, connection).choice(message, 40000));
    assert_eq!(ran.row("bytes"), bytes.sum::<u64>().to_string());
}

#[tokio::test]
async fn echo_with_a_window_succeeds_with_messages_larger_and_smaller_than_it() {
    let addr = start(peer::echo).await;
    for window in ["1", "1000", "64KiB"] {
        let ran = run(
            &format!("echo --connections 2 --messages 10 --size 1..3000 --window {window}"),
            addr,
        )
        .await;
        assert_eq!(
            (ran.exit, ran.row("messages")),
            (Exit::Success, "20"),
            "{}",
            ran.err
        );
    }
}

#[tokio::test]
async fn echo_of_a_message_larger_than_all_buffers_succeeds() {
    let ran = run(
        "echo --connections 1 --messages 1 --size 32MiB",
        start(peer::echo).await,
    )
    .await;
    assert_eq!(
        (ran.exit, ran.row("bytes")),
        (Exit::Success, "33554432"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn echo_with_a_flipped_bit_reports_the_altered_byte() {
    let addr = peer!(|mut bytes: Vec<u8>| {
        bytes[10] ^= 0x80;
        Answer::Send(bytes)
    });
    let expected = Content::new(1, 1).bytes(OFFSET, 8);
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut got = expected.clone();
    got[0] ^= 0x80;
    run(COMMAND, addr).await.assert_one_failure(
        Exit::Mismatch,
        &[
            "connection 1 (from 127.0.0.1:",
            &format!(
                "mismatch at offset {OFFSET} (message 2): expected {}, got {};",
                hex(&expected),
                hex(&got)
            ),
            "1 byte altered",
        ],
    );
}

#[tokio::test]
async fn echo_with_a_lost_byte_reports_the_loss() {
    let addr = peer!(|mut bytes: Vec<u8>| {
        bytes.remove(10);
        Answer::Send(bytes)
    });
    let stream = Content::new(1, 1).bytes(OFFSET, 2);
    assert_ne!(
        stream[0], stream[1],
        "else the loss shows later: choose another offset"
    );
    let ran = run(COMMAND, addr).await;
    ran.assert_one_failure(
        Exit::Mismatch,
        &["connection 1 ", "offset 210 (message 2)", "1 byte lost"],
    );
    assert_eq!((ran.row("messages"), ran.row("mismatches")), ("10", "1"));
}

#[tokio::test]
async fn echo_with_a_repeated_byte_reports_the_repetition() {
    let addr = peer!(|mut bytes: Vec<u8>| {
        bytes.insert(10, bytes[10]);
        Answer::Send(bytes)
    });
    let ran = run(COMMAND, addr).await;
    ran.assert_one_failure(
        Exit::Mismatch,
        &[
            "connection 1 ",
            "offset 211 (message 2)",
            "1 byte inserted or repeated",
        ],
    );
}

#[tokio::test]
async fn echo_with_bytes_of_another_connection_names_it() {
    let addr = peer!(|_: Vec<u8>| Answer::Send(Content::new(1, 2).bytes(304, SIZE)));
    run(COMMAND, addr).await.assert_one_failure(
        Exit::Mismatch,
        &[
            "connection 1 ",
            "offset 200 (message 2)",
            "those of connection 2 at offset 304",
        ],
    );
}

#[tokio::test]
async fn echo_with_zeros_of_an_unwritten_buffer_reports_a_mismatch() {
    let addr = peer!(|bytes: Vec<u8>| Answer::Send([&bytes[..10], &[0; SIZE - 10]].concat()));
    run(COMMAND, addr).await.assert_one_failure(
        Exit::Mismatch,
        &[
            "connection 1 ",
            "offset 210 (message 2)",
            "got 00 00 00 00 00 00 00 00;",
            "no stream of this run",
        ],
    );
}

#[tokio::test]
async fn echo_cut_short_by_end_of_file_reports_where() {
    let addr = peer!(|bytes: Vec<u8>| Answer::Close(bytes[..10].to_vec()));
    run(COMMAND, addr).await.assert_one_failure(
        Exit::EndedEarly,
        &[
            "connection 1 ",
            "closed by the peer at offset 210: expected the echo of 90 bytes sent",
        ],
    );
}

#[tokio::test]
async fn echo_cut_short_by_a_reset_reports_where() {
    let addr = peer!(|_: Vec<u8>| Answer::Reset);
    run(COMMAND, addr).await.assert_one_failure(
        Exit::EndedEarly,
        &[
            "connection 1 ",
            "reset by the peer at offset 200: expected the echo of 100 bytes sent",
        ],
    );
}

#[tokio::test]
async fn echo_with_a_byte_after_the_last_reports_it() {
    let addr =
        start(|stream| echo_messages(stream, |_, _, bytes| Answer::Send(bytes), b"\x7e")).await;
    let ran = run("echo --connections 1 --messages 4 --size 100", addr).await;
    ran.assert_one_failure(
        Exit::Mismatch,
        &[
            "connection 0 ",
            "mismatch at offset 400: expected end of file, got 1 byte too many: 7e",
        ],
    );
    assert_eq!(ran.row("messages"), "4");
}

#[tokio::test]
async fn echo_with_a_byte_behind_a_message_reports_it() {
    let fault = |_, _, mut bytes: Vec<u8>| {
        bytes.push(0x7e);
        Answer::Send(bytes)
    };
    let addr = start(move |stream| echo_messages(stream, fault, b"")).await;
    run("echo --connections 1 --messages 4 --size 100", addr)
        .await
        .assert_one_failure(
            Exit::Mismatch,
            &[
                "connection 0 ",
                "at offset 100: expected nothing before more is sent, got 1 byte too many: 7e",
            ],
        );
}

#[tokio::test]
async fn echo_of_a_stalled_peer_times_out() {
    let addr = peer!(|_: Vec<u8>| Answer::Stall);
    let ran = run(&format!("{COMMAND} --timeout 1"), addr).await;
    ran.assert_one_failure(
        Exit::TimedOut,
        &[
            "connection 1 ",
            "timed out after 1 s at offset 200: expected the echo of 100 bytes sent",
        ],
    );
    assert_eq!(ran.row("timeouts"), "1");
}

#[tokio::test]
async fn echo_to_a_port_without_listener_is_refused() {
    let (_socket, addr) = refusing();
    let ran = run("echo --connections 1 --messages 1 --size 1", addr).await;
    ran.assert_one_failure(Exit::Refused, &["connection 0: could not connect: "]);
    assert_eq!((ran.row("refused"), ran.row("round trip max")), ("1", "-"));
}

/// Elsewhere a full backlog refuses.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn echo_to_a_full_backlog_times_out_while_connecting() {
    use tokio::net::TcpStream;

    let (socket, addr) = refusing();
    let _listener = socket.listen(0).unwrap();
    // The runtime has one thread and takes tasks in turn, so these connect before the harness does.
    let _filling: Vec<_> = (0..4)
        .map(|_| tokio::spawn(TcpStream::connect(addr)))
        .collect();
    run(
        "echo --connections 1 --messages 1 --size 1 --timeout 0.1",
        addr,
    )
    .await
    .assert_one_failure(
        Exit::TimedOut,
        &["connection 0: timed out after 0.1 s while connecting"],
    );
}

#[tokio::test]
async fn echo_with_many_failures_shows_ten_and_counts_the_rest() {
    let (_socket, addr) = refusing();
    let ran = run("echo --connections 13 --messages 1 --size 1", addr).await;
    assert_eq!(ran.exit, Exit::Refused);
    assert_eq!(ran.err.matches("could not connect").count(), 10);
    assert!(
        ran.err.ends_with("and 3 more connections failed\n"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn echo_with_different_failures_exits_with_the_lowest_code() {
    let fault = |connection, _, mut bytes: Vec<u8>| match connection {
        0 => Answer::Stall,
        1 => Answer::Close(Vec::new()),
        _ => {
            bytes[0] ^= 1;
            Answer::Send(bytes)
        }
    };
    let addr = start(move |stream| echo_messages(stream, fault, b"")).await;
    let ran = run(&format!("{COMMAND} --timeout 1"), addr).await;
    assert_eq!(ran.exit, Exit::Mismatch, "{}", ran.err);
    for name in ["mismatches", "ended early", "timeouts"] {
        assert_eq!(ran.row(name), "1", "{name}");
    }
}
