//! The calls of datagram sockets.

// UNSAFETY: calls through the provider's tables.
#![expect(unsafe_code, reason = "calls through the provider's tables")]

use core::{net::SocketAddr, ptr::null_mut};

use wsk_sys::{CMSGHDR, SOCKADDR, wdk_sys::STATUS_PENDING};

use super::{Started, start};
use crate::{
    ancillary::ControlData,
    mem::{buffer::Buffer, chain::BufferChain},
    op::{
        core::CoreRef,
        slot::{Arguments, Payload, Prepared, Refusal},
    },
    status::{Error, Status},
};

/// Where datagrams go, and what goes with them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination<'a> {
    /// None: the address that was fixed before [wsk 9.3].
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) control: Option<&'a ControlData>,
}

impl Destination<'_> {
    fn arguments(self) -> Arguments {
        let mut arguments = Arguments::none();
        if let Some(remote) = self.remote {
            arguments.remote = remote.into();
        }
        if let Some(control) = self.control {
            (arguments.extra, arguments.extra_length) = control.to_raw();
        }
        arguments
    }

    /// The address and the control data in the slot; null for none.
    fn resolve(self, prepared: &Prepared, length: u32) -> (*mut SOCKADDR, *mut CMSGHDR) {
        let remote = match self.remote {
            Some(_) => prepared.remote(),
            None => null_mut(),
        };
        let control = match length {
            0 => null_mut(),
            _ => prepared.extra(),
        };
        (remote, control)
    }
}

/// WskSendTo of the filled part, as one datagram.
pub(crate) fn send_to(socket: &CoreRef, buffer: Buffer, to: Destination<'_>) -> Started {
    let mut arguments = to.arguments();
    arguments.data = buffer.filled_part();
    let length = arguments.extra_length;
    start(
        socket,
        "WskSendTo",
        Payload::Send(buffer),
        arguments,
        |table, socket, prepared| {
            let (remote, control) = to.resolve(prepared, length);
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
pub(crate) fn send_messages(
    socket: &CoreRef,
    mut chain: BufferChain,
    to: Destination<'_>,
) -> Started {
    let list = chain.list();
    let payload = Payload::Chain(chain);
    if list.is_null() {
        let error = Error::new("WskSendMessages", Status::INVALID_PARAMETER);
        return Err(Refusal { error, payload });
    }
    let arguments = to.arguments();
    let length = arguments.extra_length;
    start(
        socket,
        "WskSendMessages",
        payload,
        arguments,
        |table, socket, prepared| {
            let (remote, control) = to.resolve(prepared, length);
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
    arguments.extra_length = ControlData::ROOM;
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
