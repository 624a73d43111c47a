//! `hold`, `reset` and `refused` over real loopback sockets: what passes, and what each must not
//! let pass.

use std::future::pending;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use crate::peer::{self, Answer, Ran, echo_messages, refusing, run, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use wsk_harness::failure::Exit;

/// Keeps what is printed and tells when it was flushed: `hold` flushes once all connections are
/// busy.
struct Printed {
    text: Arc<Mutex<Vec<u8>>>,
    flushed: watch::Sender<bool>,
}

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut *self.text.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushed.send_replace(true);
        Ok(())
    }
}

/// Runs `hold` on two connections against an echo that ends them with `end` once it is seen to be
/// busy.
async fn hold_until_busy<F>(end: fn(TcpStream) -> F) -> Ran
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let (flushed, busy) = watch::channel(false);
    let addr = start(move |mut stream| {
        let mut busy = busy.clone();
        async move {
            tokio::select! {
                echoed = async {
                    let (mut reader, mut writer) = stream.split();
                    tokio::io::copy(&mut reader, &mut writer).await
                } => return Err(echoed.expect_err("the client does not end the connection")),
                flushed = busy.wait_for(|flushed| *flushed) => {
                    flushed.map(drop).map_err(io::Error::other)?;
                }
            }
            end(stream).await
        }
    })
    .await;
    let (text, mut err) = (Arc::new(Mutex::new(Vec::new())), Vec::new());
    let mut out = Printed {
        text: Arc::clone(&text),
        flushed,
    };
    let cli = peer::parse("hold --connections 2 --timeout 20", addr);
    let exit = wsk_harness::run(&cli.command, &mut out, &mut err)
        .await
        .unwrap();
    let out = text.lock().unwrap().clone();
    let [out, err] = [out, err].map(|text| String::from_utf8(text).unwrap());
    Ran { exit, out, err }
}

fn assert_held(ran: &Ran, ending: &str) {
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Success, ""));
    let lines: Vec<&str> = ran.out.lines().collect();
    let [busy, first, second] = lines[..] else {
        panic!("{}", ran.out)
    };
    assert_eq!(busy, "busy: 2");
    assert!(
        first.starts_with(&format!("connection 0: {ending} by the peer after ")),
        "{first}"
    );
    assert!(
        second.starts_with(&format!("connection 1: {ending} by the peer after ")),
        "{second}"
    );
}

#[tokio::test]
async fn hold_until_the_peer_closes_succeeds() {
    let close = |mut stream: TcpStream| async move {
        stream.shutdown().await?;
        // Closing with unread bytes would reset.
        tokio::io::copy(&mut stream, &mut tokio::io::sink())
            .await
            .map(drop)
    };
    assert_held(&hold_until_busy(close).await, "closed");
}

#[tokio::test]
async fn hold_until_the_peer_resets_succeeds() {
    let reset = |stream: TcpStream| async move { stream.set_zero_linger() };
    assert_held(&hold_until_busy(reset).await, "reset");
}

#[tokio::test]
async fn hold_finds_a_wrong_byte() {
    let addr = start(|mut stream| async move {
        let mut bytes = [0; 4096];
        stream.read_exact(&mut bytes).await?;
        bytes[1234] ^= 1;
        stream.write_all(&bytes).await?;
        pending().await
    })
    .await;
    let ran = run("hold --connections 1 --timeout 20", addr).await;
    ran.assert_one_failure(
        Exit::Mismatch,
        &[
            "connection 0 ",
            "mismatch at offset 1234 ",
            "1 byte altered",
        ],
    );
}

#[tokio::test]
async fn hold_of_a_peer_that_goes_on_times_out() {
    let ran = run("hold --connections 2 --timeout 1", start(peer::echo).await).await;
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::TimedOut, "busy: 2\n"));
    assert_eq!(
        ran.err
            .matches("expected the peer to end the connection")
            .count(),
        2,
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn hold_of_a_connection_closed_before_it_was_served_fails() {
    let addr = start(|mut stream| async move {
        stream.shutdown().await?;
        pending().await
    })
    .await;
    let ran = run("hold --connections 1 --timeout 20", addr).await;
    ran.assert_one_failure(
        Exit::EndedEarly,
        &["connection 0 ", "closed by the peer at offset 0"],
    );
    assert_eq!(ran.out, "");
}

#[tokio::test]
async fn hold_of_a_refusing_port_fails() {
    let (_socket, addr) = refusing();
    let ran = run("hold --connections 1", addr).await;
    ran.assert_one_failure(Exit::Refused, &["connection 0: could not connect"]);
}

/// Reads half a message, answers if it is to, and tells how its next read ends.
async fn see_reset(
    mut stream: TcpStream,
    answer: bool,
    seen: mpsc::UnboundedSender<io::ErrorKind>,
) -> io::Result<()> {
    let mut half = [0; 4096];
    stream.read_exact(&mut half).await?;
    if answer {
        stream.write_all(&half).await?;
    }
    let next = stream
        .read(&mut half)
        .await
        .map_or_else(|error| error.kind(), |_| io::ErrorKind::Other);
    seen.send(next).map_err(io::Error::other)
}

#[tokio::test]
async fn reset_leaves_the_echo_unread_and_resets_every_connection() {
    let (seen, mut resets) = mpsc::unbounded_channel();
    let addr = start(move |stream| see_reset(stream, true, seen.clone())).await;
    let ran = run("reset --connections 3", addr).await;
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Success, ""));
    assert_eq!(
        ran.out.matches("reset, its echo unread").count(),
        3,
        "{}",
        ran.out
    );
    for _ in 0..3 {
        assert_eq!(resets.recv().await, Some(io::ErrorKind::ConnectionReset));
    }
}

#[tokio::test]
async fn reset_of_a_peer_that_does_not_answer_resets_all_the_same() {
    let (seen, mut resets) = mpsc::unbounded_channel();
    let addr = start(move |stream| see_reset(stream, false, seen.clone())).await;
    let ran = run("reset --connections 1 --timeout 0.1", addr).await;
    assert_eq!(
        (ran.exit, ran.out.as_str()),
        (Exit::Success, "connection 0: reset, no echo had come\n")
    );
    assert_eq!(resets.recv().await, Some(io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn reset_of_a_connection_that_the_peer_ended_first_fails() {
    let fault = |_, _, _| Answer::Close(Vec::new());
    let addr = start(move |stream| echo_messages(stream, fault, b"")).await;
    let ran = run("reset --connections 1", addr).await;
    assert_eq!(
        (ran.exit, ran.out.as_str()),
        (Exit::EndedEarly, ""),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn reset_of_a_refusing_port_fails() {
    let (_socket, addr) = refusing();
    let ran = run("reset --connections 1", addr).await;
    ran.assert_one_failure(Exit::Refused, &["connection 0: could not connect"]);
}

#[tokio::test]
async fn refused_by_a_port_without_listener_succeeds() {
    let (_socket, addr) = refusing();
    let ran = run("refused --connections 2", addr).await;
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Success, ""));
    let expected = "connection 0: refused\nconnection 1: refused\n\
                    refused: 2, reset: 0, closed: 0, served: 0\n";
    assert_eq!(ran.out, expected);
}

#[tokio::test]
async fn refused_by_closing_without_data_succeeds() {
    let addr = start(|mut stream| async move {
        stream.read_exact(&mut [0; 64]).await?;
        stream.shutdown().await
    })
    .await;
    let ran = run("refused --connections 1", addr).await;
    assert_eq!(ran.exit, Exit::Success);
    assert_eq!(
        ran.out,
        "connection 0: closed\nrefused: 0, reset: 0, closed: 1, served: 0\n"
    );
}

#[tokio::test]
async fn refused_by_a_reset_succeeds() {
    let ran = run(
        "refused --connections 1",
        start(|stream| async move { stream.set_zero_linger() }).await,
    )
    .await;
    assert_eq!(ran.exit, Exit::Success);
    assert_eq!(
        ran.out,
        "connection 0: reset\nrefused: 0, reset: 1, closed: 0, served: 0\n"
    );
}

#[tokio::test]
async fn refused_fails_if_served() {
    let ran = run("refused --connections 1", start(peer::echo).await).await;
    ran.assert_one_failure(
        Exit::Served,
        &[
            "connection 0 ",
            "served: expected to be refused",
            "got 64 bytes",
        ],
    );
    assert_eq!(ran.out, "refused: 0, reset: 0, closed: 0, served: 1\n");
}

#[tokio::test]
async fn refused_fails_if_left_waiting() {
    let addr = start(|stream| async move {
        let _open = stream;
        pending().await
    })
    .await;
    let ran = run("refused --connections 1 --timeout 0.1", addr).await;
    ran.assert_one_failure(
        Exit::TimedOut,
        &[
            "connection 0 ",
            "timed out after 0.1 s",
            "expected the peer to end the connection",
        ],
    );
}
