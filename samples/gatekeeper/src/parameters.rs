//! The driver's parameters: values of the `Parameters` key below its service's key in the registry.
//!
//! | value         | type                     | meaning                              | if missing |
//! |---------------|--------------------------|--------------------------------------|------------|
//! | `Address`     | `REG_SZ`                 | address to listen on                 | 127.0.0.1  |
//! | `Port`        | `REG_DWORD`, `REG_SZ`    | TCP port, from 1                     | 40008      |
//! | `Allow`       | `REG_MULTI_SZ`, `REG_SZ` | prefixes that may connect: `rules`   | everybody  |
//! | `Deny`        | `REG_MULTI_SZ`, `REG_SZ` | prefixes that may not                | nobody     |
//! | `RateLimit`   | `REG_DWORD`, `REG_SZ`    | connections of a source in a period  | no limit   |
//! | `RateSeconds` | `REG_DWORD`, `REG_SZ`    | how long a period is, from 1         | 60         |
//!
//! A value that makes no sense is an error that names it, not a default.

use alloc::vec::Vec;
use core::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use wdk::println;
use wsk::Result;

use crate::{
    accounts::Rate,
    rules::{Prefix, Rules},
};

/// See the module.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// Where to listen.
    pub address: SocketAddr,
    /// Who may connect.
    pub rules: Rules,
    /// How often, if there is a limit.
    pub rate: Option<Rate>,
}

impl Parameters {
    /// Reads them.
    ///
    /// IRQL: PASSIVE_LEVEL.
    pub fn read(values: &wsk_parameters::Parameters) -> Result<Self> {
        let address = values.get(r"Parameters\Address", |data| data.text()?.parse().ok())?;
        let address: IpAddr = address.unwrap_or(Ipv4Addr::LOCALHOST.into());
        let rules = Rules {
            allow: prefixes(values, r"Parameters\Allow")?,
            deny: prefixes(values, r"Parameters\Deny")?,
        };
        let seconds: u32 = values.number(r"Parameters\RateSeconds", 60)?;
        let limit = values.get(r"Parameters\RateLimit", |data| {
            data.number().filter(|limit| *limit != 0)
        })?;
        Ok(Self {
            address: SocketAddr::new(address, values.number(r"Parameters\Port", 40008)?),
            rules,
            rate: limit.map(|limit| Rate {
                limit,
                period: Duration::from_secs(seconds.into()),
            }),
        })
    }
}

/// The prefixes of a value; says which of them is none.
fn prefixes(values: &wsk_parameters::Parameters, title: &'static str) -> Result<Vec<Prefix>> {
    let read = |text: &alloc::string::String| {
        let prefix = Prefix::parse(text);
        if prefix.is_none() {
            println!("wsk_gate: {title}: `{text}` is no address prefix such as 10.0.0.0/8");
        }
        prefix
    };
    let prefixes = values.get(title, |data| data.texts()?.iter().map(read).collect())?;
    Ok(prefixes.unwrap_or_default())
}
