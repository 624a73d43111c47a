//! Requests of programs to a device with direct I/O: the memory that they describe, their end, and
//! WSK as the next driver that they are passed down to.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "calls the exports of the kernel")]

use core::ptr;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::SeqCst;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Mutex;

use wdk_sys::ntddk::{IoCreateDevice, IoDeleteDevice, IofCompleteRequest};
use wdk_sys::{
    DO_BUFFERED_IO, DO_DEVICE_INITIALIZING, DO_DIRECT_IO, FILE_OBJECT, IRP, IRP_MJ_CLOSE,
    IRP_MJ_DEVICE_CONTROL, IRP_MJ_READ, IRP_MJ_WRITE, MDL_PAGES_LOCKED, MDL_WRITE_OPERATION,
    NTSTATUS, PCUNICODE_STRING, PDEVICE_OBJECT, PDRIVER_OBJECT, PIRP, PVOID, STATUS_CANCELLED,
    STATUS_PENDING, STATUS_SUCCESS, STATUS_UNSUCCESSFUL,
};
use wsk_sim::{DeviceHandle, Driver, Peer, Rule, Sim, run, seeds};
use wsk_sys::{
    IoGetCurrentIrpStackLocation, IoMarkIrpPending, IoSetCompletionRoutine, MmGetMdlByteCount,
    MmGetSystemAddressForMdlSafe, WSK_BUF, set_irp_status,
};

use crate::common::{Client, Io, Socket};
use crate::driver::{Shared, expect, unicode};

const NAME: &str = "\\Device\\Direct";
const SEEDS: u64 = 100;

/// What the driver's device has got, and the test takes.
#[derive(Default)]
struct Inbox(Mutex<VecDeque<Shared<IRP>>>);

impl Inbox {
    fn take(&self) -> PIRP {
        let first = self.0.lock().unwrap().pop_front();
        first.expect("a request").get()
    }
}

/// The file object that a request is for.
unsafe fn file_of(irp: PIRP) -> *mut FILE_OBJECT {
    // SAFETY: a dispatch routine has its IRP.
    let stack = unsafe { IoGetCurrentIrpStackLocation(irp) };
    // SAFETY: as above.
    unsafe { (*stack).FileObject }
}

/// Where the data of a buffered request is.
fn system_buffer(irp: PIRP) -> PVOID {
    // SAFETY: the IRP is the driver's.
    let irp = unsafe { &*irp };
    // SAFETY: what this member holds in a request of a program.
    unsafe { irp.AssociatedIrp.SystemBuffer }
}

fn complete(irp: PIRP, status: NTSTATUS, information: usize) -> NTSTATUS {
    // SAFETY: the caller has the IRP.
    unsafe { set_irp_status(irp, status, information as u64) };
    // SAFETY: as above.
    unsafe { IofCompleteRequest(irp, 0) };
    status
}

unsafe extern "C" fn succeed(_: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    complete(irp, STATUS_SUCCESS, 0)
}

/// Leaves the address of the file's inbox in the file object.
unsafe extern "C" fn control(_: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: a buffered control code with the address as its input.
    let inbox = unsafe { system_buffer(irp).cast::<PVOID>().read() };
    // SAFETY: a dispatch routine has its IRP.
    let file = unsafe { file_of(irp) };
    // SAFETY: the file object is there while it has requests.
    unsafe { (*file).FsContext = inbox };
    complete(irp, STATUS_SUCCESS, 0)
}

/// Keeps a request for the test.
unsafe extern "C" fn keep(_: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: a dispatch routine has its IRP.
    let file = unsafe { file_of(irp) };
    // SAFETY: the file object is there while it has requests.
    let inbox = unsafe { (*file).FsContext };
    // SAFETY: what `control` has left, which the test keeps.
    let inbox: &Inbox = unsafe { &*inbox.cast() };
    // SAFETY: as above.
    unsafe { IoMarkIrpPending(irp) };
    inbox.0.lock().unwrap().push_back(Shared(irp));
    STATUS_PENDING
}

unsafe extern "C" fn unload(driver: PDRIVER_OBJECT) {
    // SAFETY: the I/O manager passes our driver object.
    let device = unsafe { (*driver).DeviceObject };
    // SAFETY: the driver has one device.
    unsafe { IoDeleteDevice(device) };
}

unsafe extern "system" fn entry<const FLAGS: u32>(
    driver: PDRIVER_OBJECT,
    _: PCUNICODE_STRING,
) -> NTSTATUS {
    let (_name, mut name) = unicode(NAME);
    let mut device = ptr::null_mut();
    // SAFETY: the I/O manager passes our driver object.
    let object = unsafe { &mut *driver };
    object.DriverUnload = Some(unload);
    object.MajorFunction = [Some(succeed); 28];
    object.MajorFunction[IRP_MJ_DEVICE_CONTROL as usize] = Some(control);
    object.MajorFunction[IRP_MJ_READ as usize] = Some(keep);
    object.MajorFunction[IRP_MJ_WRITE as usize] = Some(keep);
    // SAFETY: as above; the place for the pointer is there.
    let status = unsafe { IoCreateDevice(driver, 0, &raw mut name, 0x22, 0, 0, &raw mut device) };
    // SAFETY: the device is ours.
    let device = unsafe { &mut *device };
    device.Flags = (device.Flags | FLAGS) & !DO_DEVICE_INITIALIZING;
    device.StackSize = 2;
    status
}

/// The driver with its device open, and what arrives there.
fn open<const FLAGS: u32>(sim: &Sim) -> (Driver, DeviceHandle, Box<Inbox>) {
    let driver = sim.load("direct", entry::<FLAGS>).unwrap();
    let (handle, inbox) = (sim.open_device(NAME).unwrap(), Box::<Inbox>::default());
    let mut address = ptr::from_ref(&*inbox).expose_provenance().to_ne_bytes();
    handle.control(0, &mut address, 8).unwrap();
    (driver, handle, inbox)
}

/// The memory that a request with direct I/O describes.
fn described(irp: PIRP) -> (u32, *mut u8, usize) {
    // SAFETY: the IRP is the driver's.
    let mdl = unsafe { (*irp).MdlAddress };
    // SAFETY: the MDL of an IRP that is not completed.
    let flags = unsafe { (*mdl).MdlFlags };
    // SAFETY: as above.
    let length = unsafe { MmGetMdlByteCount(mdl) };
    // SAFETY: as above; its pages are locked.
    let address = unsafe { MmGetSystemAddressForMdlSafe(mdl, 16) };
    (
        flags.cast_unsigned().into(),
        address.cast(),
        length as usize,
    )
}

#[test]
fn direct_read_describes_locked_pages_to_write_to() {
    run(|sim| {
        let (driver, handle, inbox) = open::<DO_DIRECT_IO>(sim);
        let request = handle.start_read(5);
        assert!(request.is_pending());
        let irp = inbox.take();
        let (flags, address, length) = described(irp);
        let locked = MDL_PAGES_LOCKED | MDL_WRITE_OPERATION;
        assert_eq!((flags & locked, length), (locked, 5));
        assert!(system_buffer(irp).is_null());
        // SAFETY: the MDL describes five bytes.
        unsafe { address.copy_from_nonoverlapping(b"four".as_ptr(), 4) };
        complete(irp, STATUS_SUCCESS, 4);
        assert!(!request.is_pending());
        assert_eq!(request.wait(), Ok(b"four".to_vec()));
        handle.close().unwrap();
        driver.unload(sim);
    });
}

#[test]
fn direct_write_describes_locked_pages_to_read_from() {
    run(|sim| {
        let (driver, handle, inbox) = open::<DO_DIRECT_IO>(sim);
        let request = handle.start_write(b"written");
        let irp = inbox.take();
        let (flags, address, length) = described(irp);
        assert_eq!(flags & MDL_WRITE_OPERATION, 0);
        // SAFETY: the MDL describes as many bytes.
        let data = unsafe { core::slice::from_raw_parts(address, length) };
        assert_eq!(data, b"written");
        complete(irp, STATUS_SUCCESS, 7);
        assert_eq!(request.wait(), Ok(b"written".to_vec()));
        handle.close().unwrap();
        driver.unload(sim);
    });
}

#[test]
fn request_of_no_bytes_has_no_memory() {
    run(|sim| {
        let (driver, handle, inbox) = open::<DO_DIRECT_IO>(sim);
        let request = handle.start_read(0);
        let irp = inbox.take();
        // SAFETY: the IRP is the driver's.
        assert!(unsafe { (*irp).MdlAddress }.is_null());
        complete(irp, STATUS_SUCCESS, 0);
        assert_eq!(request.wait(), Ok(Vec::new()));
        handle.close().unwrap();
        driver.unload(sim);
    });
}

#[test]
fn device_that_says_both_gets_buffered_requests() {
    run(|sim| {
        let (driver, handle, inbox) = open::<{ DO_DIRECT_IO | DO_BUFFERED_IO }>(sim);
        let request = handle.start_write(b"copied");
        let irp = inbox.take();
        // SAFETY: the IRP is the driver's.
        assert!(unsafe { (*irp).MdlAddress }.is_null());
        let buffer: *const u8 = system_buffer(irp).cast();
        // SAFETY: as many bytes as were written.
        let data = unsafe { core::slice::from_raw_parts(buffer, 6) };
        assert_eq!(data, b"copied");
        complete(irp, STATUS_UNSUCCESSFUL, 6);
        assert_eq!(request.wait(), Err(STATUS_UNSUCCESSFUL));
        handle.close().unwrap();
        driver.unload(sim);
    });
}

#[test]
fn device_that_says_neither_gets_the_address_of_the_program() {
    run(|sim| {
        let (driver, handle, inbox) = open::<0>(sim);
        let request = handle.start_write(b"given");
        let irp = inbox.take();
        assert!(system_buffer(irp).is_null());
        // SAFETY: the IRP is the driver's.
        assert!(!unsafe { (*irp).UserBuffer }.is_null());
        complete(irp, STATUS_SUCCESS, 5);
        assert_eq!(request.wait().unwrap(), b"given");
        handle.close().unwrap();
        driver.unload(sim);
    });
}

#[test]
fn request_completed_with_more_than_it_asked_for_is_reported() {
    expect(Rule::IrpCompletion, "with 6 bytes, where", |sim| {
        let (_driver, handle, inbox) = open::<DO_DIRECT_IO>(sim);
        let _request = handle.start_read(5);
        complete(inbox.take(), STATUS_SUCCESS, 6);
    });
}

unsafe extern "C" fn cancel(_: PDEVICE_OBJECT, irp: PIRP) {
    // SAFETY: the IRP is there until it is completed.
    let irql = unsafe { (*irp).CancelIrql };
    // SAFETY: `IoCancelIrp` has acquired the lock, at this IRQL.
    unsafe { wdk_sys::ntddk::IoReleaseCancelSpinLock(irql) };
    complete(irp, STATUS_CANCELLED, 0);
}

/// `IoSetCancelRoutine`, which is inline in the headers.
fn set_cancel_routine(irp: PIRP) {
    let member = irp.wrapping_byte_add(core::mem::offset_of!(IRP, CancelRoutine));
    // SAFETY: the IRP is the driver's; the member is a pointer that is exchanged as one step.
    let member: &AtomicPtr<()> = unsafe { &*member.cast() };
    let routine = (cancel as *const ()).cast_mut();
    routine.expose_provenance();
    member.store(routine, SeqCst);
}

#[test]
fn request_that_is_cancelled_ends_once() {
    seeds(SEEDS, |sim| {
        let (driver, handle, inbox) = open::<DO_DIRECT_IO>(sim);
        let request = handle.start_read(5);
        set_cancel_routine(inbox.take());
        request.cancel();
        // There is nothing to cancel any more.
        request.cancel();
        assert_eq!(request.wait(), Err(STATUS_CANCELLED));
        handle.close().unwrap();
        driver.unload(sim);
    });
}

#[test]
fn close_comes_after_the_last_request() {
    static CLOSED: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());
    unsafe extern "C" fn close(_: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
        CLOSED.store(irp.cast(), SeqCst);
        complete(irp, STATUS_SUCCESS, 0)
    }
    unsafe extern "system" fn entry_with_close(
        driver: PDRIVER_OBJECT,
        path: PCUNICODE_STRING,
    ) -> NTSTATUS {
        // SAFETY: the I/O manager passes our driver object.
        let status = unsafe { entry::<DO_DIRECT_IO>(driver, path) };
        // SAFETY: as above.
        unsafe { (*driver).MajorFunction[IRP_MJ_CLOSE as usize] = Some(close) };
        status
    }
    run(|sim| {
        let driver = sim.load("direct", entry_with_close).unwrap();
        let (handle, inbox) = (sim.open_device(NAME).unwrap(), Box::<Inbox>::default());
        let mut address = ptr::from_ref(&*inbox).expose_provenance().to_ne_bytes();
        handle.control(0, &mut address, 8).unwrap();
        let request = handle.start_read(5);
        let closing = sim.spawn(move || handle.close());
        sim.sleep(Duration::from_secs(1));
        assert!(CLOSED.load(SeqCst).is_null(), "the request still runs");
        complete(inbox.take(), STATUS_SUCCESS, 0);
        assert_eq!(closing.join(), Ok(()));
        assert!(!CLOSED.load(SeqCst).is_null());
        assert_eq!(request.wait(), Ok(Vec::new()));
        driver.unload(sim);
    });
}

/// A connection, and its other end.
fn connect(sim: &Sim, client: &Client, io: &mut Io) -> (Socket, Peer) {
    let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let socket = client.connection(io, "127.0.0.1:0");
    assert_eq!(socket.connect(io, server.local_addr()).0, STATUS_SUCCESS);
    (socket, server.accept())
}

/// What a request with direct I/O describes, for WSK.
fn buffer_of(irp: PIRP, length: u64) -> WSK_BUF {
    WSK_BUF {
        // SAFETY: the IRP is the driver's.
        Mdl: unsafe { (*irp).MdlAddress },
        Offset: 0,
        Length: length,
    }
}

/// A completion routine of a driver in the middle: lets the request go on.
unsafe extern "C" fn go_on(_: PDEVICE_OBJECT, irp: PIRP, _: PVOID) -> NTSTATUS {
    // SAFETY: a completion routine may look at its IRP.
    if unsafe { (*irp).PendingReturned } != 0 {
        // SAFETY: as above.
        unsafe { IoMarkIrpPending(irp) };
    }
    STATUS_SUCCESS
}

/// Passes requests down to WSK as they are [wsk 3.1, 3.3]: no copy, and the program learns the end.
fn pass_down(routine: bool) {
    seeds(SEEDS, move |sim| {
        let (driver, handle, inbox) = open::<DO_DIRECT_IO>(sim);
        let (mut io, client) = (Io::new(), Client::new());
        let (socket, peer) = connect(sim, &client, &mut io);
        let prepare = |irp| {
            if routine {
                let null = ptr::null_mut();
                // SAFETY: the IRP is the driver's, and has a location for WSK.
                unsafe { IoSetCompletionRoutine(irp, Some(go_on), null, true, true, true) };
            }
        };
        let write = handle.start_write(b"out");
        let irp = inbox.take();
        prepare(irp);
        let mut data = buffer_of(irp, 3);
        // SAFETY: the socket is open; the MDL stays until completion.
        let _ = unsafe { (socket.table().WskSend.unwrap())(socket.0, &raw mut data, 0, irp) };
        assert_eq!(write.wait(), Ok(b"out".to_vec()));
        assert_eq!(peer.read_exact(3).unwrap(), b"out");
        let read = handle.start_read(8);
        let irp = inbox.take();
        prepare(irp);
        let mut data = buffer_of(irp, 8);
        // SAFETY: as above.
        let _ = unsafe { (socket.table().WskReceive.unwrap())(socket.0, &raw mut data, 0, irp) };
        peer.write_all(b"in").unwrap();
        let mut got = read.wait().unwrap();
        if got.len() < 2 {
            got.extend(socket.receive(&mut io, 1).unwrap());
        }
        assert_eq!(got, b"in");
        // One that the program cancels.
        let read = handle.start_read(8);
        let irp = inbox.take();
        prepare(irp);
        let mut data = buffer_of(irp, 8);
        // SAFETY: as above.
        let _ = unsafe { (socket.table().WskReceive.unwrap())(socket.0, &raw mut data, 0, irp) };
        read.cancel();
        assert_eq!(read.wait(), Err(STATUS_CANCELLED));
        socket.close(&mut io);
        handle.close().unwrap();
        driver.unload(sim);
    });
}

#[test]
fn wsk_3_3_request_passed_down_needs_no_completion_routine() {
    pass_down(false);
}

#[test]
fn wsk_3_3_request_passed_down_goes_on_to_the_program_after_its_routine() {
    pass_down(true);
}
