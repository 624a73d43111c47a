//! The driver's parameters: values of the `Parameters` key below its service's key in the registry.
//!
//! | value            | type                  | meaning                              | if missing |
//! |------------------|-----------------------|--------------------------------------|------------|
//! | `Port`           | `REG_DWORD`, `REG_SZ` | TCP port, from 1                     | 40007      |
//! | `MaxConnections` | `REG_DWORD`, `REG_SZ` | connections served at a time, from 1 | 1024       |
//!
//! A value that makes no sense is an error that names it, not a default.

use wsk::Result;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Parameters {
    /// The TCP port to listen on.
    pub port: u16,
    /// Connections served at a time.
    pub most_connections: u32,
}

impl Parameters {
    /// Reads them.
    ///
    /// IRQL: PASSIVE_LEVEL.
    pub fn read(values: &wsk_parameters::Parameters) -> Result<Self> {
        Ok(Self {
            port: values.number(r"Parameters\Port", 40007)?,
            most_connections: values.number(r"Parameters\MaxConnections", 1024)?,
        })
    }
}
