//! The device that programs ask for the counters.

// UNSAFETY: requests of programs are structures of the I/O manager's.
#![expect(unsafe_code, reason = "device objects and requests of programs")]

use alloc::sync::Arc;

use wdk_sys::{
    DRIVER_OBJECT, IRP, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL,
    NTSTATUS, PDEVICE_OBJECT, PIRP, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_DEVICE_REQUEST,
    STATUS_SUCCESS,
};
use wsk::Result;
use wsk_device::{Names, Rights, complete, context, succeed};

use crate::{
    interface::{COUNTERS_LENGTH, READ_COUNTERS},
    statistics::Statistics,
};

const NAMES: Names = Names {
    device: r"\Device\WskGate",
    link: r"\DosDevices\WskGate",
};

/// The device with its link. Dropping it deletes both.
pub type Device = wsk_device::Device<Statistics>;

/// Creates the device, and has its requests come here.
///
/// IRQL: PASSIVE_LEVEL.
pub fn create(driver: &mut DRIVER_OBJECT, statistics: Arc<Statistics>) -> Result<Device> {
    let device = Device::create(driver, NAMES, Rights::Read, statistics)?;
    for major in [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE] {
        driver.MajorFunction[major as usize] = Some(succeed);
    }
    driver.MajorFunction[IRP_MJ_DEVICE_CONTROL as usize] = Some(control);
    Ok(device)
}

/// A control code.
///
/// # Safety
///
/// Called by the I/O manager, with a request of a program to our device.
unsafe extern "C" fn control(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: our device, in a dispatch routine of it.
    let statistics: &Statistics = unsafe { context(device) };
    // SAFETY: the request is ours until it is completed.
    let request = unsafe { &mut *irp };
    // SAFETY: a device control, as this function promises.
    let answer = unsafe { read_counters(request, statistics) };
    let (status, length) =
        answer.map_or_else(|error| (error, 0), |length| (STATUS_SUCCESS, length));
    // SAFETY: there is room for the answer, and nothing else is done with the request.
    unsafe { complete(irp, status, length) }
}

/// Answers [`READ_COUNTERS`]; gives the length of the answer.
///
/// # Safety
///
/// `irp` is a device control that the I/O manager has passed to us.
unsafe fn read_counters(
    irp: &mut IRP,
    statistics: &Statistics,
) -> core::result::Result<usize, NTSTATUS> {
    // SAFETY: while a request is a driver's, this is what its overlays hold.
    let overlay = unsafe { &irp.Tail.Overlay.__bindgen_anon_2.__bindgen_anon_1 };
    // SAFETY: the stack location that is ours.
    let stack = unsafe { &*overlay.CurrentStackLocation };
    // SAFETY: a device control has these parameters.
    let parameters = unsafe { stack.Parameters.DeviceIoControl };
    if parameters.IoControlCode != READ_COUNTERS {
        return Err(STATUS_INVALID_DEVICE_REQUEST);
    }
    if (parameters.OutputBufferLength as usize) < COUNTERS_LENGTH {
        return Err(STATUS_BUFFER_TOO_SMALL);
    }
    // SAFETY: METHOD_BUFFERED: the I/O manager's buffer, which holds the output.
    let output: *mut u8 = unsafe { irp.AssociatedIrp.SystemBuffer }.cast();
    let bytes = statistics.to_bytes();
    // SAFETY: it has room for that, as said above.
    unsafe { output.copy_from_nonoverlapping(bytes.as_ptr(), COUNTERS_LENGTH) };
    Ok(COUNTERS_LENGTH)
}
