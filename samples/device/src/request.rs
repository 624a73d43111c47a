//! Requests of programs to a device: what they find there, and their end.

// UNSAFETY: requests of programs are structures of the I/O manager's.
#![expect(unsafe_code, reason = "requests of programs")]

use wdk_sys::{CCHAR, NTSTATUS, PDEVICE_OBJECT, PIRP, STATUS_SUCCESS, ntddk::IofCompleteRequest};

use crate::device::Extension;

/// `IO_NO_INCREMENT`: the thread of the program does not become more urgent.
const NO_INCREMENT: CCHAR = 0;

/// What a device was created with.
///
/// # Safety
///
/// `device` is of a [`Device<T>`](crate::Device) of this `T`, in one of its dispatch routines.
#[must_use]
pub unsafe fn context<'request, T>(device: PDEVICE_OBJECT) -> &'request T {
    // SAFETY: a device has the extension that `Device::create` has filled.
    let extension: *const Extension<T> = unsafe { (*device).DeviceExtension.cast() };
    // SAFETY: as above.
    let context = unsafe { (*extension).context };
    // SAFETY: it lives as long as the device, which lives as long as its requests.
    unsafe { &*context }
}

/// Completes a request; gives the status, for the dispatch routine to return.
///
/// # Safety
///
/// The caller's dispatch routine was called with `irp`, and does not touch it any more.
/// `information` is what it means for this request: no more bytes than there is room for.
pub unsafe fn complete(irp: PIRP, status: NTSTATUS, information: usize) -> NTSTATUS {
    // SAFETY: ours until it is completed (the caller's promise).
    let request = unsafe { &mut *irp };
    request.IoStatus.__bindgen_anon_1.Status = status;
    request.IoStatus.Information = information as u64;
    // SAFETY: <= DISPATCH_LEVEL; a request that the I/O manager has passed to us, once.
    unsafe { IofCompleteRequest(irp, NO_INCREMENT) };
    status
}

/// The dispatch routine of a request that needs nothing done.
///
/// # Safety
///
/// Called by the I/O manager, with a request of a program.
pub unsafe extern "C" fn succeed(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: a dispatch routine that does nothing else.
    unsafe { complete(irp, STATUS_SUCCESS, 0) }
}
