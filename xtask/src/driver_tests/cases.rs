//! What the cases of all sample drivers have in common: what a case is, and starting and stopping.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Bench, Outcome, echo, gate, npi};
use crate::build;
use crate::netio::Provider;
use crate::sample::{Counted, Driver, free_port};
use crate::wine::NtStatus;

/// How long a driver may take to unload, busy or not.
pub const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A case: its name, what it needs, and what it does.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub name: &'static str,
    /// The only provider of Winsock Kernel on which it makes sense.
    pub provider: Option<Provider>,
    pub run: fn(&Bench) -> Result<Outcome>,
}

/// Every case.
pub fn all() -> impl Iterator<Item = &'static Case> {
    echo::CASES.iter().chain(gate::CASES).chain(npi::CASES)
}

/// A table of cases whose names are those of their functions, each list for one provider or all.
macro_rules! cases {
    ($($provider:expr => { $($name:ident,)* })*) => {
        /// The cases of this driver.
        pub const CASES: &[$crate::driver_tests::cases::Case] = &[
            $($($crate::driver_tests::cases::Case {
                name: stringify!($name),
                provider: $provider,
                run: $name,
            },)*)*
        ];
    };
}
pub(super) use cases;

impl Bench {
    /// A service for a driver, without parameters.
    pub fn driver(&self, driver: &build::Driver, name: &str) -> Result<Driver<'_>> {
        Driver::create(&self.wine, driver, name)
    }

    /// A service for a driver that is to listen on a free port.
    pub fn driver_on_free_port(
        &self,
        driver: &build::Driver,
        name: &str,
    ) -> Result<(Driver<'_>, u16)> {
        let driver = self.driver(driver, name)?;
        let port = free_port()?;
        driver.service.set_number("Port", port.into())?;
        Ok((driver, port))
    }
}

/// Starts a driver; fails unless it says that it listens on `port`.
pub fn listen(driver: &Driver<'_>, port: u16) -> Result<SocketAddr> {
    let address = driver.listen()?;
    let expected = SocketAddr::from(([127, 0, 0, 1], port));
    ensure!(
        address == expected,
        "the driver listens on {address}, not on {expected}"
    );
    Ok(address)
}

/// Stops a driver; fails if anything of it was left.
pub fn stop(driver: &Driver<'_>) -> Result<Counted> {
    let counted = driver.stop(STOP_LIMIT)?;
    ensure!(
        counted.leaked()? == 0,
        "the driver left something alive: {counted:?}"
    );
    Ok(counted)
}

/// Fails unless the driver refuses to start because of the parameter `value`.
pub fn expect_invalid(driver: &Driver<'_>, value: &str) -> Result<()> {
    let (status, words) = driver.fail_to_start()?;
    ensure!(
        status == NtStatus::INVALID_PARAMETER && words.contains(value),
        "the driver says `{words}` instead of {} for its {value}",
        NtStatus::INVALID_PARAMETER
    );
    Ok(())
}

/// Fails unless the driver refuses to start because its address is in use. Windows and Wine differ
/// in the status.
pub fn expect_address_in_use(driver: &Driver<'_>) -> Result<()> {
    let (status, words) = driver.fail_to_start()?;
    let in_use = [
        NtStatus::ADDRESS_ALREADY_EXISTS,
        NtStatus::ADDRESS_ALREADY_ASSOCIATED,
    ];
    ensure!(
        in_use.contains(&status),
        "the driver says `{words}`, although the address is in use"
    );
    Ok(())
}
