//! Requests that need no socket: waiting for other transports, resolving names.
//!
//! They have a core all the same, which is listed with those of sockets, so that closing all
//! sockets ends them too, and which keeps the provider until they are over. "Closing" it cancels
//! the one request in flight; the handle of the close completes at once.

// UNSAFETY: cancels a request from elsewhere, under the protocol of `handshake`.
#![expect(unsafe_code, reason = "cancels a request from elsewhere")]

use core::{ptr::NonNull, sync::atomic::Ordering};

use wsk_sys::wdk_sys::ntddk::IoCancelIrp;

use super::{
    completion::{self, Completion, recycle},
    core::{CoreRef, Outstanding},
    handle::Handle,
    slot::{Payload, Prepared},
};
use crate::{
    counters::Counted,
    registration::Provider,
    status::{Result, Status},
};

/// The core of one request, which ends with this.
#[derive(Debug)]
pub(crate) struct OneRequest {
    core: CoreRef,
    _end: Handle,
}

impl OneRequest {
    pub(crate) fn new(provider: Provider) -> Result<Self> {
        let (core, end) = CoreRef::client(provider)?;
        core.list();
        Ok(Self { core, _end: end })
    }

    pub(crate) fn core(&self) -> &CoreRef {
        &self.core
    }
}

impl Drop for OneRequest {
    fn drop(&mut self) {
        self.core.begin_close();
    }
}

impl CoreRef {
    /// A core for one request at a time, and the handle of its end.
    pub(crate) fn client(provider: Provider) -> Result<(Self, Handle)> {
        let outstanding = Outstanding::create(provider, None, None)?;
        let core = outstanding.core().clone();
        // SAFETY: the close slot is idle until here, and nobody else can reach it.
        unsafe {
            core.close
                .begin(outstanding, Payload::Nothing, Counted::nothing());
        }
        // SAFETY: just begun, once.
        let close = unsafe { Handle::new(NonNull::from(&core.close)) };
        Ok((core, close))
    }

    /// The request that is about to be called, within a call, is the one to be cancelled.
    pub(super) fn starts(&self, prepared: &Prepared) {
        self.last.store(prepared.slot(), Ordering::Release);
    }

    /// Cancels the request in flight, if there is one, and ends.
    ///
    /// # Safety
    ///
    /// The core is one for requests without a socket. No call runs and none begins any more, and
    /// this is the only end.
    pub(super) unsafe fn end_client(&self) {
        if let Some(slot) = NonNull::new(self.last.load(Ordering::Acquire)) {
            // SAFETY: a slot of this core, which frees it.
            let shared = unsafe { slot.as_ref() };
            if shared.handshake.hold() {
                // SAFETY: in flight when it was held, and the IRP is not used again before the hold
                // is released; the call has returned.
                unsafe { IoCancelIrp(shared.packet.get().cast()) };
                if shared.handshake.release_hold() {
                    // SAFETY: told to be the last.
                    unsafe { recycle(slot) }
                }
            }
        }
        let done = Completion {
            status: Status::SUCCESS,
            information: 0,
        };
        // SAFETY: the close slot was begun by `client`, and its IRP given to nobody: we are its IRP
        // side, once (the caller's promise).
        unsafe { completion::complete(NonNull::from(&self.close), done) };
    }
}
