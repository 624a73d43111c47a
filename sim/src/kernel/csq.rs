//! Cancel-safe queues: `IO_CSQ`.
//!
//! The driver has the queue and its lock; these functions call the driver's routines in the order
//! that makes removal and cancellation exclude each other. Member 3 of an IRP's `DriverContext`
//! says which queue it is in, by a context or by the queue itself.

// UNSAFETY: queues are in the driver's memory, with routines of the driver's in them.
#![expect(
    unsafe_code,
    reason = "exports of the kernel that call the driver's routines"
)]

use core::sync::atomic::Ordering::SeqCst;

use wdk_sys::{
    IO_CSQ, IO_CSQ_INSERT_IRP_EX, IO_CSQ_IRP_CONTEXT, IO_TYPE_CSQ, IO_TYPE_CSQ_EX,
    IO_TYPE_CSQ_IRP_CONTEXT, NTSTATUS, PDEVICE_OBJECT, PIO_CSQ, PIO_CSQ_ACQUIRE_LOCK,
    PIO_CSQ_COMPLETE_CANCELED_IRP, PIO_CSQ_INSERT_IRP, PIO_CSQ_IRP_CONTEXT, PIO_CSQ_PEEK_NEXT_IRP,
    PIO_CSQ_RELEASE_LOCK, PIO_CSQ_REMOVE_IRP, PIRP, PVOID, STATUS_INVALID_PARAMETER,
    STATUS_SUCCESS, ULONG,
};

use super::cancel::release_cancel_lock;
use super::irp::{SL_PENDING_RETURNED, expect_known};
use super::layout::{Irp, view};
use crate::current::current;

/// Where `DriverContext` names the queue.
const QUEUE: usize = 3;

/// The routines of a queue.
#[derive(Clone, Copy)]
struct Routines {
    kind: ULONG,
    insert: PIO_CSQ_INSERT_IRP,
    remove: unsafe extern "C" fn(PIO_CSQ, PIRP),
    peek: unsafe extern "C" fn(PIO_CSQ, PIRP, PVOID) -> PIRP,
    acquire: unsafe extern "C" fn(PIO_CSQ, *mut u8),
    release: unsafe extern "C" fn(PIO_CSQ, u8),
    complete: unsafe extern "C" fn(PIO_CSQ, PIRP),
}

impl Routines {
    /// # Safety
    ///
    /// `queue` points to a queue of the driver's.
    unsafe fn of(queue: PIO_CSQ) -> Option<Self> {
        // SAFETY: promised by the caller.
        let queue = unsafe { queue.read() };
        Some(Self {
            kind: queue.Type,
            insert: queue.CsqInsertIrp,
            remove: queue.CsqRemoveIrp?,
            peek: queue.CsqPeekNextIrp?,
            acquire: queue.CsqAcquireLock?,
            release: queue.CsqReleaseLock?,
            complete: queue.CsqCompleteCanceledIrp?,
        })
    }

    /// Runs `action` under the driver's lock.
    fn locked<T>(&self, queue: PIO_CSQ, action: impl FnOnce() -> T) -> T {
        let mut irql = 0;
        // SAFETY: the driver gave this routine for this queue.
        unsafe { (self.acquire)(queue, &raw mut irql) };
        let result = action();
        // SAFETY: as above; acquired before.
        unsafe { (self.release)(queue, irql) };
        result
    }

    /// Takes an IRP out of the queue; under the lock, for whoever took its cancel routine.
    fn take(&self, queue: PIO_CSQ, irp: PIRP, packet: &Irp) {
        // SAFETY: the driver gave this routine for this queue, and the IRP is in it.
        unsafe { (self.remove)(queue, irp) };
        let context = packet.driver_context[QUEUE].replace(0);
        if context != queue.addr() {
            let context = core::ptr::with_exposed_provenance_mut::<IO_CSQ_IRP_CONTEXT>(context);
            // SAFETY: the driver keeps a context as long as its IRP is in the queue.
            unsafe { (*context).Irp = core::ptr::null_mut() };
        }
    }

    fn insert(&self, queue: PIO_CSQ, irp: PIRP, context: PVOID) -> NTSTATUS {
        let Some(insert) = self.insert else {
            return STATUS_INVALID_PARAMETER;
        };
        if self.kind == IO_TYPE_CSQ_EX {
            // SAFETY: IoCsqInitializeEx put a routine of this type here.
            let insert: IO_CSQ_INSERT_IRP_EX = unsafe { core::mem::transmute(insert) };
            // SAFETY: the driver gave this routine for this queue.
            return insert.map_or(STATUS_SUCCESS, |insert| unsafe {
                insert(queue, irp, context)
            });
        }
        // SAFETY: the driver gave this routine for this queue.
        unsafe { insert(queue, irp) };
        STATUS_SUCCESS
    }
}

/// Takes the cancel routine of an IRP out; false if it is being cancelled.
fn take_cancel_routine(packet: &Irp) -> bool {
    packet.cancel_routine.swap(0, SeqCst) != 0
}

/// The queue that an IRP is in.
fn queue_of(packet: &Irp) -> PIO_CSQ {
    let name = packet.driver_context[QUEUE].get();
    let named: PVOID = core::ptr::with_exposed_provenance_mut(name);
    // SAFETY: a queue or a context, both of which begin with their type.
    if unsafe { named.cast::<ULONG>().read() } == IO_TYPE_CSQ_IRP_CONTEXT {
        // SAFETY: the type says that it is a context.
        return unsafe { (*named.cast::<IO_CSQ_IRP_CONTEXT>()).Csq };
    }
    named.cast()
}

/// The cancel routine of every IRP in a queue.
unsafe extern "C" fn cancel(_device: PDEVICE_OBJECT, irp: PIRP) {
    // SAFETY: whoever cancels holds the cancel lock, and the IRP is in a queue.
    let packet: &Irp = unsafe { view(irp) };
    release_cancel_lock(&current(), packet.cancel_irql.load(SeqCst));
    let queue = queue_of(packet);
    // SAFETY: the driver keeps the queue as long as an IRP is in it.
    let Some(routines) = (unsafe { Routines::of(queue) }) else {
        return;
    };
    routines.locked(queue, || routines.take(queue, irp, packet));
    // SAFETY: the driver gave this routine for this queue; the IRP is out of it.
    unsafe { (routines.complete)(queue, irp) };
}

fn initialise(queue: PIO_CSQ, value: IO_CSQ) -> NTSTATUS {
    // SAFETY: the driver passes memory for a queue.
    unsafe { queue.write(value) };
    queue.expose_provenance();
    // SAFETY: written above.
    match unsafe { Routines::of(queue) } {
        Some(routines) if routines.insert.is_some() => STATUS_SUCCESS,
        _ => STATUS_INVALID_PARAMETER,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoCsqInitialize(
    queue: PIO_CSQ,
    insert: PIO_CSQ_INSERT_IRP,
    remove: PIO_CSQ_REMOVE_IRP,
    peek: PIO_CSQ_PEEK_NEXT_IRP,
    acquire: PIO_CSQ_ACQUIRE_LOCK,
    release: PIO_CSQ_RELEASE_LOCK,
    complete: PIO_CSQ_COMPLETE_CANCELED_IRP,
) -> NTSTATUS {
    let value = IO_CSQ {
        Type: IO_TYPE_CSQ,
        CsqInsertIrp: insert,
        CsqRemoveIrp: remove,
        CsqPeekNextIrp: peek,
        CsqAcquireLock: acquire,
        CsqReleaseLock: release,
        CsqCompleteCanceledIrp: complete,
        ReservePointer: core::ptr::null_mut(),
    };
    initialise(queue, value)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoCsqInitializeEx(
    queue: PIO_CSQ,
    insert: IO_CSQ_INSERT_IRP_EX,
    remove: PIO_CSQ_REMOVE_IRP,
    peek: PIO_CSQ_PEEK_NEXT_IRP,
    acquire: PIO_CSQ_ACQUIRE_LOCK,
    release: PIO_CSQ_RELEASE_LOCK,
    complete: PIO_CSQ_COMPLETE_CANCELED_IRP,
) -> NTSTATUS {
    let value = IO_CSQ {
        Type: IO_TYPE_CSQ_EX,
        // SAFETY: both are pointers to functions or null; the type says which it is.
        CsqInsertIrp: unsafe {
            core::mem::transmute::<IO_CSQ_INSERT_IRP_EX, PIO_CSQ_INSERT_IRP>(insert)
        },
        CsqRemoveIrp: remove,
        CsqPeekNextIrp: peek,
        CsqAcquireLock: acquire,
        CsqReleaseLock: release,
        CsqCompleteCanceledIrp: complete,
        ReservePointer: core::ptr::null_mut(),
    };
    initialise(queue, value)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoCsqInsertIrp(queue: PIO_CSQ, irp: PIRP, context: PIO_CSQ_IRP_CONTEXT) {
    // SAFETY: the caller's promise is the same.
    let _ = unsafe { IoCsqInsertIrpEx(queue, irp, context, core::ptr::null_mut()) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoCsqInsertIrpEx(
    queue: PIO_CSQ,
    irp: PIRP,
    context: PIO_CSQ_IRP_CONTEXT,
    insert_context: PVOID,
) -> NTSTATUS {
    let (packet, _) = expect_known(&current(), irp, "IoCsqInsertIrp");
    // SAFETY: the driver passes an initialised queue.
    let Some(routines) = (unsafe { Routines::of(queue) }) else {
        return STATUS_INVALID_PARAMETER;
    };
    let name = if context.is_null() {
        queue.expose_provenance()
    } else {
        let value = IO_CSQ_IRP_CONTEXT {
            Type: IO_TYPE_CSQ_IRP_CONTEXT,
            Irp: irp,
            Csq: queue,
        };
        // SAFETY: the driver passes null or a context that it keeps while the IRP is in the queue.
        unsafe { context.write(value) };
        context.expose_provenance()
    };
    packet.driver_context[QUEUE].set(name);
    let insert = || {
        let status = routines.insert(queue, irp, insert_context);
        if status < 0 {
            return (status, false);
        }
        let stack = packet.stack(packet.current_location.get());
        stack.control.set(stack.control.get() | SL_PENDING_RETURNED);
        packet
            .cancel_routine
            .store(cancel as *const () as usize, SeqCst);
        let cancelled = packet.cancel.load(SeqCst) != 0 && take_cancel_routine(packet);
        if cancelled {
            routines.take(queue, irp, packet);
        }
        (status, cancelled)
    };
    let (status, cancelled) = routines.locked(queue, insert);
    if cancelled {
        // SAFETY: the driver gave this routine for this queue; the IRP is out of it.
        unsafe { (routines.complete)(queue, irp) };
    }
    status
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoCsqRemoveIrp(queue: PIO_CSQ, context: PIO_CSQ_IRP_CONTEXT) -> PIRP {
    // SAFETY: the driver passes an initialised queue.
    let Some(routines) = (unsafe { Routines::of(queue) }) else {
        return core::ptr::null_mut();
    };
    let remove = || {
        // SAFETY: the driver passes the context of an IRP, which the lock guards.
        let irp = unsafe { (*context).Irp };
        if irp.is_null() {
            return irp;
        }
        // SAFETY: an IRP in a queue is alive.
        let packet: &Irp = unsafe { view(irp) };
        if !take_cancel_routine(packet) {
            return core::ptr::null_mut();
        }
        routines.take(queue, irp, packet);
        irp
    };
    routines.locked(queue, remove)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoCsqRemoveNextIrp(queue: PIO_CSQ, peek_context: PVOID) -> PIRP {
    // SAFETY: the driver passes an initialised queue.
    let Some(routines) = (unsafe { Routines::of(queue) }) else {
        return core::ptr::null_mut();
    };
    let remove = || {
        let mut irp = core::ptr::null_mut();
        loop {
            // SAFETY: the driver gave this routine for this queue; the lock is held.
            irp = unsafe { (routines.peek)(queue, irp, peek_context) };
            if irp.is_null() {
                return irp;
            }
            // SAFETY: an IRP in a queue is alive.
            let packet: &Irp = unsafe { view(irp) };
            // One that is being cancelled stays for its cancel routine.
            if take_cancel_routine(packet) {
                routines.take(queue, irp, packet);
                return irp;
            }
        }
    };
    routines.locked(queue, remove)
}
