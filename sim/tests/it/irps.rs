//! IRPs over several stack locations: completion routines, marks of pending requests, what dispatch
//! routines return, cancellation and cancel-safe queues.

// UNSAFETY: plays drivers in C, which call the kernel directly.
#![expect(unsafe_code, reason = "calls the exports of the kernel")]

use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicPtr, AtomicU32};
use core::time::Duration;

use wdk_sys::ntddk::{
    IoAllocateIrp, IoCancelIrp, IoCreateDevice, IoDeleteDevice, IoFreeIrp, IoReuseIrp,
    IoSetCompletionRoutineEx, IofCallDriver, IofCompleteRequest,
};
use wdk_sys::{
    IRP, NTSTATUS, PCUNICODE_STRING, PDEVICE_OBJECT, PDRIVER_OBJECT, PIRP, PVOID,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING, STATUS_SUCCESS,
    STATUS_UNSUCCESSFUL,
};
use wsk_sim::{Driver, Rule, Sim, every_fault, run, seeds};
use wsk_sys::{
    IoCopyCurrentIrpStackLocationToNext, IoMarkIrpPending, IoSetCompletionRoutine,
    IoSetNextIrpStackLocation, IoSkipCurrentIrpStackLocation, irp_status, set_irp_status,
};

use crate::driver::{expect, unicode};

/// What a test's driver does with requests to read. It has two devices: a program opens the upper
/// one, which may pass requests on to the lower one.
trait Reads {
    /// # Safety
    ///
    /// Called as a dispatch routine.
    unsafe fn upper(lower: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP has a location for the lower device.
        unsafe { IoSkipCurrentIrpStackLocation(irp) };
        // SAFETY: as above.
        unsafe { IofCallDriver(lower, irp) }
    }

    /// # Safety
    ///
    /// Called as a dispatch routine.
    unsafe fn lower(irp: PIRP) -> NTSTATUS;
}

const IRP_MJ_READ: usize = 3;

unsafe fn complete(irp: PIRP, status: NTSTATUS) -> NTSTATUS {
    // SAFETY: the caller has the IRP.
    unsafe { set_irp_status(irp, status, 0) };
    // SAFETY: as above.
    unsafe { IofCompleteRequest(irp, 0) };
    status
}

unsafe extern "C" fn succeed(_: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: a dispatch routine has its IRP.
    unsafe { complete(irp, STATUS_SUCCESS) }
}

unsafe extern "C" fn read<R: Reads>(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the I/O manager passes a device of the driver's.
    let device = unsafe { &*device };
    if device.StackSize == 2 {
        // SAFETY: called as a dispatch routine.
        unsafe { R::upper(device.NextDevice, irp) }
    } else {
        // SAFETY: as above.
        unsafe { R::lower(irp) }
    }
}

unsafe extern "C" fn unload(driver: PDRIVER_OBJECT) {
    for _ in 0..2 {
        // SAFETY: the I/O manager passes our driver object.
        let device = unsafe { (*driver).DeviceObject };
        // SAFETY: the driver has two devices.
        unsafe { IoDeleteDevice(device) };
    }
}

unsafe extern "system" fn entry<R: Reads>(driver: PDRIVER_OBJECT, _: PCUNICODE_STRING) -> NTSTATUS {
    let (_name, mut name) = unicode("\\Device\\Read");
    // SAFETY: the I/O manager passes our driver object.
    let object = unsafe { &mut *driver };
    object.DriverUnload = Some(unload);
    object.MajorFunction = [Some(succeed); 28];
    object.MajorFunction[IRP_MJ_READ] = Some(read::<R>);
    let upper = &raw mut name;
    let devices = [(ptr::null_mut(), 1), (upper, 2)].map(|(name, stack_size)| {
        let mut device = ptr::null_mut();
        // SAFETY: as above; the place for the pointer is there.
        let status = unsafe { IoCreateDevice(driver, 0, name, 0x22, 0, 0, &raw mut device) };
        // SAFETY: the device is ours.
        unsafe { (*device).StackSize = stack_size };
        status
    });
    devices[1]
}

fn load<R: Reads>(sim: &Sim) -> Driver {
    sim.load("read", entry::<R>).unwrap()
}

/// Reads once from the driver's upper device.
fn read_once<R: Reads>(sim: &Sim) -> Result<usize, NTSTATUS> {
    let driver = load::<R>(sim);
    let device = sim.open_device("\\Device\\Read").unwrap();
    let result = device.read(&mut [0; 4]);
    device.close().unwrap();
    // The thread that has completed the request ends meanwhile.
    sim.sleep(Duration::from_millis(1));
    driver.unload(sim);
    result
}

/// Completes a request later, on a system thread.
struct Later;

impl Reads for Later {
    unsafe fn lower(irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is ours.
        unsafe { IoMarkIrpPending(irp) };
        complete_later(irp);
        STATUS_PENDING
    }
}

fn complete_later(irp: PIRP) {
    unsafe extern "C" fn start(irp: PVOID) {
        // SAFETY: the dispatch routine has left the IRP to this thread.
        unsafe { complete(irp.cast(), STATUS_SUCCESS) };
    }
    let thread = crate::driver::start_thread(start, irp.cast());
    // SAFETY: the handle is open.
    assert_eq!(unsafe { wdk_sys::ntddk::ZwClose(thread) }, STATUS_SUCCESS);
}

#[test]
fn request_skipped_to_the_lower_device_completes() {
    seeds(50, |sim| assert_eq!(read_once::<Later>(sim), Ok(0)));
}

/// Passes a request on with a copy of its stack location and a completion routine.
struct Watched<const MARK: bool>;

impl<const MARK: bool> Reads for Watched<MARK> {
    unsafe fn upper(lower: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is ours, and has a location for the lower device.
        unsafe { IoCopyCurrentIrpStackLocationToNext(irp) };
        let null = ptr::null_mut();
        // SAFETY: as above.
        unsafe { IoSetCompletionRoutine(irp, Some(watch::<MARK>), null, true, true, true) };
        // SAFETY: as above.
        unsafe { IofCallDriver(lower, irp) }
    }

    unsafe fn lower(irp: PIRP) -> NTSTATUS {
        // SAFETY: the caller's promise is the same.
        unsafe { Later::lower(irp) }
    }
}

unsafe extern "C" fn watch<const MARK: bool>(_: PDEVICE_OBJECT, irp: PIRP, _: PVOID) -> NTSTATUS {
    // SAFETY: a completion routine may look at its IRP.
    let pending = unsafe { (*irp).PendingReturned };
    if pending != 0 && MARK {
        // SAFETY: as above.
        unsafe { IoMarkIrpPending(irp) };
    }
    STATUS_SUCCESS
}

#[test]
fn completion_routine_that_marks_pending_again_is_fine() {
    seeds(50, |sim| assert_eq!(read_once::<Watched<true>>(sim), Ok(0)));
}

#[test]
fn completion_routine_that_forgets_to_mark_pending_is_reported() {
    expect(Rule::IrpPending, "without being marked pending", |sim| {
        let _ = read_once::<Watched<false>>(sim);
    });
}

/// Waits for the lower device, then completes the request itself.
struct Synchronous;

impl Reads for Synchronous {
    unsafe fn upper(lower: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
        unsafe extern "C" fn keep(_: PDEVICE_OBJECT, _: PIRP, context: PVOID) -> NTSTATUS {
            // SAFETY: the context is the event below.
            unsafe { wdk_sys::ntddk::KeSetEvent(context.cast(), 0, 0) };
            STATUS_MORE_PROCESSING_REQUIRED
        }
        let mut event = crate::driver::event();
        let context = (&raw mut *event).cast();
        // SAFETY: the IRP is ours, and has a location for the lower device.
        unsafe { IoCopyCurrentIrpStackLocationToNext(irp) };
        // SAFETY: as above.
        unsafe { IoSetCompletionRoutine(irp, Some(keep), context, true, true, true) };
        // SAFETY: as above.
        if unsafe { IofCallDriver(lower, irp) } == STATUS_PENDING {
            crate::driver::wait(&raw mut *event, None);
        }
        // SAFETY: the completion routine has kept the IRP for us.
        unsafe { complete(irp, STATUS_SUCCESS) }
    }

    unsafe fn lower(irp: PIRP) -> NTSTATUS {
        // SAFETY: the caller's promise is the same.
        unsafe { Later::lower(irp) }
    }
}

#[test]
fn request_kept_by_a_completion_routine_is_completed_again() {
    seeds(50, |sim| assert_eq!(read_once::<Synchronous>(sim), Ok(0)));
}

/// A driver whose lower device does one thing.
macro_rules! lower {
    ($name:ident, $irp:ident => $body:expr) => {
        struct $name;

        impl Reads for $name {
            unsafe fn lower($irp: PIRP) -> NTSTATUS {
                $body
            }
        }
    };
}

#[test]
fn dispatch_pending_without_mark_is_reported() {
    lower!(Unmarked, irp => { complete_later(irp); STATUS_PENDING });
    expect(Rule::IrpPending, "returned 0x103, and the IRP was", |sim| {
        let _ = read_once::<Unmarked>(sim);
    });
}

#[test]
fn dispatch_marked_but_not_pending_is_reported() {
    lower!(Marked, irp => {
        // SAFETY: a dispatch routine has its IRP.
        unsafe { IoMarkIrpPending(irp) };
        // SAFETY: as above.
        unsafe { complete(irp, STATUS_SUCCESS) }
    });
    expect(
        Rule::IrpPending,
        "though the IRP was marked pending",
        |sim| {
            let _ = read_once::<Marked>(sim);
        },
    );
}

#[test]
fn dispatch_that_forgets_the_irp_is_reported() {
    lower!(Forgets, _irp => STATUS_SUCCESS);
    expect(Rule::IrpForgotten, "IRP_MJ 0x3 returned 0x0", |sim| {
        let _ = read_once::<Forgets>(sim);
    });
}

#[test]
fn dispatch_status_other_than_the_irps_is_reported() {
    lower!(Differs, irp => {
        // SAFETY: a dispatch routine has its IRP.
        unsafe { complete(irp, STATUS_UNSUCCESSFUL) };
        STATUS_SUCCESS
    });
    expect(
        Rule::IrpStatus,
        "completed the IRP with 0xc0000001",
        |sim| {
            let _ = read_once::<Differs>(sim);
        },
    );
}

#[test]
fn irp_completed_with_status_pending_is_reported() {
    lower!(Pending, irp => {
        // SAFETY: a dispatch routine has its IRP.
        unsafe { complete(irp, STATUS_PENDING) }
    });
    expect(Rule::IrpCompletion, "with STATUS_PENDING", |sim| {
        let _ = read_once::<Pending>(sim);
    });
}

#[test]
fn irp_completed_with_cancel_routine_is_reported() {
    lower!(Cancellable, irp => {
        // SAFETY: a dispatch routine has its IRP.
        unsafe { set_cancel_routine(irp, Some(keeps_lock)) };
        // SAFETY: as above.
        unsafe { complete(irp, STATUS_SUCCESS) }
    });
    expect(Rule::IrpCompletion, "with a cancel routine set", |sim| {
        let _ = read_once::<Cancellable>(sim);
    });
}

type CancelRoutine = unsafe extern "C" fn(PDEVICE_OBJECT, PIRP);

/// `IoSetCancelRoutine`, which is inline in the headers.
unsafe fn set_cancel_routine(irp: PIRP, routine: Option<CancelRoutine>) {
    let member = irp.wrapping_byte_add(offset_of!(IRP, CancelRoutine));
    // SAFETY: the member is a pointer that is exchanged as one step.
    let member: &AtomicPtr<()> = unsafe { &*member.cast() };
    let routine = routine.map_or(ptr::null_mut(), |routine| (routine as *const ()).cast_mut());
    routine.expose_provenance();
    member.store(routine, SeqCst);
}

unsafe extern "C" fn keeps_lock(_: PDEVICE_OBJECT, _: PIRP) {}

#[test]
fn cancel_routine_that_keeps_the_lock_is_reported() {
    expect(Rule::CancelRoutine, "kept the cancel spin lock", |sim| {
        // SAFETY: within a simulation.
        let irp = unsafe { IoAllocateIrp(1, 0) };
        // SAFETY: the IRP is idle; its cancel routine breaks the rule.
        unsafe { set_cancel_routine(irp, Some(keeps_lock)) };
        // SAFETY: as above.
        sim.at_dispatch(|| unsafe { IoCancelIrp(irp) });
    });
}

/// In which order the routines of `ordered` were called: their numbers as decimal digits.
static ORDER: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn ordered(_: PDEVICE_OBJECT, irp: PIRP, context: PVOID) -> NTSTATUS {
    let number = u32::try_from(context.addr()).unwrap();
    ORDER
        .fetch_update(SeqCst, SeqCst, |order| Some(order * 10 + number))
        .unwrap();
    // SAFETY: a completion routine may look at its IRP.
    let pending = unsafe { (*irp).PendingReturned };
    assert_eq!(
        pending, 1,
        "the mark of the lowest location arrives everywhere"
    );
    if number == 1 {
        return STATUS_MORE_PROCESSING_REQUIRED;
    }
    // SAFETY: as above.
    unsafe { IoMarkIrpPending(irp) };
    STATUS_SUCCESS
}

#[test]
fn completion_routines_are_called_from_the_lowest_up_as_they_asked() {
    run(|_| {
        // SAFETY: within a simulation.
        let irp = unsafe { IoAllocateIrp(5, 0) };
        // For success and error: 1 and 3; for error only: 2; none at all: 4; for success only: 5.
        for (number, success, error) in [
            (1, true, true),
            (2, false, true),
            (3, true, true),
            (4, false, false),
            (5, true, false),
        ] {
            let context = ptr::without_provenance_mut(number);
            let routine = (success || error).then_some(ordered as _);
            // SAFETY: the IRP is ours, with locations left.
            unsafe { IoSetCompletionRoutine(irp, routine, context, success, error, false) };
            // SAFETY: as above.
            unsafe { IoSetNextIrpStackLocation(irp) };
        }
        // SAFETY: the IRP is ours, at its lowest location.
        unsafe { IoMarkIrpPending(irp) };
        // SAFETY: as above.
        unsafe { complete(irp, STATUS_SUCCESS) };
        assert_eq!(ORDER.load(SeqCst), 531);
        // SAFETY: the topmost routine has kept the IRP for us.
        unsafe { IoReuseIrp(irp, STATUS_UNSUCCESSFUL) };
        // SAFETY: the IRP is ours.
        assert_eq!(unsafe { irp_status(irp) }, STATUS_UNSUCCESSFUL);
        // SAFETY: as above.
        unsafe { IoFreeIrp(irp) };
    });
}

#[test]
fn completion_routine_set_by_the_function_is_called_or_refused() {
    unsafe extern "C" fn keep(_: PDEVICE_OBJECT, _: PIRP, context: PVOID) -> NTSTATUS {
        // SAFETY: the context is the counter of the test.
        unsafe { &*context.cast::<AtomicU32>() }.fetch_add(1, SeqCst);
        STATUS_MORE_PROCESSING_REQUIRED
    }
    every_fault(|_| {
        let mut count = AtomicU32::new(0);
        // SAFETY: within a simulation.
        let irp = unsafe { IoAllocateIrp(1, 0) };
        if irp.is_null() {
            return;
        }
        let context = (&raw mut count).cast();
        // SAFETY: the IRP is ours; the device is not used.
        let status =
            unsafe { IoSetCompletionRoutineEx(ptr::null_mut(), irp, Some(keep), context, 1, 1, 1) };
        if status == STATUS_SUCCESS {
            // SAFETY: the IRP is ours, with a location left.
            unsafe { IoSetNextIrpStackLocation(irp) };
            // SAFETY: as above.
            unsafe { complete(irp, STATUS_SUCCESS) };
            assert_eq!(count.load(SeqCst), 1);
        } else {
            assert_eq!(status, STATUS_INSUFFICIENT_RESOURCES);
        }
        // SAFETY: the IRP is ours.
        unsafe { IoFreeIrp(irp) };
    });
}
