//! The events of listening sockets.

// UNSAFETY: callbacks that WSK calls with addresses.
#![expect(unsafe_code, reason = "callbacks of WSK")]

use core::{
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};

use wsk_sys::{
    PSOCKADDR, PWSK_INSPECT_ID, PWSK_SOCKET, WSK_CLIENT_CONNECTION_DISPATCH,
    WSK_CLIENT_LISTEN_DISPATCH, WSK_INSPECT_ACTION,
    wdk_sys::{NTSTATUS, PVOID, STATUS_REQUEST_NOT_ACCEPTED, STATUS_SUCCESS, ULONG},
};

use super::{
    inspect::{InspectId, InspectRequest, Verdict, Waiting},
    offer::Offer,
};
use crate::{
    addr::SocketAddress,
    mem::arc::PoolArc,
    op::{
        core::CoreRef,
        handler::{Attend, Handler},
    },
    status::Result,
};

/// What a listening socket does when something happens to it.
///
/// IRQL: every method is called at <= DISPATCH_LEVEL, on any thread, and several calls may run at
/// the same time. None may block, or wait for a request [wsk 1.3]. The handler itself is dropped at
/// <= DISPATCH_LEVEL.
///
/// ```no_run
/// use wsk::{ConnectionSocket, InspectRequest, ListenEvents, Offer, Verdict};
///
/// struct Service;
///
/// impl ListenEvents for Service {
///     fn accept(&self, offer: Offer<'_>) {
///         if let Ok(connection) = offer.accept() {
///             // ... hand it to a task ...
/// #           drop(connection);
///         }
///     }
///
///     fn inspect<'call>(&self, request: InspectRequest<'call>) -> Verdict<'call> {
///         match request.remote() {
///             Some(remote) if remote.ip().is_loopback() => request.accept(),
///             _ => request.reject(),
///         }
///     }
/// }
/// ```
///
/// [WSK_CLIENT_LISTEN_DISPATCH](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_client_listen_dispatch)
#[doc(alias = "WSK_CLIENT_LISTEN_DISPATCH")]
pub trait ListenEvents: Send + Sync + 'static {
    /// A connection has arrived. Called while accept events are
    /// [enabled](crate::ListenSocket::enable_accept_events). Not taking the offer refuses it.
    #[doc(alias = "WskAcceptEvent")]
    fn accept(&self, offer: Offer<'_>) {
        offer.refuse();
    }

    /// Somebody wants to connect: before the connection is established. Called if the listener
    /// accepts [conditionally](crate::ListenSocket::open_conditional). Lets everybody in
    /// unless implemented.
    #[doc(alias = "WskInspectEvent")]
    fn inspect<'call>(&self, request: InspectRequest<'call>) -> Verdict<'call> {
        request.accept()
    }

    /// How many inspections may be pending at the same time: those whose owner has neither decided
    /// nor dropped them, aborted ones too. [`InspectRequest::pend`] gives the others back, to be
    /// decided at once. Asked once, when the socket is opened. No limit unless implemented: each
    /// pending inspection has two allocations, so that a flood of requests can take memory.
    fn pending_limit(&self) -> usize {
        usize::MAX
    }

    /// The connection of an inspection that was accepted or pended will not come: the other side
    /// has gone away. An [`Inspection`](crate::Inspection) that is still undecided has been told.
    #[doc(alias = "WskAbortEvent")]
    fn aborted(&self, id: InspectId) {
        let _ = id;
    }

    /// The socket is dead: close it soon. Or it was closed, and WSK says that this has failed: then
    /// the handler is never dropped, as WSK may still call it [wsk 10.7]. Called once at most.
    fn dead(&self) {}
}

/// The handler of a listening socket, with what belongs to its pended inspections.
pub(crate) struct Listening<H> {
    handler: H,
    waiting: PoolArc<Waiting>,
    dead: AtomicBool,
}

impl<H: ListenEvents> Listening<H> {
    /// Makes the handler of a socket.
    pub(crate) fn handler(handler: H) -> Result<Handler> {
        let this = Self {
            waiting: Waiting::new(handler.pending_limit())?,
            handler,
            dead: AtomicBool::new(false),
        };
        // SAFETY: the callbacks of this table take the handler for a `Listening<H>`.
        unsafe { Handler::new(this, Table::<H>::DISPATCH) }
    }
}

impl<H: ListenEvents> Attend for Listening<H> {
    fn report_death(&self) {
        if !self.dead.swap(true, Ordering::Relaxed) {
            self.handler.dead();
        }
    }
}

impl<H> Drop for Listening<H> {
    fn drop(&mut self) {
        self.waiting.clear();
    }
}

struct Table<H>(PhantomData<H>);

impl<H: ListenEvents> Table<H> {
    const DISPATCH: &'static WSK_CLIENT_LISTEN_DISPATCH = &WSK_CLIENT_LISTEN_DISPATCH {
        WskAcceptEvent: Some(accept_event::<H>),
        WskInspectEvent: Some(inspect_event::<H>),
        WskAbortEvent: Some(abort_event::<H>),
    };
}

/// `WskAcceptEvent` [wsk 7.2, 7.3].
unsafe extern "C" fn accept_event<H: ListenEvents>(
    context: PVOID,
    _flags: ULONG,
    local: PSOCKADDR,
    remote: PSOCKADDR,
    socket: PWSK_SOCKET,
    accepted_context: *mut PVOID,
    accepted_dispatch: *mut *const WSK_CLIENT_CONNECTION_DISPATCH,
) -> NTSTATUS {
    // SAFETY: the context that the socket was made with; it is not closed before this returns
    // [wsk 10.2].
    let core = unsafe { CoreRef::of_callback(context) };
    // SAFETY: this callback runs, and its table came with this type.
    let listening = unsafe { core.handler::<Listening<H>>() };
    let Some(socket) = NonNull::new(socket) else {
        listening.report_death();
        return STATUS_REQUEST_NOT_ACCEPTED;
    };
    let mut taken = None;
    // SAFETY: WSK passes null or complete addresses, for the duration of the call [wsk 7.3].
    let local = unsafe { SocketAddress::read(local) };
    // SAFETY: as above.
    let addresses = (local, unsafe { SocketAddress::read(remote) });
    // SAFETY: in the accept event, with its socket; concluded below.
    let offer = unsafe { Offer::new(&core, socket, addresses, &mut taken) };
    listening.handler.accept(offer);
    let Some((context, table)) = taken.and_then(super::offer::Taken::conclude) else {
        return STATUS_REQUEST_NOT_ACCEPTED;
    };
    // SAFETY: WSK passes places for both [wsk 7.2].
    unsafe { accepted_context.write(context) };
    // SAFETY: as above; the table is one for connections.
    unsafe { accepted_dispatch.write(table.cast()) };
    STATUS_SUCCESS
}

/// `WskInspectEvent` [wsk 7.8].
unsafe extern "C" fn inspect_event<H: ListenEvents>(
    context: PVOID,
    local: PSOCKADDR,
    remote: PSOCKADDR,
    id: PWSK_INSPECT_ID,
) -> WSK_INSPECT_ACTION::Type {
    // SAFETY: as in `accept_event`.
    let core = unsafe { CoreRef::of_callback(context) };
    // SAFETY: as in `accept_event`.
    let listening = unsafe { core.handler::<Listening<H>>() };
    if id.is_null() {
        listening.report_death();
        return WSK_INSPECT_ACTION::WskInspectReject;
    }
    // SAFETY: WSK passes an ID that is valid during the call [wsk 7.9].
    let id = InspectId::from_raw(unsafe { id.read() });
    // SAFETY: WSK passes null or complete addresses, for the duration of the call.
    let local = unsafe { SocketAddress::read(local) };
    // SAFETY: as above.
    let addresses = (local, unsafe { SocketAddress::read(remote) });
    let request = InspectRequest::new(&core, &listening.waiting, id, addresses);
    listening.handler.inspect(request).into_raw()
}

/// `WskAbortEvent` [wsk 7.12].
unsafe extern "C" fn abort_event<H: ListenEvents>(context: PVOID, id: PWSK_INSPECT_ID) -> NTSTATUS {
    // SAFETY: as in `accept_event`.
    let core = unsafe { CoreRef::of_callback(context) };
    // SAFETY: as in `accept_event`.
    let listening = unsafe { core.handler::<Listening<H>>() };
    // SAFETY: WSK passes an ID that is valid during the call.
    let id = InspectId::from_raw(unsafe { id.read() });
    listening.waiting.abort(id);
    listening.handler.aborted(id);
    STATUS_SUCCESS
}
