//! The WSK calls themselves, one function each: the only place that knows dispatch tables.
//!
//! A table is chosen by the category that the socket was made with; a wrong one cannot be named
//! from outside, since the typed sockets pass their own. A slot that the running Windows lacks
//! gives `STATUS_NOT_SUPPORTED` instead of a jump to nowhere. Each function may be called at <=
//! DISPATCH_LEVEL [wsk 1].

// UNSAFETY: calls through the provider's tables.
#![expect(unsafe_code, reason = "calls through the provider's tables")]

use core::{
    net::SocketAddr,
    ptr::{null, null_mut},
};

use wsk_sys::{
    IPPROTO, SOCK_STREAM, WSK_FLAG_ABORTIVE, WSK_FLAG_BASIC_SOCKET, WSK_FLAG_CONNECTION_SOCKET,
    WSK_FLAG_LISTEN_SOCKET, WSK_PROVIDER_BASIC_DISPATCH, WSK_PROVIDER_CONNECTION_DISPATCH,
    WSK_PROVIDER_LISTEN_DISPATCH, WSK_SOCKET, WskProviderDispatch, basic_dispatch,
    wdk_sys::{NTSTATUS, STATUS_NOT_SUPPORTED},
};

use super::{
    core::{CoreRef, Outstanding},
    handle::Handle,
    handler::Handler,
    slot::{Arguments, Payload, Prepared, Refusal},
};
use crate::{
    addr::AddressFamily,
    mem::buffer::Buffer,
    registration::Provider,
    status::{Error, Status},
};

/// `SOCK_STREAM`, as WskSocket takes it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a constant of C, as what it is used for"
)]
const STREAM: u16 = SOCK_STREAM as u16;

/// A category whose sockets are made by `open`.
pub(crate) trait Category {
    /// The table that its sockets point to.
    type Table: WskProviderDispatch + 'static;
    /// The category flag of WskSocket [wsk 4.1].
    const FLAG: u32;
}

/// Sockets that listen.
#[derive(Debug)]
pub(crate) enum Listen {}

impl Category for Listen {
    type Table = WSK_PROVIDER_LISTEN_DISPATCH;
    const FLAG: u32 = WSK_FLAG_LISTEN_SOCKET;
}

/// Sockets that are one end of a connection.
#[derive(Debug)]
pub(crate) enum Connection {}

impl Category for Connection {
    type Table = WSK_PROVIDER_CONNECTION_DISPATCH;
    const FLAG: u32 = WSK_FLAG_CONNECTION_SOCKET;
}

/// Sockets of every category: all tables begin with the basic one [wsk 4.2].
enum Any {}

impl Category for Any {
    type Table = WSK_PROVIDER_BASIC_DISPATCH;
    const FLAG: u32 = WSK_FLAG_BASIC_SOCKET;
}

/// A request on its way, or why it is not.
pub(crate) type Started = Result<Handle, Refusal>;

/// WskSocket for a TCP socket of category `C`, with callbacks if there is a handler.
pub(crate) fn open<C: Category>(
    provider: &Provider,
    family: AddressFamily,
    handler: Option<Handler>,
) -> Started {
    let unopened = Outstanding::create(provider.clone(), handler)?;
    // SAFETY: the socket is yet to be made.
    let (context, table) = unsafe { unopened.core().client_side() };
    let starter = unopened.another();
    let npi = *provider.npi();
    // SAFETY: captured, so the table is valid until the provider is released [wsk 2.8], which
    // `starter` prevents.
    let function = unsafe { (*npi.Dispatch).WskSocket };
    let call = |prepared: &Prepared| match function {
        // SAFETY: the client and function of the captured provider; context and table are nonpaged
        // and stay until the socket is closed [wsk 1.4, 4.3]; the current process owns it [wsk
        // 4.5]; a fresh IRP with its completion routine [wsk 3.2].
        Some(wsk_socket) => unsafe {
            wsk_socket(
                npi.Client,
                family.as_raw(),
                STREAM,
                IPPROTO::IPPROTO_TCP as u32,
                C::FLAG,
                context,
                table,
                null_mut(),
                null_mut(),
                null_mut(),
                prepared.irp,
            )
        },
        None => STATUS_NOT_SUPPORTED,
    };
    // SAFETY: one call of WskSocket, which needs no socket.
    unsafe {
        starter.start(
            "WskSocket",
            Payload::Socket(unopened),
            Arguments::none(),
            call,
        )
    }
}

/// WskBind on a listening socket, which listens from then on [wsk 4.8].
pub(crate) fn bind(listener: &CoreRef, address: SocketAddr) -> Started {
    let mut arguments = Arguments::none();
    arguments.local = address.into();
    let wsk = |table: &WSK_PROVIDER_LISTEN_DISPATCH, socket, prepared: &Prepared| {
        let (address, irp) = (prepared.local(), prepared.irp);
        // SAFETY: an open listening socket [wsk 4.7]; the address lies in the slot until completion
        // [wsk 3.13].
        table
            .WskBind
            .map(|bind| unsafe { bind(socket, address, 0, irp) })
    };
    start::<Listen>(listener, "WskBind", Payload::Nothing, arguments, wsk)
}

/// WskAccept. The caller sees to it that only one is in flight for a listener.
pub(crate) fn accept(listener: &CoreRef) -> Started {
    let accepted = listener
        .enter("WskAccept")
        .and_then(|call| Outstanding::create(call.outstanding().provider().clone(), None))?;
    let wsk = |table: &WSK_PROVIDER_LISTEN_DISPATCH, socket, prepared: &Prepared| {
        let (local, remote, irp) = (prepared.local(), prepared.remote(), prepared.irp);
        // SAFETY: an open listening socket; no context, no events [wsk 4.3]; both addresses have
        // room for either family and lie in the slot, nonpaged, until completion [wsk 3.12, 7.4].
        let call = |accept: unsafe extern "C" fn(_, _, _, _, _, _, _) -> _| unsafe {
            accept(socket, 0, null_mut(), null(), local, remote, irp)
        };
        table.WskAccept.map(call)
    };
    let payload = Payload::Socket(accepted);
    start::<Listen>(listener, "WskAccept", payload, Arguments::none(), wsk)
}

/// WskSend of the filled part.
pub(crate) fn send(connection: &CoreRef, buffer: Buffer) -> Started {
    let mut arguments = Arguments::none();
    arguments.data = buffer.filled_part();
    let wsk = |table: &WSK_PROVIDER_CONNECTION_DISPATCH, socket, prepared: &Prepared| {
        let (data, irp) = (prepared.data(), prepared.irp);
        // SAFETY: an open connection; the description lies in the slot, and the buffer is the
        // payload, until completion [wsk 3.12]; its length is within the MDL.
        table
            .WskSend
            .map(|send| unsafe { send(socket, data, 0, irp) })
    };
    start::<Connection>(connection, "WskSend", Payload::Send(buffer), arguments, wsk)
}

/// WskReceive into the whole capacity.
pub(crate) fn receive(connection: &CoreRef, buffer: Buffer) -> Started {
    let mut arguments = Arguments::none();
    arguments.data = buffer.whole();
    let payload = Payload::Receive(buffer);
    if connection.is_receiving_given_up() {
        let error = Error::new("WskReceive", Status::DATA_OVERRUN);
        return Err(Refusal { error, payload });
    }
    let wsk = |table: &WSK_PROVIDER_CONNECTION_DISPATCH, socket, prepared: &Prepared| {
        let (data, irp) = (prepared.data(), prepared.irp);
        // SAFETY: as in `send`.
        table
            .WskReceive
            .map(|receive| unsafe { receive(socket, data, 0, irp) })
    };
    start::<Connection>(connection, "WskReceive", payload, arguments, wsk)
}

/// WskDisconnect without last data: graceful [wsk 9.5] or abortive [wsk 9.6].
pub(crate) fn disconnect(connection: &CoreRef, abortive: bool) -> Started {
    let flags = if abortive { WSK_FLAG_ABORTIVE } else { 0 };
    let wsk = |table: &WSK_PROVIDER_CONNECTION_DISPATCH, socket, prepared: &Prepared| {
        let irp = prepared.irp;
        // SAFETY: an open connection; no last data.
        table
            .WskDisconnect
            .map(|disconnect| unsafe { disconnect(socket, null_mut(), flags, irp) })
    };
    let (name, payload) = ("WskDisconnect", Payload::Nothing);
    start::<Connection>(connection, name, payload, Arguments::none(), wsk)
}

/// WskGetLocalAddress of a listening socket.
pub(crate) fn listener_address(listener: &CoreRef) -> Started {
    let wsk = |table: &WSK_PROVIDER_LISTEN_DISPATCH, socket, prepared: &Prepared| {
        let (address, irp) = (prepared.local(), prepared.irp);
        // SAFETY: an open socket; the address lies in the slot, nonpaged, until completion
        // [wsk 3.12].
        table
            .WskGetLocalAddress
            .map(|get| unsafe { get(socket, address, irp) })
    };
    let (name, payload) = ("WskGetLocalAddress", Payload::Nothing);
    start::<Listen>(listener, name, payload, Arguments::none(), wsk)
}

/// WskCloseSocket.
///
/// # Safety
///
/// An open socket on which no call runs and none is made from now on [wsk 10.1, 10.3].
pub(crate) unsafe fn close_socket(socket: *mut WSK_SOCKET, prepared: &Prepared) -> NTSTATUS {
    // SAFETY: an open socket (the caller's promise) points to its table, which starts with the
    // basic one [wsk 4.2].
    let table = unsafe { (*socket).Dispatch.cast::<WSK_PROVIDER_BASIC_DISPATCH>() };
    // SAFETY: as above; a provider's table.
    let table = unsafe { &*table };
    // SAFETY: as above.
    let basic = unsafe { basic_dispatch(table) };
    match basic.WskCloseSocket {
        // SAFETY: the caller's promise; an IRP of the socket's own with its completion routine.
        Some(close) => unsafe { close(socket, prepared.irp) },
        None => STATUS_NOT_SUPPORTED,
    }
}

/// As [`start`], for functions that sockets of every category have; lends nothing.
pub(super) fn start_basic(
    core: &CoreRef,
    name: &'static str,
    arguments: Arguments,
    function: impl FnOnce(&WSK_PROVIDER_BASIC_DISPATCH, *mut WSK_SOCKET, &Prepared) -> Option<NTSTATUS>,
) -> Started {
    start::<Any>(core, name, Payload::Nothing, arguments, function)
}

/// Makes one call on a socket of category `C`, unless it is being closed.
pub(super) fn start<C: Category>(
    core: &CoreRef,
    name: &'static str,
    payload: Payload,
    arguments: Arguments,
    function: impl FnOnce(&C::Table, *mut WSK_SOCKET, &Prepared) -> Option<NTSTATUS>,
) -> Started {
    let call = match core.enter(name) {
        Ok(call) => call,
        Err(error) => return Err(Refusal { error, payload }),
    };
    let socket = call.socket();
    // SAFETY: open while `call` lives; its table is there as long as it is.
    let table = unsafe { (*socket).Dispatch };
    // SAFETY: the socket was made with the flag of `C`, or accepted, and then `C` is `Connection`;
    // or `C` is `Any` [wsk 4.1, 4.2].
    let table = unsafe { &*table.cast::<C::Table>() };
    let wsk =
        |prepared: &Prepared| function(table, socket, prepared).unwrap_or(STATUS_NOT_SUPPORTED);
    // SAFETY: one call on a socket that is open while `call` lives; the data belongs to the
    // payload.
    unsafe { call.outstanding().start(name, payload, arguments, wsk) }
}
