//! What the I/O manager calls: `DriverEntry` and `DriverUnload`.

// UNSAFETY: the I/O manager calls in, with objects of its own.
#![expect(unsafe_code, reason = "entry points of the I/O manager")]

use alloc::sync::Arc;

use wdk_sys::{DRIVER_OBJECT, NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT};
use wsk::{Passive, Result};
use wsk_entry::Running;

use crate::{
    device::{self, Device},
    driver::Server,
    parameters::Parameters,
    statistics::Statistics,
};

/// What there is between `DriverEntry` and `DriverUnload`.
struct Gate {
    device: Device,
    server: Server,
}

static GATE: Running<Gate> = Running::nothing();

/// Starts the server.
///
/// # Safety
///
/// Called by the I/O manager, with its driver object and the path of the service's registry key.
#[unsafe(export_name = "DriverEntry")]
pub unsafe extern "system" fn driver_entry(
    driver: PDRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    // SAFETY: the I/O manager's own path, valid during the call.
    let values = unsafe { wsk_parameters::Parameters::open(registry_path) };
    // SAFETY: the I/O manager's object, not used by anybody else during `DriverEntry`.
    let driver = unsafe { &mut *driver };
    driver.DriverUnload = Some(driver_unload);
    GATE.start("wsk_gate", |passive| {
        let parameters = Parameters::read(&values?)?;
        Gate::start(driver, parameters, passive)
    })
}

/// Stops the server. When it returns, nothing of this image runs any more.
///
/// # Safety
///
/// Called by the I/O manager, once, after a successful `DriverEntry`.
unsafe extern "C" fn driver_unload(_driver: PDRIVER_OBJECT) {
    GATE.stop(Gate::stop);
}

impl Gate {
    fn start(driver: &mut DRIVER_OBJECT, parameters: Parameters, passive: Passive) -> Result<Self> {
        let statistics = Arc::new(Statistics::default());
        let device = device::create(driver, statistics.clone())?;
        let server = Server::start(parameters, statistics, passive)?;
        Ok(Self { device, server })
    }

    fn stop(self, passive: Passive) {
        drop(self.device);
        self.server.stop(passive);
    }
}
