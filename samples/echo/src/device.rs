//! The device through which programs use the server without a socket of their own: `\\.\WskEcho`.
//!
//! ```text
//! CreateFile -> a connection to the server      WriteFile -> WskSend, with the program's request
//! CloseHandle -> it is closed                   ReadFile -> WskReceive, with the program's request
//! ```
//!
//! What a program writes comes back to be read. The driver never sees the data: the request itself
//! goes down to WSK, with the memory of the program, and comes back from there.
//!
//! A file keeps its connection from `IRP_MJ_CREATE` to `IRP_MJ_CLOSE`. When the last handle is
//! closed, `IRP_MJ_CLEANUP` closes the connection, which ends the requests that are in flight.

// UNSAFETY: requests of programs are structures of the I/O manager's.
#![expect(unsafe_code, reason = "device objects and requests of programs")]

use alloc::sync::Arc;
use core::net::SocketAddr;

use wdk_sys::{
    DRIVER_OBJECT, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_READ, IRP_MJ_WRITE,
    NTSTATUS, PDEVICE_OBJECT, PIRP, STATUS_PENDING, STATUS_SUCCESS,
};
use wsk::{
    AddressFamily, ConnectionSocket, Error, Passive, PendingIrp, Provider, RefusedIrp, Result,
    Status,
};
use wsk_device::{Names, Rights, complete, context};

use crate::driver::PATIENCE;

const NAMES: Names = Names {
    device: r"\Device\WskEcho",
    link: r"\DosDevices\WskEcho",
};

/// The device with its link. Dropping it deletes both.
pub type Device = wsk_device::Device<Target>;

/// What files are connected to.
pub struct Target {
    pub provider: Provider,
    pub address: SocketAddr,
}

/// Creates the device, and has its requests come here.
///
/// IRQL: PASSIVE_LEVEL.
pub fn create(driver: &mut DRIVER_OBJECT, target: Target) -> Result<Device> {
    let mut device = Device::create(driver, NAMES, Rights::ReadAndWrite, Arc::new(target))?;
    device.set_direct();
    for (major, routine) in [
        (IRP_MJ_CREATE, open as unsafe extern "C" fn(_, _) -> _),
        (IRP_MJ_READ, read),
        (IRP_MJ_WRITE, write),
        (IRP_MJ_CLEANUP, cleanup),
        (IRP_MJ_CLOSE, close),
    ] {
        driver.MajorFunction[major as usize] = Some(routine);
    }
    Ok(device)
}

impl Target {
    fn connect(&self) -> Result<ConnectionSocket> {
        let passive = Passive::new().ok_or(Error::new("IRP_MJ_CREATE", Status::UNSUCCESSFUL))?;
        let connection = ConnectionSocket::open(&self.provider, AddressFamily::of(&self.address))
            .wait_timeout(PATIENCE, passive)?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        connection.bind(any).wait_timeout(PATIENCE, passive)?;
        connection
            .connect(self.address)
            .wait_timeout(PATIENCE, passive)?;
        Ok(connection)
    }
}

/// `IRP_MJ_CREATE`: connects.
///
/// # Safety
///
/// Called by the I/O manager, with a request of a program to our device.
unsafe extern "C" fn open(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: our device, in a dispatch routine of it.
    let target: &Target = unsafe { context(device) };
    let status = match target.connect() {
        Ok(connection) => {
            // SAFETY: the request for the file that is being opened.
            let place = unsafe { place_in_file(irp) };
            // SAFETY: the file has no other request yet.
            unsafe { *place = Arc::into_raw(Arc::new(connection)) };
            STATUS_SUCCESS
        }
        Err(error) => error.status().as_raw(),
    };
    // SAFETY: a dispatch routine that does nothing else with the request.
    unsafe { complete(irp, status, 0) }
}

/// `IRP_MJ_READ`: WSK receives.
///
/// # Safety
///
/// As [`open`].
unsafe extern "C" fn read(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the caller's promise is the same.
    unsafe { pass(irp, ConnectionSocket::receive_into) }
}

/// `IRP_MJ_WRITE`: WSK sends.
///
/// # Safety
///
/// As [`open`].
unsafe extern "C" fn write(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the caller's promise is the same.
    unsafe { pass(irp, ConnectionSocket::send_from) }
}

/// # Safety
///
/// As [`open`], for a file that is open.
unsafe fn pass(
    irp: PIRP,
    down: fn(&ConnectionSocket, PendingIrp) -> core::result::Result<(), RefusedIrp>,
) -> NTSTATUS {
    // SAFETY: the caller's promise.
    let connection = unsafe { connection_of(irp) };
    // SAFETY: the request that the I/O manager has sent to our device, which has direct I/O; this
    // routine does not touch it any more, and returns STATUS_PENDING.
    let irp = unsafe { PendingIrp::from_raw(irp) };
    // The program is told of a refusal when that is dropped.
    let _ = down(&connection, irp);
    STATUS_PENDING
}

/// `IRP_MJ_CLEANUP`: nobody has a handle any more. Closes the connection, which ends the requests
/// in flight.
///
/// # Safety
///
/// As [`open`], for a file that is open.
unsafe extern "C" fn cleanup(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the caller's promise.
    unsafe { connection_of(irp) }.closer().close();
    // SAFETY: a dispatch routine that does nothing else with the request.
    unsafe { complete(irp, STATUS_SUCCESS, 0) }
}

/// `IRP_MJ_CLOSE`: the file has no requests any more.
///
/// # Safety
///
/// As [`open`], for a file that is open, as its last request.
unsafe extern "C" fn close(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the caller's promise.
    let place = unsafe { place_in_file(irp) };
    // SAFETY: as `open` has left it.
    let connection = unsafe { *place };
    // SAFETY: from `Arc::into_raw` in `open`, and given back once.
    drop(unsafe { Arc::from_raw(connection) });
    // SAFETY: a dispatch routine that does nothing else with the request.
    unsafe { complete(irp, STATUS_SUCCESS, 0) }
}

/// The connection of a file. Counted: the request may end, and the file be closed, while it is
/// being passed down.
///
/// # Safety
///
/// `irp` is a request for a file that is open, which was not passed on or completed.
unsafe fn connection_of(irp: PIRP) -> Arc<ConnectionSocket> {
    // SAFETY: the caller's promise.
    let place = unsafe { place_in_file(irp) };
    // SAFETY: as `open` has left it.
    let connection = unsafe { *place };
    // SAFETY: from `Arc::into_raw` in `open`; the file's own reference is there until it is closed,
    // which it is not while it has a request.
    unsafe { Arc::increment_strong_count(connection) };
    // SAFETY: the reference that was just counted.
    unsafe { Arc::from_raw(connection) }
}

/// Where the file that a request is for keeps its connection.
///
/// # Safety
///
/// `irp` is a request that the I/O manager has sent to us, and that was not passed on or completed.
unsafe fn place_in_file(irp: PIRP) -> *mut *const ConnectionSocket {
    // SAFETY: the caller's promise.
    let tail = unsafe { &(*irp).Tail };
    // SAFETY: while a request is a driver's, this is what its overlays hold.
    let overlay = unsafe { &tail.Overlay.__bindgen_anon_2.__bindgen_anon_1 };
    // SAFETY: the stack location that is ours.
    let file = unsafe { (*overlay.CurrentStackLocation).FileObject };
    // SAFETY: a request of a program is for a file; only the address is computed.
    unsafe { &raw mut (*file).FsContext }.cast()
}
