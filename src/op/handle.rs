//! The handle side of a request: what an `Operation` holds.

// UNSAFETY: reaches a slot that it shares with the provider, under the protocol of `handshake`.
#![expect(unsafe_code, reason = "shares a slot with the IRP side")]

use core::{
    ptr::NonNull,
    task::{Context, Poll},
    time::Duration,
};

use wsk_sys::wdk_sys::ntddk::IoCancelIrp;

use super::{
    completion::{Completion, recycle},
    core::CoreRef,
    handshake::Polled,
    slot::{Extra, Payload, Slot, Waiter},
};
use crate::{
    addr::SocketAddress,
    irql::Passive,
    sync::event::{Event, relax},
};

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

/// What comes back: how it ended, what had been lent, and what WSK wrote.
pub(crate) struct Finished {
    pub(crate) completion: Completion,
    pub(crate) payload: Payload,
    pub(crate) local: SocketAddress,
    pub(crate) remote: SocketAddress,
    pub(crate) extra: Extra,
    pub(crate) extra_length: u32,
    pub(crate) extra_flags: u32,
}

impl Finished {
    /// The socket that a successful WskSocket or WskAccept made, with the handle of its close.
    pub(crate) fn into_socket(self) -> Option<(CoreRef, Handle)> {
        match self.payload {
            Payload::Socket(unopened) | Payload::Owned(unopened, _)
                if self.completion.status.is_success() =>
            {
                let socket = self.completion.socket()?;
                // SAFETY: the request was to make a socket for this core, and succeeded; `self` is
                // consumed.
                Some(unsafe { unopened.adopt(socket) })
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
        let polled = self.slot().handshake.poll(|waiter| match waiter {
            Some(Waiter::Task(task)) => task.clone_from(context.waker()),
            _ => *waiter = Some(Waiter::Task(context.waker().clone())),
        });
        let finished = match polled {
            Polled::Completed => self.take(),
            Polled::Pending => return Poll::Pending,
            Polled::Completing => None,
        };
        if finished.is_none() {
            // Nobody will wake it: have it polled again.
            context.waker().wake_by_ref();
        }
        finished.map_or(Poll::Pending, Poll::Ready)
    }

    /// Waits until completed; `None` when `timeout` passed first.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, passive: Passive) -> Option<Finished> {
        // SAFETY: settled before anything else.
        let event = unsafe { Event::unsettled() };
        // SAFETY: on this stack, which stays resident while the thread waits, and not moved.
        unsafe { event.settle() };
        loop {
            let handshake = &self.slot().handshake;
            match handshake.poll(|waiter| *waiter = Some(Waiter::Thread(NonNull::from(&event)))) {
                Polled::Completed => match self.take() {
                    Some(finished) => return Some(finished),
                    None => relax(passive),
                },
                Polled::Completing => relax(passive),
                Polled::Pending => {
                    if event.wait(timeout, passive) {
                        continue;
                    }
                    if handshake.withdraw() == Polled::Pending {
                        return None;
                    }
                    // It has completed, and the waiter was taken: the event is about to be set.
                    event.wait(None, passive);
                }
            }
        }
    }

    /// Asks the provider to end the request early. It completes all the same, possibly with success
    /// [wsk 3.11].
    pub(crate) fn cancel(&self) {
        let slot = self.slot();
        if slot.ignores_cancel() || !slot.handshake.request_cancel() {
            return;
        }
        // SAFETY: the IRP was given to the provider before the handle was made. If it completes
        // meanwhile, its memory still is an IRP without a cancel routine: it is only reused when
        // the handle side, which is us, has let go.
        unsafe { IoCancelIrp(slot.packet.get().cast()) };
    }

    /// The result of a completed request. `None`: a few instructions of another thread later.
    fn take(&mut self) -> Option<Finished> {
        let slot = self.slot();
        let completion = match slot.receiver() {
            // SAFETY: the handle side of a receive, which was published.
            Some(core) => unsafe { core.take_receive(self.0) }?,
            // SAFETY: completed, and the handle side is ours.
            None => unsafe { slot.handshake.take_result() }.expect("a result is taken once"),
        };
        // SAFETY: completed: `held` belongs to the handle side.
        let held = unsafe { &mut *slot.held.get() };
        let payload = held.as_mut().map_or(Payload::Nothing, |held| {
            core::mem::replace(&mut held.payload, Payload::Nothing)
        });
        // SAFETY: completed: the provider does not write the arguments any more.
        let arguments = unsafe { &*slot.arguments.get() };
        Some(Finished {
            completion,
            payload,
            local: arguments.local,
            remote: arguments.remote,
            extra: arguments.extra,
            extra_length: arguments.extra_length,
            extra_flags: arguments.extra_flags,
        })
    }

    fn slot(&self) -> &Slot {
        // SAFETY: the handle side keeps the slot (invariant).
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let slot = self.slot();
        self.cancel();
        if let Some(core) = slot.receiver() {
            slot.handshake.forget_waiter();
            // SAFETY: the handle side of a receive that was not taken; it passes to the list.
            unsafe { core.abandon_receive(self.0) };
            return;
        }
        if slot.handshake.release_handle() {
            // SAFETY: told to be the last.
            unsafe { recycle(self.0) }
        }
    }
}
