//! What WSK calls on sockets that were made without a handler.
//!
//! A socket gets a context and a table when it is made, and there is no second time [wsk 4.3]. So
//! it gets these, whose functions look for a handler when they are called: a connection can be
//! given one later, before its events are enabled; and events that are enabled for all sockets, or
//! inherited from a listener, find a function even if there never is one. Data is refused then, and
//! waits for a receive; a connection is refused; who is to be inspected is let in.

// UNSAFETY: callbacks of WSK, and the table of a handler.
#![expect(unsafe_code, reason = "callbacks of WSK")]

use core::{
    ffi::c_void,
    ptr::null,
    sync::atomic::{AtomicU8, Ordering},
};

use wsk_sys::{
    PSOCKADDR, PWSK_DATA_INDICATION, PWSK_DATAGRAM_INDICATION, PWSK_INSPECT_ID, PWSK_SOCKET,
    WSK_CLIENT_CONNECTION_DISPATCH, WSK_CLIENT_DATAGRAM_DISPATCH, WSK_CLIENT_LISTEN_DISPATCH,
    WSK_CLIENT_STREAM_DISPATCH, WSK_INSPECT_ACTION,
    wdk_sys::{
        NTSTATUS, PVOID, SIZE_T, STATUS_DATA_NOT_ACCEPTED, STATUS_REQUEST_NOT_ACCEPTED,
        STATUS_SUCCESS, ULONG,
    },
};

use super::{
    calls::Category,
    core::{Core, CoreRef},
    handler::Handler,
};
use crate::status::{Error, Result, Status};

/// Whether a core has a handler: none, one that is being put there, or one that stays.
#[derive(Debug)]
pub(super) struct Attendance(AtomicU8);

const NONE: u8 = 0;
const COMING: u8 = 1;
const THERE: u8 = 2;

impl Attendance {
    pub(super) const fn new(attended: bool) -> Self {
        Self(AtomicU8::new(if attended { THERE } else { NONE }))
    }

    /// Whether the handler is there, and everything written before it came can be seen.
    pub(super) fn is_there(&self) -> bool {
        self.0.load(Ordering::Acquire) == THERE
    }

    /// True for one caller, who puts a handler there.
    fn begin(&self) -> bool {
        self.0
            .compare_exchange(NONE, COMING, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    fn end(&self) {
        // ORDERING: Release: callbacks that find the handler see its value.
        self.0.store(THERE, Ordering::Release);
    }
}

impl CoreRef {
    /// Gives a connection the handler that it was made without.
    pub(crate) fn attend(&self, handler: Handler) -> Result<()> {
        const CALL: &str = "ConnectionSocket::set_events";
        let _open = self.enter(CALL)?;
        if !self.attendance.begin() {
            return Err(Error::new(CALL, Status::INVALID_DEVICE_STATE));
        }
        // SAFETY: nobody reads the cell before `end`, and nobody else writes it; the socket is not
        // closed while `_open` lives.
        unsafe { *self.handler.get() = Some(handler) };
        self.attendance.end();
        Ok(())
    }
}

impl Core {
    /// The table of a connection's handler, if it has one by now.
    ///
    /// # Safety
    ///
    /// A callback of the socket, which is a connection, runs while the reference is used
    /// [wsk 10.2].
    unsafe fn table_of_connection(&self) -> Option<&WSK_CLIENT_CONNECTION_DISPATCH> {
        if !self.attendance.is_there() {
            return None;
        }
        // SAFETY: written before it was there, and taken when no callback runs any more.
        let handler = unsafe { &*self.handler.get() };
        let table = handler.as_ref()?.table().cast();
        // SAFETY: the handler of a connection has such a table, which is static.
        Some(unsafe { &*table })
    }
}

/// The table for sockets of a category, null if it has no events.
pub(super) fn table(category: Option<Category>) -> *const c_void {
    match category {
        Some(Category::Listen) => (&raw const LISTEN).cast(),
        Some(Category::Connection) => (&raw const CONNECTION).cast(),
        Some(Category::Datagram) => (&raw const DATAGRAM).cast(),
        Some(Category::Stream) => (&raw const STREAM.0).cast(),
        Some(Category::Basic) | None => null(),
    }
}

static LISTEN: WSK_CLIENT_LISTEN_DISPATCH = WSK_CLIENT_LISTEN_DISPATCH {
    WskAcceptEvent: Some(accept_event),
    WskInspectEvent: Some(inspect_event),
    WskAbortEvent: Some(abort_event),
};

static CONNECTION: WSK_CLIENT_CONNECTION_DISPATCH = WSK_CLIENT_CONNECTION_DISPATCH {
    WskReceiveEvent: Some(receive_event),
    WskDisconnectEvent: Some(disconnect_event),
    WskSendBacklogEvent: Some(send_backlog_event),
};

static DATAGRAM: WSK_CLIENT_DATAGRAM_DISPATCH = WSK_CLIENT_DATAGRAM_DISPATCH {
    WskReceiveFromEvent: Some(receive_from_event),
};

/// Pointers to the tables above, which nobody changes.
struct Stream(WSK_CLIENT_STREAM_DISPATCH);

// SAFETY: it points to statics that are `Sync`.
unsafe impl Sync for Stream {}

static STREAM: Stream = Stream(WSK_CLIENT_STREAM_DISPATCH {
    Listen: &raw const LISTEN,
    Connect: &raw const CONNECTION,
});

unsafe extern "C" fn accept_event(
    _context: PVOID,
    _flags: ULONG,
    _local: PSOCKADDR,
    _remote: PSOCKADDR,
    _socket: PWSK_SOCKET,
    _accepted_context: *mut PVOID,
    _accepted_dispatch: *mut *const WSK_CLIENT_CONNECTION_DISPATCH,
) -> NTSTATUS {
    STATUS_REQUEST_NOT_ACCEPTED
}

unsafe extern "C" fn inspect_event(
    _context: PVOID,
    _local: PSOCKADDR,
    _remote: PSOCKADDR,
    _id: PWSK_INSPECT_ID,
) -> WSK_INSPECT_ACTION::Type {
    WSK_INSPECT_ACTION::WskInspectAccept
}

unsafe extern "C" fn abort_event(_context: PVOID, _id: PWSK_INSPECT_ID) -> NTSTATUS {
    STATUS_SUCCESS
}

unsafe extern "C" fn receive_from_event(
    _context: PVOID,
    _flags: ULONG,
    list: PWSK_DATAGRAM_INDICATION,
) -> NTSTATUS {
    if list.is_null() {
        STATUS_SUCCESS
    } else {
        STATUS_DATA_NOT_ACCEPTED
    }
}

unsafe extern "C" fn receive_event(
    context: PVOID,
    flags: ULONG,
    list: PWSK_DATA_INDICATION,
    indicated: SIZE_T,
    accepted: *mut SIZE_T,
) -> NTSTATUS {
    // SAFETY: the context that the socket was made with; it is not closed before this returns
    // [wsk 10.2].
    let core = unsafe { CoreRef::of_callback(context) };
    // SAFETY: this callback of a connection runs.
    let table = unsafe { core.table_of_connection() };
    match table.and_then(|table| table.WskReceiveEvent) {
        // SAFETY: the handler's own callback, with what WSK passes.
        Some(event) => unsafe { event(context, flags, list, indicated, accepted) },
        None if list.is_null() => STATUS_SUCCESS,
        None => STATUS_DATA_NOT_ACCEPTED,
    }
}

unsafe extern "C" fn disconnect_event(context: PVOID, flags: ULONG) -> NTSTATUS {
    // SAFETY: as in `receive_event`.
    let core = unsafe { CoreRef::of_callback(context) };
    // SAFETY: as in `receive_event`.
    let table = unsafe { core.table_of_connection() };
    match table.and_then(|table| table.WskDisconnectEvent) {
        // SAFETY: as in `receive_event`.
        Some(event) => unsafe { event(context, flags) },
        None => STATUS_SUCCESS,
    }
}

unsafe extern "C" fn send_backlog_event(context: PVOID, ideal: SIZE_T) -> NTSTATUS {
    // SAFETY: as in `receive_event`.
    let core = unsafe { CoreRef::of_callback(context) };
    // SAFETY: as in `receive_event`.
    let table = unsafe { core.table_of_connection() };
    match table.and_then(|table| table.WskSendBacklogEvent) {
        // SAFETY: as in `receive_event`.
        Some(event) => unsafe { event(context, ideal) },
        None => STATUS_SUCCESS,
    }
}
