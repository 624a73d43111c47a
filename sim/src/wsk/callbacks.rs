//! Calls of the client's event callbacks, through the tables that it gave.
//!
//! Addresses, IDs and lists that an event passes are valid during the call only: they are
//! overwritten when it has returned.

// UNSAFETY: calls functions of the client's, found in its tables.
#![expect(unsafe_code, reason = "calls of the client's event callbacks")]

use core::ptr;
use std::net::SocketAddr;

use wdk_sys::{NTSTATUS, PVOID, SIZE_T, STATUS_SUCCESS, ULONG};
use wsk_sys::{
    PFN_WSK_RECEIVE_EX_EVENT, PWSK_DATA_INDICATION, SOCKADDR_STORAGE,
    WSK_CLIENT_CONNECTION_DISPATCH, WSK_CLIENT_LISTEN_DISPATCH, WSK_CLIENT_STREAM_DISPATCH,
    WSK_INSPECT_ACTION, WSK_INSPECT_ID,
};

use super::address;
use super::events::Callback;
use super::inspect::InspectId;
use super::socket::{ClientSide, Socket};
use super::tables::Category;
use crate::kernel::irql::check_unchanged;
use crate::kernel::thread::Context;
use crate::sim::offence;
use crate::verifier::Rule;

/// What callbacks leave in memory that was theirs during the call.
const STALE: u8 = 0xDD;

/// An argument that is valid during the call only.
struct Lent<T>(Box<T>);

impl<T> Lent<T> {
    fn pointer(&mut self) -> *mut T {
        &raw mut *self.0
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        let start = self.pointer().cast::<u8>();
        // SAFETY: the box has room for this many bytes, and nobody reads a `T` from it again.
        unsafe { start.write_bytes(STALE, size_of::<T>()) };
    }
}

fn lend_address(address: SocketAddr) -> Lent<SOCKADDR_STORAGE> {
    let mut lent = Lent(Box::new(SOCKADDR_STORAGE::default()));
    // SAFETY: there is room for an address of any family.
    unsafe { address::write(lent.pointer().cast(), address) };
    lent
}

/// Runs a callback, which must return at the IRQL at which it was called.
fn run<T>(callback: &Callback<'_>, name: &str, call: impl FnOnce() -> T) -> T {
    let me = callback.me;
    me.sim.sched.point(me);
    let irql = me.irql();
    let result = call();
    check_unchanged(me, irql, name);
    result
}

/// The function of a table that an event needs.
fn expect<T>(callback: &Callback<'_>, function: Option<T>, name: &str) -> T {
    function.unwrap_or_else(|| {
        let details = format!("{name} is missing for the {}", callback.socket.describe());
        offence(Rule::EventWithoutCallback, &details)
    })
}

impl Callback<'_> {
    fn context(&self) -> PVOID {
        self.client_side.context.get()
    }

    fn table<T: Copy + Default>(&self, of_stream: fn(WSK_CLIENT_STREAM_DISPATCH) -> *const T) -> T {
        let given = self.client_side.dispatch.get();
        let table = if self.socket.category == Category::Stream && !given.is_null() {
            // SAFETY: the client keeps the table of a stream socket as long as the socket is open
            // [wsk 4.3].
            of_stream(unsafe { given.cast::<WSK_CLIENT_STREAM_DISPATCH>().read() })
        } else {
            given.cast::<T>().cast_const()
        };
        if table.is_null() {
            return T::default();
        }
        // SAFETY: the client keeps the table as long as the socket is open [wsk 4.3].
        unsafe { table.read() }
    }

    fn listen_table(&self) -> WSK_CLIENT_LISTEN_DISPATCH {
        self.table(|both| both.Listen)
    }

    fn connection_table(&self) -> WSK_CLIENT_CONNECTION_DISPATCH {
        self.table(|both| both.Connect)
    }
}

/// `WskAcceptEvent` for a connection, or for the listener's death.
pub(super) fn accept(
    callback: &Callback<'_>,
    connection: Option<(&Socket, (SocketAddr, SocketAddr))>,
) -> (NTSTATUS, ClientSide) {
    let function = callback.listen_table().WskAcceptEvent;
    let function = expect(callback, function, "WskAcceptEvent");
    let socket = connection.map_or(ptr::null_mut(), |(socket, _)| socket.pointer());
    let mut lent =
        connection.map(|(_, (local, remote))| (lend_address(local), lend_address(remote)));
    let (local, remote) = lent
        .as_mut()
        .map_or((ptr::null_mut(), ptr::null_mut()), |lent| {
            (lent.0.pointer(), lent.1.pointer())
        });
    let mut context: PVOID = ptr::null_mut();
    let mut dispatch: *const WSK_CLIENT_CONNECTION_DISPATCH = ptr::null();
    let (flags, given) = (callback.flags(), callback.context());
    // SAFETY: the client's callback, with its context; the addresses and the places for the answer
    // are valid during the call [wsk 7.2, 7.3].
    let status = run(callback, "WskAcceptEvent", || unsafe {
        function(
            given,
            flags,
            local.cast(),
            remote.cast(),
            socket,
            &raw mut context,
            &raw mut dispatch,
        )
    });
    let client_side = ClientSide {
        context: Context(context),
        dispatch: Context(dispatch.cast_mut().cast()),
    };
    (status, client_side)
}

/// `WskInspectEvent` for a request, or for the listener's death.
pub(super) fn inspect(
    callback: &Callback<'_>,
    request: Option<(InspectId, SocketAddr, SocketAddr)>,
) -> WSK_INSPECT_ACTION::Type {
    let function = callback.listen_table().WskInspectEvent;
    let function = expect(callback, function, "WskInspectEvent");
    let mut lent = request.map(|(id, local, remote)| {
        let id: Lent<WSK_INSPECT_ID> = Lent(Box::new(id.to_c()));
        (id, lend_address(local), lend_address(remote))
    });
    let nothing = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    let (id, local, remote) = lent.as_mut().map_or(nothing, |lent| {
        (lent.0.pointer(), lent.1.pointer(), lent.2.pointer())
    });
    let context = callback.context();
    // SAFETY: the client's callback, with its context; ID and addresses are valid during the call
    // [wsk 7.9].
    run(callback, "WskInspectEvent", || unsafe {
        function(context, local.cast(), remote.cast(), id)
    })
}

/// `WskAbortEvent`.
pub(super) fn abort(callback: &Callback<'_>, id: InspectId) -> NTSTATUS {
    let function = expect(
        callback,
        callback.listen_table().WskAbortEvent,
        "WskAbortEvent",
    );
    let mut id = Lent(Box::new(id.to_c()));
    let context = callback.context();
    // SAFETY: the client's callback, with its context; the ID is valid during the call.
    run(callback, "WskAbortEvent", || unsafe {
        function(context, id.pointer())
    })
}

/// `WskReceiveEvent`; the count is what the client wrote to `BytesAccepted`.
pub(super) fn receive(
    callback: &Callback<'_>,
    flags: ULONG,
    list: PWSK_DATA_INDICATION,
    indicated: usize,
) -> (NTSTATUS, usize) {
    let function = callback.connection_table().WskReceiveEvent;
    let function = expect(callback, function, "WskReceiveEvent");
    let mut accepted = indicated as SIZE_T;
    let context = callback.context();
    let flags = flags | callback.flags();
    // SAFETY: the client's callback, with its context; the list is valid during the call, and longer
    // if the client retains it [wsk 8.2].
    let status = run(callback, "WskReceiveEvent", || unsafe {
        function(context, flags, list, indicated as SIZE_T, &raw mut accepted)
    });
    (status, usize::try_from(accepted).unwrap_or(usize::MAX))
}

/// The event that `SIO_WSK_SET_RECEIVE_EX_CALLBACK` set, in place of `WskReceiveEvent` [wsk 6.9].
pub(super) fn receive_ex(
    callback: &Callback<'_>,
    function: PFN_WSK_RECEIVE_EX_EVENT,
    flags: ULONG,
    list: PWSK_DATA_INDICATION,
    indicated: usize,
) -> (NTSTATUS, usize) {
    let function = expect(callback, function, "the receive event with control data");
    let mut accepted = indicated as SIZE_T;
    let context = callback.context();
    let flags = flags | callback.flags();
    // SAFETY: as for `WskReceiveEvent`; there is no control data.
    let status = run(callback, "WskReceiveExEvent", || unsafe {
        function(
            context,
            flags,
            list,
            ptr::null_mut(),
            0,
            indicated as SIZE_T,
            &raw mut accepted,
        )
    });
    (status, usize::try_from(accepted).unwrap_or(usize::MAX))
}

/// `WskDisconnectEvent`.
pub(super) fn disconnect(callback: &Callback<'_>, flags: ULONG) -> NTSTATUS {
    let function = callback.connection_table().WskDisconnectEvent;
    let function = expect(callback, function, "WskDisconnectEvent");
    let flags = flags | callback.flags();
    let context = callback.context();
    // SAFETY: the client's callback, with its context.
    run(callback, "WskDisconnectEvent", || unsafe {
        function(context, flags)
    })
}

/// `WskSendBacklogEvent`.
pub(super) fn send_backlog(callback: &Callback<'_>, ideal: usize) {
    let function = callback.connection_table().WskSendBacklogEvent;
    let function = expect(callback, function, "WskSendBacklogEvent");
    let context = callback.context();
    // SAFETY: the client's callback, with its context.
    let status = run(callback, "WskSendBacklogEvent", || unsafe {
        function(context, ideal as SIZE_T)
    });
    callback.expect_status(status, "WskSendBacklogEvent", &[STATUS_SUCCESS]);
}
