//! What the I/O manager calls: `DriverEntry` and `DriverUnload`.

// UNSAFETY: the I/O manager calls in, and keeps what DriverEntry hands over for DriverUnload.
#![expect(unsafe_code, reason = "entry points of the I/O manager")]

use alloc::boxed::Box;
use core::{
    ptr::null_mut,
    sync::atomic::{AtomicPtr, Ordering},
};

use wdk::println;
use wdk_sys::{NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT, STATUS_SUCCESS};
use wsk::{Error, Passive, Result, Status};

use crate::service::Service;

/// The module, between `DriverEntry` and `DriverUnload`.
static SERVICE: AtomicPtr<Service> = AtomicPtr::new(null_mut());

/// Registers the module.
///
/// Natively it keeps its own name: a test has both drivers in one program.
///
/// # Safety
///
/// Called by the I/O manager, with its driver object and the path of the service's registry key.
#[cfg_attr(windows, unsafe(export_name = "DriverEntry"))]
pub unsafe extern "system" fn driver_entry(
    driver: PDRIVER_OBJECT,
    _registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    match start() {
        Ok(()) => {
            // SAFETY: the I/O manager's object, not used by anybody else during `DriverEntry`.
            unsafe { (*driver).DriverUnload = Some(driver_unload) };
            STATUS_SUCCESS
        }
        Err(error) => {
            println!("wsk_npi_provider: start failed: {error}");
            error.status().as_raw()
        }
    }
}

/// Takes leave of all peers. When it returns, nothing of this image runs any more.
///
/// # Safety
///
/// Called by the I/O manager, once, after a successful `DriverEntry`.
unsafe extern "C" fn driver_unload(_driver: PDRIVER_OBJECT) {
    let module = SERVICE.swap(null_mut(), Ordering::AcqRel);
    // SAFETY: from `Box::into_raw` in `start`, and taken out once.
    let module = unsafe { Box::from_raw(module) };
    if let Some(passive) = Passive::new() {
        module.stop(passive);
    }
}

fn start() -> Result<()> {
    let passive = Passive::new().ok_or(Error::new("DriverEntry", Status::UNSUCCESSFUL))?;
    if !SERVICE.load(Ordering::Acquire).is_null() {
        return Err(Error::new("DriverEntry", Status::ADDRESS_ALREADY_EXISTS));
    }
    let module = Box::new(Service::start(passive)?);
    SERVICE.store(Box::into_raw(module), Ordering::Release);
    Ok(())
}
