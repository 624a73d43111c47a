//! Deregistering without blocking a thread.

use core::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::{registered::Registered, role::Role};

/// A module on its way out: ready when all bindings are gone and the registrar has forgotten it.
///
/// Its bindings begin to detach when it is polled first. When the last one has been cleaned up it
/// still waits for the registrar, which calls the other side's cleanup callbacks: short, but
/// blocking, and therefore done at PASSIVE_LEVEL only; an executor that polls above must go on at
/// PASSIVE_LEVEL some time.
///
/// Dropping it waits for all of that, as dropping the module does.
pub struct Deregistration<R: Role, H>(Registered<R, H>);

impl<R: Role, H> Deregistration<R, H> {
    pub(super) fn new(registered: Registered<R, H>) -> Self {
        Self(registered)
    }
}

// Nothing in it is pinned: what must stay is in the pool.
impl<R: Role, H> Unpin for Deregistration<R, H> {}

impl<R: Role, H> Future for Deregistration<R, H> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_gone(context)
    }
}

impl<R: Role, H> fmt::Debug for Deregistration<R, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deregistration").finish_non_exhaustive()
    }
}
