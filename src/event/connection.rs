//! The events of connections.

// UNSAFETY: callbacks that WSK calls with addresses.
#![expect(unsafe_code, reason = "callbacks of WSK")]

use core::{
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};

use bitflags::bitflags;
use wsk_sys::{
    PWSK_DATA_INDICATION, WSK_CLIENT_CONNECTION_DISPATCH, WSK_EVENT_DISCONNECT, WSK_EVENT_RECEIVE,
    WSK_EVENT_SEND_BACKLOG, WSK_FLAG_ABORTIVE,
    wdk_sys::{NTSTATUS, PVOID, SIZE_T, STATUS_DATA_NOT_ACCEPTED, STATUS_SUCCESS, ULONG},
};

use super::indication::{Indication, Received};
use crate::{
    op::{
        core::CoreRef,
        handler::{Attend, Handler},
    },
    status::Result,
};

bitflags! {
    /// Events of a connection that can be enabled.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct ConnectionEventSet: u32 {
        /// [`ConnectionEvents::receive`] `WSK_EVENT_RECEIVE`
        const RECEIVE = WSK_EVENT_RECEIVE;
        /// [`ConnectionEvents::disconnected`] `WSK_EVENT_DISCONNECT`
        const DISCONNECT = WSK_EVENT_DISCONNECT;
        /// [`ConnectionEvents::ideal_backlog_changed`] `WSK_EVENT_SEND_BACKLOG`
        const SEND_BACKLOG = WSK_EVENT_SEND_BACKLOG;
    }
}

/// What a connection does when something happens to it.
///
/// IRQL: every method is called at <= DISPATCH_LEVEL, on any thread. Calls of `receive` come one
/// after the other [wsk 8.3]; others may run at the same time. None may block, or wait for a
/// request [wsk 1.3]. The handler itself is dropped at <= DISPATCH_LEVEL.
///
/// ```no_run
/// use wsk::{ConnectionEvents, Indication, Received};
///
/// struct Count(core::sync::atomic::AtomicUsize);
///
/// impl ConnectionEvents for Count {
///     fn receive<'call>(&self, indication: Indication<'call>) -> Received<'call> {
///         let count = indication.data().len();
///         self.0.fetch_add(count, core::sync::atomic::Ordering::Relaxed);
///         indication.consume()
///     }
/// }
/// ```
///
/// [WSK_CLIENT_CONNECTION_DISPATCH](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_client_connection_dispatch)
#[doc(alias = "WSK_CLIENT_CONNECTION_DISPATCH")]
pub trait ConnectionEvents: Send + Sync + 'static {
    /// Data has arrived. Refuses it unless implemented.
    #[doc(alias = "WskReceiveEvent")]
    fn receive<'call>(&self, indication: Indication<'call>) -> Received<'call> {
        indication.refuse()
    }

    /// The other side has ended the connection: abortively, by a reset; or gracefully, and then
    /// this side may still send. The socket must be closed in either case [wsk 9.7].
    #[doc(alias = "WskDisconnectEvent")]
    fn disconnected(&self, abortive: bool) {
        let _ = abortive;
    }

    /// So many bytes should be on their way at any time for the best throughput [wsk 9.1].
    #[doc(alias = "WskSendBacklogEvent")]
    fn ideal_backlog_changed(&self, bytes: usize) {
        let _ = bytes;
    }

    /// The socket is dead: close it soon. Or it was closed, and WSK says that this has failed: then
    /// the handler is never dropped, as WSK may still call it [wsk 10.7]. Called once at most.
    fn dead(&self) {}
}

/// The handler of a connection.
pub(crate) struct Connected<H> {
    handler: H,
    dead: AtomicBool,
}

impl<H: ConnectionEvents> Connected<H> {
    /// Makes the handler of a socket.
    pub(crate) fn handler(handler: H) -> Result<Handler> {
        let this = Self {
            handler,
            dead: AtomicBool::new(false),
        };
        // SAFETY: the callbacks of this table take the handler for a `Connected<H>`.
        unsafe { Handler::new(this, Table::<H>::DISPATCH) }
    }
}

impl<H: ConnectionEvents> Attend for Connected<H> {
    fn report_death(&self) {
        if !self.dead.swap(true, Ordering::Relaxed) {
            self.handler.dead();
        }
    }
}

struct Table<H>(PhantomData<H>);

impl<H: ConnectionEvents> Table<H> {
    const DISPATCH: &'static WSK_CLIENT_CONNECTION_DISPATCH = &WSK_CLIENT_CONNECTION_DISPATCH {
        WskReceiveEvent: Some(receive_event::<H>),
        WskDisconnectEvent: Some(disconnect_event::<H>),
        WskSendBacklogEvent: Some(send_backlog_event::<H>),
    };
}

/// `WskReceiveEvent` [wsk 8].
unsafe extern "C" fn receive_event<H: ConnectionEvents>(
    context: PVOID,
    flags: ULONG,
    list: PWSK_DATA_INDICATION,
    indicated: SIZE_T,
    accepted: *mut SIZE_T,
) -> NTSTATUS {
    // SAFETY: the context that the socket was made with; it is not closed before this returns
    // [wsk 10.2].
    let core = unsafe { CoreRef::of_callback(context) };
    // SAFETY: this callback runs, and its table came with this type.
    let connected = unsafe { core.handler::<Connected<H>>() };
    let Some(list) = NonNull::new(list) else {
        connected.report_death();
        return STATUS_SUCCESS;
    };
    // What is retained must be known before the socket is closed, so it is not closed meanwhile.
    if !core.hold() {
        return STATUS_DATA_NOT_ACCEPTED;
    }
    let length = usize::try_from(indicated).unwrap_or(usize::MAX);
    // SAFETY: in the event that brought the list; held until `conclude` below.
    let indication = unsafe { Indication::new(&core, list, length, flags) };
    let received = connected.handler.receive(indication);
    let (status, count) = received.conclude(&core);
    if let Some(count) = count {
        // SAFETY: WSK passes a place for the count [wsk 8.2].
        unsafe { accepted.write(count as SIZE_T) };
    }
    status
}

/// `WskDisconnectEvent` [wsk 9.7].
unsafe extern "C" fn disconnect_event<H: ConnectionEvents>(
    context: PVOID,
    flags: ULONG,
) -> NTSTATUS {
    // SAFETY: as in `receive_event`.
    let core = unsafe { CoreRef::of_callback(context) };
    // SAFETY: as in `receive_event`.
    let connected = unsafe { core.handler::<Connected<H>>() };
    connected
        .handler
        .disconnected(flags & WSK_FLAG_ABORTIVE != 0);
    STATUS_SUCCESS
}

/// `WskSendBacklogEvent` [wsk 9.1].
unsafe extern "C" fn send_backlog_event<H: ConnectionEvents>(
    context: PVOID,
    ideal: SIZE_T,
) -> NTSTATUS {
    // SAFETY: as in `receive_event`.
    let core = unsafe { CoreRef::of_callback(context) };
    // SAFETY: as in `receive_event`.
    let connected = unsafe { core.handler::<Connected<H>>() };
    let bytes = usize::try_from(ideal).unwrap_or(usize::MAX);
    connected.handler.ideal_backlog_changed(bytes);
    STATUS_SUCCESS
}
