//! The cases of `wsk_echo`: what it promises, and what it does with bad input.
//!
//! Each creates its own service, and checks at the end that the driver unloaded in time and left
//! nothing alive. Ports are free ones, except the default, of which there is only one.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::cases::{self, cases, expect_address_in_use, expect_invalid, listen};
use super::clients::Connection;
use super::{Bench, Outcome};
use crate::build::ECHO;
use crate::echo::{Counters, DEFAULT_PORT};
use crate::process::{self, Step};
use crate::sample::{Driver, free_port, is_free};

/// How long the program that uses the device may take.
const FILE_LIMIT: Duration = Duration::from_mins(1);
/// How long a place that a client has left may stay taken.
const LEAVE_LIMIT: Duration = Duration::from_secs(10);

cases! {
    None => {
        device_has_the_requests_of_programs_carried_out,
        echo_on_8_connections_returns_every_byte_and_allocates_nothing_late,
        burst_of_1000_connects_is_accepted_by_call_without_loss,
        missing_parameters_key_gives_the_default_port,
        port_as_text_is_listened_on,
        port_that_is_no_port_is_refused_by_name,
        busy_port_is_refused_by_name,
        second_instance_is_refused_and_the_first_serves_on,
        restart_of_the_driver_serves_again_5_times,
        unload_with_8_busy_connections_closes_them_all,
        reset_in_mid_message_ends_that_connection_only,
        connections_beyond_the_maximum_are_closed_and_the_others_served,
    }
}

impl Bench {
    /// A service for the driver, without parameters.
    fn echo_driver(&self, name: &str) -> Result<Driver<'_>> {
        self.driver(&ECHO, name)
    }

    /// A service that is to listen on a free port.
    fn echo_driver_on_free_port(&self, name: &str) -> Result<(Driver<'_>, u16)> {
        self.driver_on_free_port(&ECHO, name)
    }
}

/// Stops the driver and deletes its service; fails if anything of it was left.
fn leave(driver: &Driver<'_>) -> Result<Counters> {
    let counters = stop(driver)?;
    driver.service.delete()?;
    Ok(counters)
}

fn stop(driver: &Driver<'_>) -> Result<Counters> {
    let counters = Counters::read(&cases::stop(driver)?)?;
    ensure!(
        counters.late_allocations == 0,
        "the driver allocated after a connection's first echo: {counters:?}"
    );
    Ok(counters)
}

fn echo_on_8_connections_returns_every_byte_and_allocates_nothing_late(
    bench: &Bench,
) -> Result<Outcome> {
    let (driver, port) = bench.echo_driver_on_free_port("wsk_test_echo")?;
    let address = listen(&driver, port)?;
    let echoed = bench.echo(address, 8, 200)?;
    // `stop` checks the allocations.
    let counters = leave(&driver)?;
    ensure!(
        counters.connections == 8
            && counters.refused == 0
            && counters.bytes == echoed.bytes
            && counters.echoes >= echoed.messages,
        "the clients had {echoed:?} on 8 connections, the driver counted {counters:?}"
    );
    Ok(Outcome::Passed)
}

fn device_has_the_requests_of_programs_carried_out(bench: &Bench) -> Result<Outcome> {
    let (driver, port) = bench.echo_driver_on_free_port("wsk_test_file")?;
    listen(&driver, port)?;
    let step = Step::new("a program that uses the device", "wine");
    let told = bench.wine.with_environment(step.arg(&bench.file));
    let told = told.time_limit(FILE_LIMIT).silent().run()?;
    let counters = leave(&driver)?;
    let expected = format!("bytes={}", counters.bytes);
    ensure!(
        counters.connections == 2 && told.output.contains(&expected),
        "the program says `{}`, but the driver counted {counters:?}",
        told.output.trim()
    );
    Ok(Outcome::Passed)
}

/// The driver has one `WskAccept` in flight at a time, and 1,000 clients connect at once.
fn burst_of_1000_connects_is_accepted_by_call_without_loss(bench: &Bench) -> Result<Outcome> {
    let (driver, port) = bench.echo_driver_on_free_port("wsk_test_burst")?;
    let address = listen(&driver, port)?;
    let echoed = bench.echo(address, 1000, 1)?;
    let counters = leave(&driver)?;
    ensure!(
        counters.connections == 1000 && counters.refused == 0 && counters.bytes == echoed.bytes,
        "the clients had {echoed:?} on 1000 connections, the driver counted {counters:?}"
    );
    Ok(Outcome::Passed)
}

fn missing_parameters_key_gives_the_default_port(bench: &Bench) -> Result<Outcome> {
    if !is_free(DEFAULT_PORT) {
        return Ok(Outcome::Skipped(format!(
            "another program uses 127.0.0.1:{DEFAULT_PORT}: end it to run this test"
        )));
    }
    let driver = bench.echo_driver("wsk_test_default")?;
    let address = listen(&driver, DEFAULT_PORT)?;
    bench.echo(address, 1, 10)?;
    leave(&driver)?;
    Ok(Outcome::Passed)
}

fn port_as_text_is_listened_on(bench: &Bench) -> Result<Outcome> {
    let driver = bench.echo_driver("wsk_test_text")?;
    let port = free_port()?;
    driver.service.set_text("Port", &port.to_string())?;
    let address = listen(&driver, port)?;
    bench.echo(address, 1, 10)?;
    leave(&driver)?;
    Ok(Outcome::Passed)
}

fn port_that_is_no_port_is_refused_by_name(bench: &Bench) -> Result<Outcome> {
    let driver = bench.echo_driver("wsk_test_bad_port")?;
    for text in [
        "echo",
        "-1",
        "40007x",
        "65536",
        "0",
        "4000740007400074000740007",
    ] {
        driver.service.set_text("Port", text)?;
        expect_invalid(&driver, "Port").with_context(|| format!("Port is the text `{text}`"))?;
    }
    for number in [0, 65536, u32::MAX] {
        driver.service.set_number("Port", number)?;
        expect_invalid(&driver, "Port").with_context(|| format!("Port is the number {number}"))?;
    }
    // What was refused has left nothing that is in the way of a start.
    let port = free_port()?;
    driver.service.set_number("Port", port.into())?;
    let address = listen(&driver, port)?;
    bench.echo(address, 1, 10)?;
    leave(&driver)?;
    Ok(Outcome::Passed)
}

fn busy_port_is_refused_by_name(bench: &Bench) -> Result<Outcome> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port of 127.0.0.1 is free")?;
    let port = listener.local_addr()?.port();
    let driver = bench.echo_driver("wsk_test_busy")?;
    driver.service.set_number("Port", port.into())?;
    expect_address_in_use(&driver)?;
    drop(listener);
    let address = listen(&driver, port)?;
    bench.echo(address, 1, 10)?;
    leave(&driver)?;
    Ok(Outcome::Passed)
}

fn second_instance_is_refused_and_the_first_serves_on(bench: &Bench) -> Result<Outcome> {
    let (first, port) = bench.echo_driver_on_free_port("wsk_test_first")?;
    let address = listen(&first, port)?;
    let second = bench.echo_driver("wsk_test_second")?;
    second.service.set_number("Port", port.into())?;
    expect_address_in_use(&second)?;
    bench.echo(address, 2, 50)?;
    second.service.delete()?;
    let counters = leave(&first)?;
    ensure!(
        counters.connections == 2,
        "the first instance counted {counters:?}"
    );
    Ok(Outcome::Passed)
}

fn restart_of_the_driver_serves_again_5_times(bench: &Bench) -> Result<Outcome> {
    let (driver, port) = bench.echo_driver_on_free_port("wsk_test_restart")?;
    for round in 1..=5 {
        let once = || -> Result<()> {
            let address = listen(&driver, port)?;
            let echoed = bench.echo(address, 2, 20)?;
            let counters = stop(&driver)?;
            ensure!(
                counters.connections == 2 && counters.bytes == echoed.bytes,
                "the clients had {echoed:?}, the driver counted {counters:?}"
            );
            Ok(())
        };
        once().with_context(|| format!("round {round} of 5"))?;
    }
    driver.service.delete()?;
    Ok(Outcome::Passed)
}

fn unload_with_8_busy_connections_closes_them_all(bench: &Bench) -> Result<Outcome> {
    let (driver, port) = bench.echo_driver_on_free_port("wsk_test_unload")?;
    let address = listen(&driver, port)?;
    let hold = bench.hold(address, 8)?;
    let counters = leave(&driver)?;
    hold.ended()?;
    ensure!(
        counters.connections == 8 && counters.echoes >= 8,
        "8 connections were busy, but the driver counted {counters:?}"
    );
    Ok(Outcome::Passed)
}

fn reset_in_mid_message_ends_that_connection_only(bench: &Bench) -> Result<Outcome> {
    let (driver, port) = bench.echo_driver_on_free_port("wsk_test_reset")?;
    let address = listen(&driver, port)?;
    let bystander = open(address)?;
    bench.clients("reset", address, 4)?;
    bystander.close()?;
    bench.echo(address, 2, 50)?;
    let counters = leave(&driver)?;
    ensure!(
        counters.connections == 1 + 4 + 2,
        "7 connections were made, but the driver counted {counters:?}"
    );
    Ok(Outcome::Passed)
}

fn connections_beyond_the_maximum_are_closed_and_the_others_served(
    bench: &Bench,
) -> Result<Outcome> {
    let (driver, port) = bench.echo_driver_on_free_port("wsk_test_maximum")?;
    driver.service.set_number("MaxConnections", 2)?;
    let address = listen(&driver, port)?;
    let (first, second) = (open(address)?, open(address)?);
    bench.clients("refused", address, 3)?;
    first.close()?;
    // The driver frees the place when it has closed its socket, which the client cannot see.
    let deadline = Instant::now() + LEAVE_LIMIT;
    let third = loop {
        process::check_interrupt()?;
        if let Some(connection) = Connection::open(address)? {
            break connection;
        }
        ensure!(
            Instant::now() < deadline,
            "a client has left, but {LEAVE_LIMIT:?} later no other gets its place"
        );
    };
    third.close()?;
    second.close()?;
    let counters = leave(&driver)?;
    ensure!(
        counters.connections == 3 && counters.refused >= 3,
        "3 connections were served and 3 or more closed, but the driver counted {counters:?}"
    );
    Ok(Outcome::Passed)
}

/// A connection that the driver serves.
fn open(address: SocketAddr) -> Result<Connection> {
    Connection::open(address)?.context("the driver closed a connection that it should serve")
}
