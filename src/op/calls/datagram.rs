//! The calls of datagram sockets.

// UNSAFETY: calls through the provider's tables.
#![expect(unsafe_code, reason = "calls through the provider's tables")]

use core::{net::SocketAddr, ptr::null_mut};

use wsk_sys::{CMSGHDR, SOCKADDR, wdk_sys::STATUS_PENDING};

use super::{Started, start};
use crate::{
    mem::{buffer::Buffer, chain::BufferChain},
    op::{
        core::CoreRef,
        slot::{Arguments, Extra, Payload, Prepared, Refusal},
    },
    status::{Error, Status},
};

/// How much control data a receive has room for.
#[expect(clippy::cast_possible_truncation, reason = "128")]
const CONTROL_ROOM: u32 = size_of::<Extra>() as u32;

/// Where datagrams go, and what goes with them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination {
    /// None: the address that was fixed before [wsk 9.3].
    pub(crate) remote: Option<SocketAddr>,
    /// Control data, and how many bytes of it.
    pub(crate) control: (Extra, u32),
}

impl Destination {
    fn arguments(&self) -> Arguments {
        let mut arguments = Arguments::none();
        if let Some(remote) = self.remote {
            arguments.remote = remote.into();
        }
        (arguments.extra, arguments.extra_length) = self.control;
        arguments
    }

    /// What WSK is given: the address, and the control data with its length; null for none.
    fn resolve(&self, prepared: &Prepared) -> (*mut SOCKADDR, u32, *mut CMSGHDR) {
        let remote = match self.remote {
            Some(_) => prepared.remote(),
            None => null_mut(),
        };
        match self.control {
            (_, 0) => (remote, 0, null_mut()),
            (_, length) => (remote, length, prepared.extra()),
        }
    }
}

/// WskSendTo of the filled part, as one datagram.
pub(crate) fn send_to(socket: &CoreRef, buffer: Buffer, to: &Destination) -> Started {
    let mut arguments = to.arguments();
    arguments.data = buffer.filled_part();
    start(
        socket,
        "WskSendTo",
        Payload::Send(buffer),
        arguments,
        |table, socket, prepared| {
            let (remote, length, control) = to.resolve(prepared);
            let (data, irp) = (prepared.data(), prepared.irp);
            // SAFETY: an open datagram socket; description, address and control data lie in the
            // slot, and the buffer is the payload, until completion [wsk 3.12, 3.13]; its length
            // is within the MDL.
            table
                .send_to()
                .map(|send| unsafe { send(socket, data, 0, remote, length, control, irp) })
        },
    )
}

/// WskSendMessages of the filled parts, each as one datagram.
pub(crate) fn send_messages(socket: &CoreRef, mut chain: BufferChain, to: &Destination) -> Started {
    let list = chain.list();
    let payload = Payload::Chain(chain);
    if list.is_null() {
        let error = Error::new("WskSendMessages", Status::INVALID_PARAMETER);
        return Err(Refusal { error, payload });
    }
    let arguments = to.arguments();
    start(
        socket,
        "WskSendMessages",
        payload,
        arguments,
        |table, socket, prepared| {
            let (remote, length, control) = to.resolve(prepared);
            let irp = prepared.irp;
            // SAFETY: as in `send_to`; the list lies in the memory of the chain, which is the
            // payload.
            table
                .send_messages()
                .map(|send| unsafe { send(socket, list, 0, remote, length, control, irp) })
        },
    )
}

/// WskReceiveFrom into the whole capacity. Calls may be made at the same time: datagrams have no
/// order.
pub(crate) fn receive_from(socket: &CoreRef, buffer: Buffer) -> Started {
    let mut arguments = Arguments::none();
    arguments.data = buffer.rest(0);
    arguments.extra_length = CONTROL_ROOM;
    start(
        socket,
        "WskReceiveFrom",
        Payload::ReceiveFrom(buffer),
        arguments,
        |table, wsk_socket, prepared| {
            let receive = table.receive_from();
            // SAFETY: once, before the call; receives of datagrams may be entered in any order.
            if !unsafe { prepared.enter_stream(socket, 0, 0) } {
                return Some(STATUS_PENDING);
            }
            let (data, remote, irp) = (prepared.data(), prepared.remote(), prepared.irp);
            let (length, flags) = (prepared.extra_length(), prepared.extra_flags());
            let control = prepared.extra();
            // SAFETY: as in `send_to`; there is room for an address of either family, and for as
            // much control data as its length says [wsk 8.8].
            receive.map(|receive| unsafe {
                receive(wsk_socket, data, 0, remote, length, control, flags, irp)
            })
        },
    )
}
