//! The cases of `wsk_npi_provider` and `wsk_npi_client`: two drivers that find each other through
//! the Network Module Registrar, and call each other until one of them is unloaded.
//!
//! They need a registrar, which of the `netio.sys` here only the simulator's has.

use std::ops::AddAssign;

use anyhow::{Context, Result, ensure};

use super::cases::{STOP_LIMIT, cases};
use super::{Bench, Outcome};
use crate::build::{self, NPI_CLIENT, NPI_PROVIDER};
use crate::netio::Provider;
use crate::sample::Driver;

cases! {
    Some(Provider::Sim) => {
        npi_pair_calls_both_ways_whichever_starts_first_and_whichever_stops_first,
        npi_provider_reloaded_under_calls_is_attached_to_each_time,
        npi_client_reloaded_under_calls_attaches_each_time,
        npi_driver_alone_starts_and_stops,
    }
}

/// How often the pair comes and goes, in each of the four orders.
const ROUNDS: usize = 2;
/// How often one driver is reloaded while the other one stays.
const RELOADS: usize = 8;

/// What both drivers said at unload, over all their unloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    /// How often the pair was attached.
    bindings: u64,
    /// Calls of the client's.
    adds: u64,
    /// Calls back.
    told: u64,
}

impl AddAssign for Counted {
    fn add_assign(&mut self, other: Self) {
        self.bindings += other.bindings;
        self.adds += other.adds;
        self.told += other.told;
    }
}

/// One of the two drivers.
struct Side<'w> {
    driver: Driver<'w>,
    /// Its names for how often it was attached, and for the calls back.
    names: (&'static str, &'static str),
    counted: Counted,
}

impl<'w> Side<'w> {
    fn client(bench: &'w Bench) -> Result<Self> {
        Self::create(bench, &NPI_CLIENT, ("providers", "heard"))
    }

    fn provider(bench: &'w Bench) -> Result<Self> {
        Self::create(bench, &NPI_PROVIDER, ("clients", "told"))
    }

    fn create(
        bench: &'w Bench,
        driver: &build::Driver,
        names: (&'static str, &'static str),
    ) -> Result<Self> {
        let name = format!("wsk_test_{}", driver.image);
        Ok(Self {
            driver: bench.driver(driver, &name)?,
            names,
            counted: Counted::default(),
        })
    }

    /// Unloads it; fails if a context of a binding was left.
    fn stop(&mut self) -> Result<()> {
        let counted = self.driver.stop(STOP_LIMIT)?;
        ensure!(
            counted.get("contexts")? == 0,
            "the driver left contexts of bindings alive: {counted:?}"
        );
        self.counted += Counted {
            bindings: counted.get(self.names.0)?,
            adds: counted.get("adds")?,
            told: counted.get(self.names.1)?,
        };
        Ok(())
    }
}

/// Starts both, in this order; returns when they have called each other.
fn meet(bench: &Bench, [first, second]: [&Driver<'_>; 2], client: &Driver<'_>) -> Result<()> {
    first.start()?;
    join(bench, second, client)
}

/// Starts the second one; returns when the two have called each other.
fn join(bench: &Bench, comes: &Driver<'_>, client: &Driver<'_>) -> Result<()> {
    let before = bench.wine.log().position();
    comes.start()?;
    client
        .line(before, "attached, the count is 0")
        .context("the two drivers are not attached to each other")?;
    client
        .line(before, "told that the count is ")
        .context("the client is not called back")?;
    Ok(())
}

/// Unloads the first of the two; fails unless the client is detached by that.
fn part(bench: &Bench, goes: &mut Side<'_>) -> Result<()> {
    let before = bench.wine.log().position();
    goes.stop()?;
    let detaching = format!("{}: detaching", NPI_CLIENT.image);
    let lines = bench.wine.log().driver_lines_after(before);
    let count = lines.iter().filter(|line| **line == detaching).count();
    ensure!(
        count == 1,
        "the client was detached {count} times, not once"
    );
    Ok(())
}

/// Fails unless both, unloaded by now, agree on what happened; deletes their services.
fn leave(client: &Side<'_>, provider: &Side<'_>, bindings: usize) -> Result<()> {
    ensure!(
        client.counted == provider.counted,
        "the client counted {:?}, the provider {:?}",
        client.counted,
        provider.counted
    );
    ensure!(
        client.counted.bindings == bindings as u64,
        "they were attached {} times, not {bindings} times",
        client.counted.bindings
    );
    client.driver.service.delete()?;
    provider.driver.service.delete()
}

fn npi_pair_calls_both_ways_whichever_starts_first_and_whichever_stops_first(
    bench: &Bench,
) -> Result<Outcome> {
    let (mut client, mut provider) = (Side::client(bench)?, Side::provider(bench)?);
    for round in 0..4 * ROUNDS {
        let order = match round % 2 {
            0 => [&client.driver, &provider.driver],
            _ => [&provider.driver, &client.driver],
        };
        meet(bench, order, &client.driver)?;
        let (goes, stays) = match round / 2 % 2 {
            0 => (&mut client, &mut provider),
            _ => (&mut provider, &mut client),
        };
        part(bench, goes)?;
        stays.stop()?;
    }
    leave(&client, &provider, 4 * ROUNDS)?;
    Ok(Outcome::Passed)
}

fn npi_provider_reloaded_under_calls_is_attached_to_each_time(bench: &Bench) -> Result<Outcome> {
    let (mut client, mut provider) = (Side::client(bench)?, Side::provider(bench)?);
    client.driver.start()?;
    for _ in 0..RELOADS {
        join(bench, &provider.driver, &client.driver)?;
        part(bench, &mut provider)?;
    }
    client.stop()?;
    leave(&client, &provider, RELOADS)?;
    Ok(Outcome::Passed)
}

fn npi_client_reloaded_under_calls_attaches_each_time(bench: &Bench) -> Result<Outcome> {
    let (mut client, mut provider) = (Side::client(bench)?, Side::provider(bench)?);
    provider.driver.start()?;
    for _ in 0..RELOADS {
        join(bench, &client.driver, &client.driver)?;
        part(bench, &mut client)?;
    }
    provider.stop()?;
    leave(&client, &provider, RELOADS)?;
    Ok(Outcome::Passed)
}

fn npi_driver_alone_starts_and_stops(bench: &Bench) -> Result<Outcome> {
    for mut side in [Side::client(bench)?, Side::provider(bench)?] {
        for _ in 0..2 {
            side.driver.start()?;
            side.stop()?;
        }
        ensure!(
            side.counted == Counted::default(),
            "a driver alone counted {:?}",
            side.counted
        );
        side.driver.service.delete()?;
    }
    Ok(Outcome::Passed)
}
