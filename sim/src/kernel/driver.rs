//! Loading and unloading a driver that is linked into the test.

// UNSAFETY: the entry and unload routines are functions of the driver's.
#![expect(unsafe_code, reason = "calls the driver's routines")]

use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::BTreeMap;

use wdk_sys::{
    DRIVER_EXTENSION, DRIVER_OBJECT, IRP_MJ_MAXIMUM_FUNCTION, NTSTATUS, PCUNICODE_STRING,
    PDEVICE_OBJECT, PDRIVER_OBJECT, PIRP, STATUS_INVALID_DEVICE_REQUEST,
};

use super::irql::{PASSIVE, check_unchanged, require};
use super::layout::{Irp, view};
use super::rtl::counted;
use crate::current::current;
use crate::leaks;
use crate::sched::Thread;
use crate::sim::{Sim, lock, offence};
use crate::verifier::{DriverNumber, Rule};

/// A driver's entry point.
pub type DriverEntry = unsafe extern "system" fn(PDRIVER_OBJECT, PCUNICODE_STRING) -> NTSTATUS;

/// The drivers of one simulation, by the addresses of their driver objects.
#[derive(Default)]
pub(crate) struct Drivers {
    numbers: BTreeMap<usize, DriverNumber>,
    last: DriverNumber,
}

impl Drivers {
    fn add(&mut self, object: *const DRIVER_OBJECT) -> DriverNumber {
        self.last += 1;
        self.numbers.insert(object.addr(), self.last);
        self.last
    }
}

/// The number of the driver that `device` belongs to; none for null.
pub(super) fn number_of(me: &Thread, device: PDEVICE_OBJECT) -> Option<DriverNumber> {
    if device.is_null() {
        return None;
    }
    // SAFETY: the callers pass a live device, which has its driver object.
    let object = unsafe { (*device).DriverObject };
    let drivers = lock(&me.sim.kernel.drivers);
    drivers.numbers.get(&object.addr()).copied()
}

/// A driver that is loaded. It must be unloaded before the test ends.
#[must_use = "a driver must be unloaded before the test ends"]
pub struct Driver {
    object: Box<DRIVER_OBJECT>,
    _extension: Box<DRIVER_EXTENSION>,
    strings: [Vec<u16>; 2],
    name: String,
    number: DriverNumber,
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
        let mut driver = Driver::new(name, &path);
        driver.number = lock(&self.0.kernel.drivers).add(&raw const *driver.object);
        let mut registry_path = counted(&mut driver.strings[1]);
        // SAFETY: the driver object and the path are valid for the call, which is made at
        // PASSIVE_LEVEL.
        let load = || unsafe { entry(&raw mut *driver.object, &raw mut registry_path) };
        let status = me.as_driver(driver.number, load);
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
    fn new(name: &str, path: &str) -> Self {
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
            number: 0,
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
        me.as_driver(self.number, || unsafe { unload(&raw mut *self.object) });
        check_unchanged(&me, PASSIVE, "DriverUnload");
        self.unloaded.store(true, Ordering::Relaxed);
        self.check_left(sim, "it was unloaded");
    }

    fn check_left(&self, sim: &Sim, when: &str) {
        let left = leaks::left(&sim.0, Some(self.number));
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
