//! Who may open a device: what a driver sets is kept, and only as the kernel would take it.

// UNSAFETY: a driver in the manner of C.
#![expect(unsafe_code, reason = "calls the exports of the kernel")]

use std::ptr;

use wdk_sys::ntddk::{IoCreateDevice, IoDeleteDevice, ObOpenObjectByPointer, ZwClose};
use wdk_sys::{
    DACL_SECURITY_INFORMATION, HANDLE, NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT, PVOID,
    STATUS_ACCESS_DENIED, STATUS_INVALID_SECURITY_DESCR, STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS, WRITE_DAC,
};

use crate::driver::unicode;

unsafe extern "C" {
    fn ZwSetSecurityObject(handle: HANDLE, information: u32, descriptor: PVOID) -> NTSTATUS;
}

/// A self-relative descriptor with an empty discretionary list: nobody may do anything.
const NOBODY: [u8; 28] = [
    1, 0, 4, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 2, 0, 8, 0, 0, 0, 0, 0,
];

fn open(object: PVOID, access: u32) -> Result<HANDLE, NTSTATUS> {
    let (null, mut handle) = (ptr::null_mut(), ptr::null_mut());
    let place = &raw mut handle;
    // SAFETY: within a simulation; the place for the handle is there.
    let status =
        unsafe { ObOpenObjectByPointer(object, 0, ptr::null_mut(), access, null, 0, place) };
    if status < 0 { Err(status) } else { Ok(handle) }
}

/// Sets the list of `descriptor` with a handle for `access`.
fn set(object: PVOID, access: u32, descriptor: &[u8]) -> NTSTATUS {
    let handle = open(object, access).expect("a device");
    let descriptor = descriptor.as_ptr().cast_mut().cast();
    // SAFETY: the handle is open, and the descriptor is whole.
    let status = unsafe { ZwSetSecurityObject(handle, DACL_SECURITY_INFORMATION, descriptor) };
    // SAFETY: the handle is open.
    let _ = unsafe { ZwClose(handle) };
    status
}

unsafe extern "C" fn unload(driver: PDRIVER_OBJECT) {
    // SAFETY: the I/O manager passes our driver object.
    let device = unsafe { (*driver).DeviceObject };
    // SAFETY: the driver has one device.
    unsafe { IoDeleteDevice(device) };
}

unsafe extern "system" fn entry(driver: PDRIVER_OBJECT, _: PCUNICODE_STRING) -> NTSTATUS {
    let (_name, mut name) = unicode("\\Device\\Guarded");
    let mut device = ptr::null_mut();
    // SAFETY: the I/O manager passes our driver object.
    unsafe { (*driver).DriverUnload = Some(unload) };
    // SAFETY: as above; the place for the pointer is there.
    let status = unsafe { IoCreateDevice(driver, 0, &raw mut name, 0x22, 0, 0, &raw mut device) };
    assert_eq!(status, STATUS_SUCCESS);
    assert_eq!(set(device.cast(), 0, &NOBODY), STATUS_ACCESS_DENIED);
    let mut without_list = NOBODY;
    without_list[2] = 0;
    let refused = set(device.cast(), WRITE_DAC, &without_list);
    assert_eq!(refused, STATUS_INVALID_SECURITY_DESCR);
    assert_eq!(
        open(driver.cast(), WRITE_DAC),
        Err(STATUS_OBJECT_TYPE_MISMATCH)
    );
    set(device.cast(), WRITE_DAC, &NOBODY)
}

#[test]
fn device_access_that_was_set_is_kept_as_long_as_the_device() {
    wsk_sim::run(|sim| {
        let driver = sim.load("guarded", entry).unwrap();
        let list = sim.device_access("\\Device\\Guarded");
        assert_eq!(list.as_deref(), Some(&NOBODY[20..]));
        driver.unload(sim);
        assert_eq!(sim.device_access("\\Device\\Guarded"), None);
    });
}
