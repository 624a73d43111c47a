//! How steps end: with success, failure, no program, no time, or a daemon left behind.

use std::time::{Duration, Instant};

use super::Step;

fn shell(name: &str, script: &str) -> Step {
    Step::new(name, "sh").args(["-c", script]).silent()
}

#[test]
fn run_success_returns_both_streams_in_order() {
    let done = shell("process test streams", "echo one; echo two >&2; echo three").run();
    assert_eq!(done.expect("it succeeds").output, "one\ntwo\nthree\n");
}

#[test]
fn run_failure_tells_step_command_last_words_and_advice() {
    let error = shell("process test failure", "echo last words; exit 3")
        .advice("try again")
        .run()
        .expect_err("it fails")
        .to_string();
    for part in [
        "process test failure: ended with",
        "3",
        "exit 3",
        "last words",
        "try again",
    ] {
        assert!(error.contains(part), "{part} is missing in: {error}");
    }
}

#[test]
fn run_missing_program_names_it() {
    let error = Step::new("process test missing", "no-such-program")
        .silent()
        .run();
    let error = error.expect_err("it cannot start").to_string();
    assert!(
        error.contains("cannot start it") && error.contains("no-such-program"),
        "{error}"
    );
}

#[test]
fn run_over_time_limit_ends_the_whole_group() {
    let started = Instant::now();
    let error = shell("process test limit", "sleep 60 & sleep 60")
        .time_limit(Duration::from_millis(100))
        .run()
        .expect_err("it takes too long");
    assert!(error.to_string().contains("stopped it"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn run_daemon_that_holds_the_output_open_is_not_waited_for() {
    let started = Instant::now();
    let done = shell("process test daemon", "sleep 60 & echo $!")
        .run()
        .expect("it succeeds");
    let daemon = done.output.trim();
    assert!(started.elapsed() < Duration::from_secs(30));
    shell("process test end", &format!("kill {daemon}"))
        .run()
        .expect("the daemon still runs");
}

#[test]
fn run_long_output_is_complete() {
    let done = shell("process test long", "seq 200000")
        .run()
        .expect("it succeeds");
    assert_eq!(done.output.lines().count(), 200_000);
}

#[test]
fn run_program_that_closes_its_output_is_waited_for() {
    let started = Instant::now();
    shell("process test closed", "exec >&- 2>&-; sleep 0.3")
        .run()
        .expect("it succeeds");
    assert!(started.elapsed() >= Duration::from_millis(300));
}
