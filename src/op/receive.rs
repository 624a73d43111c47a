//! Receives: runs [`Order`] with the slots of a socket, under the socket's lock.
//!
//! For a receive the IRP side of the handshake lasts until the list publishes it, and the handle
//! side of one that is abandoned passes to the list, so that a slot is used again only when it has
//! left the list. Its buffer belongs to the list from completion until its result is taken.
//!
//! A receive that is to get what another one has left is recalled by a DPC: cancelling may
//! complete it at once, and a completion routine is no place for that [wsk 3.9].

// UNSAFETY: reaches slots by address, under the socket's lock.
#![expect(unsafe_code, reason = "slots by address")]

use core::{
    cell::UnsafeCell,
    mem::MaybeUninit,
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};

use wsk_sys::{
    MSG_TRUNC,
    wdk_sys::{
        KDPC, PVOID,
        ntddk::{IoCancelIrp, KeInitializeDpc, KeInsertQueueDpc},
    },
};

use super::{
    calls::Category,
    completion::{Completion, finish, recycle},
    core::CoreRef,
    datagrams::DatagramReceives,
    entry::{Entry, Receives, Step, Taken},
    order::Order,
    slot::{Payload, Slot},
    stream::StreamReceives,
};
use crate::{counters::lose, mem::buffer::Buffer, status::Status, sync::spin::SpinLock};

/// What the receives of a socket share.
pub(super) struct Receiving {
    list: SpinLock<List>,
    /// Bytes were lost in the middle of the stream.
    broken: AtomicBool,
    /// Recalls one receive at a time.
    dpc: UnsafeCell<MaybeUninit<KDPC>>,
}

// SAFETY: `dpc` belongs to the one recall that is running; the rest synchronises itself.
unsafe impl Sync for Receiving {}
// SAFETY: as for `Sync`.
unsafe impl Send for Receiving {}

struct List {
    order: Order<NonNull<Slot>>,
    slots: Slots,
}

// SAFETY: the slots may be reached from any thread, under the lock.
unsafe impl Send for List {}

/// A receive's part of its slot. Guarded by the lock of the socket's list.
pub(crate) struct InStream {
    entry: Entry<NonNull<Slot>>,
    /// How it ended, if that was not successful.
    failure: Completion,
}

/// Reaches the slots of a list. There is one for each list, within its lock.
struct Slots;

impl Slots {
    #[expect(
        clippy::unused_self,
        reason = "borrowed for as long as the result is used"
    )]
    fn in_stream(&mut self, slot: NonNull<Slot>) -> &mut InStream {
        // SAFETY: a slot in the list, or about to enter it, is alive.
        let cell = unsafe { slot.as_ref() }.in_stream.get();
        // SAFETY: the lock is held, and `self` is borrowed as long as the result is.
        unsafe { &mut *cell }
    }
}

impl Receives for Slots {
    type Id = NonNull<Slot>;

    fn entry(&mut self, id: NonNull<Slot>) -> &mut Entry<NonNull<Slot>> {
        &mut self.in_stream(id).entry
    }
}

impl StreamReceives for Slots {
    fn buffers(&mut self, earlier: NonNull<Slot>, later: NonNull<Slot>) -> (&mut [u8], &mut [u8]) {
        // SAFETY: both are in the list, WSK has neither, and nobody else looks until they are
        // taken.
        let earlier = unsafe { buffer(earlier) };
        // SAFETY: as above; another slot, and so another buffer.
        let later = unsafe { buffer(later) };
        (earlier, later)
    }
}

impl DatagramReceives for Slots {
    fn hand_over(&mut self, kept: NonNull<Slot>, later: NonNull<Slot>) -> usize {
        let length = self.entry(kept).end;
        // SAFETY: both are in the list, WSK has neither, and nobody else looks until they are
        // taken.
        let from = unsafe { buffer(kept) };
        // SAFETY: as above; another slot, and so another buffer.
        let to = unsafe { buffer(later) };
        let count = length.min(from.len()).min(to.len());
        to[..count].copy_from_slice(&from[..count]);
        // SAFETY: a slot in the list is alive.
        let arrived = unsafe { kept.as_ref() }.arguments.get();
        // SAFETY: as above.
        let arguments = unsafe { later.as_ref() }.arguments.get();
        // SAFETY: nobody else looks, as above.
        let arrived = unsafe { &*arrived };
        // SAFETY: as above; another slot.
        let arguments = unsafe { &mut *arguments };
        arguments.remote = arrived.remote;
        arguments.extra = arrived.extra;
        arguments.extra_length = arrived.extra_length;
        let truncated = if count < length { MSG_TRUNC } else { 0 };
        arguments.extra_flags = arrived.extra_flags | truncated;
        count
    }
}

/// The whole buffer of a receive.
///
/// # Safety
///
/// The receive is in a list whose lock is held while the result is used; it is done, and its buffer
/// is used by nobody else.
unsafe fn buffer<'list>(slot: NonNull<Slot>) -> &'list mut [u8] {
    // SAFETY: in the list, so it is alive (the caller's promise).
    let held = unsafe { slot.as_ref() }.held.get();
    // SAFETY: `held` is frozen until the result is taken, but for the bytes of the buffer.
    match unsafe { &*held } {
        Some(held) => match &held.payload {
            // SAFETY: the bytes are nobody else's (the caller's promise).
            Payload::Receive(buffer) | Payload::ReceiveFrom(buffer) => unsafe {
                Buffer::bytes(buffer)
            },
            _ => &mut [],
        },
        None => &mut [],
    }
}

impl InStream {
    pub(super) const fn nowhere() -> Self {
        Self {
            entry: Entry::new(),
            failure: Completion {
                status: Status::CANCELLED,
                information: 0,
            },
        }
    }
}

impl Receiving {
    /// For a socket of `category`.
    pub(super) const fn new(category: Option<Category>) -> Self {
        let order = match category {
            Some(Category::Datagram) => Order::datagrams(),
            _ => Order::stream(),
        };
        Self {
            list: SpinLock::new(List {
                order,
                slots: Slots,
            }),
            broken: AtomicBool::new(false),
            dpc: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Nobody may go on with the stream as if nothing were missing.
    pub(super) fn break_off(&self) {
        self.broken.store(true, Ordering::Release);
    }
}

impl CoreRef {
    fn with_list<T>(&self, access: impl FnOnce(&mut Order<NonNull<Slot>>, &mut Slots) -> T) -> T {
        self.receiving()
            .list
            .with(|list| access(&mut list.order, &mut list.slots))
    }

    /// Enters a receive, prepared and not passed on. True: pass it to WSK. False: it is filled from
    /// what earlier ones left, and may have completed.
    ///
    /// # Safety
    ///
    /// `slot` was begun and prepared for a receive of this socket, and is entered once. The caller
    /// has it alone, and calls one after the other are in the order in which WSK is called.
    pub(super) unsafe fn enter_stream(
        &self,
        slot: NonNull<Slot>,
        first: usize,
        base: usize,
    ) -> bool {
        let pass_on = self.with_list(|order, slots| {
            *slots.in_stream(slot) = InStream::nowhere();
            order.start(slots, slot, first, base)
        });
        if !pass_on {
            self.settle();
        }
        pass_on
    }

    /// A receive has completed at WSK.
    ///
    /// # Safety
    ///
    /// Called by the IRP side of a receive of this socket, once; the list has that side from now
    /// on.
    pub(super) unsafe fn received(&self, slot: NonNull<Slot>, completion: Completion) {
        // `self` may lie in the slot, which may be used again as soon as the list knows.
        let core = self.clone();
        let succeeded = completion.status.is_success();
        let count = succeeded.then_some(completion.information);
        core.with_list(|order, slots| {
            slots.in_stream(slot).failure = completion;
            order.complete(slots, slot, count);
        });
        core.settle();
    }

    /// Whether WSK is done with a receive.
    pub(super) fn is_received(&self, slot: NonNull<Slot>) -> bool {
        self.with_list(|_, slots| slots.entry(slot).is_done())
    }

    /// Nobody wants the result any more. What it has taken or will have taken is for the next one.
    ///
    /// # Safety
    ///
    /// Called by the handle side of a receive that was not taken; the list has that side from now
    /// on.
    pub(super) unsafe fn abandon_receive(&self, slot: NonNull<Slot>) {
        // As in `received`.
        let core = self.clone();
        core.with_list(|order, slots| order.abandon(slots, slot));
        core.settle();
    }

    /// The result of a published receive. `None`: not yet, ask again soon.
    ///
    /// # Safety
    ///
    /// Called by the handle side of a receive that is published, and not again after `Some`.
    pub(super) unsafe fn take_receive(&self, slot: NonNull<Slot>) -> Option<Completion> {
        self.with_list(|order, slots| {
            let Taken { succeeded, bytes } = order.take(slots, slot)?;
            let completion = if succeeded {
                Completion {
                    status: Status::SUCCESS,
                    information: bytes.len(),
                }
            } else {
                slots.in_stream(slot).failure
            };
            Some(completion)
        })
    }

    /// Whether bytes were lost, so that nobody may go on with the stream as if nothing were
    /// missing.
    pub(super) fn is_stream_broken(&self) -> bool {
        self.receiving().broken.load(Ordering::Acquire)
    }

    /// Whether there is no receive that was not taken, and nothing kept.
    pub(super) fn is_stream_idle(&self) -> bool {
        self.with_list(|order, _| order.is_empty())
    }

    /// Keeps nothing of the stream from now on: the socket is being closed, or what comes is not
    /// wanted.
    pub(crate) fn discard_received(&self) {
        self.with_list(|order, _| order.discard());
        self.settle();
    }

    /// Does what the list asks for, until there is nothing more. `self` is not in a slot.
    fn settle(&self) {
        loop {
            let next = self.with_list(|order, slots| {
                let next = order.next_step(slots);
                if order.is_broken() {
                    self.receiving().break_off();
                }
                next
            });
            let Some((step, more)) = next else { return };
            match step {
                // SAFETY: the list had the IRP side, and publishes once.
                Step::Publish(slot) => unsafe { publish(slot) },
                // SAFETY: the one recall that is running.
                Step::Recall(slot) => unsafe { self.queue_recall(slot) },
                Step::Dispose {
                    id,
                    published,
                    lost,
                } => {
                    lose(lost);
                    // SAFETY: it has left the list, which had the handle side, and the IRP side
                    // unless it was published.
                    unsafe { dispose(id, published) }
                }
            }
            if !more {
                return;
            }
        }
    }

    /// # Safety
    ///
    /// `slot` is in this list, and no other recall is running.
    unsafe fn queue_recall(&self, slot: NonNull<Slot>) {
        let dpc = self.receiving().dpc.get().cast();
        // SAFETY: room for a DPC in nonpaged memory, which is not queued: the recall before this
        // one is over.
        unsafe { KeInitializeDpc(dpc, Some(recall), slot.as_ptr().cast()) };
        // SAFETY: just initialised. The slot stays until the recall is over, and keeps the core.
        unsafe { KeInsertQueueDpc(dpc, core::ptr::null_mut(), core::ptr::null_mut()) };
    }
}

/// Lets the IRP side go, so that the handle finds a result.
///
/// # Safety
///
/// The caller has the IRP side.
unsafe fn publish(slot: NonNull<Slot>) {
    let result = Completion {
        status: Status::SUCCESS,
        information: 0,
    };
    // SAFETY: the caller's promise. What the result is, `take_receive` says.
    unsafe { finish(slot, result) }
}

/// Nobody has it any more: uses the slot again.
///
/// # Safety
///
/// The caller has the handle side, and the IRP side unless it is `published`.
unsafe fn dispose(slot: NonNull<Slot>, published: bool) {
    if !published {
        // SAFETY: the caller has the IRP side.
        unsafe { publish(slot) }
    }
    // SAFETY: the handle side, which the caller has, keeps it.
    if unsafe { slot.as_ref() }.handshake.release_handle() {
        // SAFETY: told to be the last.
        unsafe { recycle(slot) }
    }
}

/// Cancels a receive so that it completes and can be filled from what was kept.
unsafe extern "C" fn recall(_dpc: *mut KDPC, slot: PVOID, _: PVOID, _: PVOID) {
    // SAFETY: the context that `queue_recall` set.
    let slot = unsafe { NonNull::new_unchecked(slot.cast::<Slot>()) };
    // SAFETY: it stays until the recall is over.
    let shared = unsafe { slot.as_ref() };
    // SAFETY: `held` is frozen until the result is taken, which is after the recall.
    let Some(core) = unsafe { &*shared.held.get() }
        .as_ref()
        .map(|held| held.core.clone())
    else {
        return;
    };
    // SAFETY: the IRP was given to WSK; if it has completed meanwhile, its memory still is an IRP
    // without a cancel routine, as it is not used again before the recall is over.
    unsafe { IoCancelIrp(shared.packet.get().cast()) };
    core.with_list(|_, slots| slots.entry(slot).recalled());
    core.settle();
}
