//! Device objects and their names.

// UNSAFETY: device objects are structures that kernel and driver share.
#![expect(unsafe_code, reason = "exports of the kernel over device objects")]

use std::collections::BTreeMap;
use std::sync::Arc;

use wdk_sys::{
    BOOLEAN, DEVICE_OBJECT, DRIVER_OBJECT, NTSTATUS, PDEVICE_OBJECT, PDRIVER_OBJECT,
    PUNICODE_STRING, STATUS_INSUFFICIENT_RESOURCES, STATUS_OBJECT_NAME_COLLISION,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS, ULONG,
};

use super::irql::{APC, PASSIVE, require};
use super::pool::Owner;
use super::program::Request;
use super::rtl::read_unicode;
use crate::current::current;
use crate::faults::Fault;
use crate::sim::{Sim, lock, offence};
use crate::verifier::{DriverNumber, Rule, Site};

const TAG: u32 = u32::from_le_bytes(*b"Devi");
const IO_TYPE_DEVICE: i16 = 3;
const DO_DEVICE_INITIALIZING: u32 = 0x80;

/// The devices and links of one simulation.
#[derive(Default)]
pub(crate) struct Devices {
    known: BTreeMap<usize, (String, Site)>,
    links: BTreeMap<String, (String, Site)>,
    pub(super) requests: BTreeMap<usize, Arc<Request>>,
    /// Who may open a device: its discretionary access control list, if the driver set one.
    access: BTreeMap<usize, Vec<u8>>,
}

impl Devices {
    pub(crate) fn leaks(&self, driver: Option<DriverNumber>) -> Vec<String> {
        let known = self.known.values().filter(|(_, site)| site.is_of(driver));
        let devices = known.map(|(name, site)| format!("device {name} created{site}"));
        let links = self
            .links
            .iter()
            .filter(|(_, (_, site))| site.is_of(driver));
        let links = links.map(|(link, (_, site))| format!("symbolic link {link} created{site}"));
        let sent = self.requests.iter();
        let sent = sent.filter(|(_, request)| driver.is_none_or(|driver| driver == request.driver));
        let requests = sent.map(|(irp, request)| request.describe(*irp));
        devices.chain(links).chain(requests).collect()
    }

    /// Is there a device object at `address`?
    pub(super) fn has(&self, address: usize) -> bool {
        self.known.contains_key(&address)
    }

    /// Sets the list of who may open a device.
    pub(super) fn set_access(&mut self, address: usize, list: Vec<u8>) {
        self.access.insert(address, list);
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let name = name.to_lowercase();
        let target = self.links.get(&name).map_or(&name, |(device, _)| device);
        self.known
            .iter()
            .find(|(_, (device, _))| device == target)
            .map(|(address, _)| *address)
    }
}

impl Sim {
    /// The discretionary access control list that the driver has set for a device, as an `ACL` with
    /// its entries. It is kept for tests to check; everybody may open every device here.
    #[must_use]
    pub fn device_access(&self, name: &str) -> Option<Vec<u8>> {
        let devices = lock(&self.0.kernel.devices);
        devices.access.get(&devices.find(name)?).cloned()
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoCreateDevice(
    driver: PDRIVER_OBJECT,
    extension_size: ULONG,
    name: PUNICODE_STRING,
    device_type: ULONG,
    characteristics: ULONG,
    _exclusive: BOOLEAN,
    result: *mut PDEVICE_OBJECT,
) -> NTSTATUS {
    let me = current();
    require(&me, APC, "IoCreateDevice");
    if me.sim.faults.strikes(Fault::Allocation) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: the driver passes null or a counted string.
    let name = unsafe { read_unicode(name) }.to_lowercase();
    if !name.is_empty() && lock(&me.sim.kernel.devices).find(&name).is_some() {
        return STATUS_OBJECT_NAME_COLLISION;
    }
    let size = size_of::<DEVICE_OBJECT>().next_multiple_of(16);
    let total = size + extension_size as usize;
    let memory = lock(&me.sim.kernel.pool).allocate(&me.sim, total, TAG, false, Owner::Kernel);
    let device = core::ptr::with_exposed_provenance_mut::<DEVICE_OBJECT>(memory);
    // SAFETY: the block has `total` bytes.
    unsafe { device.cast::<u8>().write_bytes(0, total) };
    // SAFETY: zeroes are a valid device object, and nobody else knows it yet.
    let object = unsafe { &mut *device };
    object.Type = IO_TYPE_DEVICE;
    object.Size = u16::try_from(total).unwrap_or(u16::MAX);
    object.ReferenceCount = 0;
    object.DriverObject = driver;
    object.Flags = DO_DEVICE_INITIALIZING;
    object.Characteristics = characteristics;
    object.DeviceType = device_type;
    object.StackSize = 1;
    object.DeviceExtension = device.wrapping_byte_add(size).cast();
    // SAFETY: the driver passes its own driver object, which is alive.
    let driver: &mut DRIVER_OBJECT = unsafe { &mut *driver };
    object.NextDevice = driver.DeviceObject;
    driver.DeviceObject = device;
    lock(&me.sim.kernel.devices)
        .known
        .insert(memory, (name, Site::here(&me.sim)));
    // SAFETY: the driver passes a place for the pointer.
    unsafe { result.write(device) };
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoDeleteDevice(device: PDEVICE_OBJECT) {
    let me = current();
    require(&me, APC, "IoDeleteDevice");
    let was_known = {
        let mut devices = lock(&me.sim.kernel.devices);
        devices.access.remove(&device.addr());
        devices.known.remove(&device.addr()).is_some()
    };
    if !was_known {
        offence(
            Rule::Device,
            &format!("IoDeleteDevice of {device:p}, which is no device (any more)"),
        );
    }
    // SAFETY: the device was in the books, so it is alive.
    let object = unsafe { &*device };
    // SAFETY: a device's driver object lives as long as the device.
    let driver = unsafe { &mut *object.DriverObject };
    let mut link = &mut driver.DeviceObject;
    while *link != device {
        // SAFETY: the list consists of the driver's live devices, and `device` is in it, so its end
        // is not reached before.
        let other = unsafe { &mut **link };
        link = &mut other.NextDevice;
    }
    *link = object.NextDevice;
    let result = lock(&me.sim.kernel.pool).free(device.addr(), None, Owner::Kernel);
    if let Err((rule, details)) = result {
        offence(rule, &details);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoCreateSymbolicLink(
    link: PUNICODE_STRING,
    device: PUNICODE_STRING,
) -> NTSTATUS {
    let me = current();
    require(&me, PASSIVE, "IoCreateSymbolicLink");
    // SAFETY: the driver passes counted strings.
    let link = unsafe { read_unicode(link) }.to_lowercase();
    // SAFETY: as above.
    let device = unsafe { read_unicode(device) }.to_lowercase();
    let mut devices = lock(&me.sim.kernel.devices);
    if devices.links.contains_key(&link) {
        return STATUS_OBJECT_NAME_COLLISION;
    }
    let site = Site::here(&me.sim);
    devices.links.insert(link, (device, site));
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoDeleteSymbolicLink(link: PUNICODE_STRING) -> NTSTATUS {
    let me = current();
    require(&me, PASSIVE, "IoDeleteSymbolicLink");
    // SAFETY: the driver passes a counted string.
    let link = unsafe { read_unicode(link) }.to_lowercase();
    match lock(&me.sim.kernel.devices).links.remove(&link) {
        Some(_) => STATUS_SUCCESS,
        None => STATUS_OBJECT_NAME_NOT_FOUND,
    }
}
