//! The entry point of the driver in C.

// UNSAFETY: a function in C.
#![expect(unsafe_code, reason = "a function in C")]

use wdk_sys::{NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT};

unsafe extern "system" {
    /// `DriverEntry` of `driver.c`.
    ///
    /// # Safety
    ///
    /// As every driver's entry point: called once for each driver object, at `PASSIVE_LEVEL`.
    #[link_name = "echo_DriverEntry"]
    pub fn driver_entry(driver: PDRIVER_OBJECT, registry_path: PCUNICODE_STRING) -> NTSTATUS;
}
