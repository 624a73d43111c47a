//! Cancel-safe queues: removal and cancellation exclude each other.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "calls the exports of the kernel")]

use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;
use core::time::Duration;

use wdk_sys::ntddk::{
    ExInterlockedInsertTailList, ExInterlockedRemoveHeadList, IoAllocateIrp, IoCancelIrp,
    IoCsqInitialize, IoCsqInsertIrp, IoCsqRemoveIrp, IoCsqRemoveNextIrp, IoFreeIrp,
    IofCompleteRequest, KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock,
};
use wdk_sys::{
    IO_CSQ, IO_CSQ_IRP_CONTEXT, IRP, KIRQL, KSPIN_LOCK, LIST_ENTRY, NTSTATUS, PDEVICE_OBJECT,
    PIO_CSQ, PIRP, PKIRQL, PLIST_ENTRY, PVOID, STATUS_CANCELLED, STATUS_MORE_PROCESSING_REQUIRED,
    STATUS_SUCCESS,
};
use wsk_sim::{run, seeds};
use wsk_sys::{IoSetCompletionRoutine, IoSetNextIrpStackLocation, irp_status, set_irp_status};

use crate::driver::{Shared, zeroed};

unsafe fn complete(irp: PIRP, status: NTSTATUS) {
    // SAFETY: the caller has the IRP.
    unsafe { set_irp_status(irp, status, 0) };
    // SAFETY: as above.
    unsafe { IofCompleteRequest(irp, 0) };
}

/// A cancel-safe queue with its list and its lock.
#[repr(C)]
#[derive(Clone, Copy)]
struct Queue {
    csq: IO_CSQ,
    list: LIST_ENTRY,
    lock: KSPIN_LOCK,
    list_lock: KSPIN_LOCK,
}

/// Where an IRP has its link.
const LINK: usize = offset_of!(IRP, Tail.Overlay.__bindgen_anon_2.ListEntry);

fn link(irp: PIRP) -> PLIST_ENTRY {
    irp.wrapping_byte_add(LINK).cast()
}

/// The members of the queue that begins with this `IO_CSQ`.
fn members(csq: PIO_CSQ) -> (PLIST_ENTRY, *mut KSPIN_LOCK, *mut KSPIN_LOCK) {
    let member = |offset| csq.wrapping_byte_add(offset);
    (
        member(offset_of!(Queue, list)).cast(),
        member(offset_of!(Queue, lock)).cast(),
        member(offset_of!(Queue, list_lock)).cast(),
    )
}

unsafe extern "C" fn insert(csq: PIO_CSQ, irp: PIRP) {
    let (list, _, lock) = members(csq);
    // SAFETY: the list and its lock are initialised.
    unsafe { ExInterlockedInsertTailList(list, link(irp), lock) };
}

unsafe extern "C" fn take_out(_: PIO_CSQ, irp: PIRP) {
    // SAFETY: the IRP is in the list, which the queue's lock guards.
    let LIST_ENTRY { Flink, Blink } = unsafe { *link(irp) };
    // SAFETY: as above.
    unsafe { (*Blink).Flink = Flink };
    // SAFETY: as above.
    unsafe { (*Flink).Blink = Blink };
}

unsafe extern "C" fn peek(csq: PIO_CSQ, irp: PIRP, _: PVOID) -> PIRP {
    let (head, ..) = members(csq);
    let before = if irp.is_null() { head } else { link(irp) };
    // SAFETY: the head, or an IRP in the list, which the queue's lock guards.
    let next = unsafe { (*before).Flink };
    if next == head {
        return ptr::null_mut();
    }
    next.wrapping_byte_sub(LINK).cast()
}

unsafe extern "C" fn acquire(csq: PIO_CSQ, irql: PKIRQL) {
    let (_, lock, _) = members(csq);
    // SAFETY: the lock is initialised.
    let old = unsafe { KeAcquireSpinLockRaiseToDpc(lock) };
    // SAFETY: the place for the IRQL is there.
    unsafe { irql.write(old) };
}

unsafe extern "C" fn release(csq: PIO_CSQ, irql: KIRQL) {
    let (_, lock, _) = members(csq);
    // SAFETY: acquired before.
    unsafe { KeReleaseSpinLock(lock, irql) };
}

unsafe extern "C" fn cancelled(_: PIO_CSQ, irp: PIRP) {
    // SAFETY: the IRP is out of the queue, and ours.
    unsafe { complete(irp, STATUS_CANCELLED) };
}

#[expect(clippy::unnecessary_box_returns, reason = "a queue does not move")]
fn queue() -> Box<Queue> {
    let mut queue: Box<Queue> = zeroed();
    let head = &raw mut queue.list;
    (queue.list.Flink, queue.list.Blink) = (head, head);
    let csq = (&raw mut *queue).cast();
    // SAFETY: the queue has its place.
    let status = unsafe {
        IoCsqInitialize(
            csq,
            Some(insert),
            Some(take_out),
            Some(peek),
            Some(acquire),
            Some(release),
            Some(cancelled),
        )
    };
    assert_eq!(status, STATUS_SUCCESS);
    queue
}

/// How often the IRP of a test has completed with success, and with `STATUS_CANCELLED` times ten.
unsafe extern "C" fn tally(_: PDEVICE_OBJECT, irp: PIRP, context: PVOID) -> NTSTATUS {
    // SAFETY: a completion routine may look at its IRP.
    let cancelled = unsafe { irp_status(irp) } == STATUS_CANCELLED;
    // SAFETY: the context is the counter of the test.
    let count = unsafe { &*context.cast::<AtomicU32>() };
    count.fetch_add(if cancelled { 10 } else { 1 }, SeqCst);
    STATUS_MORE_PROCESSING_REQUIRED
}

/// An IRP that has been given to the test itself, with `tally` above.
fn given_irp(count: &mut AtomicU32) -> PIRP {
    // SAFETY: within a simulation.
    let irp = unsafe { IoAllocateIrp(1, 0) };
    let context = ptr::from_mut(count).cast();
    // SAFETY: the IRP is ours, with a location left.
    unsafe { IoSetCompletionRoutine(irp, Some(tally), context, true, true, true) };
    // SAFETY: as above.
    unsafe { IoSetNextIrpStackLocation(irp) };
    irp
}

#[test]
fn csq_removal_and_cancellation_exclude_each_other() {
    static SEEN: AtomicU32 = AtomicU32::new(0);
    seeds(100, |sim| {
        let (mut queue, mut count) = (queue(), AtomicU32::new(0));
        let irp = given_irp(&mut count);
        let csq: PIO_CSQ = (&raw mut *queue).cast();
        // SAFETY: the queue is initialised, the IRP is ours.
        unsafe { IoCsqInsertIrp(csq, irp, ptr::null_mut()) };
        let shared = Shared(irp);
        // SAFETY: the IRP is freed only after this.
        let canceller = sim.spawn(move || unsafe { IoCancelIrp(shared.get()) });
        // SAFETY: the queue is initialised.
        let removed = unsafe { IoCsqRemoveNextIrp(csq, ptr::null_mut()) };
        if !removed.is_null() {
            assert_eq!(removed, irp);
            // SAFETY: removed, so it is ours.
            unsafe { complete(irp, STATUS_SUCCESS) };
        }
        let took = canceller.join();
        let expected = if removed.is_null() { 10 } else { 1 };
        assert_eq!(count.load(SeqCst), expected, "cancelled: {took}");
        SEEN.fetch_or(expected, SeqCst);
        // SAFETY: complete, and ours.
        unsafe { IoFreeIrp(irp) };
    });
    assert_eq!(SEEN.load(SeqCst), 11, "both happen under some schedule");
}

#[test]
fn csq_irp_is_removed_by_its_context_once() {
    run(|_| {
        let (mut queue, mut count) = (queue(), AtomicU32::new(0));
        let irp = given_irp(&mut count);
        let csq: PIO_CSQ = (&raw mut *queue).cast();
        let mut context: Box<IO_CSQ_IRP_CONTEXT> = zeroed();
        // SAFETY: queue and context are live, the IRP is ours.
        unsafe { IoCsqInsertIrp(csq, irp, &raw mut *context) };
        // SAFETY: as above.
        let remove = |context| unsafe { IoCsqRemoveIrp(csq, context) };
        assert_eq!(remove(&raw mut *context), irp);
        assert!(remove(&raw mut *context).is_null());
        // SAFETY: as above.
        unsafe { IoCsqInsertIrp(csq, irp, &raw mut *context) };
        // SAFETY: as above.
        assert_eq!(unsafe { IoCancelIrp(irp) }, 1);
        assert!(remove(&raw mut *context).is_null());
        assert_eq!(count.load(SeqCst), 10);
        // SAFETY: complete, and ours.
        unsafe { IoFreeIrp(irp) };
    });
}

#[test]
fn csq_irp_cancelled_before_is_not_kept() {
    run(|sim| {
        let (mut queue, mut count) = (queue(), AtomicU32::new(0));
        let irp = given_irp(&mut count);
        // SAFETY: the IRP is ours, and has no cancel routine yet.
        assert_eq!(unsafe { IoCancelIrp(irp) }, 0);
        // SAFETY: the queue is initialised.
        unsafe { IoCsqInsertIrp((&raw mut *queue).cast(), irp, ptr::null_mut()) };
        assert_eq!(count.load(SeqCst), 10);
        sim.sleep(Duration::from_millis(1));
        // SAFETY: complete, and ours.
        unsafe { IoFreeIrp(irp) };
        let (head, mut lock) = (&raw mut queue.list, 0);
        // SAFETY: the list is initialised.
        assert!(unsafe { ExInterlockedRemoveHeadList(head, &raw mut lock) }.is_null());
    });
}
