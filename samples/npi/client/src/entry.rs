//! What the I/O manager calls: `DriverEntry` and `DriverUnload`.

// UNSAFETY: the I/O manager calls in, with an object of its own.
#![expect(unsafe_code, reason = "entry points of the I/O manager")]

use wdk_sys::{NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT};
use wsk_entry::Running;

use crate::user::User;

/// The module, between `DriverEntry` and `DriverUnload`.
static USER: Running<User> = Running::nothing();

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
    // SAFETY: the I/O manager's object, not used by anybody else during `DriverEntry`.
    unsafe { (*driver).DriverUnload = Some(driver_unload) };
    USER.start("wsk_npi_client", User::start)
}

/// Takes leave of all peers. When it returns, nothing of this image runs any more.
///
/// # Safety
///
/// Called by the I/O manager, once, after a successful `DriverEntry`.
unsafe extern "C" fn driver_unload(_driver: PDRIVER_OBJECT) {
    USER.stop(User::stop);
}
