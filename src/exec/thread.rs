//! A system thread that is joined: when `join` returns, none of its code runs any more, so that the
//! driver can unload.

// UNSAFETY: kernel calls, and a context passed by address.
#![expect(unsafe_code, reason = "kernel calls")]

use core::ptr::{NonNull, null_mut};

use wsk_sys::{
    InitializeObjectAttributes,
    wdk_sys::{
        HANDLE, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, PVOID, STATUS_SUCCESS, THREAD_ALL_ACCESS,
        ntddk::{PsCreateSystemThread, PsTerminateSystemThread, ZwClose, ZwWaitForSingleObject},
    },
};

use crate::{
    irql::Passive,
    mem::arc::PoolArc,
    status::{Result, check},
};

/// What a thread does; it ends when this returns.
pub(super) trait Work: Send + Sync + 'static {
    /// Runs on the thread.
    fn work(&self, passive: Passive);
}

/// A running system thread.
///
/// # Invariants
///
/// An open kernel handle of a thread.
#[derive(Debug)]
pub(super) struct Thread(NonNull<core::ffi::c_void>);

// SAFETY: a kernel handle is valid in every thread.
unsafe impl Send for Thread {}
// SAFETY: as for `Send`.
unsafe impl Sync for Thread {}

impl Thread {
    /// Starts a thread that does `work`.
    pub(super) fn start<W: Work>(work: PoolArc<W>, passive: Passive) -> Result<Self> {
        Passive::check(passive);
        let mut attributes = OBJECT_ATTRIBUTES::default();
        // SAFETY: fills the structure; no name, no root, no descriptor.
        unsafe {
            InitializeObjectAttributes(
                &raw mut attributes,
                null_mut(),
                OBJ_KERNEL_HANDLE,
                null_mut(),
                null_mut(),
            );
        }
        let mut handle: HANDLE = null_mut();
        let context = work.into_raw();
        // SAFETY: PASSIVE_LEVEL (the witness); the output and the attributes outlive the call; the
        // context is a reference that the thread takes.
        let status = unsafe {
            PsCreateSystemThread(
                &raw mut handle,
                THREAD_ALL_ACCESS,
                &raw mut attributes,
                null_mut(),
                null_mut(),
                Some(routine::<W>),
                context.cast(),
            )
        };
        if let Err(error) = check("PsCreateSystemThread", status) {
            // SAFETY: no thread was made to take the reference.
            drop(unsafe { PoolArc::from_raw(context) });
            return Err(error);
        }
        // SAFETY: a successful call gives a handle.
        Ok(Self(unsafe { NonNull::new_unchecked(handle) }))
    }

    /// Waits until the thread has ended.
    pub(super) fn join(self, passive: Passive) {
        Passive::check(passive);
        // SAFETY: our handle; PASSIVE_LEVEL (the witness); no time-out.
        let waited = unsafe { ZwWaitForSingleObject(self.0.as_ptr(), u8::from(false), null_mut()) };
        debug_assert_eq!(waited, STATUS_SUCCESS, "a thread handle can be waited for");
        // SAFETY: our handle, closed once.
        let closed = unsafe { ZwClose(self.0.as_ptr()) };
        debug_assert_eq!(closed, STATUS_SUCCESS, "our own handle");
    }
}

/// The thread's first and last function.
unsafe extern "C" fn routine<W: Work>(context: PVOID) {
    // SAFETY: the reference that `start` gave up, once.
    let work = unsafe { PoolArc::from_raw(context.cast::<W>()) };
    let passive = Passive::new().expect("a system thread starts at PASSIVE_LEVEL");
    work.work(passive);
    drop(work);
    // SAFETY: on a system thread of our own; nothing is left to drop.
    let _ = unsafe { PsTerminateSystemThread(STATUS_SUCCESS) };
}
