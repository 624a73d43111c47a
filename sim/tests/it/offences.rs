//! Each test breaks one rule of the kernel, and expects exactly that report.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "breaks the rules of the kernel")]

use core::ptr;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::SeqCst;
use core::time::Duration;

use crate::common::{Io, Memory};
use crate::driver::{NON_PAGED, PAGED, allocate, event, expect, start_thread, wait, zeroed};
use wdk_sys::ntddk::{
    ExFreePool, ExFreePoolWithTag, ExInitializeRundownProtection, ExReleaseRundownProtection,
    IoAllocateIrp, IoAllocateWorkItem, IoDeleteDevice, IoFreeIrp, IoFreeMdl, IoQueueWorkItem,
    IoReuseIrp, IofCallDriver, IofCompleteRequest, KeAcquireSpinLockRaiseToDpc, KeBugCheckEx,
    KeInitializeMutex, KeInitializeTimer, KeReleaseMutex, KeReleaseSpinLock, KeSetEvent,
    KeSetTimer, KeSetTimerEx, KfRaiseIrql, ObfDereferenceObject, ZwClose,
};
use wdk_sys::{
    EX_RUNDOWN_REF, KEVENT, KMUTANT, KSPIN_LOCK, KTIMER, LARGE_INTEGER, NTSTATUS, PDEVICE_OBJECT,
    PIRP, PVOID, STATUS_SUCCESS,
};
use wsk_sim::{Rule, builder};
use wsk_sys::{IoSetCompletionRoutine, IoSetNextIrpStackLocation};

#[test]
fn pool_freed_twice_is_reported() {
    expect(Rule::DoubleFree, "'Test'", |_| {
        let memory = allocate(NON_PAGED, 100);
        // SAFETY: allocated above.
        unsafe { ExFreePool(memory.cast()) };
        // SAFETY: breaks the rule: freed already.
        unsafe { ExFreePool(memory.cast()) };
    });
}

#[test]
fn pool_freed_with_other_tag_is_reported() {
    expect(Rule::BadFree, "'Abcd'", |_| {
        let memory = allocate(NON_PAGED, 100);
        // SAFETY: breaks the rule: another tag.
        unsafe { ExFreePoolWithTag(memory.cast(), u32::from_le_bytes(*b"Abcd")) };
    });
}

#[test]
fn pool_freed_inside_block_is_reported() {
    expect(Rule::BadFree, "lies within 100 bytes", |_| {
        let memory = allocate(NON_PAGED, 100);
        // SAFETY: breaks the rule: not the start.
        unsafe { ExFreePool(memory.wrapping_add(16).cast()) };
    });
}

#[test]
fn pool_written_past_end_is_reported() {
    expect(Rule::Overrun, "0 bytes after the end", |_| {
        let memory = allocate(NON_PAGED, 100);
        // SAFETY: breaks the rule: one byte beyond; the red zone is mapped.
        unsafe { memory.wrapping_add(100).write(1) };
        // SAFETY: allocated above.
        unsafe { ExFreePool(memory.cast()) };
    });
}

#[test]
fn pool_written_after_free_is_reported() {
    expect(Rule::WriteAfterFree, "offset 8", |_| {
        let memory = allocate(NON_PAGED, 100);
        // SAFETY: allocated above.
        unsafe { ExFreePool(memory.cast()) };
        // SAFETY: breaks the rule; the simulator keeps freed blocks for a while.
        unsafe { memory.wrapping_add(8).write(1) };
    });
}

#[test]
fn pool_left_allocated_is_reported() {
    expect(Rule::Leak, "100 bytes of nonpaged pool", |_| {
        allocate(NON_PAGED, 100);
    });
}

#[test]
fn paged_pool_allocated_at_dispatch_is_reported() {
    expect(Rule::Irql, "ExAllocatePool2", |sim| {
        sim.at_dispatch(|| allocate(PAGED, 100));
    });
}

#[test]
fn pool_freed_under_a_set_timer_is_reported() {
    expect(Rule::FreedInUse, "timer", |_| {
        let memory = allocate(NON_PAGED, size_of::<KTIMER>());
        let timer: *mut KTIMER = memory.cast();
        // SAFETY: the memory is large enough.
        unsafe { KeInitializeTimer(timer) };
        // SAFETY: initialised above.
        unsafe { KeSetTimer(timer, LARGE_INTEGER { QuadPart: -10_000 }, ptr::null_mut()) };
        // SAFETY: breaks the rule: the timer is set.
        unsafe { ExFreePool(memory.cast()) };
    });
}

#[test]
fn wait_at_dispatch_is_reported() {
    expect(Rule::BlockingAboveApc, "KeWaitForSingleObject", |sim| {
        let mut event = event();
        sim.at_dispatch(|| wait(&raw mut *event, None));
    });
}

#[test]
fn wait_for_uninitialised_event_is_reported() {
    expect(Rule::UninitialisedObject, "KeWaitForSingleObject", |_| {
        let mut event: Box<KEVENT> = zeroed();
        wait(&raw mut *event, None);
    });
}

#[test]
fn wait_nobody_will_end_is_reported_as_hang() {
    expect(
        Rule::Hang,
        "waits without limit in KeWaitForSingleObject",
        |_| {
            wait(&raw mut *event(), None);
        },
    );
}

#[test]
fn set_event_uninitialised_is_reported() {
    expect(Rule::UninitialisedObject, "KeSetEvent", |_| {
        let mut event: Box<KEVENT> = zeroed();
        // SAFETY: as above.
        unsafe { KeSetEvent(&raw mut *event, 0, 0) };
    });
}

#[test]
fn irql_raised_downwards_is_reported() {
    expect(Rule::Irql, "KfRaiseIrql", |sim| {
        // SAFETY: breaks the rule: from DISPATCH_LEVEL to PASSIVE_LEVEL.
        sim.at_dispatch(|| unsafe { KfRaiseIrql(0) });
    });
}

#[test]
fn irql_left_raised_at_end_is_reported() {
    expect(Rule::IrqlChanged, "system thread", |_| {
        unsafe extern "C" fn start(_: PVOID) {
            // SAFETY: breaks the rule: never lowered.
            unsafe { KfRaiseIrql(2) };
        }
        start_thread(start, ptr::null_mut());
        wait(&raw mut *event(), None);
    });
}

#[test]
fn thread_handle_left_open_is_reported() {
    expect(Rule::Leak, "handle of thread", |_| {
        unsafe extern "C" fn start(_: PVOID) {}
        start_thread(start, ptr::null_mut());
    });
}

#[test]
fn handle_closed_twice_is_reported() {
    expect(Rule::Handle, "ZwClose", |_| {
        unsafe extern "C" fn start(_: PVOID) {}
        let handle = start_thread(start, ptr::null_mut());
        // SAFETY: the handle is open.
        assert_eq!(unsafe { ZwClose(handle) }, STATUS_SUCCESS);
        // SAFETY: breaks the rule: closed already.
        let _ = unsafe { ZwClose(handle) };
    });
}

#[test]
fn object_dereferenced_too_often_is_reported() {
    expect(Rule::Handle, "ObDereferenceObject", |_| {
        // SAFETY: breaks the rule: nothing was referenced.
        unsafe { ObfDereferenceObject(ptr::dangling_mut::<u8>().cast()) };
    });
}

#[test]
fn spin_lock_taken_twice_is_reported() {
    expect(Rule::SpinLock, "twice", |_| {
        let mut lock: KSPIN_LOCK = 0;
        // SAFETY: the lock is initialised.
        unsafe { KeAcquireSpinLockRaiseToDpc(&raw mut lock) };
        // SAFETY: breaks the rule: held already.
        unsafe { KeAcquireSpinLockRaiseToDpc(&raw mut lock) };
    });
}

#[test]
fn spin_lock_released_without_holding_is_reported() {
    expect(Rule::SpinLock, "does not hold", |_| {
        let mut lock: KSPIN_LOCK = 0;
        // SAFETY: breaks the rule: not held.
        unsafe { KeReleaseSpinLock(&raw mut lock, 0) };
    });
}

#[test]
fn spin_lock_released_to_other_irql_is_reported() {
    expect(Rule::SpinLock, "taken at Some(0)", |_| {
        let mut lock: KSPIN_LOCK = 0;
        // SAFETY: the lock is initialised.
        unsafe { KeAcquireSpinLockRaiseToDpc(&raw mut lock) };
        // SAFETY: breaks the rule: it was taken at PASSIVE_LEVEL.
        unsafe { KeReleaseSpinLock(&raw mut lock, 1) };
    });
}

#[test]
fn mutex_released_by_another_thread_is_reported() {
    expect(Rule::MutexOwner, "does not own", |_| {
        let mut mutex: Box<KMUTANT> = zeroed();
        // SAFETY: the mutex has its place.
        unsafe { KeInitializeMutex(&raw mut *mutex, 0) };
        // SAFETY: breaks the rule: nobody owns it.
        unsafe { KeReleaseMutex(&raw mut *mutex, 0) };
    });
}

#[test]
fn rundown_released_too_often_is_reported() {
    expect(Rule::Rundown, "more often", |_| {
        let mut rundown = EX_RUNDOWN_REF::default();
        // SAFETY: the word has its place.
        unsafe { ExInitializeRundownProtection(&raw mut rundown) };
        // SAFETY: breaks the rule: never acquired.
        unsafe { ExReleaseRundownProtection(&raw mut rundown) };
    });
}

unsafe extern "C" fn keep(_: PDEVICE_OBJECT, _: PIRP, _: PVOID) -> NTSTATUS {
    wdk_sys::STATUS_MORE_PROCESSING_REQUIRED
}

unsafe extern "C" fn give_back(_: PDEVICE_OBJECT, _: PIRP, _: PVOID) -> NTSTATUS {
    STATUS_SUCCESS
}

/// An IRP that was given to a lower driver, which is the test itself.
fn irp_in_flight(routine: unsafe extern "C" fn(PDEVICE_OBJECT, PIRP, PVOID) -> NTSTATUS) -> PIRP {
    // SAFETY: within a simulation.
    let irp = unsafe { IoAllocateIrp(1, 0) };
    // SAFETY: the IRP has one stack location.
    unsafe { IoSetCompletionRoutine(irp, Some(routine), ptr::null_mut(), true, true, true) };
    // SAFETY: as above.
    unsafe { IoSetNextIrpStackLocation(irp) };
    irp
}

#[test]
fn irp_completed_twice_is_reported() {
    expect(Rule::IrpCompletedTwice, "IRP", |_| {
        let irp = irp_in_flight(keep);
        // SAFETY: the test has the IRP.
        unsafe { IofCompleteRequest(irp, 0) };
        // SAFETY: breaks the rule: complete already.
        unsafe { IofCompleteRequest(irp, 0) };
    });
}

#[test]
fn irp_freed_in_flight_is_reported() {
    // SAFETY: breaks the rule: not complete.
    expect(Rule::IrpFreedInFlight, "Allocated", |_| unsafe {
        IoFreeIrp(irp_in_flight(keep));
    });
}

#[test]
fn irp_reused_in_flight_is_reported() {
    // SAFETY: breaks the rule: not complete.
    expect(Rule::IrpReusedInFlight, "Allocated", |_| unsafe {
        IoReuseIrp(irp_in_flight(keep), 0);
    });
}

#[test]
fn irp_freed_twice_is_reported() {
    expect(Rule::IrpUnknown, "freed with", |_| {
        // SAFETY: within a simulation.
        let irp = unsafe { IoAllocateIrp(1, 0) };
        // SAFETY: the IRP is idle.
        unsafe { IoFreeIrp(irp) };
        // SAFETY: breaks the rule: freed already.
        unsafe { IoFreeIrp(irp) };
    });
}

#[test]
fn irp_left_allocated_is_reported() {
    expect(Rule::Leak, "not freed", |_| {
        // SAFETY: within a simulation.
        unsafe { IoAllocateIrp(1, 0) };
    });
}

#[test]
fn own_irp_given_back_by_routine_is_reported() {
    expect(Rule::CompletionStatus, "IRP", |_| {
        let irp = irp_in_flight(give_back);
        // SAFETY: the test has the IRP.
        unsafe { IofCompleteRequest(irp, 0) };
    });
}

#[test]
fn mdl_freed_twice_is_reported() {
    expect(Rule::MdlUnknown, "IoFreeMdl", |_| {
        let memory = Memory::new(10);
        // SAFETY: breaks the rule when `memory` frees it again.
        unsafe { IoFreeMdl(memory.mdl) };
    });
}

#[test]
fn bug_check_is_reported_with_its_code() {
    expect(Rule::BugCheck, "0xdead", |_| {
        // SAFETY: ends the simulation.
        unsafe { KeBugCheckEx(0xDEAD, 1, 2, 3, 4) }
    });
}

#[test]
fn report_names_where_the_object_was_created() {
    let report = builder().offence(|_| {
        let mut io = Io::new();
        io.prepare();
        core::mem::forget(io);
    });
    assert!(
        report.details.contains("offences.rs") || report.details.contains("common/mod.rs"),
        "{report}"
    );
}

#[test]
fn work_item_queued_twice_is_reported() {
    unsafe extern "C" fn routine(_: PDEVICE_OBJECT, _: PVOID) {}
    expect(Rule::WorkItem, "queued while queued", |sim| {
        // SAFETY: within a simulation; the device is not used.
        let item = unsafe { IoAllocateWorkItem(ptr::null_mut()) };
        sim.at_dispatch(|| {
            let queue = || {
                // SAFETY: breaks the rule the second time, if the routine has not run in between.
                unsafe { IoQueueWorkItem(item, Some(routine), 1, ptr::null_mut()) };
            };
            (0..100).for_each(|_| queue());
        });
    });
}

#[test]
fn device_deleted_unknown_is_reported() {
    expect(Rule::Device, "IoDeleteDevice", |_| {
        // SAFETY: breaks the rule: no device.
        unsafe { IoDeleteDevice(ptr::null_mut()) };
    });
}

// [wsk 3.1]
#[test]
fn irp_without_stack_location_is_reported() {
    expect(Rule::IrpStackLocation, "IoCallDriver", |_| {
        let irp = irp_in_flight(keep);
        // SAFETY: breaks the rule: the one stack location is in use.
        let _ = unsafe { IofCallDriver(ptr::null_mut(), irp) };
    });
}

#[test]
fn thread_that_never_calls_the_kernel_is_reported() {
    static REPORTED: AtomicBool = AtomicBool::new(false);
    let limit = Duration::from_millis(50);
    let report = builder().unresponsive_after(limit).offence(|_| {
        while !REPORTED.load(SeqCst) {
            core::hint::spin_loop();
        }
    });
    REPORTED.store(true, SeqCst);
    assert_eq!(report.rule, Rule::Unresponsive, "{report}");
    assert!(report.details.contains("\"test body\""), "{report}");
}

#[test]
fn thread_that_calls_the_kernel_forever_is_reported() {
    let report = builder().step_limit(10_000).offence(|_| {
        loop {
            crate::driver::point();
        }
    });
    assert_eq!(report.rule, Rule::Livelock, "{report}");
}

#[test]
fn time_that_passes_for_nothing_forever_is_reported() {
    let report = builder().step_limit(10_000).offence(|_| {
        let mut timer: Box<KTIMER> = zeroed();
        // SAFETY: the timer has its place.
        unsafe { KeInitializeTimer(&raw mut *timer) };
        let due = LARGE_INTEGER { QuadPart: -10_000 };
        // SAFETY: initialised above; every millisecond, for nobody.
        unsafe { KeSetTimerEx(&raw mut *timer, due, 1, ptr::null_mut()) };
        wait(&raw mut *event(), None);
    });
    assert_eq!(report.rule, Rule::Livelock, "{report}");
    assert!(report.details.contains("KeWaitForSingleObject"), "{report}");
}
