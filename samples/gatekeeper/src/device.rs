//! The device that programs ask for the counters.
//!
//! It has a name, so who may open it is said in full: administrators and the system, for reading.
//! Nobody can open it before that is said, since the I/O manager lets nobody in until `DriverEntry`
//! has returned.

// UNSAFETY: device objects, and requests of programs, are structures of the I/O manager's.
#![expect(unsafe_code, reason = "device objects and requests of programs")]
#![expect(clippy::cast_possible_truncation, reason = "sizes of small things")]

use alloc::{sync::Arc, vec::Vec};
use core::ptr::null_mut;

use wdk_sys::{
    CCHAR, DACL_SECURITY_INFORMATION, DRIVER_OBJECT, FILE_DEVICE_SECURE_OPEN, FILE_DEVICE_UNKNOWN,
    HANDLE, IO_NO_INCREMENT, IRP, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE,
    IRP_MJ_DEVICE_CONTROL, NTSTATUS, OBJ_KERNEL_HANDLE, PDEVICE_OBJECT, PIRP, PVOID,
    STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_DEVICE_REQUEST, STATUS_SUCCESS, UNICODE_STRING,
    WRITE_DAC,
    ntddk::{
        IoCreateDevice, IoCreateSymbolicLink, IoDeleteDevice, IoDeleteSymbolicLink,
        IofCompleteRequest, ObOpenObjectByPointer, ZwClose,
    },
};
use wsk::{Error, Result, Status};

use crate::{
    interface::{COUNTERS_LENGTH, READ_COUNTERS},
    statistics::Statistics,
};

const NAME: &str = r"\Device\WskGate";
/// What makes it `\\.\WskGate` for programs.
const LINK: &str = r"\DosDevices\WskGate";

unsafe extern "system" {
    // ntifs.h has it; not every wdk-sys does.
    fn ZwSetSecurityObject(handle: HANDLE, information: u32, descriptor: PVOID) -> NTSTATUS;
}

/// The device with its link. Dropping it deletes both.
pub struct Device {
    object: PDEVICE_OBJECT,
    has_link: bool,
    /// What the device's extension points to.
    _statistics: Arc<Statistics>,
}

// SAFETY: device objects belong to no thread.
unsafe impl Send for Device {}

/// What the I/O manager keeps for us beside the device object.
struct Extension {
    statistics: *const Statistics,
}

impl Device {
    /// Creates it, and has its requests come here.
    ///
    /// IRQL: PASSIVE_LEVEL.
    pub fn create(driver: &mut DRIVER_OBJECT, statistics: Arc<Statistics>) -> Result<Self> {
        let (name, link) = (wide(NAME), wide(LINK));
        let (mut name, mut link) = (unicode(&name), unicode(&link));
        let mut object = null_mut();
        // SAFETY: PASSIVE_LEVEL; our driver object; a name and a place that outlive the call.
        let status = unsafe {
            IoCreateDevice(
                driver,
                size_of::<Extension>() as u32,
                &raw mut name,
                FILE_DEVICE_UNKNOWN,
                FILE_DEVICE_SECURE_OPEN,
                0,
                &raw mut object,
            )
        };
        check("IoCreateDevice", status)?;
        let extension = Extension {
            statistics: Arc::as_ptr(&statistics),
        };
        let mut device = Self {
            object,
            has_link: false,
            _statistics: statistics,
        };
        // SAFETY: the device is new, and has an extension of this size.
        let place = unsafe { (*object).DeviceExtension };
        // SAFETY: as above; it is aligned for anything.
        unsafe { place.cast::<Extension>().write(extension) };
        device.restrict()?;
        // SAFETY: PASSIVE_LEVEL; names that outlive the call.
        let status = unsafe { IoCreateSymbolicLink(&raw mut link, &raw mut name) };
        check("IoCreateSymbolicLink", status)?;
        device.has_link = true;
        for major in [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE] {
            driver.MajorFunction[major as usize] = Some(succeed);
        }
        driver.MajorFunction[IRP_MJ_DEVICE_CONTROL as usize] = Some(control);
        Ok(device)
    }

    /// Says who may open it.
    fn restrict(&self) -> Result<()> {
        let mut handle: HANDLE = null_mut();
        // SAFETY: PASSIVE_LEVEL; our own device; a place for the handle.
        let status = unsafe {
            ObOpenObjectByPointer(
                self.object.cast(),
                OBJ_KERNEL_HANDLE,
                null_mut(),
                WRITE_DAC,
                null_mut(),
                KERNEL_MODE,
                &raw mut handle,
            )
        };
        check("ObOpenObjectByPointer", status)?;
        let descriptor = (&raw const READERS).cast_mut().cast();
        // SAFETY: PASSIVE_LEVEL; the handle is open; the descriptor is whole, and only read.
        let status = unsafe { ZwSetSecurityObject(handle, DACL_SECURITY_INFORMATION, descriptor) };
        // SAFETY: our own handle, closed once.
        let _ = unsafe { ZwClose(handle) };
        check("ZwSetSecurityObject", status)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let link = wide(LINK);
        if self.has_link {
            let mut link = unicode(&link);
            // SAFETY: PASSIVE_LEVEL; a name that outlives the call.
            let _ = unsafe { IoDeleteSymbolicLink(&raw mut link) };
        }
        // SAFETY: our own device, deleted once. It has no requests: during `DriverEntry` nobody can
        // have opened it, and a driver is unloaded when nobody has it open any more.
        unsafe { IoDeleteDevice(self.object) };
    }
}

/// A request that needs nothing done: opening and closing.
///
/// # Safety
///
/// Called by the I/O manager, with a request of a program to our device.
unsafe extern "C" fn succeed(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the request is ours until it is completed.
    complete(unsafe { &mut *irp }, STATUS_SUCCESS, 0)
}

/// A control code.
///
/// # Safety
///
/// Called by the I/O manager, with a request of a program to our device.
unsafe extern "C" fn control(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the request is ours until it is completed.
    let irp = unsafe { &mut *irp };
    // SAFETY: our device, with the extension that `Device::create` has filled.
    let extension: *const Extension = unsafe { (*device).DeviceExtension.cast() };
    // SAFETY: as above.
    let statistics = unsafe { (*extension).statistics };
    // SAFETY: they live as long as the device, which lives as long as its requests.
    let statistics = unsafe { &*statistics };
    // SAFETY: a device control, as this function promises.
    match unsafe { read_counters(irp, statistics) } {
        Ok(length) => complete(irp, STATUS_SUCCESS, length),
        Err(status) => complete(irp, status, 0),
    }
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

/// Completes a request, which is not touched afterwards.
fn complete(irp: &mut IRP, status: NTSTATUS, information: usize) -> NTSTATUS {
    irp.IoStatus.__bindgen_anon_1.Status = status;
    irp.IoStatus.Information = information as u64;
    // SAFETY: <= DISPATCH_LEVEL; a request that the I/O manager has passed to us.
    unsafe { IofCompleteRequest(irp, IO_NO_INCREMENT as CCHAR) };
    status
}

const KERNEL_MODE: CCHAR = 0;

#[repr(C, align(4))]
struct Descriptor([u8; 72]);

/// `D:P(A;;FR;;;SY)(A;;FR;;;BA)`: the system and administrators may read, nobody else anything.
#[rustfmt::skip]
static READERS: Descriptor = Descriptor([
    // SECURITY_DESCRIPTOR_RELATIVE: revision; SE_DACL_PRESENT, SE_DACL_PROTECTED, SE_SELF_RELATIVE;
    // no owner, no group, no system list; where the discretionary list is.
    1, 0, 0x04, 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0,
    // ACL: revision, length, number of entries.
    2, 0, 52, 0, 2, 0, 0, 0,
    // ACCESS_ALLOWED_ACE: length, FILE_GENERIC_READ, S-1-5-18.
    0, 0, 20, 0, 0x89, 0x00, 0x12, 0x00, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0,
    // ACCESS_ALLOWED_ACE: length, FILE_GENERIC_READ, S-1-5-32-544.
    0, 0, 24, 0, 0x89, 0x00, 0x12, 0x00, 1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 0x02, 0, 0,
]);

fn check(call: &'static str, status: NTSTATUS) -> Result<()> {
    let status = Status::from_raw(status);
    if status.is_success() {
        Ok(())
    } else {
        Err(Error::new(call, status))
    }
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// `text` as the kernel takes it; valid as long as `text`.
fn unicode(text: &[u16]) -> UNICODE_STRING {
    let length = size_of_val(text) as u16;
    UNICODE_STRING {
        Length: length,
        MaximumLength: length,
        Buffer: text.as_ptr().cast_mut(),
    }
}
