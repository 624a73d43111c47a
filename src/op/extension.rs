//! Registering for an extension interface, and the contexts that its callbacks work on.
//!
//! A context is a value of the driver's in nonpaged pool. The provider has its address from the
//! registration until the socket's close has completed [wsk 10.3]; the socket's core keeps it that
//! long, beside the handler of the socket's own events, and a DPC drops both.

// UNSAFETY: a call through the provider's table, and values of forgotten types.
#![expect(unsafe_code, reason = "a call through a table, and type erasure")]

use core::{
    ffi::c_void,
    ptr::{NonNull, null_mut},
};

use wsk_sys::{
    NPIID, SIO_WSK_REGISTER_EXTENSION, WSK_CONTROL_SOCKET_TYPE, WSK_EXTENSION_CONTROL_IN,
    WSK_EXTENSION_CONTROL_OUT,
};

use super::{calls::table_of, core::CoreRef};
use crate::{
    mem::pool,
    status::{Error, Result, Status, check},
    sync::spin::SpinLock,
};

const CALL: &str = "WskControlSocket";

/// What a provider gives to a client that registers.
#[derive(Clone, Copy)]
pub(crate) struct Given {
    pub(crate) context: *mut c_void,
    pub(crate) dispatch: *const c_void,
}

/// The contexts of the extensions that a socket is registered for.
pub(crate) struct Contexts(SpinLock<Option<NonNull<Link>>>);

// SAFETY: made of `Send + Sync` values (see `Kept::new`), reached under the lock.
unsafe impl Send for Contexts {}
// SAFETY: as for `Send`.
unsafe impl Sync for Contexts {}

struct Link {
    next: Option<NonNull<Link>>,
    free: unsafe fn(NonNull<Link>),
}

/// A context in the pool. `link` is first, so that its address is that of the whole.
#[repr(C)]
struct Kept<C> {
    link: Link,
    context: C,
}

/// A context that the provider does not have, or has and may use no more.
struct Unused<C>(NonNull<Kept<C>>);

impl<C: Send + Sync + 'static> Unused<C> {
    fn new(context: C) -> Result<Self> {
        let link = Link {
            next: None,
            free: free::<C>,
        };
        pool::allocate(Kept { link, context }).map(Self)
    }

    fn address(&self) -> *mut c_void {
        // SAFETY: in bounds of the allocation; only the address is computed.
        unsafe { &raw mut (*self.0.as_ptr()).context }.cast()
    }

    /// The provider has it now, until the socket is closed.
    fn give(self) -> NonNull<Link> {
        let link = self.0.cast();
        core::mem::forget(self);
        link
    }
}

impl<C> Drop for Unused<C> {
    fn drop(&mut self) {
        // SAFETY: from `pool::allocate`; the provider has refused, and keeps no address.
        unsafe { pool::free(self.0) }
    }
}

/// # Safety
///
/// `link` is that of a `Kept<C>` from `pool::allocate`, which nobody uses any more.
unsafe fn free<C>(link: NonNull<Link>) {
    // SAFETY: the caller's promise.
    unsafe { pool::free(link.cast::<Kept<C>>()) }
}

impl Contexts {
    pub(super) const fn new() -> Self {
        Self(SpinLock::new(None))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.with(|first| first.is_none())
    }

    fn insert(&self, mut link: NonNull<Link>) {
        self.0.with(|first| {
            // SAFETY: in the pool, and in no list yet.
            unsafe { link.as_mut() }.next = first.take();
            *first = Some(link);
        });
    }

    /// Drops them.
    ///
    /// # Safety
    ///
    /// The socket is closed, so that no provider uses them any more [wsk 10.3].
    pub(super) unsafe fn clear(&self) {
        while let Some(link) = self.0.with(|first| {
            let link = first.take()?;
            // SAFETY: a member of the list, which is locked.
            *first = unsafe { link.as_ref() }.next;
            Some(link)
        }) {
            // SAFETY: out of the list; nobody uses it (the caller's promise).
            let free = unsafe { link.as_ref() }.free;
            // SAFETY: the function that was made for it.
            unsafe { free(link) }
        }
    }
}

/// WskControlSocket with `SIO_WSK_REGISTER_EXTENSION`, which has no IRP [wsk 3a, 5.5]. The context
/// stays until the socket is closed; it is dropped at once if registering fails.
///
/// # Safety
///
/// `table` is what clients of this interface pass, or null if they pass none; its functions take
/// their context for a `C`.
pub(crate) unsafe fn register<C: Send + Sync + 'static>(
    core: &CoreRef,
    id: &'static NPIID,
    table: *const c_void,
    context: C,
) -> Result<Given> {
    let call = core.enter(CALL)?;
    let Some(function) = table_of(&call).control() else {
        return Err(Error::new(CALL, Status::NOT_IMPLEMENTED));
    };
    let context = Unused::new(context)?;
    let mut input = WSK_EXTENSION_CONTROL_IN {
        NpiId: core::ptr::from_ref(id).cast_mut(),
        ClientContext: context.address(),
        ClientDispatch: table,
    };
    let mut output = WSK_EXTENSION_CONTROL_OUT::default();
    let mut size = 0;
    // SAFETY: an open socket; structures of the operation's sizes, read and written during the
    // call, since there is no IRP [wsk 3a]; the context stays until the socket is closed if this
    // succeeds [wsk 10.3].
    let status = unsafe {
        function(
            call.socket(),
            WSK_CONTROL_SOCKET_TYPE::WskIoctl,
            SIO_WSK_REGISTER_EXTENSION,
            0,
            size_of::<WSK_EXTENSION_CONTROL_IN>() as u64,
            (&raw mut input).cast(),
            size_of::<WSK_EXTENSION_CONTROL_OUT>() as u64,
            (&raw mut output).cast(),
            &raw mut size,
            null_mut(),
        )
    };
    check(CALL, status)?;
    core.contexts.insert(context.give());
    Ok(Given {
        context: output.ProviderContext,
        dispatch: output.ProviderDispatch,
    })
}
