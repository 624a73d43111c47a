//! IRPs: the inline functions of wdm.h, which bindgen does not generate, and access to anonymous
//! members.
//!
//! An IRP is followed in memory by its stack locations, `StackCount` of them. A driver's own
//! location is the current one; requests go to the next one, which lies below it. The numbers count
//! from 1, and the current number of an IRP that nobody has sent yet is `StackCount + 1`.

// UNSAFETY: an IRP is shared memory with a layout of the kernel's, reached by pointer.
#![expect(unsafe_code, reason = "pointer access to kernel structures")]
#![expect(non_snake_case, reason = "the names of the C headers")]
#![expect(clippy::cast_possible_truncation, reason = "flags and sizes that fit")]

use core::{mem::offset_of, ptr};

use wdk_sys::{
    CCHAR, CHAR, IO_STACK_LOCATION, IO_STATUS_BLOCK, IRP, NTSTATUS, PIO_COMPLETION_ROUTINE,
    PIO_STACK_LOCATION, PIRP, PVOID, SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS,
    SL_PENDING_RETURNED, UCHAR, ULONG_PTR, USHORT,
};

/// Where an IRP keeps the pointer to its current stack location.
const CURRENT_STACK_LOCATION: usize = offset_of!(
    IRP,
    Tail.Overlay
        .__bindgen_anon_2
        .__bindgen_anon_1
        .CurrentStackLocation
);
/// Where an I/O status block keeps its status.
const STATUS: usize = offset_of!(IO_STATUS_BLOCK, __bindgen_anon_1.Status);

// x64 and arm64.
const _: () = assert!(CURRENT_STACK_LOCATION == 0xB8);
const _: () = assert!(STATUS == 0);

/// Bytes of an IRP with `StackSize` stack locations.
#[must_use]
pub const fn IoSizeOfIrp(StackSize: CCHAR) -> USHORT {
    let locations = StackSize.cast_unsigned() as usize;
    (size_of::<IRP>() + locations * size_of::<IO_STACK_LOCATION>()) as USHORT
}

/// The stack location of the driver that has the IRP now.
///
/// # Safety
/// `Irp` points to an initialised IRP which the caller owns.
#[must_use]
pub const unsafe fn IoGetCurrentIrpStackLocation(Irp: PIRP) -> PIO_STACK_LOCATION {
    // SAFETY: the caller's promise.
    let location = unsafe { current_stack_location(Irp) };
    // SAFETY: inside the IRP, initialised, and not written meanwhile: the caller owns the IRP.
    unsafe { *location }
}

/// The stack location of the driver that gets the IRP next.
///
/// # Safety
/// `Irp` points to an initialised IRP which the caller owns and which has a location left.
#[must_use]
pub const unsafe fn IoGetNextIrpStackLocation(Irp: PIRP) -> PIO_STACK_LOCATION {
    // SAFETY: the caller's promise.
    let current = unsafe { IoGetCurrentIrpStackLocation(Irp) };
    // SAFETY: a location is left, so the one below lies in the same allocation.
    unsafe { current.sub(1) }
}

/// Makes the next stack location the current one, for a caller that fills it in for itself.
///
/// # Safety
/// As [`IoGetNextIrpStackLocation`].
pub const unsafe fn IoSetNextIrpStackLocation(Irp: PIRP) {
    // SAFETY: the caller's promise.
    unsafe { move_stack_location(Irp, -1) };
}

/// Lets the next driver see the caller's own stack location instead of a new one.
///
/// # Safety
/// `Irp` points to an initialised IRP which the caller owns and which is at a location.
pub const unsafe fn IoSkipCurrentIrpStackLocation(Irp: PIRP) {
    // SAFETY: the caller's promise.
    unsafe { move_stack_location(Irp, 1) };
}

/// Copies the parameters of the current stack location to the next one, without the completion
/// routine.
///
/// # Safety
/// `Irp` points to an initialised IRP which the caller owns, which is at a location, and which has
/// one left.
pub const unsafe fn IoCopyCurrentIrpStackLocationToNext(Irp: PIRP) {
    const PARAMETERS: usize = offset_of!(IO_STACK_LOCATION, CompletionRoutine);
    // SAFETY: the caller's promise.
    let current = unsafe { IoGetCurrentIrpStackLocation(Irp) };
    // SAFETY: the caller's promise.
    let next = unsafe { IoGetNextIrpStackLocation(Irp) };
    // SAFETY: two different locations of the caller's IRP, copied up to the routine, which is
    // inside of both.
    unsafe { ptr::copy_nonoverlapping::<u8>(current.cast(), next.cast(), PARAMETERS) };
    // SAFETY: inside the location, as above.
    unsafe { (*next).Control = 0 };
}

/// Sets the routine that runs when the driver below completes the IRP: on success, on error, on
/// cancellation.
///
/// # Safety
/// As [`IoGetNextIrpStackLocation`]. `CompletionRoutine` may be called with `Context` until the IRP
/// has been completed, in an arbitrary thread, at up to `DISPATCH_LEVEL`; it must be there if any
/// of the flags is set.
pub const unsafe fn IoSetCompletionRoutine(
    Irp: PIRP,
    CompletionRoutine: PIO_COMPLETION_ROUTINE,
    Context: PVOID,
    InvokeOnSuccess: bool,
    InvokeOnError: bool,
    InvokeOnCancel: bool,
) {
    let mut control = 0;
    if InvokeOnSuccess {
        control |= SL_INVOKE_ON_SUCCESS as UCHAR;
    }
    if InvokeOnError {
        control |= SL_INVOKE_ON_ERROR as UCHAR;
    }
    if InvokeOnCancel {
        control |= SL_INVOKE_ON_CANCEL as UCHAR;
    }
    // SAFETY: the caller's promise.
    let next = unsafe { IoGetNextIrpStackLocation(Irp) };
    // SAFETY: a location of the caller's IRP, which no one else has while the caller owns the IRP.
    let next = unsafe { &mut *next };
    next.CompletionRoutine = CompletionRoutine;
    next.Context = Context;
    next.Control = control;
}

/// Says that the dispatch routine of the current location returns `STATUS_PENDING`.
///
/// # Safety
/// `Irp` points to an initialised IRP which the caller owns and which is at a location.
pub const unsafe fn IoMarkIrpPending(Irp: PIRP) {
    // SAFETY: the caller's promise.
    let current = unsafe { IoGetCurrentIrpStackLocation(Irp) };
    // SAFETY: a location of the caller's IRP.
    unsafe { (*current).Control |= SL_PENDING_RETURNED as UCHAR };
}

/// `Irp->IoStatus.Status`.
///
/// # Safety
/// `Irp` points to an initialised IRP which no one else writes.
#[must_use]
pub const unsafe fn irp_status(Irp: PIRP) -> NTSTATUS {
    // SAFETY: the caller's promise.
    let block = unsafe { &(*Irp).IoStatus };
    io_status(block)
}

/// `Irp->IoStatus.Information`.
///
/// # Safety
/// As [`irp_status`].
#[must_use]
pub const unsafe fn irp_information(Irp: PIRP) -> ULONG_PTR {
    // SAFETY: the caller's promise.
    unsafe { (*Irp).IoStatus.Information }
}

/// Sets both members of `Irp->IoStatus`.
///
/// # Safety
/// `Irp` points to an initialised IRP which the caller owns.
pub const unsafe fn set_irp_status(Irp: PIRP, status: NTSTATUS, information: ULONG_PTR) {
    // SAFETY: the caller's promise.
    let block = unsafe { &mut (*Irp).IoStatus };
    block.__bindgen_anon_1.Status = status;
    block.Information = information;
}

/// The status in an I/O status block.
#[must_use]
pub const fn io_status(block: &IO_STATUS_BLOCK) -> NTSTATUS {
    // SAFETY: the other arm of the union is a pointer, any four bytes of which are a status.
    unsafe { block.__bindgen_anon_1.Status }
}

/// Where the IRP keeps the pointer to its current stack location.
///
/// # Safety
/// `Irp` points to an IRP.
const unsafe fn current_stack_location(Irp: PIRP) -> *mut PIO_STACK_LOCATION {
    // SAFETY: the offset of a member of the IRP.
    unsafe { Irp.byte_add(CURRENT_STACK_LOCATION).cast() }
}

/// # Safety
/// `Irp` points to an initialised IRP which the caller owns and which has a location, or its end,
/// at this distance.
const unsafe fn move_stack_location(Irp: PIRP, locations: CHAR) {
    // SAFETY: the caller owns the IRP.
    let number = unsafe { &mut (*Irp).CurrentLocation };
    *number = number.wrapping_add(locations);
    // SAFETY: the caller's promise.
    let current = unsafe { current_stack_location(Irp) };
    // SAFETY: inside the IRP, which the caller owns.
    let current = unsafe { &mut *current };
    // SAFETY: within the locations or at their end, by the caller's promise.
    *current = unsafe { current.offset(locations as isize) };
}
