//! What the I/O manager calls: `DriverEntry` and `DriverUnload`.

// UNSAFETY: the I/O manager calls in, with objects of its own.
#![expect(unsafe_code, reason = "entry points of the I/O manager")]

use wdk_sys::{NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT};
use wsk_entry::Running;

use crate::{driver::Echo, parameters::Parameters};

/// The server, between `DriverEntry` and `DriverUnload`.
static ECHO: Running<Echo> = Running::nothing();

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
    ECHO.start("wsk_echo", |passive| {
        let parameters = Parameters::read(&values?)?;
        Echo::start(driver, parameters, passive)
    })
}

/// Stops the server. When it returns, nothing of this image runs any more.
///
/// # Safety
///
/// Called by the I/O manager, once, after a successful `DriverEntry`.
unsafe extern "C" fn driver_unload(_driver: PDRIVER_OBJECT) {
    ECHO.stop(Echo::stop);
}
