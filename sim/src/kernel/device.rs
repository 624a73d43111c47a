//! Device objects, their names, and requests of programs to them.

// UNSAFETY: device objects are structures that kernel and driver share.
#![expect(
    unsafe_code,
    reason = "exports of the kernel over device objects, and calls of the driver's routines"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use wdk_sys::{
    BOOLEAN, DEVICE_OBJECT, DRIVER_OBJECT, NTSTATUS, PDEVICE_OBJECT, PDRIVER_OBJECT, PIRP,
    PUNICODE_STRING, STATUS_INSUFFICIENT_RESOURCES, STATUS_OBJECT_NAME_COLLISION,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS, ULONG,
};

use super::dispatch::IofCallDriver;
use super::driver;
use super::irp::{self, Origin, expect_known};
use super::irql::{APC, PASSIVE, require};
use super::layout::{Header, Irp};
use super::object::{NOTIFICATION_EVENT, Object};
use super::pool::Owner;
use super::rtl::read_unicode;
use crate::current::current;
use crate::faults::Fault;
use crate::sched::Thread;
use crate::sim::{Sim, lock, offence};
use crate::verifier::{DriverNumber, Rule, Site};

const TAG: u32 = u32::from_le_bytes(*b"Devi");
const IO_TYPE_DEVICE: i16 = 3;
const DO_DEVICE_INITIALIZING: u32 = 0x80;
const DO_BUFFERED_IO: u32 = 4;
const IRP_MJ_CREATE: u8 = 0;
const IRP_MJ_CLOSE: u8 = 2;
const IRP_MJ_READ: u8 = 3;
const IRP_MJ_WRITE: u8 = 4;
const IRP_MJ_DEVICE_CONTROL: u8 = 14;
const IRP_MJ_CLEANUP: u8 = 18;

/// The devices and links of one simulation.
#[derive(Default)]
pub(crate) struct Devices {
    known: BTreeMap<usize, (String, Site)>,
    links: BTreeMap<String, (String, Site)>,
    requests: BTreeMap<usize, Arc<Request>>,
    /// Who may open a device: its discretionary access control list, if the driver set one.
    access: BTreeMap<usize, Vec<u8>>,
}

/// A request of a program, until its IRP is complete.
struct Request {
    major: u8,
    /// The driver that it was sent to.
    driver: DriverNumber,
    done: Header,
    result: std::sync::Mutex<(NTSTATUS, usize)>,
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
        let requests = sent.map(|(irp, request)| {
            let major = request.major;
            format!("request IRP_MJ {major:#x} of a program, IRP {irp:#x}, not completed")
        });
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

    fn find(&self, name: &str) -> Option<usize> {
        let name = name.to_lowercase();
        let target = self.links.get(&name).map_or(&name, |(device, _)| device);
        self.known
            .iter()
            .find(|(_, (device, _))| device == target)
            .map(|(address, _)| *address)
    }
}

/// A program's open handle of a driver's device.
pub struct DeviceHandle {
    sim: Sim,
    device: usize,
}

impl Sim {
    /// Opens a driver's device by its name or a symbolic link, as a program does with `CreateFile`.
    ///
    /// # Errors
    ///
    /// `STATUS_OBJECT_NAME_NOT_FOUND`, or what the driver completed the request with.
    pub fn open_device(&self, name: &str) -> Result<DeviceHandle, NTSTATUS> {
        let found = lock(&self.0.kernel.devices).find(name);
        let device = found.ok_or(STATUS_OBJECT_NAME_NOT_FOUND)?;
        let handle = DeviceHandle {
            sim: self.clone(),
            device,
        };
        handle.request(IRP_MJ_CREATE, [0; 4], &mut [])?;
        Ok(handle)
    }

    /// The discretionary access control list that the driver has set for a device, as an `ACL` with
    /// its entries. It is kept for tests to check; everybody may open every device here.
    #[must_use]
    pub fn device_access(&self, name: &str) -> Option<Vec<u8>> {
        let devices = lock(&self.0.kernel.devices);
        devices.access.get(&devices.find(name)?).cloned()
    }
}

impl DeviceHandle {
    /// Reads into `buffer`; returns the number of bytes.
    ///
    /// # Errors
    ///
    /// What the driver completed the request with.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, NTSTATUS> {
        self.request(IRP_MJ_READ, [buffer.len(), 0, 0, 0], buffer)
    }

    /// Writes `data`; returns the number of bytes that the driver took.
    ///
    /// # Errors
    ///
    /// What the driver completed the request with.
    pub fn write(&self, data: &[u8]) -> Result<usize, NTSTATUS> {
        let mut copy = data.to_vec();
        self.request(IRP_MJ_WRITE, [data.len(), 0, 0, 0], &mut copy)
    }

    /// Sends a buffered control code: `buffer` starts with `input` bytes of input and receives the
    /// output.
    ///
    /// # Errors
    ///
    /// What the driver completed the request with.
    pub fn control(&self, code: u32, buffer: &mut [u8], input: usize) -> Result<usize, NTSTATUS> {
        let parameters = [buffer.len(), input, code as usize, 0];
        self.request(IRP_MJ_DEVICE_CONTROL, parameters, buffer)
    }

    /// Closes the handle: cleanup, then close.
    ///
    /// # Errors
    ///
    /// What the driver completed a request with.
    pub fn close(self) -> Result<(), NTSTATUS> {
        self.request(IRP_MJ_CLEANUP, [0; 4], &mut [])?;
        self.request(IRP_MJ_CLOSE, [0; 4], &mut []).map(|_| ())
    }

    /// Sends one request down and waits for its end. All methods use buffered I/O.
    fn request(
        &self,
        major: u8,
        parameters: [usize; 4],
        buffer: &mut [u8],
    ) -> Result<usize, NTSTATUS> {
        let me = current();
        require(&me, PASSIVE, "a request to a device");
        let device = core::ptr::with_exposed_provenance_mut::<DEVICE_OBJECT>(self.device);
        // SAFETY: the device is in the books, so it is alive.
        let stack_size = unsafe { (*device).StackSize };
        let irp = irp::allocate(&me, stack_size, Origin::IoManager);
        let request = Arc::new(Request {
            major,
            driver: driver::number_of(&me, device).unwrap_or(0),
            done: Header::new(NOTIFICATION_EVENT, size_of::<Header>(), 0),
            result: std::sync::Mutex::default(),
        });
        lock(&self.sim.0.kernel.devices)
            .requests
            .insert(irp.addr(), Arc::clone(&request));
        let (packet, _) = expect_known(&me, irp, "a request to a device");
        packet.system_buffer.set(buffer.as_mut_ptr().cast());
        packet.thread.set(me.object().address());
        let stack = packet.stack(stack_size);
        stack.major.set(major);
        stack
            .parameters
            .iter()
            .zip(parameters)
            .for_each(|(slot, value)| slot.set(value));
        // SAFETY: device and IRP are alive, and the next stack location is filled.
        unsafe { IofCallDriver(device, irp) };
        let objects = vec![Object::of(&request.done)];
        self.sim
            .0
            .sched
            .wait(&me, "a request to a device", objects, false, None);
        let (status, information) = *lock(&request.result);
        if status < 0 {
            Err(status)
        } else {
            Ok(information)
        }
    }
}

/// The I/O manager's part of completing a program's request.
pub(crate) fn finish(me: &Arc<Thread>, irp: PIRP, packet: &Irp) {
    let result = (packet.status.get(), packet.information.get());
    let request = lock(&me.sim.kernel.devices).requests.remove(&irp.addr());
    irp::free(me, irp);
    if let Some(request) = request {
        *lock(&request.result) = result;
        let done = Object::of(&request.done);
        me.sim.sched.update(done, || {
            done.header()
                .state
                .store(1, core::sync::atomic::Ordering::SeqCst);
        });
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
    object.Flags = DO_DEVICE_INITIALIZING | DO_BUFFERED_IO;
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
