//! A connection that WSK hands to an accept event.
//!
//! The socket belongs to the driver only if the event says so, and must not be touched otherwise
//! [wsk 7.2]. So it exists, for the driver, from [`Offer::accept`] on. If the driver drops it
//! before the callback has returned, and has asked nothing of it, the connection is refused in
//! place of being closed.

// UNSAFETY: takes a socket from WSK.
#![expect(unsafe_code, reason = "takes a socket from WSK")]

use core::{ffi::c_void, net::SocketAddr, ptr::NonNull};

use wsk_sys::{WSK_SOCKET, wdk_sys::PVOID};

use super::connection::{Connected, ConnectionEvents};
use crate::{
    op::{
        calls::Category,
        core::{CoreRef, Outstanding},
        handler::Handler,
    },
    socket::{connection::ConnectionSocket, handle::Socket},
    status::Result,
};

/// A connection that has arrived and can be accepted. Dropping it refuses it: the other side gets a
/// reset.
///
/// [PFN_WSK_ACCEPT_EVENT](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_accept_event)
#[must_use = "dropping an offer refuses the connection"]
#[derive(Debug)]
pub struct Offer<'call> {
    listener: &'call CoreRef,
    socket: NonNull<WSK_SOCKET>,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    taken: &'call mut Option<Taken>,
}

impl<'call> Offer<'call> {
    /// # Safety
    ///
    /// Called in the accept event of `listener`, with the socket that it was given; `taken` is
    /// [concluded](Taken::conclude) before that returns.
    pub(super) unsafe fn new(
        listener: &'call CoreRef,
        socket: NonNull<WSK_SOCKET>,
        addresses: (Option<SocketAddr>, Option<SocketAddr>),
        taken: &'call mut Option<Taken>,
    ) -> Self {
        Self {
            listener,
            socket,
            local: addresses.0,
            remote: addresses.1,
            taken,
        }
    }

    /// This side's address, if WSK said.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    /// The other side's address, if WSK said.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// Takes the connection, without events.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory): the connection is refused.
    pub fn accept(self) -> Result<ConnectionSocket> {
        self.take(None)
    }

    /// Takes the connection, with a handler for its events. Those that the listener passes on are
    /// enabled when the callback has returned; others by
    /// [`enable_events`](ConnectionSocket::enable_events).
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept); the handler is dropped.
    pub fn accept_with<H: ConnectionEvents>(self, handler: H) -> Result<ConnectionSocket> {
        let handler = Connected::handler(handler)?;
        self.take(Some(handler))
    }

    /// Refuses the connection, as dropping the offer does.
    pub fn refuse(self) {
        drop(self);
    }

    fn take(self, handler: Option<Handler>) -> Result<ConnectionSocket> {
        // SAFETY: in a callback of the listener (the promise of `new`).
        let provider = unsafe { self.listener.provider_in_callback() };
        let unopened = Outstanding::create(provider.clone(), Category::Connection, handler)?;
        // SAFETY: WSK has made it, and gives it for this core, once, since `self` is consumed.
        let (core, close) = unsafe { unopened.adopt(self.socket) };
        *self.taken = Some(Taken::hold(core.clone()));
        Ok(ConnectionSocket::connected(Socket::adopted(core, close)))
    }
}

/// A connection that was taken in an accept event which has not returned: it is not closed before.
#[derive(Debug)]
pub(super) struct Taken(CoreRef);

impl Taken {
    fn hold(core: CoreRef) -> Self {
        let held = core.hold();
        debug_assert!(held, "nobody else knows the socket yet");
        Self(core)
    }

    /// What the callback returns for it: context and table, or nothing if the connection is
    /// refused after all.
    pub(super) fn conclude(self) -> Option<(PVOID, *const c_void)> {
        // SAFETY: not closed, since it is held.
        let client_side = unsafe { self.0.client_side() };
        self.0.let_go_of_offer().then_some(client_side)
    }
}
