//! A binding: the way to a peer, which is open from the attach until the detach begins.
//!
//! | memory      | made by             | freed when                                              |
//! |-------------|---------------------|---------------------------------------------------------|
//! | [`Link`]    | the attach callback | the last [`Binding`] is dropped, and the registrar's own |
//! | [`Bound`]   | the attach callback | the cleanup callback, or the attach that failed          |
//!
//! `Bound` is what the registrar and the peer have the address of: the context. `Link` is what this
//! driver has: it outlives the context, so that a `Binding` may be kept for as long as one likes.

// UNSAFETY: calls the registrar; a table and a context of the peer's by address.
#![expect(unsafe_code, reason = "memory of the peer's")]

use core::{ffi::c_void, fmt, ptr::NonNull};

use wsk_sys::wdk_sys::{HANDLE, NTSTATUS, STATUS_PENDING, STATUS_SUCCESS};

use super::{
    gate::{Gate, Refused},
    npi::Npi,
    role::Role,
};
use crate::{
    mem::{arc::PoolArc, pool},
    status::{Error, Result, Status},
};

/// What a peer gave when it attached.
pub(super) struct Peer<D> {
    pub(super) dispatch: NonNull<D>,
    pub(super) context: *mut c_void,
}

impl<D> Clone for Peer<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for Peer<D> {}

// SAFETY: the table may be used on any thread; what the context points to is the peer's affair.
unsafe impl<D: Sync> Send for Peer<D> {}
// SAFETY: as for `Send`.
unsafe impl<D: Sync> Sync for Peer<D> {}

/// The table that a peer gave: `None` if it should have given one, but did not.
pub(crate) fn table<D>(raw: *const c_void) -> Option<NonNull<D>> {
    let table = NonNull::new(raw.cast_mut()).map(NonNull::cast);
    table.or((size_of::<D>() == 0).then(NonNull::dangling))
}

/// See the module.
pub(super) struct Link<N: Npi, R: Role> {
    gate: Gate<Peer<R::PeerDispatch<N>>>,
    /// The registrar's name for the binding.
    handle: HANDLE,
}

// SAFETY: the handle is a number, which may be used on any thread.
unsafe impl<N: Npi, R: Role> Send for Link<N, R> {}
// SAFETY: as for `Send`.
unsafe impl<N: Npi, R: Role> Sync for Link<N, R> {}

/// The way to a peer.
///
/// Clones are cheap and equal, and may be kept for as long as one likes: in a binding's context, in
/// the handler, anywhere. When the binding has been detached, [`enter`](Self::enter) says so.
///
/// IRQL: <= DISPATCH_LEVEL for everything.
pub struct Binding<N: Npi, R: Role>(PoolArc<Link<N, R>>);

impl<N: Npi, R: Role> Binding<N, R> {
    pub(super) fn new(handle: HANDLE) -> Result<Self> {
        let gate = Gate::new();
        PoolArc::new(Link { gate, handle }).map(Self)
    }

    /// Keeps the peer from leaving: while the result is kept, the peer may be called.
    ///
    /// Keep it for one call, or a few that belong together: the detach of this binding, and with it
    /// the unloading of either driver, waits for it to be dropped [wsk 12.11].
    ///
    /// # Errors
    ///
    /// [`NotReady`](crate::ErrorKind::NotReady) while the attach is going on;
    /// [`Closed`](crate::ErrorKind::Closed) when the detach has begun.
    pub fn enter(&self) -> Result<Entered<'_, N, R>> {
        match self.0.gate.enter() {
            Ok(peer) => Ok(Entered {
                link: &self.0,
                peer,
            }),
            Err(refused) => Err(Error::new("Binding::enter", refused.status())),
        }
    }

    /// Whether this is the way to the same peer.
    pub(super) fn is(&self, other: &Self) -> bool {
        core::ptr::eq(self.0.as_raw(), other.0.as_raw())
    }

    /// As [`enter`](Self::enter), for as long as one likes.
    pub(super) fn hold(&self) -> Result<Held<N, R>> {
        let entered = self.enter()?;
        core::mem::forget(entered);
        Ok(Held(self.clone()))
    }

    /// Lets in those who want to call the peer.
    ///
    /// # Safety
    ///
    /// Called once; the peer gave this for this binding.
    pub(super) unsafe fn publish(&self, peer: Peer<R::PeerDispatch<N>>) {
        // SAFETY: the caller's promise.
        unsafe { self.0.gate.publish(peer) };
    }
}

impl Refused {
    const fn status(self) -> Status {
        match self {
            Self::NotYet => Status::DEVICE_NOT_READY,
            Self::Gone => Status::FILE_CLOSED,
        }
    }
}

impl<N: Npi, R: Role> Clone for Binding<N, R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<N: Npi, R: Role> fmt::Debug for Binding<N, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Binding").field(&self.0.handle).finish()
    }
}

/// A peer that may be called: see [`Binding::enter`].
///
/// What an [`npi!`](crate::npi) interface lets one call are methods of this: import its trait.
///
/// Given to `core::mem::forget`, it keeps the peer's driver from unloading for good.
#[must_use = "the peer may be called while this is kept"]
pub struct Entered<'binding, N: Npi, R: Role> {
    link: &'binding Link<N, R>,
    peer: Peer<R::PeerDispatch<N>>,
}

impl<N: Npi, R: Role> Entered<'_, N, R> {
    /// The peer's functions. Calling them is what the interface makes of it.
    #[must_use]
    pub fn dispatch(&self) -> &R::PeerDispatch<N> {
        // SAFETY: the peer keeps its table until both sides are detached, which this side is not
        // while somebody is inside [wsk 12.8, 12.11]; it is of this type by the contract of `Npi`.
        unsafe { self.peer.dispatch.as_ref() }
    }

    /// What the peer wants as the first argument of its functions.
    #[must_use]
    pub fn context(&self) -> *mut c_void {
        self.peer.context
    }
}

/// Enters once more, also when the detach has begun.
impl<N: Npi, R: Role> Clone for Entered<'_, N, R> {
    fn clone(&self) -> Self {
        self.link.gate.enter_again();
        Self {
            link: self.link,
            peer: self.peer,
        }
    }
}

impl<N: Npi, R: Role> Drop for Entered<'_, N, R> {
    fn drop(&mut self) {
        self.link.leave();
    }
}

impl<N: Npi, R: Role> fmt::Debug for Entered<'_, N, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entered").field(&self.link.handle).finish()
    }
}

/// An entered binding that can be kept apart from it.
///
/// # Invariants
///
/// Counted in the binding's gate.
pub(super) struct Held<N: Npi, R: Role>(Binding<N, R>);

impl<N: Npi, R: Role> Clone for Held<N, R> {
    fn clone(&self) -> Self {
        self.0.0.gate.enter_again();
        Self(self.0.clone())
    }
}

impl<N: Npi, R: Role> Drop for Held<N, R> {
    fn drop(&mut self) {
        self.0.0.leave();
    }
}

impl<N: Npi, R: Role> Link<N, R> {
    /// Somebody who was inside leaves.
    fn leave(&self) {
        if self.gate.leave() {
            // SAFETY: the last one out, once; it is not the detach callback, which therefore
            // returns STATUS_PENDING [wsk 12.10].
            unsafe { R::complete_detach(self.handle) }
        }
    }
}

/// What the registrar and the peer have the address of: the context of a binding.
#[repr(C)]
pub(super) struct Bound<N: Npi, R: Role, M, C> {
    /// First, so that its address is that of the whole: what the peer passes to this side's
    /// functions.
    context: C,
    binding: Binding<N, R>,
    /// What the module registered; it stays until all bindings are cleaned up [wsk 12.1].
    module: NonNull<M>,
}

/// A `Bound` in the pool, which nobody else has the address of yet.
pub(super) struct Unbound<N: Npi, R: Role, M, C>(NonNull<Bound<N, R, M, C>>);

impl<N: Npi, R: Role, M, C> Unbound<N, R, M, C> {
    pub(super) fn new(context: C, binding: &Binding<N, R>, module: &M) -> Result<Self> {
        let bound = pool::allocate(Bound {
            context,
            binding: binding.clone(),
            module: NonNull::from(module),
        })?;
        Ok(Self(bound))
    }

    pub(super) fn address(&self) -> *mut c_void {
        self.0.as_ptr().cast()
    }

    /// The registrar has it now, until it calls the cleanup callback.
    pub(super) fn give(self) -> NonNull<c_void> {
        let address = self.0.cast();
        core::mem::forget(self);
        address
    }
}

impl<N: Npi, R: Role, M, C> Drop for Unbound<N, R, M, C> {
    fn drop(&mut self) {
        // SAFETY: from `pool::allocate`; nothing came of the attach, so that nobody has its address
        // [wsk 12.6].
        unsafe { pool::free(self.0) }
    }
}

impl<N: Npi, R: Role, M, C> Bound<N, R, M, C> {
    pub(super) fn context(&self) -> &C {
        &self.context
    }

    /// The detach callback: has `tell` called while the binding is not detached yet.
    ///
    /// # Safety
    ///
    /// `context` is the address that was [given](Unbound::give) to the registrar, which calls this
    /// once for it, before [`clean_up`](Self::clean_up).
    pub(super) unsafe fn detach(
        context: *mut c_void,
        tell: impl FnOnce(&M, &C, &Binding<N, R>),
    ) -> NTSTATUS {
        // SAFETY: the caller's promise; it stays while this is inside.
        let bound = unsafe { &*context.cast::<Self>() };
        let binding = bound.binding.clone();
        binding.0.gate.begin_detach();
        // SAFETY: the module stays until all bindings are cleaned up.
        tell(
            unsafe { bound.module.as_ref() },
            &bound.context,
            &bound.binding,
        );
        if binding.0.gate.leave() {
            STATUS_SUCCESS
        } else {
            STATUS_PENDING
        }
    }

    /// The cleanup callback: drops the context, and gives the module.
    ///
    /// # Safety
    ///
    /// `context` is the address that was [given](Unbound::give) to the registrar, which calls this
    /// once for it, last.
    pub(super) unsafe fn clean_up(context: *mut c_void) -> NonNull<M> {
        let bound = NonNull::new(context).expect("an address").cast::<Self>();
        // SAFETY: the caller's promise.
        let module = unsafe { bound.as_ref() }.module;
        // SAFETY: from `pool::allocate`; both sides are detached, and the registrar forgets it
        // [wsk 12.10].
        unsafe { pool::free(bound) };
        module
    }
}
