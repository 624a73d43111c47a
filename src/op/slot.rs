//! A slot: the one nonpaged allocation that a request is.
//!
//! It holds the IRP, the handshake, everything that the request points to, and what the caller has
//! lent to it. It is built in place, never moves, and is used again for the socket's next requests.
//!
//! | part        | belongs to                                                                  |
//! |-------------|-----------------------------------------------------------------------------|
//! | `packet`    | the starter until the call; the provider until completion; then nobody      |
//! | `arguments` | the same: what WSK reads or writes until completion lies here               |
//! |             | [wsk 3.12, 3.13]                                                            |
//! | `held`      | the starter until the call; frozen in flight; from completion on the handle |
//! |             | side or, abandoned, the last side; of a receive: see `receive`              |
//! | `in_stream` | the list of the socket's receives, under its lock                           |
//!
//! The handle side is in `handle`, the IRP side in `completion`.

// UNSAFETY: shares memory with the provider by address, under the protocol of `handshake`.
#![expect(unsafe_code, reason = "shares memory with the provider")]

use core::{
    cell::UnsafeCell,
    mem::{offset_of, size_of},
    ptr::NonNull,
    task::Waker,
};

use wsk_sys::{
    IoSetCompletionRoutine, IoSizeOfIrp, WSK_BUF,
    wdk_sys::{
        CCHAR, IO_STACK_LOCATION, IRP, NTSTATUS, PDEVICE_OBJECT, PIRP, PVOID,
        ntddk::IoInitializeIrp,
    },
};

use super::{
    completion::{Completion, complete, completed},
    core::{CoreRef, Outstanding, Stage},
    descriptor::{DescriptorRef, DescriptorRoom},
    handshake::Handshake,
    names::{Addresses, NameQuery},
    receive::InStream,
};
use crate::{
    addr::SocketAddress,
    counters::Counted,
    mem::{boxed::PoolBox, buffer::Buffer, chain::BufferChain, pool},
    owner::Owner,
    status::{Error, Result, Status},
    sync::event::Event,
};

/// An IRP with the one stack location that WSK needs [wsk 3.1].
#[repr(C, align(16))]
pub(super) struct Packet {
    irp: IRP,
    location: IO_STACK_LOCATION,
}

const _: () = assert!(
    offset_of!(Packet, location) == size_of::<IRP>(),
    "the stack locations follow the IRP immediately"
);

/// What the I/O manager calls when a request is over.
pub(super) type CompletionRoutine = unsafe extern "C" fn(PDEVICE_OBJECT, PIRP, PVOID) -> NTSTATUS;

/// Who waits for a request.
pub(super) enum Waiter {
    Task(Waker),
    /// A thread, on an event that it keeps until that is set.
    Thread(NonNull<Event>),
}

// SAFETY: the event may be set on any thread, and its owner keeps it until it is.
unsafe impl Send for Waiter {}

/// What the caller has lent to a request; it comes back with the result, or is disposed of if
/// nobody wants it any more.
#[derive(Debug)]
pub(crate) enum Payload {
    Nothing,
    Send(Buffer),
    /// Several buffers, linked for the request.
    Chain(BufferChain),
    /// What a control operation reads and writes.
    Control {
        input: Option<Buffer>,
        output: Option<Buffer>,
    },
    /// A security descriptor that the request refers to.
    Descriptor(#[expect(dead_code, reason = "kept until the request is over")] DescriptorRef),
    /// Room for one that the request gives.
    DescriptorRoom(DescriptorRoom),
    /// A receive in the order of the stream: see `receive`.
    Receive(Buffer),
    /// A receive of a datagram: see `receive`.
    ReceiveFrom(Buffer),
    /// A receive that fills its buffer or fails.
    ReceiveAll(Buffer),
    /// A query for addresses, and its answer.
    Addresses(Addresses),
    /// A query for the names of an address, and its answer.
    Names(PoolBox<NameQuery>),
    /// The socket that the request makes.
    Socket(Outstanding),
    /// The same, and whom it is to belong to.
    Owned(
        Outstanding,
        #[expect(dead_code, reason = "kept until the request is over")] Owner,
    ),
}

/// A request that could not be started: why, and what it was lent.
#[derive(Debug)]
pub struct Refusal {
    pub(crate) error: Error,
    pub(crate) payload: Payload,
}

impl From<Error> for Refusal {
    /// The refusal of a request that lends nothing.
    fn from(error: Error) -> Self {
        Self {
            error,
            payload: Payload::Nothing,
        }
    }
}

/// Bytes that WSK reads or writes: the value of an option, or ancillary data of a datagram.
pub(crate) type Extra = [u64; 16];

/// Bytes, as `Extra` has them. There are not more than fit.
pub(crate) fn pack(bytes: &[u8]) -> Extra {
    let mut extra = [0; 16];
    for (word, chunk) in extra.iter_mut().zip(bytes.chunks(8)) {
        let mut whole = [0; 8];
        whole[..chunk.len()].copy_from_slice(chunk);
        *word = u64::from_ne_bytes(whole);
    }
    extra
}

/// The bytes that `Extra` has.
pub(crate) fn unpack(extra: &Extra) -> [u8; size_of::<Extra>()] {
    let mut bytes = [0; size_of::<Extra>()];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(extra) {
        chunk.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// What WSK reads and writes while the request is in flight.
pub(crate) struct Arguments {
    pub(crate) data: WSK_BUF,
    pub(crate) local: SocketAddress,
    pub(crate) remote: SocketAddress,
    pub(crate) extra: Extra,
    /// How many bytes of `extra` there are.
    pub(crate) extra_length: u32,
    /// What WSK says about the ancillary data that it wrote.
    pub(crate) extra_flags: u32,
    /// How far the socket is if the request succeeds.
    pub(crate) reaches: Stage,
}

impl Arguments {
    pub(crate) fn none() -> Self {
        Self {
            data: WSK_BUF::default(),
            local: SocketAddress::UNSPECIFIED,
            remote: SocketAddress::UNSPECIFIED,
            extra: [0; 16],
            extra_length: 0,
            extra_flags: 0,
            reaches: Stage::Open,
        }
    }

    /// Puts a plain value into `extra`.
    pub(crate) fn put_extra<T: Copy>(&mut self, value: T) {
        const {
            assert!(size_of::<T>() <= size_of::<Extra>() && align_of::<T>() <= align_of::<Extra>());
        };
        // SAFETY: it fits, and is aligned.
        unsafe { self.extra.as_mut_ptr().cast::<T>().write(value) };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most the size of `Extra`"
        )]
        let length = size_of::<T>() as u32;
        self.extra_length = length;
    }
}

/// What the request needs, and keeps from going away.
pub(super) struct Held {
    pub(super) core: CoreRef,
    pub(super) payload: Payload,
    pub(super) _counted: Counted,
}

/// See the module.
///
/// # Invariants
///
/// Lies in nonpaged pool and does not move. `held` is `Some` from start to recycling.
pub(crate) struct Slot {
    pub(super) packet: UnsafeCell<Packet>,
    pub(super) arguments: UnsafeCell<Arguments>,
    pub(super) held: UnsafeCell<Option<Held>>,
    /// The IRP side's own: keeps deregistration, and with it unloading, waiting until `finish` is
    /// through.
    pub(super) outstanding: UnsafeCell<Option<Outstanding>>,
    pub(super) handshake: Handshake<Completion, Waiter>,
    pub(super) in_stream: UnsafeCell<InStream>,
    /// The next spare slot of the socket, while this is one.
    pub(super) next: UnsafeCell<Option<NonNull<Slot>>>,
}

// SAFETY: what each side may touch, and when, is decided by `handshake`; see the table in the
// module's head.
unsafe impl Sync for Slot {}
// SAFETY: as for `Sync`; it has no tie to a thread.
unsafe impl Send for Slot {}

impl Slot {
    /// An idle slot.
    pub(crate) fn new() -> Self {
        Self {
            packet: UnsafeCell::new(Packet {
                irp: IRP::default(),
                location: IO_STACK_LOCATION::default(),
            }),
            arguments: UnsafeCell::new(Arguments::none()),
            held: UnsafeCell::new(None),
            outstanding: UnsafeCell::new(None),
            handshake: Handshake::new(),
            in_stream: UnsafeCell::new(InStream::nowhere()),
            next: UnsafeCell::new(None),
        }
    }

    /// A slot in an allocation of its own.
    pub(crate) fn allocate() -> Result<NonNull<Self>> {
        pool::allocate(Self::new())
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
        // SAFETY: memory for an IRP with one stack location, nonpaged; no request is in flight in
        // it, so that it may be initialised again (for memory of one's own this takes the place of
        // IoReuseIrp [wsk 3.1, 3.10]).
        unsafe { IoInitializeIrp(irp, IoSizeOfIrp(1), 1) }
        // SAFETY: just initialised, with a next stack location; the rest is the caller's promise.
        unsafe { self.prepare_irp(irp, completed, arguments) }
    }

    /// As [`prepare`](Self::prepare), for an IRP that comes from elsewhere.
    ///
    /// # Safety
    ///
    /// As there; `irp` is the caller's, with a next stack location, and `routine` is its completion
    /// routine, which takes the IRP side of the slot as its context.
    pub(super) unsafe fn prepare_irp(
        &self,
        irp: PIRP,
        routine: CompletionRoutine,
        arguments: Arguments,
    ) -> Prepared {
        // SAFETY: nobody else looks at the arguments before the call (the caller's promise).
        unsafe { *self.arguments.get() = arguments }
        let context = core::ptr::from_ref(self).cast_mut().cast();
        // SAFETY: an IRP of the caller's, with a next stack location; all three flags [wsk 3.2];
        // the slot outlives the request since the handshake's IRP side holds it.
        unsafe { IoSetCompletionRoutine(irp, Some(routine), context, true, true, true) }
        Prepared {
            irp,
            slot: NonNull::from(self),
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
        if !self.may_be_left(status) {
            return;
        }
        // The list of receives keeps one in flight that WSK is done with.
        if let Some(core) = self.receiver()
            && core.is_received(NonNull::from(self))
        {
            return;
        }
        // SAFETY: the slot's own IRP, prepared with one stack location, and the caller's promise.
        if unsafe { self.was_left(self.packet.get().cast(), 2, status) } {
            let failed = Completion {
                status,
                information: 0,
            };
            // SAFETY: nobody took the IRP: we are its side, once.
            unsafe { complete(NonNull::from(self), failed) };
        }
    }

    /// Whether a call that returned `status` has never taken the IRP, whose current location was
    /// `location` before: see [`returned`](Self::returned).
    ///
    /// # Safety
    ///
    /// `irp` was prepared for this slot, and the call has returned `status`; the handle side, or a
    /// reference to the core, still holds the slot.
    pub(super) unsafe fn was_left(&self, irp: PIRP, location: CCHAR, status: Status) -> bool {
        // SAFETY: not completed, so that the IRP is still there; whoever has taken it changed this
        // byte before it returned, and an error was returned, so that nobody works on it now
        // [wsk 3.5, 3.14].
        self.may_be_left(status) && unsafe { (*irp).CurrentLocation == location }
    }

    fn may_be_left(&self, status: Status) -> bool {
        !status.is_success() && self.handshake.is_in_flight()
    }

    /// The core of a receive whose result was not taken. Either side.
    pub(super) fn receiver(&self) -> Option<&CoreRef> {
        // SAFETY: `held` is frozen while in flight, and a receive's until its result is taken.
        match unsafe { &*self.held.get() } {
            Some(Held {
                core,
                payload: Payload::Receive(_) | Payload::ReceiveFrom(_),
                ..
            }) => Some(core),
            _ => None,
        }
    }

    /// Whether cancelling is of no use, or does harm: the close of a socket; a descriptor that WSK
    /// may have cached already, and that nobody would release. Handle side.
    pub(super) fn ignores_cancel(&self) -> bool {
        // SAFETY: `held` is frozen while in flight, and the handle's from completion on.
        let held = unsafe { &*self.held.get() };
        held.as_ref().is_some_and(|held| {
            held.core.is_close_slot(self) || matches!(held.payload, Payload::DescriptorRoom(_))
        })
    }
}

/// What a WSK call gets: pointers into the slot, valid until completion.
pub(crate) struct Prepared {
    pub(crate) irp: PIRP,
    slot: NonNull<Slot>,
}

impl Prepared {
    /// Enters a receive of `core`'s: see [`CoreRef::enter_stream`].
    ///
    /// # Safety
    ///
    /// Called once, for a receive, before WSK is. Calls for one socket follow each other.
    pub(crate) unsafe fn enter_stream(&self, core: &CoreRef, first: usize, base: usize) -> bool {
        // SAFETY: prepared, and the caller's alone until it is passed on.
        unsafe { core.enter_stream(self.slot, first, base) }
    }

    /// The slot, for somebody who may have to cancel the request.
    pub(super) fn slot(&self) -> *mut Slot {
        self.slot.as_ptr()
    }

    fn arguments(&self) -> *mut Arguments {
        // SAFETY: the slot stays until the request is over.
        unsafe { self.slot.as_ref() }.arguments.get()
    }

    pub(crate) fn data(&self) -> *mut WSK_BUF {
        // SAFETY: in bounds of the slot's arguments; only the address is computed.
        unsafe { &raw mut (*self.arguments()).data }
    }

    pub(crate) fn local<T>(&self) -> *mut T {
        // SAFETY: as in `data`.
        unsafe { &raw mut (*self.arguments()).local }.cast()
    }

    pub(crate) fn remote<T>(&self) -> *mut T {
        // SAFETY: as in `data`.
        unsafe { &raw mut (*self.arguments()).remote }.cast()
    }

    pub(crate) fn extra<T>(&self) -> *mut T {
        // SAFETY: as in `data`.
        unsafe { &raw mut (*self.arguments()).extra }.cast()
    }

    pub(crate) fn extra_length(&self) -> *mut u32 {
        // SAFETY: as in `data`.
        unsafe { &raw mut (*self.arguments()).extra_length }
    }

    pub(crate) fn extra_flags(&self) -> *mut u32 {
        // SAFETY: as in `data`.
        unsafe { &raw mut (*self.arguments()).extra_flags }
    }
}
