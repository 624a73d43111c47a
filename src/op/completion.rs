//! The IRP side of a request: the completion routine, and what the last side does.
//!
//! It records, publishes and wakes. It calls no WSK function [wsk 3.9], never blocks, and always
//! returns `STATUS_MORE_PROCESSING_REQUIRED` [wsk 3.2]. It runs at <= DISPATCH_LEVEL on any thread,
//! possibly before the call that started the request has returned [wsk 3.5].

// UNSAFETY: called by the I/O manager with addresses, under the protocol of `handshake`.
#![expect(unsafe_code, reason = "called by the I/O manager")]

use core::ptr::NonNull;

use wsk_sys::{
    WSK_SOCKET, irp_information, irp_status,
    wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PIRP, PVOID, STATUS_MORE_PROCESSING_REQUIRED},
};

use super::{
    core::CoreRef,
    descriptor::{DescriptorRef, DescriptorRoom},
    entry::Lost,
    slot::{Extra, Held, Payload, Slot, Waiter},
};
use crate::{counters::lose, status::Status, sync::event::Event};

/// What the I/O status block said at completion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completion {
    pub(crate) status: Status,
    /// Defined on success only, and then by the kind of request.
    pub(crate) information: usize,
}

impl Completion {
    /// # Safety
    ///
    /// The IRP is completed, and the caller's.
    pub(super) unsafe fn of(irp: PIRP) -> Self {
        // SAFETY: the caller's promise.
        let status = unsafe { irp_status(irp) };
        // SAFETY: as above.
        let information = unsafe { irp_information(irp) };
        Self {
            status: Status::from_raw(status),
            information: usize::try_from(information).unwrap_or(0),
        }
    }

    /// The socket that a successful WskSocket or WskAccept made.
    pub(crate) fn socket(self) -> Option<NonNull<WSK_SOCKET>> {
        NonNull::new(core::ptr::with_exposed_provenance_mut(self.information))
    }
}

/// The completion routine.
pub(super) unsafe extern "C" fn completed(
    _device: PDEVICE_OBJECT,
    irp: PIRP,
    context: PVOID,
) -> NTSTATUS {
    // SAFETY: the context that `prepare` set: a slot that the IRP side holds until `finish`.
    let slot = unsafe { NonNull::new_unchecked(context.cast::<Slot>()) };
    // SAFETY: the IRP is completed, and ours until this returns [wsk 3.2].
    let completion = unsafe { Completion::of(irp) };
    // SAFETY: the IRP side, once for each IRP [wsk 3.5].
    unsafe { complete(slot, completion) };
    STATUS_MORE_PROCESSING_REQUIRED
}

/// The request is over.
///
/// # Safety
///
/// Called by the IRP side, once for each `begin`.
pub(super) unsafe fn complete(slot: NonNull<Slot>, completion: Completion) {
    // SAFETY: the IRP side holds the slot.
    let shared = unsafe { slot.as_ref() };
    // SAFETY: `held` is frozen until `finish`.
    let held = unsafe { &*shared.held.get() };
    if let Some(held) = held
        && held.core.is_close_slot(shared)
    {
        // SAFETY: the IRP side of the close slot.
        if unsafe { held.core.closed(completion) } {
            return;
        }
    }
    if let Some(core) = shared.receiver() {
        // SAFETY: the IRP side of a receive, which passes to the list.
        unsafe { core.received(slot, completion) };
        return;
    }
    // SAFETY: the caller's promise.
    unsafe { finish(slot, completion) };
}

/// Disposes of the handler of a closed socket and of the contexts of its extensions, and ends the
/// close.
///
/// # Safety
///
/// Called once by the DPC that the IRP side of the close slot has left the rest to.
pub(super) unsafe fn end_close(slot: NonNull<Slot>) {
    // SAFETY: the IRP side holds the slot.
    let shared = unsafe { slot.as_ref() };
    // SAFETY: `held` is frozen until `finish`.
    let held = unsafe { &*shared.held.get() };
    // SAFETY: completed, and ours until `finish`.
    let completion = unsafe { Completion::of(shared.packet.get().cast()) };
    if let Some(held) = held {
        // SAFETY: the close has completed like that; once (the caller's promise).
        unsafe { held.core.dispose(completion) };
    }
    // SAFETY: this is the IRP side (the caller's promise).
    unsafe { finish(slot, completion) };
}

/// Records, publishes, wakes, and lets the IRP side go.
///
/// # Safety
///
/// Called by the IRP side, once for each `begin`.
pub(super) unsafe fn finish(slot: NonNull<Slot>, completion: Completion) {
    // SAFETY: the IRP side holds the slot until `release_irp`.
    let shared = unsafe { slot.as_ref() };
    // SAFETY: completed, and the IRP side is not gone.
    unsafe { note(shared, completion) };
    // SAFETY: the IRP side's own. Dropped at the very end of this function.
    let _outstanding = unsafe { (*shared.outstanding.get()).take() };
    // SAFETY: the caller's promise.
    let waiter = unsafe { shared.handshake.complete(completion) };
    if shared.handshake.release_irp() {
        // SAFETY: told to be the last.
        unsafe { recycle(slot) }
    }
    // From here on the slot is not ours; a waiter that was taken keeps what is used.
    match waiter {
        Some(Waiter::Thread(event)) => {
            // SAFETY: the thread waits until it is set (`Handle::wait`).
            unsafe { Event::set_last(event.as_ptr()) }
        }
        Some(Waiter::Task(task)) => task.wake(),
        None => {}
    }
}

/// What the socket is to know of an outcome, whoever wants it.
///
/// # Safety
///
/// The caller is the IRP side of a completed request.
unsafe fn note(slot: &Slot, completion: Completion) {
    // SAFETY: `held` is frozen until the IRP side is gone.
    let Some(Held { core, payload, .. }) = (unsafe { &*slot.held.get() }) else {
        return;
    };
    if completion.status.is_success() {
        // SAFETY: completed, so that the provider does not write the arguments any more.
        core.reach(unsafe { &*slot.arguments.get() }.reaches);
    } else if completion.status == Status::CANCELLED && matches!(payload, Payload::ReceiveAll(_)) {
        // It may have taken some bytes: WSK does not say.
        core.receiving().break_off();
    }
}

/// Disposes of what nobody took, and gives the slot back to its socket.
///
/// # Safety
///
/// The caller was told to be the last side.
pub(super) unsafe fn recycle(slot: NonNull<Slot>) {
    // SAFETY: nobody else holds it, and the core, which frees it, is kept by `held`.
    let shared = unsafe { slot.as_ref() };
    // SAFETY: the last side.
    let completion = unsafe { shared.handshake.take_result() };
    // SAFETY: the last side.
    let held = unsafe { (*shared.held.get()).take() };
    // SAFETY: the last side.
    unsafe { shared.handshake.reset() };
    let Some(Held {
        core,
        payload,
        _counted,
    }) = held
    else {
        return;
    };
    if let Some(completion) = completion {
        // SAFETY: the last side.
        let extra = unsafe { (*shared.arguments.get()).extra };
        dispose(&core, completion, payload, &extra);
    }
    // SAFETY: idle, one of the core's own, and nobody else has it.
    unsafe { core.put_back(slot) }
}

/// Nobody wants the result: closes a socket that was made, releases a descriptor that was given.
fn dispose(core: &CoreRef, completion: Completion, payload: Payload, extra: &Extra) {
    let succeeded = completion.status.is_success();
    match payload {
        // Nothing is closed or dropped here: this may be a completion routine [wsk 3.9].
        Payload::Socket(unopened) | Payload::Owned(unopened, _) => {
            match completion.socket().filter(|_| succeeded) {
                // SAFETY: the request was to make a socket for this core, and succeeded.
                Some(socket) => unsafe { unopened.close_orphan(socket) },
                None => unopened.drop_soon(),
            }
        }
        Payload::ReceiveAll(_) if succeeded => {
            lose(Lost {
                bytes: completion.information,
                datagrams: 0,
            });
            core.receiving().break_off();
        }
        Payload::DescriptorRoom(room) if succeeded => drop(given_descriptor(room, extra)),
        Payload::Addresses(addresses) => addresses.abandon(),
        Payload::Nothing
        | Payload::Send(_)
        | Payload::Chain(_)
        | Payload::Control { .. }
        | Payload::Descriptor(_)
        | Payload::DescriptorRoom(_)
        | Payload::Names(_)
        | Payload::Receive(_)
        | Payload::ReceiveFrom(_)
        | Payload::ReceiveAll(_) => {}
    }
}

/// The descriptor that a successful request has given: a pointer in `extra` [wsk 5.2].
pub(crate) fn given_descriptor(room: DescriptorRoom, extra: &Extra) -> Option<DescriptorRef> {
    let address = usize::try_from(extra[0]).ok()?;
    let descriptor = NonNull::new(core::ptr::with_exposed_provenance_mut(address))?;
    // SAFETY: the provider has cached it for this client, which is to release it.
    Some(unsafe { room.fill(descriptor) })
}
