//! The WSK calls themselves, one function each.
//!
//! `table` knows the dispatch tables of the categories; `make` has the calls that make sockets,
//! `client` and `names` those that need no socket, `address` those about addresses, `control`
//! options and control operations, `connection` those of connections, `datagram` those of datagram
//! sockets. A function that the socket's table does not have, or that the running Windows lacks,
//! gives `STATUS_NOT_IMPLEMENTED` instead of a jump to nowhere. Each but those of `names` may be
//! called at <= DISPATCH_LEVEL [wsk 1].

// UNSAFETY: calls through the provider's tables.
#![expect(unsafe_code, reason = "calls through the provider's tables")]

pub(crate) mod address;
pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod control;
pub(crate) mod datagram;
pub(crate) mod make;
pub(crate) mod names;
mod table;

use wsk_sys::{
    WSK_SOCKET,
    wdk_sys::{NTSTATUS, STATUS_NOT_IMPLEMENTED},
};

pub(crate) use self::table::Category;
pub(super) use self::table::Table;
use super::{
    core::{Call, CoreRef},
    handle::Handle,
    slot::{Arguments, Payload, Prepared, Refusal},
};

/// A request on its way, or why it is not.
pub(crate) type Started = Result<Handle, Refusal>;

/// WskCloseSocket.
///
/// # Safety
///
/// An open socket of `category`, on which no call runs and none is made from now on [wsk 10.1,
/// 10.3].
pub(crate) unsafe fn close_socket(
    category: Category,
    socket: *mut WSK_SOCKET,
    prepared: &Prepared,
) -> NTSTATUS {
    // SAFETY: open, and of this category (the caller's promise).
    let table = unsafe { Table::of(category, socket) };
    match table.close() {
        // SAFETY: the caller's promise; an IRP of the socket's own with its completion routine.
        Some(close) => unsafe { close(socket, prepared.irp) },
        None => STATUS_NOT_IMPLEMENTED,
    }
}

/// The table of a socket on which a call runs. It is used no longer than that.
pub(in crate::op) fn table_of(call: &Call<'_>) -> Table {
    let category = call.category().expect("a call on a socket");
    // SAFETY: the core has the category that its socket was made with; open while `call` lives.
    unsafe { Table::of(category, call.socket()) }
}

/// Makes one call on a socket, unless that is being closed.
///
/// `function` makes at most one WSK call on the socket it is given, with the IRP of what it is
/// given, and returns what that returned; what the arguments point to belongs to the payload.
pub(super) fn start(
    core: &CoreRef,
    name: &'static str,
    payload: Payload,
    arguments: Arguments,
    function: impl FnOnce(Table, *mut WSK_SOCKET, &Prepared) -> Option<NTSTATUS>,
) -> Started {
    let call = match core.enter(name) {
        Ok(call) => call,
        Err(error) => return Err(Refusal { error, payload }),
    };
    let (socket, table) = (call.socket(), table_of(&call));
    let wsk =
        |prepared: &Prepared| function(table, socket, prepared).unwrap_or(STATUS_NOT_IMPLEMENTED);
    // SAFETY: one call on a socket that is open while `call` lives; the data belongs to the
    // payload.
    unsafe { call.outstanding().start(name, payload, arguments, wsk) }
}
