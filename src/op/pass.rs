//! Requests of the driver's own clients, passed down to WSK: one IRP, no copy [wsk 3.3].
//!
//! A slot of the socket goes with the IRP. It has what WSK reads until completion, and keeps what
//! every request keeps; its own IRP rests. Nobody waits for it: the handle side is let go as soon
//! as the call has returned. The IRP never is the library's to keep: its completion routine lets
//! the slot go and the request go on to the I/O manager.
//!
//! ```text
//! dispatch routine -> PendingIrp -> pass -> WSK ... completion routine -> I/O manager -> client
//! ```
//!
//! The location of the driver's is marked pending from the start, so that the routine need not do
//! that [wsk 3.3].

// UNSAFETY: passes IRPs on by address, under the protocol of `handshake`.
#![expect(unsafe_code, reason = "passes IRPs on by address")]

use core::ptr::NonNull;

use wsk_sys::{
    WSK_SOCKET, set_irp_status,
    wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PIRP, PVOID, STATUS_NOT_IMPLEMENTED, STATUS_SUCCESS},
};

use super::{
    calls::{Table, table_of},
    completion::{self, Completion},
    core::{Call, CoreRef},
    slot::{Arguments, Payload, Prepared, Slot},
};
use crate::{
    counters::Counted,
    irp::{PendingIrp, RefusedIrp},
    status::{Error, Status},
};

/// Passes a request of the kind `major` to `function`, unless it asks for no bytes: then it
/// succeeds at once.
///
/// `function` makes at most one WSK call on the socket it is given, with the IRP and the data of
/// what it is given, and returns what that returned.
pub(super) fn pass(
    core: &CoreRef,
    name: &'static str,
    irp: PendingIrp,
    major: u32,
    function: impl FnOnce(Table, *mut WSK_SOCKET, &Prepared) -> Option<NTSTATUS>,
) -> Result<(), RefusedIrp> {
    let mut arguments = Arguments::none();
    match irp.data(major) {
        Ok(Some(data)) => arguments.data = data,
        Ok(None) => {
            irp.complete(Status::SUCCESS, 0);
            return Ok(());
        }
        Err(error) => return Err(irp.refuse(error)),
    }
    let call = match core.enter(name) {
        Ok(call) => call,
        Err(error) => return Err(irp.refuse(error)),
    };
    let slot = match core.check_out() {
        Ok(slot) => slot,
        Err(error) => return Err(irp.refuse(Error::new(name, error.status()))),
    };
    // SAFETY: just checked out of the core that `call` is of.
    unsafe { pass_in(slot, &call, irp, arguments, function) }
        .map_err(|(irp, status)| irp.refuse(Error::new(name, status)))
}

/// The rest of [`pass`]. On failure the request was left alone.
///
/// # Safety
///
/// `slot` was checked out of the core of `call`, and is the caller's alone.
unsafe fn pass_in(
    slot: NonNull<Slot>,
    call: &Call<'_>,
    irp: PendingIrp,
    arguments: Arguments,
    function: impl FnOnce(Table, *mut WSK_SOCKET, &Prepared) -> Option<NTSTATUS>,
) -> Result<(), (PendingIrp, Status)> {
    // SAFETY: freed by its core only, which the slot itself keeps from `begin` on.
    let shared = unsafe { slot.as_ref() };
    let irp = irp.into_raw();
    // SAFETY: a request of the driver's, which was ours until the line above.
    let location = unsafe { (*irp).CurrentLocation };
    // SAFETY: idle, and ours alone (the caller's promise).
    unsafe { shared.begin(call.outstanding(), Payload::Nothing, Counted::operation()) };
    // SAFETY: just begun. The IRP has a next stack location, or `data` would have refused it.
    let prepared = unsafe { shared.prepare_irp(irp, passed, arguments) };
    let status = function(table_of(call), call.socket(), &prepared);
    let status = Status::from_raw(status.unwrap_or(STATUS_NOT_IMPLEMENTED));
    // SAFETY: prepared and called; the handle side still holds the slot.
    let left = unsafe { shared.was_left(irp, location, status) };
    if left {
        // SAFETY: nobody took the IRP: we are the IRP side, once.
        unsafe { completion::finish(slot, failed(status)) };
    }
    if shared.handshake.release_handle() {
        // SAFETY: told to be the last.
        unsafe { completion::recycle(slot) }
    }
    if left {
        // SAFETY: nobody took it, so it is as it was but for the completion routine.
        return Err((unsafe { PendingIrp::from_untouched(irp) }, status));
    }
    Ok(())
}

fn failed(status: Status) -> Completion {
    Completion {
        status,
        information: 0,
    }
}

/// The completion routine.
unsafe extern "C" fn passed(_device: PDEVICE_OBJECT, irp: PIRP, context: PVOID) -> NTSTATUS {
    // SAFETY: the context that `prepare_irp` set: a slot that the IRP side holds until `finish`.
    let slot = unsafe { NonNull::new_unchecked(context.cast::<Slot>()) };
    // SAFETY: the IRP is completed as far as WSK goes, and ours until this returns [wsk 3.3].
    let ended = unsafe { Completion::of(irp) };
    if !ended.status.is_success() {
        // What WSK leaves there means nothing, and the client would get it.
        // SAFETY: as above.
        unsafe { set_irp_status(irp, ended.status.as_raw(), 0) };
    }
    // SAFETY: the IRP side, once for each IRP [wsk 3.5].
    unsafe { completion::finish(slot, ended) };
    // Completion goes on, at the I/O manager.
    STATUS_SUCCESS
}
