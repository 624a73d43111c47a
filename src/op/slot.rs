//! A slot: the one nonpaged allocation that a request is.
//!
//! It holds the IRP, the handshake, everything that the request points to, and what the caller has
//! lent to it. It is built in place, never moves, and is used again for the socket's next requests.
//!
//! | part        | belongs to                                                                                    |
//! |-------------|-----------------------------------------------------------------------------------------------|
//! | `packet`    | the starter until the call; the provider until completion; then nobody until the next start     |
//! | `arguments` | the same: everything WSK reads or writes until completion lies here [wsk 3.12, 3.13]          |
//! | `held`      | the starter until the call; frozen in flight; from completion on the handle, or, abandoned,  |
//! |             | the last side                                                                                 |
//!
//! The completion routine records, publishes and wakes: it calls no WSK function [wsk 3.9], blocks
//! never, and always returns `STATUS_MORE_PROCESSING_REQUIRED` [wsk 3.2]. It runs at <=
//! DISPATCH_LEVEL on any thread, possibly before the call that started the request has returned
//! [wsk 3.5].

// UNSAFETY: shares memory with the provider by address, under the protocol of `handshake`.
#![expect(unsafe_code, reason = "shares memory with the provider")]

use core::{
    cell::UnsafeCell,
    mem::{offset_of, size_of},
    ptr::NonNull,
    task::{Context, Poll, Waker},
    time::Duration,
};

use wsk_sys::{
    IoSetCompletionRoutine, IoSizeOfIrp, WSK_BUF, WSK_SOCKET, irp_information, irp_status,
    wdk_sys::{
        IO_STACK_LOCATION, IRP, NTSTATUS, PDEVICE_OBJECT, PIRP, PVOID,
        STATUS_MORE_PROCESSING_REQUIRED,
        ntddk::{IoCancelIrp, IoInitializeIrp},
    },
};

use super::{
    core::{CoreRef, Outstanding},
    handshake::Handshake,
};
use crate::{
    addr::SocketAddress,
    counters::{Counted, lose_bytes},
    irql::Passive,
    mem::{buffer::Buffer, pool},
    status::{Error, Result, Status},
    sync::event::Event,
};

/// An IRP with the one stack location that WSK needs [wsk 3.1].
#[repr(C, align(16))]
struct Packet {
    irp: IRP,
    location: IO_STACK_LOCATION,
}

const _: () = assert!(
    offset_of!(Packet, location) == size_of::<IRP>(),
    "the stack locations follow the IRP immediately"
);

/// What the I/O status block said at completion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completion {
    pub(crate) status: Status,
    /// Defined on success only, and then by the kind of request.
    pub(crate) information: usize,
}

impl Completion {
    /// The socket that a successful WskSocket or WskAccept made.
    pub(crate) fn socket(self) -> *mut WSK_SOCKET {
        core::ptr::with_exposed_provenance_mut(self.information)
    }
}

/// Who waits for a request.
enum Waiter {
    Task(Waker),
    /// A thread, on the slot's event.
    Thread,
}

/// What the caller has lent to a request; it comes back with the result, or is disposed of if
/// nobody wants it any more.
#[derive(Debug)]
pub(crate) enum Payload {
    Nothing,
    Send(Buffer),
    Receive(Buffer),
    /// The socket that the request makes.
    Socket(Outstanding),
}

/// A request that could not be started: why, and what it was lent.
#[derive(Debug)]
pub struct Refusal {
    pub(crate) error: Error,
    pub(crate) payload: Payload,
}

/// What WSK reads and writes while the request is in flight.
pub(crate) struct Arguments {
    pub(crate) data: WSK_BUF,
    pub(crate) local: SocketAddress,
    pub(crate) remote: SocketAddress,
}

impl Arguments {
    pub(crate) fn none() -> Self {
        Self {
            data: WSK_BUF::default(),
            local: SocketAddress::UNSPECIFIED,
            remote: SocketAddress::UNSPECIFIED,
        }
    }
}

/// What the request needs, and keeps from going away.
struct Held {
    core: CoreRef,
    payload: Payload,
    _counted: Counted,
}

/// See the module.
///
/// # Invariants
///
/// Lies in nonpaged pool and does not move. `held` is `Some` from start to recycling.
pub(crate) struct Slot {
    packet: UnsafeCell<Packet>,
    arguments: UnsafeCell<Arguments>,
    held: UnsafeCell<Option<Held>>,
    /// The IRP side's own: keeps deregistration, and with it unloading, waiting until `finish` is
    /// through.
    outstanding: UnsafeCell<Option<Outstanding>>,
    handshake: Handshake<Completion, Waiter>,
    event: Event,
    /// The next spare slot of the socket, while this is one.
    pub(super) next: UnsafeCell<Option<NonNull<Slot>>>,
}

// SAFETY: what each side may touch, and when, is decided by `handshake`; see the table in the
// module's head.
unsafe impl Sync for Slot {}
// SAFETY: as for `Sync`; it has no tie to a thread.
unsafe impl Send for Slot {}

impl Slot {
    /// A slot that is not in place yet.
    ///
    /// # Safety
    ///
    /// [`settle`](Self::settle) comes before everything else.
    pub(crate) unsafe fn unsettled() -> Self {
        Self {
            packet: UnsafeCell::new(Packet {
                irp: IRP::default(),
                location: IO_STACK_LOCATION::default(),
            }),
            arguments: UnsafeCell::new(Arguments::none()),
            held: UnsafeCell::new(None),
            outstanding: UnsafeCell::new(None),
            handshake: Handshake::new(),
            // SAFETY: the caller's promise is the same.
            event: unsafe { Event::unsettled() },
            next: UnsafeCell::new(None),
        }
    }

    /// Makes it usable where it lies.
    ///
    /// # Safety
    ///
    /// It lies in nonpaged pool for good, and nobody else reaches it yet.
    pub(crate) unsafe fn settle(&self) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.event.settle() }
    }

    /// A slot in an allocation of its own.
    pub(crate) fn allocate() -> Result<NonNull<Self>> {
        // SAFETY: settled below.
        let slot = pool::allocate(unsafe { Self::unsettled() })?;
        // SAFETY: just allocated from nonpaged pool, and known to nobody else.
        let shared = unsafe { slot.as_ref() };
        // SAFETY: as above.
        unsafe { shared.settle() };
        Ok(slot)
    }

    /// Begins a request: from now on both sides hold the slot.
    ///
    /// # Safety
    ///
    /// The slot is idle and the caller's alone.
    pub(crate) unsafe fn begin(
        &self,
        outstanding: Outstanding,
        payload: Payload,
        counted: Counted,
    ) {
        self.handshake.begin();
        let core = outstanding.core().clone();
        // SAFETY: the caller has the slot alone.
        unsafe {
            *self.held.get() = Some(Held {
                core,
                payload,
                _counted: counted,
            });
        }
        // SAFETY: as above.
        unsafe { *self.outstanding.get() = Some(outstanding) }
    }

    /// Makes the IRP and the arguments ready for the call.
    ///
    /// # Safety
    ///
    /// Begun, not prepared since, and not completed: the slot is the caller's alone but for the
    /// handshake.
    pub(crate) unsafe fn prepare(&self, arguments: Arguments) -> Prepared {
        let irp: PIRP = self.packet.get().cast();
        // SAFETY: nobody else looks at the arguments before the call (the caller's promise).
        unsafe { *self.arguments.get() = arguments }
        // SAFETY: memory for an IRP with one stack location, nonpaged; no request is in flight in
        // it, so that it may be initialised again (for memory of one's own this takes the place of
        // IoReuseIrp [wsk 3.1, 3.10]).
        unsafe { IoInitializeIrp(irp, IoSizeOfIrp(1), 1) }
        let context = core::ptr::from_ref(self).cast_mut().cast();
        // SAFETY: initialised, with a next stack location; all three flags [wsk 3.2]; the slot
        // outlives the IRP since the handshake's IRP side holds it.
        unsafe { IoSetCompletionRoutine(irp, Some(completed), context, true, true, true) }
        Prepared {
            irp,
            arguments: self.arguments.get(),
        }
    }

    /// What the call returned. It decides nothing [wsk 3.5], with one exception for broken
    /// providers: one that returns an error, has not completed the IRP and has not even moved to
    /// its stack location never took it, and never will complete it (Wine's functions that are not
    /// implemented do so). The request then ends with the status returned.
    ///
    /// # Safety
    ///
    /// Prepared, and called once with what the call returned; the handle side, or a reference to
    /// the core, still holds the slot.
    pub(crate) unsafe fn returned(&self, status: NTSTATUS) {
        let status = Status::from_raw(status);
        if status.is_success() || self.handshake.is_completed() {
            return;
        }
        let packet = self.packet.get();
        // SAFETY: not completed, so the IRP side still holds the packet; whoever has taken the IRP
        // changed this byte before it returned, and an error was returned, so that nobody works on
        // it now [wsk 3.5, 3.14].
        let location = unsafe { (*packet).irp.CurrentLocation };
        // SAFETY: as above.
        let locations = unsafe { (*packet).irp.StackCount };
        if location == locations + 1 {
            // SAFETY: nobody took the IRP: we are its side, once.
            unsafe {
                finish(
                    NonNull::from(self),
                    Completion {
                        status,
                        information: 0,
                    },
                );
            }
        }
    }

    /// Whether `self` is the one slot of its socket that lies in the core and closes it. Handle
    /// side.
    fn is_close(&self) -> bool {
        // SAFETY: `held` is frozen while in flight, and the handle's from completion on.
        let held = unsafe { &*self.held.get() };
        held.as_ref()
            .is_some_and(|held| held.core.is_close_slot(self))
    }
}

/// What a WSK call gets: pointers into the slot, valid until completion.
pub(crate) struct Prepared {
    pub(crate) irp: PIRP,
    arguments: *mut Arguments,
}

impl Prepared {
    pub(crate) fn data(&self) -> *mut WSK_BUF {
        // SAFETY: in bounds of the slot's arguments; only the address is computed.
        unsafe { &raw mut (*self.arguments).data }
    }

    pub(crate) fn local<T>(&self) -> *mut T {
        // SAFETY: as in `data`.
        unsafe { &raw mut (*self.arguments).local }.cast()
    }

    pub(crate) fn remote<T>(&self) -> *mut T {
        // SAFETY: as in `data`.
        unsafe { &raw mut (*self.arguments).remote }.cast()
    }
}

/// The handle side of a request.
///
/// Dropping it abandons a request in flight: cancels it, and leaves what arrives to the completion.
///
/// # Invariants
///
/// Holds the handle side of a slot that was begun. Exclusive: only `&mut` reaches the waiter and
/// the result.
#[derive(Debug)]
pub(crate) struct Handle(NonNull<Slot>);

// SAFETY: the handle side of the handshake may be any thread.
unsafe impl Send for Handle {}
// SAFETY: a shared handle gives access to nothing.
unsafe impl Sync for Handle {}

/// What comes back: how it ended, what had been lent, and the addresses that WSK wrote.
pub(crate) struct Finished {
    pub(crate) completion: Completion,
    pub(crate) payload: Payload,
    pub(crate) local: SocketAddress,
    pub(crate) remote: SocketAddress,
}

impl Finished {
    /// The socket that a successful WskSocket or WskAccept made, with the handle of its close.
    pub(crate) fn into_socket(self) -> Option<(CoreRef, Handle)> {
        match self.payload {
            Payload::Socket(unopened) if self.completion.status.is_success() => {
                // SAFETY: the request was to make a socket for this core, and succeeded; `self` is
                // consumed.
                Some(unsafe { unopened.adopt(self.completion.socket()) })
            }
            _ => None,
        }
    }
}

impl Handle {
    /// Takes the handle side.
    ///
    /// # Safety
    ///
    /// `slot` was begun, and this is called once for it.
    pub(crate) unsafe fn new(slot: NonNull<Slot>) -> Self {
        Self(slot)
    }

    /// Ready when completed.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Poll<Finished> {
        let slot = self.slot();
        let completed = slot.handshake.poll(|waiter| match waiter {
            Some(Waiter::Task(task)) => task.clone_from(context.waker()),
            _ => *waiter = Some(Waiter::Task(context.waker().clone())),
        });
        completed.map(|()| self.take())
    }

    /// Waits until completed; `None` when `timeout` passed first.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, passive: Passive) -> Option<Finished> {
        loop {
            let slot = self.slot();
            let completed = slot.handshake.poll(|waiter| {
                // The completion cannot set it now, since it has no waiter.
                slot.event.clear();
                *waiter = Some(Waiter::Thread);
            });
            if completed.is_ready() {
                return Some(self.take());
            }
            if !slot.event.wait(timeout, passive) {
                return None;
            }
        }
    }

    /// Asks the provider to end the request early. It completes all the same, possibly with success
    /// [wsk 3.11].
    pub(crate) fn cancel(&self) {
        let slot = self.slot();
        if slot.is_close() || !slot.handshake.request_cancel() {
            return;
        }
        // SAFETY: the IRP was given to the provider before the handle was made. If it completes
        // meanwhile, its memory still is an IRP without a cancel routine: it is only reused when
        // the handle side, which is us, has let go.
        unsafe { IoCancelIrp(slot.packet.get().cast()) };
    }

    /// The result of a completed request.
    fn take(&mut self) -> Finished {
        let slot = self.slot();
        // SAFETY: completed, and the handle side is ours.
        let completion = unsafe { slot.handshake.take_result() }.expect("a result is taken once");
        // SAFETY: completed: `held` belongs to the handle side.
        let held = unsafe { &mut *slot.held.get() };
        let payload = held.as_mut().map_or(Payload::Nothing, |held| {
            core::mem::replace(&mut held.payload, Payload::Nothing)
        });
        // SAFETY: completed: the provider does not write the arguments any more.
        let arguments = unsafe { &*slot.arguments.get() };
        Finished {
            completion,
            payload,
            local: arguments.local,
            remote: arguments.remote,
        }
    }

    fn slot(&self) -> &Slot {
        // SAFETY: the handle side keeps the slot (invariant).
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let slot = self.slot();
        // SAFETY: `held` is frozen while in flight, and ours from completion on.
        let held = unsafe { &*slot.held.get() };
        if let Some(Held {
            core,
            payload: Payload::Receive(_),
            ..
        }) = held
        {
            core.give_up_receiving();
        }
        self.cancel();
        if self.slot().handshake.release_handle() {
            // SAFETY: told to be the last.
            unsafe { recycle(self.0) }
        }
    }
}

/// The completion routine.
unsafe extern "C" fn completed(_device: PDEVICE_OBJECT, irp: PIRP, context: PVOID) -> NTSTATUS {
    // SAFETY: the context that `prepare` set: a slot that the IRP side holds until `finish`.
    let slot = unsafe { NonNull::new_unchecked(context.cast::<Slot>()) };
    // SAFETY: the IRP is completed, and ours until this returns [wsk 3.2].
    let status = unsafe { irp_status(irp) };
    // SAFETY: as above.
    let information = unsafe { irp_information(irp) };
    let completion = Completion {
        status: Status::from_raw(status),
        information: usize::try_from(information).unwrap_or(0),
    };
    // SAFETY: the IRP side, once for each IRP [wsk 3.5].
    unsafe { finish(slot, completion) };
    STATUS_MORE_PROCESSING_REQUIRED
}

/// Records, publishes, wakes, and lets the IRP side go.
///
/// # Safety
///
/// Called by the IRP side, once for each `begin`.
unsafe fn finish(slot: NonNull<Slot>, completion: Completion) {
    // SAFETY: the IRP side holds the slot until `release_irp`.
    let shared = unsafe { slot.as_ref() };
    // SAFETY: the IRP side's own. Dropped at the very end of this function.
    let _outstanding = unsafe { (*shared.outstanding.get()).take() };
    // SAFETY: the caller's promise.
    let waiter = unsafe { shared.handshake.complete(completion) };
    if let Some(Waiter::Thread) = waiter {
        shared.event.set();
    }
    if shared.handshake.release_irp() {
        // SAFETY: told to be the last.
        unsafe { recycle(slot) }
    }
    if let Some(Waiter::Task(task)) = waiter {
        task.wake();
    }
}

/// Disposes of what nobody took, and gives the slot back to its socket.
///
/// # Safety
///
/// The caller was told to be the last side.
unsafe fn recycle(slot: NonNull<Slot>) {
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
        dispose(completion, payload);
    }
    // SAFETY: idle, one of the core's own, and nobody else has it.
    unsafe { core.put_back(slot) }
}

/// Nobody wants the result: closes a socket that was made, counts bytes that were received.
fn dispose(completion: Completion, payload: Payload) {
    if !completion.status.is_success() {
        return;
    }
    match payload {
        // Not closed here: this may be a completion routine [wsk 3.9].
        // SAFETY: the request was to make a socket for this core, and succeeded.
        Payload::Socket(unopened) => unsafe { unopened.close_orphan(completion.socket()) },
        Payload::Receive(_) => lose_bytes(completion.information),
        Payload::Nothing | Payload::Send(_) => {}
    }
}
