//! The cases of `wsk_gate`: whom it lets in and whom it refuses, and that it says how often.
//!
//! They need conditional accept, which of the providers here only the simulator's has.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::cases::{cases, expect_address_in_use, expect_invalid, listen, stop};
use super::{Bench, Outcome};
use crate::build::GATEKEEPER;
use crate::gate;
use crate::netio::Provider;
use crate::sample::{Counted, Driver};
use crate::wine::NtStatus;

cases! {
    Some(Provider::Sim) => {
        gate_serves_whom_it_lets_in_refuses_the_others_and_counts_both,
        gate_refuses_a_source_above_its_rate,
        gate_loses_nobody_of_1000_who_connect_at_once,
        gate_restarted_with_other_rules_follows_them,
        gate_unloads_while_it_serves,
        gate_on_a_busy_port_is_refused_by_name,
        gate_that_runs_already_is_refused_by_name,
    }
    Some(Provider::Wine) => { gate_without_conditional_accept_is_refused_by_name, }
    None => { gate_with_parameters_that_make_no_sense_is_refused_by_name, }
}

/// How long one run of the clients may take.
const CLIENTS_LIMIT: Duration = Duration::from_mins(4);
/// How long a single connection waits for anything.
const CONNECTION_LIMIT: Duration = Duration::from_secs(10);

/// Sources that are let in, and others that are refused.
type Sources<'a> = (&'a [&'a str], &'a [&'a str]);

impl Bench {
    fn gate_on_free_port(&self, name: &str) -> Result<(Driver<'_>, u16)> {
        self.driver_on_free_port(&GATEKEEPER, name)
    }

    /// Runs clients, which compare what they see with what the driver counts; fails unless both are
    /// as they should be.
    fn gate(
        &self,
        address: SocketAddr,
        connections: u32,
        sources: Sources<'_>,
        more: &[&str],
    ) -> Result<()> {
        let counters = self.counters.as_deref().context("it was not built")?;
        let (harness, wine) = (&self.harness, &self.wine);
        gate::clients(harness, wine, counters, address, connections, sources)
            .args(more)
            .time_limit(CLIENTS_LIMIT)
            .silent()
            .run()
            .map(drop)
    }
}

/// Stops the driver and deletes its service; fails if anything of it was left.
fn leave(driver: &Driver<'_>) -> Result<Counted> {
    let counted = stop(driver)?;
    driver.service.delete()?;
    Ok(counted)
}

fn gate_serves_whom_it_lets_in_refuses_the_others_and_counts_both(
    bench: &Bench,
) -> Result<Outcome> {
    let (driver, port) = bench.gate_on_free_port("wsk_test_gate")?;
    driver
        .service
        .set_texts("Allow", &["127.0.0.0/24", "10.0.0.0/8"])?;
    driver.service.set_texts("Deny", &["127.0.0.128/25"])?;
    let address = listen(&driver, port)?;
    let admitted = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.127"];
    let refused = ["127.0.0.128", "127.0.0.255", "127.0.1.0"];
    bench.gate(address, 20, (&admitted, &refused), &[])?;
    let counted = leave(&driver)?;
    ensure!(
        counted.get("served")? == 80 && counted.get("rejected_by_rule")? == 60,
        "80 connections were served and 60 refused, but the driver counted {counted:?}"
    );
    Ok(Outcome::Passed)
}

fn gate_refuses_a_source_above_its_rate(bench: &Bench) -> Result<Outcome> {
    let (driver, port) = bench.gate_on_free_port("wsk_test_gate_rate")?;
    driver.service.set_text("Deny", "127.0.0.9")?;
    driver.service.set_number("RateLimit", 3)?;
    driver.service.set_number("RateSeconds", 3600)?;
    let address = listen(&driver, port)?;
    let sources: Sources<'_> = (&["127.0.0.1", "127.0.0.2"], &["127.0.0.9"]);
    bench.gate(address, 5, sources, &["--rate", "3"])?;
    bench.gate(address, 5, sources, &["--rate", "0"])?;
    let counted = leave(&driver)?;
    ensure!(
        counted.get("rejected_by_rate")? == 2 * (2 + 5) && counted.get("pended")? == 2 * 10,
        "14 of 20 connections were above their rate, but the driver counted {counted:?}"
    );
    Ok(Outcome::Passed)
}

fn gate_loses_nobody_of_1000_who_connect_at_once(bench: &Bench) -> Result<Outcome> {
    let (driver, port) = bench.gate_on_free_port("wsk_test_gate_burst")?;
    driver.service.set_number("RateLimit", 1)?;
    driver.service.set_text("Deny", "127.2.0.0/16")?;
    let address = listen(&driver, port)?;
    let hosts = |network: u8, count: u8| {
        let host = move |third| (0..count).map(move |last| format!("127.{network}.{third}.{last}"));
        (0..4).flat_map(host).collect::<Vec<_>>()
    };
    let (admitted, refused) = (hosts(1, 225), hosts(2, 25));
    let admitted: Vec<_> = admitted.iter().map(String::as_str).collect();
    let refused: Vec<_> = refused.iter().map(String::as_str).collect();
    let more = ["--rate", "1", "--messages", "1", "--timeout", "150"];
    bench.gate(address, 1, (&admitted, &refused), &more)?;
    let counted = leave(&driver)?;
    ensure!(
        counted.get("served")? == 900 && counted.get("rejected_by_rule")? == 100,
        "900 connections were served and 100 refused, but the driver counted {counted:?}"
    );
    Ok(Outcome::Passed)
}

fn gate_restarted_with_other_rules_follows_them(bench: &Bench) -> Result<Outcome> {
    let (driver, port) = bench.gate_on_free_port("wsk_test_gate_rules")?;
    let sources = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
    for denied in sources {
        driver.service.set_text("Deny", denied)?;
        let address = listen(&driver, port)?;
        let admitted: Vec<_> = sources
            .into_iter()
            .filter(|other| *other != denied)
            .collect();
        bench.gate(address, 2, (&admitted, &[denied]), &[])?;
        stop(&driver)?;
    }
    driver.service.delete()?;
    Ok(Outcome::Passed)
}

fn gate_unloads_while_it_serves(bench: &Bench) -> Result<Outcome> {
    let (driver, port) = bench.gate_on_free_port("wsk_test_gate_unload")?;
    driver.service.set_number("RateLimit", 6)?;
    let address = listen(&driver, port)?;
    let mut clients = Vec::new();
    for _ in 0..6 {
        let mut client = TcpStream::connect_timeout(&address, CONNECTION_LIMIT)?;
        client.set_read_timeout(Some(CONNECTION_LIMIT))?;
        client.read_exact(&mut [0; 8]).context("it is served")?;
        client.write_all(&[7; 1000])?;
        clients.push(client);
    }
    bench.gate(address, 2, (&["127.0.0.1"], &[]), &["--rate", "0"])?;
    let counted = leave(&driver)?;
    for mut client in clients {
        if let Ok(count @ 1..) = client.read_to_end(&mut Vec::new()) {
            ensure!(count <= 2000, "{count} bytes came back");
        }
    }
    ensure!(
        counted.get("served")? == 6 && counted.get("rejected_by_rate")? == 2,
        "6 connections were served and 2 refused, but the driver counted {counted:?}"
    );
    Ok(Outcome::Passed)
}

fn gate_on_a_busy_port_is_refused_by_name(bench: &Bench) -> Result<Outcome> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port of 127.0.0.1 is free")?;
    let port = listener.local_addr()?.port();
    let driver = bench.driver(&GATEKEEPER, "wsk_test_gate_busy")?;
    driver.service.set_number("Port", port.into())?;
    expect_address_in_use(&driver)?;
    drop(listener);
    // The start that failed has left nothing, its device included.
    let address = listen(&driver, port)?;
    bench.gate(address, 2, (&["127.0.0.1"], &[]), &[])?;
    leave(&driver)?;
    Ok(Outcome::Passed)
}

fn gate_that_runs_already_is_refused_by_name(bench: &Bench) -> Result<Outcome> {
    let (first, port) = bench.gate_on_free_port("wsk_test_gate_first")?;
    let address = listen(&first, port)?;
    let (second, _) = bench.gate_on_free_port("wsk_test_gate_second")?;
    let (status, words) = second.fail_to_start()?;
    ensure!(
        status == NtStatus::OBJECT_NAME_COLLISION,
        "the second instance says `{words}`, although there is a device of its name"
    );
    bench.gate(address, 2, (&["127.0.0.1"], &[]), &[])?;
    second.service.delete()?;
    leave(&first)?;
    Ok(Outcome::Passed)
}

fn gate_without_conditional_accept_is_refused_by_name(bench: &Bench) -> Result<Outcome> {
    let (driver, _) = bench.gate_on_free_port("wsk_test_gate_wine")?;
    let (status, words) = driver.fail_to_start()?;
    ensure!(
        status == NtStatus::NOT_IMPLEMENTED,
        "the driver says `{words}`, although the provider has no conditional accept"
    );
    driver.service.delete()?;
    Ok(Outcome::Passed)
}

fn gate_with_parameters_that_make_no_sense_is_refused_by_name(bench: &Bench) -> Result<Outcome> {
    for (value, text) in [
        ("Port", "0"),
        ("Address", "localhost"),
        ("Allow", "10.0.0.0/33"),
        ("Deny", "10.0.0.1/8"),
        ("RateLimit", "-1"),
        ("RateSeconds", "soon"),
    ] {
        let (driver, _) = bench.gate_on_free_port("wsk_test_gate_bad")?;
        driver.service.set_text(value, text)?;
        expect_invalid(&driver, value).with_context(|| format!("{value} is `{text}`"))?;
        driver.service.delete()?;
    }
    Ok(Outcome::Passed)
}
