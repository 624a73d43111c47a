//! The calls about addresses: binding, listening, and asking for both ends.

// UNSAFETY: calls through the provider's tables.
#![expect(unsafe_code, reason = "calls through the provider's tables")]

use core::net::SocketAddr;

use super::{Started, start};
use crate::op::{
    core::{CoreRef, Stage},
    slot::{Arguments, Payload},
};

/// WskBind. A listening socket listens from then on [wsk 4.8].
pub(crate) fn bind(socket: &CoreRef, address: SocketAddr) -> Started {
    let mut arguments = Arguments::none();
    arguments.local = address.into();
    arguments.reaches = Stage::Bound;
    start(
        socket,
        "WskBind",
        Payload::Nothing,
        arguments,
        |table, socket, prepared| {
            let (address, irp) = (prepared.local(), prepared.irp);
            // SAFETY: an open socket [wsk 4.7]; the address lies in the slot until completion [wsk
            // 3.13].
            table
                .bind()
                .map(|bind| unsafe { bind(socket, address, 0, irp) })
        },
    )
}

/// WskListen, of a bound stream socket.
pub(crate) fn listen(socket: &CoreRef) -> Started {
    let mut arguments = Arguments::none();
    arguments.reaches = Stage::Connected;
    start(
        socket,
        "WskListen",
        Payload::Nothing,
        arguments,
        |table, socket, prepared| {
            let irp = prepared.irp;
            // SAFETY: an open stream socket.
            table.listen().map(|listen| unsafe { listen(socket, irp) })
        },
    )
}

/// WskGetLocalAddress.
pub(crate) fn local_address(socket: &CoreRef) -> Started {
    start(
        socket,
        "WskGetLocalAddress",
        Payload::Nothing,
        Arguments::none(),
        |table, socket, prepared| {
            let (address, irp) = (prepared.local(), prepared.irp);
            // SAFETY: an open socket; the address lies in the slot, nonpaged, until completion
            // [wsk 3.12].
            table
                .local_address()
                .map(|get| unsafe { get(socket, address, irp) })
        },
    )
}

/// WskGetRemoteAddress.
pub(crate) fn remote_address(socket: &CoreRef) -> Started {
    start(
        socket,
        "WskGetRemoteAddress",
        Payload::Nothing,
        Arguments::none(),
        |table, socket, prepared| {
            let (address, irp) = (prepared.remote(), prepared.irp);
            // SAFETY: as in `local_address`.
            table
                .remote_address()
                .map(|get| unsafe { get(socket, address, irp) })
        },
    )
}
