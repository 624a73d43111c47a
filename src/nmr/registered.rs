//! A module that is registered: what the registrar has the address of, and taking leave of it.
//!
//! What a module registers with stays in one nonpaged block until the deregistration is complete
//! [wsk 12.1]. There is no value of this type without a registration, so that nothing can be
//! deregistered that is not registered.

// UNSAFETY: calls the registrar; the block is shared with it by address.
#![expect(unsafe_code, reason = "the registrar's exports")]

use core::{
    ffi::c_void,
    ptr::{NonNull, null, null_mut},
    task::{Context, Poll, Waker},
};

use wsk_sys::{
    NPI_MODULEID, NPI_REGISTRATION_INSTANCE, NPIID,
    wdk_sys::{HANDLE, STATUS_PENDING, STATUS_SUCCESS, ntddk::KeFlushQueuedDpcs},
};

use super::{
    id::{Instance, size_of_u16},
    npi::Npi,
    role::Role,
};
use crate::{
    irql::Passive,
    mem::pool,
    status::{Result, check},
    sync::{
        rundown::{Closing, Rundown},
        spin::SpinLock,
    },
};

/// What the registrar has the address of.
pub(super) struct Module<R: Role, H> {
    characteristics: R::Characteristics,
    npi: NPIID,
    id: NPI_MODULEID,
    /// One reference for each binding, from the attach callback to the cleanup callback.
    bindings: Rundown,
    /// Whom to wake when the last one is gone after `bindings` was closed.
    waiter: SpinLock<Option<Waker>>,
    pub(super) handler: H,
}

impl<R: Role, H> Module<R, H> {
    /// A peer is to be attached to. `false`: not any more, this module is being deregistered.
    #[must_use]
    pub(super) fn begin_binding(&self) -> bool {
        self.bindings.acquire()
    }

    /// A binding is gone, or came to nothing. Within a callback, so that the module is still there.
    pub(super) fn end_binding(&self) {
        if self.bindings.release()
            && let Some(waiter) = self.waiter.with(Option::take)
        {
            waiter.wake();
        }
    }
}

/// How far a registered module has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Registered,
    /// Every binding is asked to detach; the registrar is to be waited for.
    Leaving,
    /// The registrar has forgotten it.
    Gone,
}

/// A registered module.
///
/// # Invariants
///
/// Unless `progress` is `Gone`, the registrar has the address of `module`, which is from the pool.
pub(super) struct Registered<R: Role, H> {
    module: NonNull<Module<R, H>>,
    handle: HANDLE,
    progress: Progress,
}

// SAFETY: the handle is a number; the module is reached by callbacks on any thread.
unsafe impl<R: Role, H: Send + Sync> Send for Registered<R, H> {}
// SAFETY: a shared reference gives the handler only.
unsafe impl<R: Role, H: Send + Sync> Sync for Registered<R, H> {}

impl<R: Role, H> Registered<R, H> {
    /// Registers a module.
    ///
    /// # Safety
    ///
    /// The callbacks of `characteristics` take a `Module<R, H>` as their registration context, and
    /// `instance` has the characteristics of a module of this role of `N`.
    pub(super) unsafe fn register<N: Npi, C>(
        characteristics: R::Characteristics,
        instance: Instance<'static, C>,
        handler: H,
        passive: Passive,
    ) -> Result<Self> {
        Passive::check(passive);
        let mut module = pool::allocate(Module::<R, H> {
            characteristics,
            npi: N::ID.to_raw(),
            id: instance.module.to_raw(),
            bindings: Rundown::new(),
            waiter: SpinLock::new(None),
            handler,
        })?;
        // SAFETY: just allocated, nobody else's yet.
        let filled = unsafe { module.as_mut() };
        *R::instance(&mut filled.characteristics) = NPI_REGISTRATION_INSTANCE {
            Version: 0,
            Size: size_of_u16::<NPI_REGISTRATION_INSTANCE>(),
            NpiId: &raw const filled.npi,
            ModuleId: &raw const filled.id,
            Number: instance.number,
            NpiSpecificCharacteristics: instance
                .characteristics
                .map_or(null(), |specific| core::ptr::from_ref(specific).cast()),
        };
        let mut handle = null_mut();
        let context: *mut c_void = module.as_ptr().cast();
        // SAFETY: only the address is computed.
        let characteristics = unsafe { &raw const (*module.as_ptr()).characteristics };
        // SAFETY: PASSIVE_LEVEL (the witness); the block stays in place and unchanged until the
        // deregistration is complete, since only `drop` frees it, and the specific characteristics
        // are static [wsk 12.1]. From now on the callbacks may come, on any thread [wsk 12.2].
        let status = unsafe { R::register(characteristics, context, &mut handle) };
        if let Err(error) = check(R::REGISTER, status) {
            // SAFETY: the registration failed, so that the registrar keeps no pointer into it.
            unsafe { pool::free(module) };
            return Err(error);
        }
        Ok(Self {
            module,
            handle,
            progress: Progress::Registered,
        })
    }

    pub(super) fn handler(&self) -> &H {
        &self.module().handler
    }

    fn module(&self) -> &Module<R, H> {
        // SAFETY: allocated in `register`, freed in `drop` only.
        unsafe { self.module.as_ref() }
    }

    /// Has all bindings detached, and no new ones made. IRQL <= DISPATCH_LEVEL.
    fn begin_leaving(&mut self) {
        if self.progress != Progress::Registered {
            return;
        }
        // SAFETY: the handle that registering gave; once, since `progress` changes.
        let status = unsafe { R::deregister(self.handle) };
        // The registrar of Windows says STATUS_PENDING always; others say STATUS_SUCCESS when there
        // is nothing to wait for, and must not be asked to wait then [wsk 12.12].
        self.progress = if status == STATUS_SUCCESS {
            Progress::Gone
        } else {
            Progress::Leaving
        };
        debug_assert!(
            status == STATUS_PENDING || status == STATUS_SUCCESS,
            "a registered module can be deregistered"
        );
        if self.module().bindings.close() == Closing::Drained
            && let Some(waiter) = self.module().waiter.with(Option::take)
        {
            waiter.wake();
        }
    }

    /// Waits until the registrar has forgotten the module.
    pub(super) fn wait(&mut self, passive: Passive) {
        Passive::check(passive);
        self.begin_leaving();
        if self.progress == Progress::Gone {
            return;
        }
        // SAFETY: deregistering returned STATUS_PENDING; once; PASSIVE_LEVEL (the witness).
        let status = unsafe { R::wait(self.handle) };
        debug_assert_eq!(
            status, STATUS_SUCCESS,
            "what is deregistered can be waited for"
        );
        if status != STATUS_SUCCESS {
            return;
        }
        self.progress = Progress::Gone;
        // The last one to leave a binding may still be on its way out of this image, in a DPC.
        // SAFETY: PASSIVE_LEVEL (the witness).
        unsafe { KeFlushQueuedDpcs() };
    }

    /// Ready when no binding is left: what is still to be waited for is the registrar.
    fn poll_bindings(&self, context: &Context<'_>) -> Poll<()> {
        let mut waker = Some(context.waker().clone());
        let module = self.module();
        let _old = module
            .waiter
            .with(|waiter| core::mem::replace(waiter, waker.take()));
        if module.bindings.is_drained() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Ready when the registrar has forgotten the module.
    pub(super) fn poll_gone(&mut self, context: &Context<'_>) -> Poll<()> {
        self.begin_leaving();
        if self.progress == Progress::Gone {
            return Poll::Ready(());
        }
        if self.poll_bindings(context).is_pending() {
            return Poll::Pending;
        }
        let Some(passive) = Passive::new() else {
            // Somebody has to wait for the registrar, which cannot be done here.
            context.waker().wake_by_ref();
            return Poll::Pending;
        };
        self.wait(passive);
        Poll::Ready(())
    }
}

impl<R: Role, H> Drop for Registered<R, H> {
    fn drop(&mut self) {
        if self.progress != Progress::Gone {
            let Some(passive) = Passive::new() else {
                return;
            };
            self.wait(passive);
        }
        if self.progress == Progress::Gone {
            // SAFETY: the registrar has forgotten it: no callback runs any more, or will
            // [wsk 12.10, 12.12].
            unsafe { pool::free(self.module) };
        }
    }
}
