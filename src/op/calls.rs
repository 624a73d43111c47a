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
    IPPROTO, SOCK_STREAM, WSK_FLAG_ABORTIVE, WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_LISTEN_SOCKET,
    WSK_PROVIDER_CONNECTION_DISPATCH, WSK_PROVIDER_LISTEN_DISPATCH, WSK_SOCKET,
    WskProviderDispatch, basic_dispatch,
    wdk_sys::{NTSTATUS, STATUS_NOT_SUPPORTED},
};

use super::{
    core::{Call, CoreRef, Outstanding},
    handle::Handle,
    slot::{Arguments, Payload, Prepared, Refusal},
};
use crate::{
    addr::AddressFamily,
    mem::buffer::Buffer,
    registration::Provider,
    status::{Error, Result, Status},
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

/// WskSocket for a TCP socket of category `C` without events.
pub(crate) fn open<C: Category>(provider: &Provider, family: AddressFamily) -> Result<Handle> {
    let unopened = Outstanding::create(provider.clone())?;
    let starter = unopened.another();
    let npi = *provider.npi();
    // SAFETY: captured, so the table is valid until the provider is released [wsk 2.8], which
    // `starter` prevents.
    let function = unsafe { (*npi.Dispatch).WskSocket };
    let call = |prepared: &Prepared| match function {
        // SAFETY: the client and function of the captured provider; no context, no events [wsk
        // 4.3], the current process owns it [wsk 4.5]; a fresh IRP with its completion routine [wsk
        // 3.2].
        Some(wsk_socket) => unsafe {
            wsk_socket(
                npi.Client,
                family.as_raw(),
                STREAM,
                IPPROTO::IPPROTO_TCP as u32,
                C::FLAG,
                null_mut(),
                null(),
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
    .map_err(|refusal| refusal.error)
}

/// WskBind on a listening socket, which listens from then on [wsk 4.8].
pub(crate) fn bind(listener: &CoreRef, address: SocketAddr) -> Result<Handle> {
    let call = listener.enter("WskBind")?;
    let arguments = Arguments {
        local: address.into(),
        ..Arguments::none()
    };
    start::<Listen>(
        &call,
        Payload::Nothing,
        arguments,
        |table, socket, prepared| {
            // SAFETY: an open listening socket [wsk 4.7]; the address lies in the slot until
            // completion [wsk 3.13].
            table
                .WskBind
                .map(|bind| unsafe { bind(socket, prepared.local(), 0, prepared.irp) })
        },
    )
    .map_err(|refusal| refusal.error)
}

/// WskAccept. The caller sees to it that only one is in flight for a listener.
pub(crate) fn accept(listener: &CoreRef) -> Result<Handle> {
    let call = listener.enter("WskAccept")?;
    let accepted = Outstanding::create(call.outstanding().provider().clone())?;
    let arguments = Arguments::none();
    start::<Listen>(
        &call,
        Payload::Socket(accepted),
        arguments,
        |table, socket, prepared| {
            let (local, remote) = (prepared.local(), prepared.remote());
            // SAFETY: an open listening socket; no context, no events [wsk 4.3]; both addresses
            // have room for either family and lie in the slot, nonpaged, until completion [wsk
            // 3.12, 7.4].
            table.WskAccept.map(|accept| unsafe {
                accept(socket, 0, null_mut(), null(), local, remote, prepared.irp)
            })
        },
    )
    .map_err(|refusal| refusal.error)
}

/// WskSend of the filled part.
pub(crate) fn send(connection: &CoreRef, buffer: Buffer) -> core::result::Result<Handle, Refusal> {
    let call = match connection.enter("WskSend") {
        Ok(call) => call,
        Err(error) => {
            return Err(Refusal {
                error,
                payload: Payload::Send(buffer),
            });
        }
    };
    let arguments = Arguments {
        data: buffer.filled_part(),
        ..Arguments::none()
    };
    start::<Connection>(
        &call,
        Payload::Send(buffer),
        arguments,
        |table, socket, prepared| {
            // SAFETY: an open connection; the description lies in the slot, and the buffer is the
            // payload, until completion [wsk 3.12]; its length is within the MDL.
            table
                .WskSend
                .map(|send| unsafe { send(socket, prepared.data(), 0, prepared.irp) })
        },
    )
}

/// WskReceive into the whole capacity.
pub(crate) fn receive(
    connection: &CoreRef,
    buffer: Buffer,
) -> core::result::Result<Handle, Refusal> {
    let call = match connection.enter("WskReceive") {
        Ok(call) => call,
        Err(error) => {
            return Err(Refusal {
                error,
                payload: Payload::Receive(buffer),
            });
        }
    };
    if connection.is_receiving_given_up() {
        let error = Error::new(call.name(), Status::DATA_OVERRUN);
        return Err(Refusal {
            error,
            payload: Payload::Receive(buffer),
        });
    }
    let arguments = Arguments {
        data: buffer.whole(),
        ..Arguments::none()
    };
    start::<Connection>(
        &call,
        Payload::Receive(buffer),
        arguments,
        |table, socket, prepared| {
            // SAFETY: as in `send`.
            table
                .WskReceive
                .map(|receive| unsafe { receive(socket, prepared.data(), 0, prepared.irp) })
        },
    )
}

/// WskDisconnect without last data: graceful [wsk 9.5] or abortive [wsk 9.6].
pub(crate) fn disconnect(connection: &CoreRef, abortive: bool) -> Result<Handle> {
    let call = connection.enter("WskDisconnect")?;
    let flags = if abortive { WSK_FLAG_ABORTIVE } else { 0 };
    let arguments = Arguments::none();
    start::<Connection>(
        &call,
        Payload::Nothing,
        arguments,
        |table, socket, prepared| {
            // SAFETY: an open connection; no last data.
            table
                .WskDisconnect
                .map(|disconnect| unsafe { disconnect(socket, null_mut(), flags, prepared.irp) })
        },
    )
    .map_err(|refusal| refusal.error)
}

/// WskGetLocalAddress of a listening socket.
pub(crate) fn listener_address(listener: &CoreRef) -> Result<Handle> {
    let call = listener.enter("WskGetLocalAddress")?;
    let arguments = Arguments::none();
    start::<Listen>(
        &call,
        Payload::Nothing,
        arguments,
        |table, socket, prepared| {
            // SAFETY: an open socket; the address lies in the slot, nonpaged, until completion [wsk
            // 3.12].
            table
                .WskGetLocalAddress
                .map(|get| unsafe { get(socket, prepared.local(), prepared.irp) })
        },
    )
    .map_err(|refusal| refusal.error)
}

/// WskCloseSocket.
///
/// # Safety
///
/// An open socket on which no call runs and none is made from now on [wsk 10.1, 10.3].
pub(crate) unsafe fn close_socket(socket: *mut WSK_SOCKET, prepared: &Prepared) -> NTSTATUS {
    // SAFETY: an open socket (the caller's promise) points to its table, which starts with the
    // basic one [wsk 4.2].
    let table = unsafe {
        (*socket)
            .Dispatch
            .cast::<wsk_sys::WSK_PROVIDER_BASIC_DISPATCH>()
    };
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

/// Makes one call on an entered socket of category `C`.
fn start<C: Category>(
    call: &Call<'_>,
    payload: Payload,
    arguments: Arguments,
    function: impl FnOnce(&C::Table, *mut WSK_SOCKET, &Prepared) -> Option<NTSTATUS>,
) -> core::result::Result<Handle, Refusal> {
    let socket = call.socket();
    // SAFETY: open while `call` lives; its table is there as long as it is.
    let table = unsafe { (*socket).Dispatch };
    // SAFETY: the socket was made with the flag of `C`, or accepted, and then `C` is `Connection`
    // [wsk 4.1, 4.2].
    let table = unsafe { &*table.cast::<C::Table>() };
    let wsk =
        |prepared: &Prepared| function(table, socket, prepared).unwrap_or(STATUS_NOT_SUPPORTED);
    // SAFETY: one call on a socket that is open while `call` lives; the data belongs to the
    // payload.
    unsafe {
        call.outstanding()
            .start(call.name(), payload, arguments, wsk)
    }
}
