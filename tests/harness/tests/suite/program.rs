//! The program itself, as scripts and xtask see it: exit codes, standard output and error, the JSON
//! file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::peer::{self, Answer, echo_messages, start};
use wsk_harness::report::Report;

async fn program(command: &str, addr: SocketAddr, more: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_wsk-harness"));
    program
        .args(command.split(' '))
        .args(["--addr", &addr.to_string()])
        .args(more);
    tokio::task::spawn_blocking(move || program.output())
        .await
        .unwrap()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A file of this test alone.
fn json_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[tokio::test]
async fn program_prints_the_table_and_writes_the_same_as_json() {
    let file = json_file("success.json");
    let command = "echo --connections 2 --messages 50 --size 1..1KiB --seed 9 --window 4KiB";
    let output = program(
        command,
        start(peer::echo).await,
        &["--json", file.to_str().unwrap()],
    )
    .await;
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));

    let json = std::fs::read_to_string(file).unwrap();
    let report: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(text(&output.stdout), report.to_string());
    assert_eq!(
        (
            report.messages,
            report.messages_per_connection,
            report.mismatches
        ),
        (100, 50, 0)
    );
    assert_eq!((report.size_min_bytes, report.size_max_bytes), (1, 1024));
    assert_eq!(
        (report.seed, report.window_bytes, report.failures.len()),
        (9, Some(4096), 0)
    );
    assert!(report.round_trip_p50_us <= report.round_trip_p99_us);
    assert!(report.round_trip_p99_us <= report.round_trip_max_us);
    assert_eq!(serde_json::to_string_pretty(&report).unwrap() + "\n", json);
}

#[tokio::test]
async fn program_exits_with_3_and_lists_the_failure_in_both_outputs() {
    let fault = |connection, _, mut bytes: Vec<u8>| {
        bytes[99] ^= u8::from(connection == 1);
        Answer::Send(bytes)
    };
    let addr = start(move |stream| echo_messages(stream, fault, b"")).await;
    let file = json_file("mismatch.json");
    let command = "echo --connections 2 --messages 1 --size 100";
    let output = program(command, addr, &["--json", file.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(3));

    let report: Report = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let [failure] = &report.failures[..] else {
        panic!("{report:?}")
    };
    assert_eq!((failure.connection, failure.offset), (1, Some(99)));
    assert_eq!(serde_json::to_value(failure.kind).unwrap(), "mismatch");
    let (local, detail) = (failure.local.unwrap(), &failure.detail);
    let expected = format!("connection 1 (from {local}): {detail}\n  check: ");
    assert!(
        text(&output.stderr).starts_with(&expected),
        "{}",
        text(&output.stderr)
    );
}

#[tokio::test]
async fn program_that_cannot_write_its_json_exits_with_1_before_it_connects() {
    let (_socket, addr) = peer::refusing();
    let file = json_file("no such folder").join("report.json");
    let command = "echo --connections 1 --messages 1 --size 1";
    let output = program(command, addr, &["--json", file.to_str().unwrap()]).await;
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""));
    assert!(
        text(&output.stderr).contains("could not create"),
        "{}",
        text(&output.stderr)
    );
}

#[tokio::test]
async fn program_used_wrongly_exits_with_2() {
    let (_socket, addr) = peer::refusing();
    for command in [
        "echo --connections 0 --messages 1 --size 1",
        "echo --connections 1 --messages 0 --size 1",
        "echo --connections 1 --messages 1 --size 0..5",
        "echo --connections 1 --messages 1 --size 1 --timeout 0",
        "hold --connections 1 --messages 1",
    ] {
        let output = program(command, addr, &[]).await;
        assert_eq!(output.status.code(), Some(2), "{command}");
    }
}

#[tokio::test]
async fn program_exits_with_the_documented_code_of_each_command() {
    let (_socket, refusing) = peer::refusing();
    let echo = start(peer::echo).await;
    for (command, addr, code) in [
        ("echo --connections 1 --messages 1 --size 1", refusing, 6),
        ("hold --connections 1 --timeout 0.2", echo, 5),
        ("reset --connections 1", echo, 0),
        ("refused --connections 1", refusing, 0),
        ("refused --connections 1", echo, 7),
    ] {
        assert_eq!(
            program(command, addr, &[]).await.status.code(),
            Some(code),
            "{command}"
        );
    }
}

#[tokio::test]
async fn readme_lists_every_field_of_the_json() {
    let (_socket, addr) = peer::refusing();
    let file = json_file("fields.json");
    program(
        "echo --connections 1 --messages 1 --size 1",
        addr,
        &["--json", file.to_str().unwrap()],
    )
    .await;
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let readme = include_str!("../../README.md");
    let fields = report.as_object().unwrap().keys();
    for field in fields.chain(report["failures"][0].as_object().unwrap().keys()) {
        assert!(
            readme.contains(&format!("`{field}`")),
            "README.md does not list `{field}`"
        );
    }
}
