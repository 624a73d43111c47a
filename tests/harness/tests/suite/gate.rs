//! `gate` over real loopback sockets: what passes, and what must not pass.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use wsk_harness::failure::Exit;
use wsk_harness::gate::Report;

use crate::peer::{echo, run, start};

/// Greets, and echoes.
async fn greet(mut stream: TcpStream) -> std::io::Result<()> {
    let line = format!("admitted {}\n", stream.peer_addr()?);
    stream.write_all(line.as_bytes()).await?;
    echo(stream).await
}

/// A gatekeeper that lets in `most` connections of each source, but none of 127.0.0.3.
async fn gatekeeper(most: u32) -> SocketAddr {
    let counts: Arc<[AtomicU32; 256]> = Arc::new(std::array::from_fn(|_| AtomicU32::new(0)));
    start(move |stream| {
        let counts = Arc::clone(&counts);
        async move {
            let IpAddr::V4(source) = stream.peer_addr()?.ip() else {
                unreachable!("it listens on an IPv4 address");
            };
            let last = source.octets()[3];
            let earlier = counts[usize::from(last)].fetch_add(1, Ordering::Relaxed);
            if last == 3 || earlier >= most {
                return stream.set_zero_linger();
            }
            greet(stream).await
        }
    })
    .await
}

#[tokio::test]
async fn gate_passes_if_everybody_is_let_in_or_refused_as_expected() {
    let addr = gatekeeper(2).await;
    let command = "gate --admitted 127.0.0.1 --admitted 127.0.0.2 --refused 127.0.0.3 --rate 2 \
                   --connections 3 --messages 5";
    let ran = run(command, addr).await;
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Success, ""));
    let rows = ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map(|source| ran.row(source));
    let limited = "served: 2, refused: 1";
    assert_eq!(rows, [limited, limited, "served: 0, refused: 3"]);
}

#[tokio::test]
async fn gate_finds_a_source_that_is_served_and_must_not_be() {
    let addr = start(greet).await;
    let ran = run("gate --refused 127.0.0.3", addr).await;
    ran.assert_one_failure(Exit::Served, &["connection 0 (from 127.0.0.3:", "served"]);
}

#[tokio::test]
async fn gate_finds_a_connection_above_its_rate_that_is_served() {
    let addr = gatekeeper(2).await;
    let ran = run("gate --admitted 127.0.0.1 --rate 1 --connections 2", addr).await;
    ran.assert_one_failure(Exit::Served, &["connection 1", "served"]);
}

#[tokio::test]
async fn gate_finds_a_source_that_is_refused_and_must_not_be() {
    let addr = gatekeeper(2).await;
    let ran = run("gate --admitted 127.0.0.3", addr).await;
    ran.assert_one_failure(Exit::EndedEarly, &["reset by the peer", "it is let in"]);
}

#[tokio::test]
async fn gate_finds_a_server_that_greets_otherwise() {
    let addr = start(|mut stream: TcpStream| async move {
        stream.write_all(&[b'?'; 64]).await?;
        echo(stream).await
    })
    .await;
    let ran = run("gate --admitted 127.0.0.1", addr).await;
    ran.assert_one_failure(
        Exit::Mismatch,
        &["greeting: expected \"admitted 127.0.0.1:", "???"],
    );
}

/// A file of the test `name` alone, with a counter for each of `numbers`.
fn counters(name: &str, numbers: &[(&str, u64)]) -> PathBuf {
    let text = numbers
        .iter()
        .fold(String::new(), |mut text, (name, number)| {
            writeln!(text, "{name}={number}").expect("a string takes all");
            text
        });
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}

const COUNTERS: [&str; 8] = [
    "inspected",
    "accepted",
    "rejected_by_rule",
    "rejected_by_rate",
    "pended",
    "aborted",
    "served",
    "bytes",
];

/// A command that prints the one file when it is called first, and the other from then on.
#[cfg(unix)]
fn first_then(first: &std::path::Path, then: &std::path::Path) -> String {
    let script = first.with_extension("sh");
    let (first, then) = (first.display(), then.display());
    std::fs::write(&script, format!("cat {first} && cp {then} {first}\n")).unwrap();
    format!("--query sh {}", script.display())
}

#[cfg(unix)]
#[tokio::test]
async fn gate_compares_its_counts_with_those_of_the_driver() {
    let addr = gatekeeper(1).await;
    let before = COUNTERS.map(|name| (name, 100));
    let first = counters("gate-before", &before);
    // What a driver would say that serves one connection more than there is.
    let counted = [103, 101, 101, 101, 102, 100, 101, 0];
    let mut after: Vec<_> = COUNTERS.into_iter().zip(counted).collect();
    let json = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("gate.json");
    let command = |then: &std::path::Path| {
        let gate = "gate --admitted 127.0.0.1 --refused 127.0.0.3 --rate 1 --messages 1";
        let query = first_then(&first, then);
        format!("{gate} --connections 1 --json {} {query}", json.display())
    };
    let then = counters("gate-after", &after);
    let ran = run(&command(&then), addr).await;
    assert_eq!(ran.exit, Exit::Miscounted, "{}", ran.err);
    let report: Report = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert!(
        ran.err
            .contains("counter inspected: the clients make it 2, the driver counts 3")
    );
    assert!(
        ran.err
            .contains("counter rejected_by_rate: the clients make it 0")
    );
    let told = format!("counter bytes: the clients make it {}, ", report.bytes);
    assert!(ran.err.contains(&told), "{}", ran.err);

    let addr = gatekeeper(1).await;
    counters("gate-before", &before);
    for (name, number) in &mut after {
        *number = match *name {
            "inspected" => 102,
            "rejected_by_rate" | "aborted" => 100,
            "bytes" => 100 + report.bytes,
            _ => 101,
        };
    }
    let then = counters("gate-after", &after);
    let ran = run(&command(&then), addr).await;
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Success, ""));
    assert_eq!(ran.row("counter inspected"), "102");
}

#[cfg(unix)]
#[tokio::test]
async fn gate_that_cannot_ask_the_driver_says_so() {
    let addr = gatekeeper(1).await;
    for query in [
        "false",
        "no-such-program",
        "echo inspected=many",
        "sleep 60",
    ] {
        let command = format!("gate --admitted 127.0.0.1 --timeout 0.2 --query {query}");
        let cli = crate::peer::parse(&command, addr);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ran = wsk_harness::run(&cli.command, &mut out, &mut err).await;
        let error = format!("{:#}", ran.expect_err("it was not asked"));
        let program = query.split(' ').next().unwrap();
        assert!(error.contains(&format!("`{program}`")), "{error}");
    }
}
