//! The calls that make sockets.

// UNSAFETY: calls through the provider's tables.
#![expect(unsafe_code, reason = "calls through the provider's tables")]

use core::net::SocketAddr;

use wsk_sys::wdk_sys::STATUS_NOT_IMPLEMENTED;

use super::{Category, Started, start};
use crate::{
    addr::AddressFamily,
    op::{
        core::{CoreRef, Outstanding},
        handler::Handler,
        slot::{Arguments, Payload, Prepared},
    },
    owner::Owner,
    registration::Provider,
    transport::{Protocol, SocketType},
};

/// What WskSocket is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) category: Category,
    pub(crate) family: AddressFamily,
    pub(crate) socket_type: SocketType,
    pub(crate) protocol: Protocol,
}

impl Kind {
    pub(crate) const fn tcp(category: Category, family: AddressFamily) -> Self {
        Self {
            category,
            family,
            socket_type: SocketType::STREAM,
            protocol: Protocol::TCP,
        }
    }

    pub(crate) const fn udp(family: AddressFamily) -> Self {
        Self {
            category: Category::Datagram,
            family,
            socket_type: SocketType::DATAGRAM,
            protocol: Protocol::UDP,
        }
    }
}

/// WskSocket.
pub(crate) fn open(
    provider: &Provider,
    kind: Kind,
    handler: Option<Handler>,
    owner: Owner,
) -> Started {
    let unopened = Outstanding::create(provider.clone(), kind.category, handler)?;
    // SAFETY: the socket is yet to be made.
    let (context, table) = unsafe { unopened.core().client_side() };
    let starter = unopened.another();
    let npi = *provider.npi();
    // SAFETY: captured, so the table is valid until the provider is released [wsk 2.8], which
    // `starter` prevents.
    let function = unsafe { (*npi.Dispatch).WskSocket };
    let (process, thread, security) = (owner.process(), owner.thread(), owner.security());
    let call = |prepared: &Prepared| match function {
        // SAFETY: the client and function of the captured provider; context and table are nonpaged
        // and stay until the socket is closed [wsk 1.4, 4.3]; the payload keeps the owner [wsk
        // 4.5]; a fresh IRP with its completion routine [wsk 3.2].
        Some(wsk_socket) => unsafe {
            wsk_socket(
                npi.Client,
                kind.family.as_raw(),
                kind.socket_type.as_raw(),
                kind.protocol.as_raw(),
                kind.category.flag(),
                context,
                table,
                process,
                thread,
                security,
                prepared.irp,
            )
        },
        None => STATUS_NOT_IMPLEMENTED,
    };
    let payload = Payload::Owned(unopened, owner);
    // SAFETY: one call of WskSocket, which needs no socket.
    unsafe { starter.start("WskSocket", payload, Arguments::none(), call) }
}

/// WskSocketConnect: a connection, made, bound and connected [wsk 4.6].
pub(crate) fn open_connected(
    provider: &Provider,
    local: SocketAddr,
    remote: SocketAddr,
    owner: Owner,
) -> Started {
    let unopened = Outstanding::create(provider.clone(), Category::Connection, None)?;
    // SAFETY: the socket is yet to be made.
    let (context, table) = unsafe { unopened.core().client_side() };
    let starter = unopened.another();
    let npi = *provider.npi();
    // SAFETY: as in `open`.
    let function = unsafe { (*npi.Dispatch).WskSocketConnect };
    let (process, thread, security) = (owner.process(), owner.thread(), owner.security());
    let mut arguments = Arguments::none();
    arguments.local = local.into();
    arguments.remote = remote.into();
    let call = |prepared: &Prepared| match function {
        // SAFETY: as in `open`; both addresses lie in the slot until completion [wsk 3.13].
        Some(wsk_socket_connect) => unsafe {
            wsk_socket_connect(
                npi.Client,
                SocketType::STREAM.as_raw(),
                Protocol::TCP.as_raw(),
                prepared.local(),
                prepared.remote(),
                0,
                context,
                table.cast(),
                process,
                thread,
                security,
                prepared.irp,
            )
        },
        None => STATUS_NOT_IMPLEMENTED,
    };
    let payload = Payload::Owned(unopened, owner);
    // SAFETY: one call of WskSocketConnect, which needs no socket.
    unsafe { starter.start("WskSocketConnect", payload, arguments, call) }
}

/// WskAccept. The caller sees to it that only one is in flight for a listener.
pub(crate) fn accept(listener: &CoreRef) -> Started {
    let accepted = listener.enter("WskAccept").and_then(|call| {
        let provider = call.outstanding().provider().clone();
        Outstanding::create(provider, Category::Connection, None)
    })?;
    // SAFETY: the socket is yet to be made.
    let (context, callbacks) = unsafe { accepted.core().client_side() };
    let payload = Payload::Socket(accepted);
    start(
        listener,
        "WskAccept",
        payload,
        Arguments::none(),
        |table, socket, prepared| {
            let (local, remote, irp) = (prepared.local(), prepared.remote(), prepared.irp);
            // SAFETY: an open listening socket; context and table of the socket to be, nonpaged,
            // stay until it is closed [wsk 1.4, 4.3]; both addresses have room for either family
            // and lie in the slot, nonpaged, until completion [wsk 3.12, 7.4].
            let call = |accept: unsafe extern "C" fn(_, _, _, _, _, _, _) -> _| unsafe {
                accept(socket, 0, context, callbacks.cast(), local, remote, irp)
            };
            table.accept().map(call)
        },
    )
}
