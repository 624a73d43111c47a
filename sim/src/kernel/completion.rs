//! Completion of IRPs: the completion routines are called from where an IRP is upwards, each as it
//! asked to be, until one keeps the IRP.

// UNSAFETY: completion routines are functions of the drivers'.
#![expect(
    unsafe_code,
    reason = "exports of the kernel that call the driver's routines"
)]

use core::sync::atomic::Ordering::SeqCst;
use std::sync::Arc;

use wdk_sys::{
    BOOLEAN, CCHAR, NTSTATUS, PDEVICE_OBJECT, PIO_COMPLETION_ROUTINE, PIRP, PVOID,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING, STATUS_SUCCESS,
};

use super::irp::{
    Origin, SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS, SL_PENDING_RETURNED,
    expect_known,
};
use super::irql::{DISPATCH, check_unchanged, require};
use super::layout::{Irp, Stack};
use super::{dispatch, driver, program};
use crate::current::current;
use crate::faults::Fault;
use crate::sched::Thread;
use crate::sim::{lock, offence};
use crate::verifier::Rule;

/// Completes an IRP for whoever has it: calls the completion routines from here up until one keeps
/// it.
pub(crate) fn complete(me: &Arc<Thread>, irp: PIRP) {
    let (packet, origin) = expect_known(me, irp, "IoCompleteRequest");
    let maker = lock(&me.sim.kernel.irps).maker(irp.addr());
    let describe = || lock(&me.sim.kernel.irps).describe(irp.addr());
    if !packet.is_in_flight() {
        offence(Rule::IrpCompletedTwice, &describe());
    }
    check_final(packet, describe);
    let size = usize::from(packet.size.get());
    while packet.is_in_flight() {
        let (routine, device) = leave_location(me, packet);
        let Some((routine, context)) = routine else {
            continue;
        };
        let irql = me.irql();
        me.completions.fetch_add(1, SeqCst);
        let driver = driver::number_of(me, device).unwrap_or(maker);
        // SAFETY: the driver set this routine for this IRP; it is called once, at most at
        // DISPATCH_LEVEL.
        let status = me.as_driver(driver, || unsafe { routine(device, irp, context) });
        me.completions.fetch_sub(1, SeqCst);
        check_unchanged(me, irql, "a completion routine");
        if status == STATUS_MORE_PROCESSING_REQUIRED {
            return;
        }
        if lock(&me.sim.kernel.pool)
            .find_freed(irp.addr() + size - 1)
            .is_some()
        {
            let details = format!("the routine freed IRP {irp:p} and returned {status:#x}");
            offence(Rule::CompletionStatus, &details);
        }
    }
    match origin {
        Origin::IoManager => program::finish(me, irp, packet),
        Origin::Allocated | Origin::Initialised => offence(Rule::CompletionStatus, &describe()),
    }
}

/// Reports a completion that is none.
fn check_final(packet: &Irp, describe: impl Fn() -> String) {
    let what = if packet.status.get() == STATUS_PENDING {
        "with STATUS_PENDING"
    } else if packet.cancel_routine.load(SeqCst) != 0 {
        "with a cancel routine set"
    } else {
        return;
    };
    let details = format!("completed {what}: {}", describe());
    offence(Rule::IrpCompletion, &details);
}

type Routine = (
    unsafe extern "C" fn(PDEVICE_OBJECT, PIRP, PVOID) -> NTSTATUS,
    PVOID,
);

/// Moves up one location; returns the routine to call, if it asked for this outcome, and the device
/// it belongs to.
fn leave_location(me: &Thread, packet: &Irp) -> (Option<Routine>, PDEVICE_OBJECT) {
    let location = packet.current_location.get();
    let stack = packet.stack(location);
    let control = stack.control.replace(0);
    let pending = control & SL_PENDING_RETURNED;
    dispatch::left(me, packet, pending != 0);
    packet.pending_returned.set(pending);
    packet.set_location(location + 1);
    let above: Option<&Stack> = packet.is_in_flight().then(|| packet.stack(location + 1));
    let wanted = if packet.status.get() >= 0 {
        SL_INVOKE_ON_SUCCESS
    } else {
        SL_INVOKE_ON_ERROR
    };
    let cancelled = packet.cancel.load(SeqCst) != 0 && control & SL_INVOKE_ON_CANCEL != 0;
    let routine = stack
        .routine
        .take()
        .filter(|_| control & wanted != 0 || cancelled);
    if let (None, Some(above), 1) = (routine, above, pending) {
        above.control.set(above.control.get() | SL_PENDING_RETURNED);
    }
    let device = above.map_or(core::ptr::null_mut(), |above| above.device.get());
    (
        routine.map(|routine| (routine, stack.context.get())),
        device,
    )
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IofCompleteRequest(irp: PIRP, _boost: CCHAR) {
    let me = current();
    require(&me, DISPATCH, "IoCompleteRequest");
    complete(&me, irp);
    me.sim.sched.point(&me);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoSetCompletionRoutineEx(
    _device: PDEVICE_OBJECT,
    irp: PIRP,
    routine: PIO_COMPLETION_ROUTINE,
    context: PVOID,
    on_success: BOOLEAN,
    on_error: BOOLEAN,
    on_cancel: BOOLEAN,
) -> NTSTATUS {
    let me = current();
    require(&me, DISPATCH, "IoSetCompletionRoutineEx");
    let (packet, _) = expect_known(&me, irp, "IoSetCompletionRoutineEx");
    let location = packet.current_location.get();
    if location <= 1 {
        let describe = lock(&me.sim.kernel.irps).describe(irp.addr());
        offence(
            Rule::IrpStackLocation,
            &format!("IoSetCompletionRoutineEx with {describe}"),
        );
    }
    if me.sim.faults.strikes(Fault::Allocation) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let flags = [
        (on_success, SL_INVOKE_ON_SUCCESS),
        (on_error, SL_INVOKE_ON_ERROR),
        (on_cancel, SL_INVOKE_ON_CANCEL),
    ];
    let wanted = flags.into_iter().filter(|(wanted, _)| *wanted != 0);
    let next = packet.stack(location - 1);
    next.routine.set(routine);
    next.context.set(context);
    next.control
        .set(wanted.fold(0, |all, (_, flag)| all | flag));
    STATUS_SUCCESS
}
