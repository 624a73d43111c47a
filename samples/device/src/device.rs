//! The device object, its name, and the link that makes it known to programs.
//!
//! It has a name, so who may open it is said in full. Nobody can open it before that is said, since
//! the I/O manager lets nobody in until `DriverEntry` has returned.

// UNSAFETY: device objects are structures of the I/O manager's.
#![expect(unsafe_code, reason = "device objects")]
#![expect(clippy::cast_possible_truncation, reason = "sizes of small things")]

use alloc::{sync::Arc, vec::Vec};
use core::ptr::null_mut;

use wdk_sys::{
    DO_DIRECT_IO, DRIVER_OBJECT, FILE_DEVICE_SECURE_OPEN, FILE_DEVICE_UNKNOWN, NTSTATUS,
    PDEVICE_OBJECT, UNICODE_STRING,
    ntddk::{IoCreateDevice, IoCreateSymbolicLink, IoDeleteDevice, IoDeleteSymbolicLink},
};
use wsk::{Error, Result, Status};

use crate::access::{self, Rights};

/// What a device is called.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// In the kernel, for example `\Device\Sample`.
    pub device: &'static str,
    /// What makes it `\\.\Sample` for programs, for example `\DosDevices\Sample`.
    pub link: &'static str,
}

/// A device with its link, and what its dispatch routines work on. Dropping it deletes both.
pub struct Device<T> {
    object: PDEVICE_OBJECT,
    link: Option<&'static str>,
    /// What the device's extension points to.
    _context: Arc<T>,
}

// SAFETY: device objects belong to no thread.
unsafe impl<T: Send + Sync> Send for Device<T> {}

/// What the I/O manager keeps for us beside the device object.
pub(crate) struct Extension<T> {
    pub(crate) context: *const T,
}

impl<T> Device<T> {
    /// Creates it. Its requests find `context`: see [`context`](crate::context).
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// What the kernel says, for example `STATUS_OBJECT_NAME_COLLISION`.
    pub fn create(
        driver: &mut DRIVER_OBJECT,
        names: Names,
        rights: Rights,
        context: Arc<T>,
    ) -> Result<Self> {
        let (name, link) = (wide(names.device), wide(names.link));
        let (mut name, mut link) = (unicode(&name), unicode(&link));
        let mut object = null_mut();
        // SAFETY: PASSIVE_LEVEL; our driver object; a name and a place that outlive the call.
        let status = unsafe {
            IoCreateDevice(
                driver,
                size_of::<Extension<T>>() as u32,
                &raw mut name,
                FILE_DEVICE_UNKNOWN,
                FILE_DEVICE_SECURE_OPEN,
                0,
                &raw mut object,
            )
        };
        check("IoCreateDevice", status)?;
        let extension = Extension {
            context: Arc::as_ptr(&context),
        };
        let mut device = Self {
            object,
            link: None,
            _context: context,
        };
        // SAFETY: the device is new, and has an extension of this size.
        let place = unsafe { (*object).DeviceExtension };
        // SAFETY: as above; it is aligned for anything.
        unsafe { place.cast::<Extension<T>>().write(extension) };
        // SAFETY: our own device.
        unsafe { access::restrict(object, rights) }?;
        // SAFETY: PASSIVE_LEVEL; names that outlive the call.
        let status = unsafe { IoCreateSymbolicLink(&raw mut link, &raw mut name) };
        check("IoCreateSymbolicLink", status)?;
        device.link = Some(names.link);
        Ok(device)
    }

    /// Has reads and writes come with the memory of the program itself, and with a stack location
    /// for the driver that they are passed down to. In `DriverEntry`, before anybody can open it.
    pub fn set_direct(&mut self) {
        // SAFETY: our own device, which nobody else uses yet.
        let object = unsafe { &mut *self.object };
        object.Flags |= DO_DIRECT_IO;
        object.StackSize = 2;
    }
}

impl<T> Drop for Device<T> {
    fn drop(&mut self) {
        if let Some(link) = self.link {
            let link = wide(link);
            let mut link = unicode(&link);
            // SAFETY: PASSIVE_LEVEL; a name that outlives the call.
            let _ = unsafe { IoDeleteSymbolicLink(&raw mut link) };
        }
        // SAFETY: our own device, deleted once. It has no requests: during `DriverEntry` nobody can
        // have opened it, and a driver is unloaded when nobody has it open any more.
        unsafe { IoDeleteDevice(self.object) };
    }
}

pub(crate) fn check(call: &'static str, status: NTSTATUS) -> Result<()> {
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
