//! What completions leave to a DPC: closing a socket that arrived for nobody, since a completion
//! routine calls no WSK function [wsk 3.9], and dropping the handler of a socket that is gone, or
//! telling it that the close has failed, since that is code of the driver's.
//!
//! A core has one DPC. Its uses follow each other: a core either never gets a socket, and then its
//! handler may have to be dropped; or it gets one, which may be an orphan, and is closed later.

// UNSAFETY: hands references to the kernel's DPC queue and to WSK as raw addresses.
#![expect(unsafe_code, reason = "references as raw addresses")]

use core::{
    ffi::c_void,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::{NonNull, null_mut},
    sync::atomic::Ordering,
};

use wsk_sys::{
    WSK_SOCKET,
    wdk_sys::{
        KDPC, PVOID,
        ntddk::{KeInitializeDpc, KeInsertQueueDpc},
    },
};

use super::{
    completion::{self, Completion},
    core::{Core, CoreRef, Outstanding},
    slot::Slot,
    unattended,
};
use crate::{callback::Mark, irql, mem::arc::PoolArc};

type Routine = unsafe extern "C" fn(*mut KDPC, PVOID, PVOID, PVOID);

impl Core {
    /// # Safety
    ///
    /// The DPC is not queued, and the core stays until it has run.
    unsafe fn queue_dpc(&self, routine: Routine, context: PVOID) {
        let dpc = self.dpc.get().cast();
        // SAFETY: room for a DPC in nonpaged memory (the caller's promise).
        unsafe { KeInitializeDpc(dpc, Some(routine), context) };
        // SAFETY: just initialised.
        unsafe { KeInsertQueueDpc(dpc, null_mut(), null_mut()) };
    }

    /// Drops the handler and the contexts of extensions; if the close has failed, leaves them where
    /// callbacks find them, and tells the handler that it is over.
    ///
    /// # Safety
    ///
    /// The close has completed like that, and this is called once.
    pub(super) unsafe fn dispose(&self, completion: Completion) {
        if completion.status.is_success() {
            // SAFETY: no callback runs any more [wsk 10.2], and nobody else looks.
            let handler = unsafe { (*self.handler.get()).take() };
            drop(handler);
            // SAFETY: closed.
            unsafe { self.contexts.clear() };
            return;
        }
        // SAFETY: only read, here and by callbacks that may still come.
        if let Some(handler) = unsafe { &*self.handler.get() } {
            handler.report_death();
        }
    }

    /// The handler, within a callback.
    ///
    /// # Safety
    ///
    /// A callback of this socket runs while the reference is used [wsk 10.2], and `H` is the type
    /// that the handler was made with.
    pub(crate) unsafe fn handler<H>(&self) -> &H {
        // SAFETY: it is taken only when no callback runs any more (the caller's promise).
        let handler = unsafe { &*self.handler.get() };
        let handler = handler.as_ref().expect("callbacks come with a handler");
        // SAFETY: the caller's promise.
        unsafe { handler.value() }
    }
}

/// The core of the socket whose callback runs.
pub(crate) struct Callback {
    core: ManuallyDrop<CoreRef>,
    _mark: Mark,
}

impl Deref for Callback {
    type Target = CoreRef;

    fn deref(&self) -> &CoreRef {
        &self.core
    }
}

impl CoreRef {
    /// Whether events can be delivered.
    pub(crate) fn has_handler(&self) -> bool {
        self.attendance.is_there()
    }

    /// The core that WSK was given as a socket's context, for the duration of a callback, in which
    /// nothing can be waited for.
    ///
    /// # Safety
    ///
    /// `context` is what [`client_side`](Self::client_side) gave, for a socket that is not closed
    /// yet [wsk 10.3].
    pub(crate) unsafe fn of_callback(context: PVOID) -> Callback {
        // SAFETY: points to a core that the close slot keeps; no reference is given up.
        let core = ManuallyDrop::new(Self(unsafe { PoolArc::from_raw(context.cast()) }));
        Callback {
            core,
            _mark: irql::enter_callback(),
        }
    }

    /// What WSK is given as the socket's context and table of callbacks.
    ///
    /// # Safety
    ///
    /// The socket is not closed yet.
    pub(crate) unsafe fn client_side(&self) -> (PVOID, *const c_void) {
        let context = self.0.as_raw().cast();
        if self.has_handler() {
            // SAFETY: it is there, and nobody takes it before the socket is closed (the caller's
            // promise).
            if let Some(handler) = unsafe { &*self.handler.get() } {
                return (context, handler.table());
            }
        }
        match unattended::table(self.category) {
            table if table.is_null() => (null_mut(), table),
            table => (context, table),
        }
    }

    /// The close has completed, and so all callbacks have returned [wsk 10.2]. True: a DPC
    /// [disposes](Core::dispose) of the handler and the contexts of extensions, and then ends the
    /// close.
    ///
    /// # Safety
    ///
    /// Called by the IRP side of the close slot, once.
    pub(super) unsafe fn closed(&self, completion: Completion) -> bool {
        if !completion.status.is_success() {
            // The provider may still call back [wsk 10.7]: all that it could reach stays for good.
            core::mem::forget(self.clone());
        }
        // SAFETY: the caller is the only one to take it.
        let handler = unsafe { &*self.handler.get() };
        if handler.is_none() && self.contexts.is_empty() {
            return false;
        }
        self.is_ending.store(true, Ordering::Release);
        let slot = core::ptr::from_ref(&self.close).cast_mut().cast();
        // SAFETY: the slot keeps the core until `finish`, which the DPC calls; if the DPC was an
        // orphan's before, it has run, since that has called the close.
        unsafe { self.queue_dpc(end_close, slot) };
        true
    }
}

impl Outstanding {
    /// The socket has been made, but nobody wants it: closes it soon, though not from here.
    ///
    /// # Safety
    ///
    /// As [`adopt`](Self::adopt).
    pub(crate) unsafe fn close_orphan(self, socket: NonNull<WSK_SOCKET>) {
        // SAFETY: the caller's promise is the same.
        let (core, close) = unsafe { self.adopt(socket) };
        drop(close);
        // The DPC has this reference, until `close_orphan` below takes it.
        let context = core.clone().0.into_raw().cast();
        // SAFETY: the reference keeps the core; the first use of its DPC, as it got its socket now.
        unsafe { core.queue_dpc(close_orphan, context) };
    }

    /// No socket was made, and nobody wants to know: the handler, if there is one, is dropped soon,
    /// though not from here.
    pub(crate) fn drop_soon(mut self) {
        // SAFETY: no socket was made, so that nobody takes the handler.
        let has_handler = unsafe { &*self.core().handler.get() }.is_some();
        if !has_handler {
            return;
        }
        let core = self.core().clone();
        // The DPC has this reference, and what it counts for, until `drop_outstanding` takes both.
        let context = self.0.take().map_or(null_mut(), |core| core.0.into_raw());
        // SAFETY: `context` keeps the core; the only use of its DPC, as it has no socket.
        unsafe { core.queue_dpc(drop_outstanding, context.cast()) };
    }
}

/// Ends the close of a socket with a handler.
unsafe extern "C" fn end_close(_dpc: *mut KDPC, slot: PVOID, _: PVOID, _: PVOID) {
    // SAFETY: the context that `closed` set: the close slot, which the IRP side holds.
    let slot = unsafe { NonNull::new_unchecked(slot.cast::<Slot>()) };
    // SAFETY: the IRP side, for the second time of two.
    unsafe { completion::end_close(slot) };
}

/// Drops an `Outstanding` without a socket.
unsafe extern "C" fn drop_outstanding(_dpc: *mut KDPC, core: PVOID, _: PVOID, _: PVOID) {
    // SAFETY: the context that `drop_soon` set, once.
    let core = CoreRef(unsafe { PoolArc::from_raw(core.cast()) });
    // SAFETY: no socket was made, so that nobody else looks.
    let handler = unsafe { (*core.handler.get()).take() };
    drop(handler);
    // The provider goes after the handler.
    drop(Outstanding(Some(core)));
}

/// Closes a socket that nobody wants.
unsafe extern "C" fn close_orphan(_dpc: *mut KDPC, context: PVOID, _: PVOID, _: PVOID) {
    // SAFETY: the context that the DPC was initialised with, once.
    let core = CoreRef(unsafe { PoolArc::from_raw(context.cast()) });
    core.begin_close();
}
