//! The calls of connections.

// UNSAFETY: calls through the provider's tables.
#![expect(unsafe_code, reason = "calls through the provider's tables")]

use core::{net::SocketAddr, ptr::null_mut};

use wsk_sys::{
    WSK_FLAG_ABORTIVE, WSK_FLAG_DRAIN, WSK_FLAG_WAITALL,
    wdk_sys::{IRP_MJ_READ, IRP_MJ_WRITE, STATUS_PENDING},
};

use super::{Started, start};
use crate::{
    flags::SendFlags,
    irp::{PendingIrp, RefusedIrp},
    mem::{buffer::Buffer, chain::BufferChain},
    op::{
        core::{CoreRef, Stage},
        pass::pass,
        slot::{Arguments, Payload, Refusal},
    },
    status::{Error, Result, Status},
};

/// A request of the driver's client on its way, or why it is not.
type Passed = core::result::Result<(), RefusedIrp>;

/// WskConnect, of a bound socket [wsk 4.7].
pub(crate) fn connect(connection: &CoreRef, remote: SocketAddr) -> Started {
    let mut arguments = Arguments::none();
    arguments.remote = remote.into();
    arguments.reaches = Stage::Connected;
    start(
        connection,
        "WskConnect",
        Payload::Nothing,
        arguments,
        |table, socket, prepared| {
            let (remote, irp) = (prepared.remote(), prepared.irp);
            // SAFETY: an open socket; the address lies in the slot until completion [wsk 3.13].
            table
                .connect()
                .map(|connect| unsafe { connect(socket, remote, 0, irp) })
        },
    )
}

/// WskConnectEx, with the filled part as the first data [wsk 9.4].
pub(crate) fn connect_ex(connection: &CoreRef, remote: SocketAddr, data: Buffer) -> Started {
    let mut arguments = Arguments::none();
    arguments.remote = remote.into();
    arguments.data = data.filled_part();
    arguments.reaches = Stage::Connected;
    start(
        connection,
        "WskConnectEx",
        Payload::Send(data),
        arguments,
        |table, socket, prepared| {
            let (remote, data, irp) = (prepared.remote(), prepared.data(), prepared.irp);
            // SAFETY: an open socket; address and description lie in the slot, and the buffer is
            // the payload, until completion [wsk 3.12, 3.13].
            table
                .connect_ex()
                .map(|connect| unsafe { connect(socket, remote, data, 0, irp) })
        },
    )
}

/// WskSend of the filled part.
pub(crate) fn send(connection: &CoreRef, buffer: Buffer, flags: SendFlags) -> Started {
    let mut arguments = Arguments::none();
    arguments.data = buffer.filled_part();
    start(
        connection,
        "WskSend",
        Payload::Send(buffer),
        arguments,
        |table, socket, prepared| {
            let (data, irp) = (prepared.data(), prepared.irp);
            // SAFETY: an open connection; the description lies in the slot, and the buffer is the
            // payload, until completion [wsk 3.12]; its length is within the MDL.
            table
                .send()
                .map(|send| unsafe { send(socket, data, flags.as_raw(), irp) })
        },
    )
}

/// WskSend of the filled parts of several buffers, one behind the other.
pub(crate) fn send_chain(
    connection: &CoreRef,
    mut chain: BufferChain,
    flags: SendFlags,
) -> Started {
    let mut arguments = Arguments::none();
    arguments.data = chain.link();
    start(
        connection,
        "WskSend",
        Payload::Chain(chain),
        arguments,
        |table, socket, prepared| {
            let (data, irp) = (prepared.data(), prepared.irp);
            // SAFETY: as in `send`: the MDLs of the chain, which is the payload, are linked and
            // describe as many bytes.
            table
                .send()
                .map(|send| unsafe { send(socket, data, flags.as_raw(), irp) })
        },
    )
}

/// WskReceive behind the first `base` bytes of `buffer`; if the receive is abandoned, those from
/// `first` on are kept for the next one.
///
/// Calls for one connection follow each other: the typed sockets start receives exclusively.
pub(crate) fn receive(connection: &CoreRef, buffer: Buffer, first: usize, base: usize) -> Started {
    let mut arguments = Arguments::none();
    arguments.data = buffer.rest(base);
    let full = base == buffer.capacity();
    let payload = Payload::Receive(buffer);
    if let Err(error) = check_stream(connection, full) {
        return Err(Refusal { error, payload });
    }
    start(
        connection,
        "WskReceive",
        payload,
        arguments,
        |table, socket, prepared| {
            let receive = table.receive();
            // SAFETY: once, before the call, and one after the other (the callers' promise).
            if !unsafe { prepared.enter_stream(connection, first, base) } {
                return Some(STATUS_PENDING);
            }
            let (data, irp) = (prepared.data(), prepared.irp);
            // SAFETY: as in `send`.
            receive.map(|receive| unsafe { receive(socket, data, 0, irp) })
        },
    )
}

/// WskReceive with `WSK_FLAG_WAITALL`, into the whole capacity [wsk 8.7]. It has no place among the
/// other receives.
pub(crate) fn receive_all(connection: &CoreRef, buffer: Buffer) -> Started {
    let mut arguments = Arguments::none();
    arguments.data = buffer.rest(0);
    let payload = Payload::ReceiveAll(buffer);
    if let Err(error) = check_idle(connection) {
        return Err(Refusal { error, payload });
    }
    start(
        connection,
        "WskReceive",
        payload,
        arguments,
        |table, socket, prepared| {
            let (data, irp) = (prepared.data(), prepared.irp);
            // SAFETY: as in `send`.
            table
                .receive()
                .map(|receive| unsafe { receive(socket, data, WSK_FLAG_WAITALL, irp) })
        },
    )
}

/// WskSend of what a request of the driver's client writes.
pub(crate) fn send_from(connection: &CoreRef, irp: PendingIrp) -> Passed {
    pass(
        connection,
        "WskSend",
        irp,
        IRP_MJ_WRITE,
        |table, socket, prepared| {
            let (data, irp) = (prepared.data(), prepared.irp);
            // SAFETY: an open connection; the description lies in the slot, and the MDL, which
            // covers it, belongs to the IRP, until completion [wsk 3.12].
            table
                .send()
                .map(|send| unsafe { send(socket, data, 0, irp) })
        },
    )
}

/// WskReceive into what a request of the driver's client reads to. It has no place among the other
/// receives.
pub(crate) fn receive_into(connection: &CoreRef, irp: PendingIrp) -> Passed {
    if let Err(error) = check_idle(connection) {
        return Err(irp.refuse(error));
    }
    pass(
        connection,
        "WskReceive",
        irp,
        IRP_MJ_READ,
        |table, socket, prepared| {
            let (data, irp) = (prepared.data(), prepared.irp);
            // SAFETY: as in `send_from`; the pages are locked for writing, as those of a read are.
            table
                .receive()
                .map(|receive| unsafe { receive(socket, data, 0, irp) })
        },
    )
}

/// No receive of ours is in flight or has left bytes, which would be overtaken.
fn check_idle(connection: &CoreRef) -> Result<()> {
    check_stream(connection, false)?;
    let error = Error::new("WskReceive", Status::INVALID_DEVICE_STATE);
    connection.is_stream_idle().then_some(()).ok_or(error)
}

fn check_stream(connection: &CoreRef, full: bool) -> Result<()> {
    let status = if connection.is_stream_broken() {
        Status::DATA_OVERRUN
    } else if full {
        Status::INVALID_BUFFER_SIZE
    } else {
        return Ok(());
    };
    Err(Error::new("WskReceive", status))
}

/// WskReceive with `WSK_FLAG_DRAIN`: into no buffer [wsk 8.7]. Nothing is kept for later receives.
pub(crate) fn drain(connection: &CoreRef) -> Started {
    connection.discard_received();
    start(
        connection,
        "WskReceive",
        Payload::Nothing,
        Arguments::none(),
        |table, socket, prepared| {
            let (data, irp) = (prepared.data(), prepared.irp);
            // SAFETY: an open connection; the description, of nothing, lies in the slot [wsk 3.12].
            table
                .receive()
                .map(|receive| unsafe { receive(socket, data, WSK_FLAG_DRAIN, irp) })
        },
    )
}

/// WskDisconnect, graceful without last data [wsk 9.5] or abortive [wsk 9.6].
pub(crate) fn disconnect(connection: &CoreRef, abortive: bool) -> Started {
    let flags = if abortive { WSK_FLAG_ABORTIVE } else { 0 };
    start(
        connection,
        "WskDisconnect",
        Payload::Nothing,
        Arguments::none(),
        |table, socket, prepared| {
            let irp = prepared.irp;
            // SAFETY: an open connection; no last data.
            table
                .disconnect()
                .map(|disconnect| unsafe { disconnect(socket, null_mut(), flags, irp) })
        },
    )
}

/// WskDisconnect, graceful, with the filled part as the last data [wsk 9.5].
pub(crate) fn disconnect_with(connection: &CoreRef, last: Buffer) -> Started {
    let mut arguments = Arguments::none();
    arguments.data = last.filled_part();
    start(
        connection,
        "WskDisconnect",
        Payload::Send(last),
        arguments,
        |table, socket, prepared| {
            let (data, irp) = (prepared.data(), prepared.irp);
            // SAFETY: as in `send`.
            table
                .disconnect()
                .map(|disconnect| unsafe { disconnect(socket, data, 0, irp) })
        },
    )
}
