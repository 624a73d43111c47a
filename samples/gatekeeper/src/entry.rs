//! What the I/O manager calls: `DriverEntry` and `DriverUnload`.

// UNSAFETY: the I/O manager calls in, and keeps what DriverEntry hands over for DriverUnload.
#![expect(unsafe_code, reason = "entry points of the I/O manager")]

use alloc::{boxed::Box, sync::Arc};
use core::{
    ptr::null_mut,
    sync::atomic::{AtomicPtr, Ordering},
};

use wdk::println;
use wdk_sys::{DRIVER_OBJECT, NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT, STATUS_SUCCESS};
use wsk::{Error, Passive, Result, Status};

use crate::{
    device::{self, Device},
    driver::Server,
    parameters::Parameters,
    statistics::Statistics,
};

/// What runs between `DriverEntry` and `DriverUnload`.
struct Running {
    device: Device,
    server: Server,
}

static RUNNING: AtomicPtr<Running> = AtomicPtr::new(null_mut());

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
    let parameters = values.and_then(|values| Parameters::read(&values));
    match parameters.and_then(|parameters| start(driver, parameters)) {
        Ok(()) => {
            driver.DriverUnload = Some(driver_unload);
            STATUS_SUCCESS
        }
        Err(error) => {
            println!("wsk_gate: start failed: {error}");
            error.status().as_raw()
        }
    }
}

/// Stops the server. When it returns, nothing of this image runs any more.
///
/// # Safety
///
/// Called by the I/O manager, once, after a successful `DriverEntry`.
unsafe extern "C" fn driver_unload(_driver: PDRIVER_OBJECT) {
    let running = RUNNING.swap(null_mut(), Ordering::AcqRel);
    // SAFETY: from `Box::into_raw` in `start`, and taken out once.
    let running = *unsafe { Box::from_raw(running) };
    drop(running.device);
    if let Some(passive) = Passive::new() {
        running.server.stop(passive);
    }
}

fn start(driver: &mut DRIVER_OBJECT, parameters: Parameters) -> Result<()> {
    let passive = Passive::new().ok_or(Error::new("DriverEntry", Status::UNSUCCESSFUL))?;
    if !RUNNING.load(Ordering::Acquire).is_null() {
        return Err(Error::new("DriverEntry", Status::ADDRESS_ALREADY_EXISTS));
    }
    let statistics = Arc::new(Statistics::default());
    let device = device::create(driver, statistics.clone())?;
    let server = Server::start(parameters, statistics, passive)?;
    let running = Box::new(Running { device, server });
    RUNNING.store(Box::into_raw(running), Ordering::Release);
    Ok(())
}
