//! A driver with a device, whose requests to read and write come to the test as `PendingIrp`s.

// UNSAFETY: the dispatch routines of a driver, which the simulator's I/O manager calls.
#![expect(unsafe_code, reason = "dispatch routines of a driver")]

use std::{collections::VecDeque, ptr::null_mut, sync::Mutex};

use wsk::{PendingIrp, Status};
use wsk_sim::{DeviceHandle, Driver, Sim};
use wsk_sys::{
    IoGetCurrentIrpStackLocation, set_irp_status,
    wdk_sys::{
        DO_BUFFERED_IO, DO_DEVICE_INITIALIZING, DO_DIRECT_IO, FILE_OBJECT, IRP_MJ_DEVICE_CONTROL,
        IRP_MJ_READ, IRP_MJ_WRITE, NTSTATUS, PCUNICODE_STRING, PDEVICE_OBJECT, PDRIVER_OBJECT,
        PIRP, PVOID, STATUS_PENDING, STATUS_SUCCESS, UNICODE_STRING,
        ntddk::{IoCreateDevice, IoDeleteDevice, IofCompleteRequest},
    },
};

/// The driver with its device open.
pub struct Device {
    driver: Driver,
    pub handle: DeviceHandle,
    inbox: Box<Inbox>,
}

#[derive(Default)]
struct Inbox(Mutex<VecDeque<PendingIrp>>);

/// What the driver says about its device.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Requests come with an MDL, and a stack location for WSK.
    Direct,
    /// They come with a copy in a buffer.
    Buffered,
    /// They come without a stack location for WSK.
    Shallow,
}

impl Device {
    pub fn new(sim: &Sim) -> Self {
        Self::of_kind(sim, Kind::Direct)
    }

    pub fn of_kind(sim: &Sim, kind: Kind) -> Self {
        Self::try_of_kind(sim, kind).expect("loaded")
    }

    /// What the driver refuses to load with.
    pub fn try_of_kind(sim: &Sim, kind: Kind) -> Result<Self, NTSTATUS> {
        let entry = match kind {
            Kind::Direct => entry::<DO_DIRECT_IO, 2>,
            Kind::Buffered => entry::<DO_BUFFERED_IO, 2>,
            Kind::Shallow => entry::<DO_DIRECT_IO, 1>,
        };
        let driver = sim.load("pass", entry)?;
        let handle = sim.open_device(r"\Device\Pass").expect("it is there");
        let inbox = Box::<Inbox>::default();
        let mut address = (&raw const *inbox).expose_provenance().to_ne_bytes();
        handle.control(0, &mut address, 8).expect("taken");
        Ok(Self {
            driver,
            handle,
            inbox,
        })
    }

    /// The first request that has arrived and was not taken.
    pub fn take(&self) -> PendingIrp {
        let first = self.inbox.0.lock().expect("not poisoned").pop_front();
        first.expect("a request")
    }

    pub fn end(self, sim: &Sim) {
        self.handle.close().expect("closed");
        self.driver.unload(sim);
    }
}

unsafe extern "system" fn entry<const FLAGS: u32, const STACK_SIZE: i8>(
    driver: PDRIVER_OBJECT,
    _: PCUNICODE_STRING,
) -> NTSTATUS {
    let text: Vec<u16> = r"\Device\Pass".encode_utf16().collect();
    let length = u16::try_from(size_of_val(&text[..])).expect("short");
    let mut name = UNICODE_STRING {
        Length: length,
        MaximumLength: length,
        Buffer: text.as_ptr().cast_mut(),
    };
    let mut device = null_mut();
    // SAFETY: the I/O manager passes our driver object.
    let object = unsafe { &mut *driver };
    object.DriverUnload = Some(unload);
    object.MajorFunction = [Some(succeed); 28];
    object.MajorFunction[IRP_MJ_DEVICE_CONTROL as usize] = Some(control);
    object.MajorFunction[IRP_MJ_READ as usize] = Some(keep);
    object.MajorFunction[IRP_MJ_WRITE as usize] = Some(keep);
    // SAFETY: as above; name and place outlive the call.
    let status = unsafe { IoCreateDevice(driver, 0, &raw mut name, 0x22, 0, 0, &raw mut device) };
    if status != STATUS_SUCCESS {
        return status;
    }
    // SAFETY: the device is ours.
    let device = unsafe { &mut *device };
    device.Flags = (device.Flags | FLAGS) & !DO_DEVICE_INITIALIZING;
    device.StackSize = STACK_SIZE;
    STATUS_SUCCESS
}

unsafe extern "C" fn unload(driver: PDRIVER_OBJECT) {
    // SAFETY: the I/O manager passes our driver object.
    let device = unsafe { (*driver).DeviceObject };
    // SAFETY: the driver has one device.
    unsafe { IoDeleteDevice(device) };
}

unsafe extern "C" fn succeed(_: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: a dispatch routine has its IRP.
    unsafe { set_irp_status(irp, STATUS_SUCCESS, 0) };
    // SAFETY: as above.
    unsafe { IofCompleteRequest(irp, 0) };
    STATUS_SUCCESS
}

/// The file object that a request is for.
fn file_of(irp: PIRP) -> *mut FILE_OBJECT {
    // SAFETY: a dispatch routine has its IRP.
    let location = unsafe { IoGetCurrentIrpStackLocation(irp) };
    // SAFETY: as above.
    unsafe { (*location).FileObject }
}

/// Leaves the address of the inbox in the file object.
unsafe extern "C" fn control(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: a dispatch routine has its IRP.
    let associated = unsafe { (*irp).AssociatedIrp };
    // SAFETY: a control code of the test's is buffered.
    let buffer: PVOID = unsafe { associated.SystemBuffer };
    // SAFETY: the test sends the address.
    let inbox = unsafe { buffer.cast::<PVOID>().read() };
    // SAFETY: there while it has requests.
    unsafe { (*file_of(irp)).FsContext = inbox };
    // SAFETY: passed on.
    unsafe { succeed(device, irp) }
}

/// Keeps a request for the test.
unsafe extern "C" fn keep(_: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: there while it has requests.
    let inbox = unsafe { (*file_of(irp)).FsContext };
    // SAFETY: `Device` keeps it until the handle is closed.
    let inbox: &Inbox = unsafe { &*inbox.cast() };
    // SAFETY: what we were called with; the pages of its MDL are locked, by the I/O manager.
    let irp = unsafe { PendingIrp::from_raw(irp) };
    inbox.0.lock().expect("not poisoned").push_back(irp);
    STATUS_PENDING
}

/// What a program gets for a request that ended with `status`.
pub fn failed<T>(status: Status) -> Result<T, NTSTATUS> {
    Err(status.as_raw())
}
