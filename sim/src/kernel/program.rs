//! A program's handle of a device, and its requests: what the I/O manager does for them.
//!
//! What a program reads into or writes from lies in memory of the kernel's until the request is
//! over, also where a device asks for direct access, so that a driver which uses it longer is
//! found.

// UNSAFETY: device objects are structures that kernel and driver share.
#![expect(
    unsafe_code,
    reason = "device objects, and requests to the driver's routines"
)]

use core::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use wdk_sys::{DEVICE_OBJECT, FILE_OBJECT, NTSTATUS, PIRP, STATUS_OBJECT_NAME_NOT_FOUND};

use super::dispatch::IofCallDriver;
use super::irp::{self, Origin, expect_known};
use super::irql::{PASSIVE, require};
use super::layout::{Header, Irp};
use super::lent::Lent;
use super::mdl::OwnMdl;
use super::object::{NOTIFICATION_EVENT, Object};
use super::{cancel, driver};
use crate::current::current;
use crate::sched::Thread;
use crate::sim::{Shared, Sim, lock, offence};
use crate::verifier::{DriverNumber, Rule};

const IO_TYPE_FILE: i16 = 5;
const DO_BUFFERED_IO: u32 = 4;
const DO_DIRECT_IO: u32 = 0x10;
const IRP_MJ_CREATE: u8 = 0;
const IRP_MJ_CLOSE: u8 = 2;
const IRP_MJ_READ: u8 = 3;
const IRP_MJ_WRITE: u8 = 4;
const IRP_MJ_DEVICE_CONTROL: u8 = 14;
const IRP_MJ_CLEANUP: u8 = 18;

/// A program's open handle of a driver's device.
pub struct DeviceHandle {
    sim: Sim,
    device: usize,
    file: Lent,
}

/// A request that a program has sent and not waited for.
#[must_use = "a request ends sooner or later: wait for it"]
pub struct DeviceRequest {
    sim: Sim,
    irp: usize,
    request: Arc<Request>,
}

/// A request of a program, until its IRP is complete.
pub(super) struct Request {
    major: u8,
    /// The driver that it was sent to.
    pub(super) driver: DriverNumber,
    /// The address of the file object.
    file: usize,
    memory: Mutex<Memory>,
    done: Header,
    result: Mutex<Result<Vec<u8>, NTSTATUS>>,
}

/// Where the data of a request lies.
enum Memory {
    /// It has none.
    Nothing,
    /// In the system buffer of the IRP.
    Buffered(Lent),
    /// At the address that the program has given, since the device asks for neither of the others.
    Given(Lent),
    /// Behind an MDL that the driver finds in the IRP.
    Direct(OwnMdl),
}

impl Memory {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Buffered(memory) | Self::Given(memory) => memory.bytes(),
            Self::Direct(mdl) => mdl.memory().bytes(),
        }
    }

    fn take_back(self) {
        match self {
            Self::Nothing => {}
            Self::Buffered(memory) | Self::Given(memory) => memory.take_back(),
            Self::Direct(mdl) => mdl.take_back(),
        }
    }
}

impl Request {
    pub(super) fn describe(&self, irp: usize) -> String {
        let major = self.major;
        format!("request IRP_MJ {major:#x} of a program, IRP {irp:#x}, not completed")
    }

    /// Takes the memory back from the driver, and what it has left there for the program.
    fn end(&self, status: NTSTATUS, information: usize) {
        let memory = core::mem::replace(&mut *lock(&self.memory), Memory::Nothing);
        let bytes = memory.bytes();
        let has_data = [IRP_MJ_READ, IRP_MJ_WRITE, IRP_MJ_DEVICE_CONTROL].contains(&self.major);
        if has_data && status >= 0 && information > bytes.len() {
            let (major, length) = (self.major, bytes.len());
            let details = format!(
                "IRP_MJ {major:#x} was completed with {information} bytes, where the program has \
                 room for {length}"
            );
            offence(Rule::IrpCompletion, &details);
        }
        *lock(&self.result) = if status < 0 {
            Err(status)
        } else {
            Ok(bytes[..information.min(bytes.len())].to_vec())
        };
        memory.take_back();
    }

    fn wait(&self, sim: &Sim) {
        let objects = vec![Object::of(&self.done)];
        let scheduler = &sim.0.sched;
        scheduler.wait(&current(), "a request to a device", objects, false, None);
    }
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
        let file = FILE_OBJECT {
            Type: IO_TYPE_FILE,
            Size: i16::try_from(size_of::<FILE_OBJECT>()).unwrap_or(i16::MAX),
            DeviceObject: core::ptr::with_exposed_provenance_mut(device),
            ..FILE_OBJECT::default()
        };
        let handle = DeviceHandle {
            sim: self.clone(),
            device,
            file: Lent::holding(&self.0, file),
        };
        match handle.send(IRP_MJ_CREATE, [0; 4], Memory::Nothing).wait() {
            Ok(_) => Ok(handle),
            Err(status) => {
                handle.file.take_back();
                Err(status)
            }
        }
    }
}

impl DeviceHandle {
    /// Reads into `buffer`; returns the number of bytes.
    ///
    /// # Errors
    ///
    /// What the driver completed the request with.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, NTSTATUS> {
        let bytes = self.start_read(buffer.len()).wait()?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    /// Begins to read up to `length` bytes: see [`DeviceRequest::wait`].
    pub fn start_read(&self, length: usize) -> DeviceRequest {
        let memory = self.memory(Lent::new(&self.sim.0, length), true);
        self.send(IRP_MJ_READ, [length, 0, 0, 0], memory)
    }

    /// Writes `data`; returns the number of bytes that the driver took.
    ///
    /// # Errors
    ///
    /// What the driver completed the request with.
    pub fn write(&self, data: &[u8]) -> Result<usize, NTSTATUS> {
        self.start_write(data).wait().map(|bytes| bytes.len())
    }

    /// Begins to write `data`: see [`DeviceRequest::wait`].
    pub fn start_write(&self, data: &[u8]) -> DeviceRequest {
        let memory = self.memory(Lent::of(&self.sim.0, data), false);
        self.send(IRP_MJ_WRITE, [data.len(), 0, 0, 0], memory)
    }

    /// Sends a buffered control code: `buffer` starts with `input` bytes of input and receives the
    /// output.
    ///
    /// # Errors
    ///
    /// What the driver completed the request with.
    pub fn control(&self, code: u32, buffer: &mut [u8], input: usize) -> Result<usize, NTSTATUS> {
        let parameters = [buffer.len(), input, code as usize, 0];
        let memory = Memory::Buffered(Lent::of(&self.sim.0, buffer));
        let bytes = self
            .send(IRP_MJ_DEVICE_CONTROL, parameters, memory)
            .wait()?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    /// Closes the handle: cleanup, then, when every request is over, close.
    ///
    /// # Errors
    ///
    /// What the driver completed a request with.
    pub fn close(self) -> Result<(), NTSTATUS> {
        self.send(IRP_MJ_CLEANUP, [0; 4], Memory::Nothing).wait()?;
        while let Some(request) = self.unfinished() {
            request.wait(&self.sim);
        }
        let closed = self.send(IRP_MJ_CLOSE, [0; 4], Memory::Nothing).wait();
        self.file.take_back();
        closed.map(drop)
    }

    /// A request through this handle that is not over.
    fn unfinished(&self) -> Option<Arc<Request>> {
        let file = self.file.pointer::<FILE_OBJECT>().addr();
        let devices = lock(&self.sim.0.kernel.devices);
        let mut requests = devices.requests.values();
        requests.find(|request| request.file == file).cloned()
    }

    /// The program's memory, as the device asks for it.
    fn memory(&self, memory: Lent, to_write: bool) -> Memory {
        let device = core::ptr::with_exposed_provenance::<DEVICE_OBJECT>(self.device);
        // SAFETY: a device that a program has open is alive.
        let flags = unsafe { (*device).Flags };
        let length = memory.bytes().len();
        if length == 0 {
            memory.take_back();
            return Memory::Nothing;
        }
        if flags & DO_BUFFERED_IO != 0 {
            Memory::Buffered(memory)
        } else if flags & DO_DIRECT_IO != 0 {
            Memory::Direct(OwnMdl::locking(&self.sim.0, memory, to_write))
        } else {
            Memory::Given(memory)
        }
    }

    /// Sends one request down.
    fn send(&self, major: u8, parameters: [usize; 4], memory: Memory) -> DeviceRequest {
        let me = current();
        require(&me, PASSIVE, "a request to a device");
        let device = core::ptr::with_exposed_provenance_mut::<DEVICE_OBJECT>(self.device);
        // SAFETY: the device is in the books, so it is alive.
        let stack_size = unsafe { (*device).StackSize };
        let irp = irp::allocate(&me, stack_size, Origin::IoManager);
        let (packet, _) = expect_known(&me, irp, "a request to a device");
        match &memory {
            Memory::Nothing => {}
            Memory::Buffered(memory) => packet.system_buffer.set(memory.pointer()),
            Memory::Given(memory) => packet.user_buffer.set(memory.pointer()),
            Memory::Direct(mdl) => packet.mdl.set(mdl.pointer()),
        }
        let request = Arc::new(Request {
            major,
            driver: driver::number_of(&me, device).unwrap_or(0),
            file: self.file.pointer::<FILE_OBJECT>().addr(),
            memory: Mutex::new(memory),
            done: Header::new(NOTIFICATION_EVENT, size_of::<Header>(), 0),
            result: Mutex::new(Ok(Vec::new())),
        });
        lock(&self.sim.0.kernel.devices)
            .requests
            .insert(irp.addr(), Arc::clone(&request));
        packet.thread.set(me.object().address());
        let stack = packet.stack(stack_size);
        stack.major.set(major);
        stack.file.set(self.file.pointer::<FILE_OBJECT>().addr());
        stack
            .parameters
            .iter()
            .zip(parameters)
            .for_each(|(slot, value)| slot.set(value));
        // SAFETY: device and IRP are alive, and the next stack location is filled.
        unsafe { IofCallDriver(device, irp) };
        DeviceRequest {
            sim: self.sim.clone(),
            irp: irp.addr(),
            request,
        }
    }
}

impl DeviceRequest {
    /// Asks for its end, as a program does with `CancelIoEx`. It still has to be waited for.
    pub fn cancel(&self) {
        let me = current();
        let irp = core::ptr::with_exposed_provenance_mut(self.irp);
        cancel::cancel(&me, irp, || self.is_in_flight(&me.sim));
    }

    /// Waits for its end. Gives what was read, or that part of what was to be written that the
    /// driver has taken.
    ///
    /// # Errors
    ///
    /// What the driver completed the request with.
    pub fn wait(self) -> Result<Vec<u8>, NTSTATUS> {
        self.request.wait(&self.sim);
        core::mem::replace(&mut *lock(&self.request.result), Ok(Vec::new()))
    }

    /// Whether it is in flight.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.is_in_flight(&self.sim.0)
    }

    fn is_in_flight(&self, sim: &Shared) -> bool {
        let devices = lock(&sim.kernel.devices);
        let found = devices.requests.get(&self.irp);
        found.is_some_and(|request| Arc::ptr_eq(request, &self.request))
    }
}

/// The I/O manager's part of completing a program's request.
pub(crate) fn finish(me: &Arc<Thread>, irp: PIRP, packet: &Irp) {
    let (status, information) = (packet.status.get(), packet.information.get());
    let request = lock(&me.sim.kernel.devices).requests.remove(&irp.addr());
    irp::free(me, irp);
    if let Some(request) = request {
        request.end(status, information);
        let done = Object::of(&request.done);
        me.sim.sched.update(done, || {
            done.header().state.store(1, SeqCst);
        });
    }
}
