//! Loading and unloading a driver that is linked into the test.

// UNSAFETY: the entry and unload routines are functions of the driver's.
#![expect(unsafe_code, reason = "calls the driver's routines")]

use core::sync::atomic::{AtomicBool, Ordering};

use wdk_sys::{
    DRIVER_EXTENSION, DRIVER_OBJECT, IRP_MJ_MAXIMUM_FUNCTION, NTSTATUS, PCUNICODE_STRING,
    PDEVICE_OBJECT, PDRIVER_OBJECT, PIRP, STATUS_INVALID_DEVICE_REQUEST,
};

use super::irql::{PASSIVE, check_unchanged, require};
use super::layout::{Irp, view};
use super::rtl::counted;
use crate::current::current;
use crate::sim::{Sim, lock, offence};
use crate::verifier::Rule;

/// A driver's entry point.
pub type DriverEntry = unsafe extern "system" fn(PDRIVER_OBJECT, PCUNICODE_STRING) -> NTSTATUS;

/// A driver that is loaded. It must be unloaded before the test ends.
#[must_use = "a driver must be unloaded before the test ends"]
pub struct Driver {
    object: Box<DRIVER_OBJECT>,
    _extension: Box<DRIVER_EXTENSION>,
    strings: [Vec<u16>; 2],
    name: String,
    loaded_at: u64,
    unloaded: AtomicBool,
}

impl Sim {
    /// Calls a driver's entry point as the service control manager has it called for the service
    /// `name`.
    ///
    /// # Errors
    ///
    /// The status with which the entry point refused to load; it must have left nothing behind.
    pub fn load(&self, name: &str, entry: DriverEntry) -> Result<Driver, NTSTATUS> {
        let me = current();
        require(&me, PASSIVE, "Sim::load");
        let path = format!("\\Registry\\Machine\\System\\CurrentControlSet\\Services\\{name}");
        lock(&self.0.kernel.registry).create(&path);
        let loaded_at = lock(&self.0.kernel.pool).latest();
        let mut driver = Driver::new(name, &path, loaded_at);
        let mut registry_path = counted(&mut driver.strings[1]);
        // SAFETY: the driver object and the path are valid for the call, which is made at
        // PASSIVE_LEVEL.
        let status = unsafe { entry(&raw mut *driver.object, &raw mut registry_path) };
        check_unchanged(&me, PASSIVE, "DriverEntry");
        if status < 0 {
            driver.unloaded.store(true, Ordering::Relaxed);
            driver.check_left(self, "its entry point failed");
            return Err(status);
        }
        Ok(driver)
    }
}

impl Driver {
    fn new(name: &str, path: &str, loaded_at: u64) -> Self {
        let mut strings = [format!("\\Driver\\{name}"), path.to_owned()]
            .map(|text| text.encode_utf16().collect::<Vec<u16>>());
        let mut extension = Box::new(DRIVER_EXTENSION::default());
        let mut object = Box::new(DRIVER_OBJECT::default());
        object.Type = 4;
        object.Size = i16::try_from(size_of::<DRIVER_OBJECT>()).unwrap_or(0);
        object.DriverName = counted(&mut strings[0]);
        object.DriverExtension = &raw mut *extension;
        object.MajorFunction = [Some(refuse); IRP_MJ_MAXIMUM_FUNCTION as usize + 1];
        extension.DriverObject = &raw mut *object;
        Self {
            object,
            _extension: extension,
            strings,
            name: name.to_owned(),
            loaded_at,
            unloaded: AtomicBool::new(false),
        }
    }

    /// Calls the driver's unload routine and checks that it leaves nothing behind.
    pub fn unload(mut self, sim: &Sim) {
        let me = current();
        require(&me, PASSIVE, "Driver::unload");
        let Some(unload) = self.object.DriverUnload else {
            offence(
                Rule::Leak,
                &format!(
                    "driver {} has no DriverUnload: it cannot be unloaded",
                    self.name
                ),
            );
        };
        // SAFETY: the driver registered this routine for its driver object; the call is made at
        // PASSIVE_LEVEL.
        unsafe { unload(&raw mut *self.object) };
        check_unchanged(&me, PASSIVE, "DriverUnload");
        self.unloaded.store(true, Ordering::Relaxed);
        self.check_left(sim, "it was unloaded");
    }

    fn check_left(&self, sim: &Sim, when: &str) {
        let left = lock(&sim.0.kernel.pool).left_since(self.loaded_at);
        let mut left: Vec<_> = left.into_iter().collect();
        if !self.object.DeviceObject.is_null() {
            left.push("a device object".to_owned());
        }
        if !left.is_empty() {
            let name = &self.name;
            offence(
                Rule::Leak,
                &format!(
                    "driver {name} left behind when {when}:\n  {}",
                    left.join("\n  ")
                ),
            );
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !*self.unloaded.get_mut() && !std::thread::panicking() {
            offence(
                Rule::Leak,
                &format!("driver {} was not unloaded", self.name),
            );
        }
    }
}

/// What the I/O manager puts where a driver handles nothing.
unsafe extern "C" fn refuse(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the I/O manager passes an IRP of its own.
    let packet: &Irp = unsafe { view(irp) };
    packet.status.set(STATUS_INVALID_DEVICE_REQUEST);
    super::irp::complete(&current(), irp);
    STATUS_INVALID_DEVICE_REQUEST
}
