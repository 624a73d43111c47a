//! The calls on listening and connection sockets.

// UNSAFETY: the functions are called by the client through the tables, with pointers of its own.
#![expect(unsafe_code, reason = "functions of the sockets' tables")]

use core::sync::atomic::Ordering::SeqCst;

use wdk_sys::{
    NTSTATUS, PIRP, PVOID, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_ADDRESS_COMPONENT,
    STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED, STATUS_SUCCESS,
    ULONG,
};
use wsk_sys::{
    PSOCKADDR, PWSK_BUF, PWSK_SOCKET, WSK_CLIENT_CONNECTION_DISPATCH, WSK_FLAG_ABORTIVE,
    WSK_FLAG_NODELAY, WSK_FLAG_WAITALL,
};

use super::address::{self, Family};
use super::buffer::Buffer;
use super::call::Call;
use super::progress::{self, submit};
use super::provider::Category::{self, Connection, Listen};
use super::request::{Lane, Work};
use super::socket::Phase;
use crate::faults::Fault;
use crate::kernel::pool::check_not_paged;
use crate::kernel::thread::Context;
use crate::sim::{lock, offence};
use crate::verifier::Rule;

const ANY: [Category; 2] = [Listen, Connection];

/// Enters a call that can be made to fail; `Err` is its status if it does.
fn enter(
    socket: PWSK_SOCKET,
    irp: PIRP,
    function: &str,
    categories: &[Category],
) -> Result<Call, NTSTATUS> {
    let call = Call::enter(socket, irp, function, categories);
    if call.me.sim.faults.strikes(Fault::ProviderCall) {
        return Err(call.complete(STATUS_INSUFFICIENT_RESOURCES, 0));
    }
    Ok(call)
}

/// Answers with a status that is known already, at once or later.
fn reply(call: &Call, result: Result<(), NTSTATUS>) -> NTSTATUS {
    let status = result.err().unwrap_or(STATUS_SUCCESS);
    submit(
        call,
        Work::Reply {
            status,
            information: 0,
        },
    )
}

/// `WskCloseSocket` [wsk 10].
pub(super) unsafe extern "C" fn wsk_close_socket(socket: PWSK_SOCKET, irp: PIRP) -> NTSTATUS {
    let call = Call::enter(socket, irp, "WskCloseSocket", &ANY);
    let mut state = lock(&call.socket.state);
    if state.phase != Phase::Open || call.socket.running.load(SeqCst) > 1 {
        let rule = if state.phase == Phase::Open {
            Rule::CloseDuringCall
        } else {
            Rule::CallAfterClose
        };
        drop(state);
        offence(
            rule,
            &format!("WskCloseSocket on the {}", call.socket.describe()),
        );
    }
    state.phase = Phase::Closing(None);
    drop(state);
    progress::close(&call)
}

/// `WskBind` [wsk 4.8].
pub(super) unsafe extern "C" fn wsk_bind(
    socket: PWSK_SOCKET,
    local: PSOCKADDR,
    flags: ULONG,
    irp: PIRP,
) -> NTSTATUS {
    let call = match enter(socket, irp, "WskBind", &ANY) {
        Ok(call) => call,
        Err(status) => return status,
    };
    check_not_paged(&call.me, local.addr(), "an address");
    // SAFETY: the client passes a complete address [wsk 3.13].
    let local = unsafe { address::read(local) };
    let result = match local {
        _ if flags != 0 => Err(STATUS_INVALID_PARAMETER),
        Some(local) if Family::of(local) == call.socket.family => {
            call.socket.bind(&call.me.sim, local)
        }
        _ => Err(STATUS_INVALID_ADDRESS_COMPONENT),
    };
    reply(&call, result)
}

/// `WskAccept` [wsk 7].
pub(super) unsafe extern "C" fn wsk_accept(
    socket: PWSK_SOCKET,
    flags: ULONG,
    context: PVOID,
    _dispatch: *const WSK_CLIENT_CONNECTION_DISPATCH,
    local: PSOCKADDR,
    remote: PSOCKADDR,
    irp: PIRP,
) -> NTSTATUS {
    let call = match enter(socket, irp, "WskAccept", &[Listen]) {
        Ok(call) => call,
        Err(status) => return status,
    };
    let pool = lock(&call.me.sim.kernel.pool);
    let paged = [context.addr(), local.addr(), remote.addr()]
        .into_iter()
        .find(|at| pool.is_paged(*at));
    drop(pool);
    if let Some(paged) = paged {
        offence(
            Rule::PagedAtDispatch,
            &format!("WskAccept with a context or address buffer at {paged:#x}"),
        );
    }
    let state = lock(&call.socket.state);
    let (bound, busy) = (
        state.bound.is_some(),
        !state.lanes[Lane::Accept as usize].is_empty(),
    );
    drop(state);
    if busy {
        offence(
            Rule::ParallelAccept,
            &format!("WskAccept on the {}", call.socket.describe()),
        );
    }
    if flags != 0 || !bound {
        let status = if bound {
            STATUS_INVALID_PARAMETER
        } else {
            STATUS_INVALID_DEVICE_STATE
        };
        return reply(&call, Err(status));
    }
    let (local, remote) = (Context(local.cast()), Context(remote.cast()));
    submit(
        &call,
        Work::Accept {
            context: Context(context),
            local,
            remote,
        },
    )
}

/// `WskConnect` [wsk 4.7].
pub(super) unsafe extern "C" fn wsk_connect(
    socket: PWSK_SOCKET,
    remote: PSOCKADDR,
    flags: ULONG,
    irp: PIRP,
) -> NTSTATUS {
    let call = match enter(socket, irp, "WskConnect", &[Connection]) {
        Ok(call) => call,
        Err(status) => return status,
    };
    check_not_paged(&call.me, remote.addr(), "an address");
    // SAFETY: the client passes a complete address [wsk 3.13].
    let remote = unsafe { address::read(remote) };
    let state = lock(&call.socket.state);
    let ready = state.bound.is_some() && state.endpoint.is_none();
    drop(state);
    match remote {
        _ if flags != 0 => reply(&call, Err(STATUS_INVALID_PARAMETER)),
        _ if !ready => reply(&call, Err(STATUS_INVALID_DEVICE_STATE)),
        Some(remote) if Family::of(remote) == call.socket.family => {
            submit(&call, Work::Connect { remote })
        }
        _ => reply(&call, Err(STATUS_INVALID_ADDRESS_COMPONENT)),
    }
}

/// `WskGetLocalAddress` [wsk 9.8].
pub(super) unsafe extern "C" fn wsk_get_local_address(
    socket: PWSK_SOCKET,
    local: PSOCKADDR,
    irp: PIRP,
) -> NTSTATUS {
    let call = match enter(socket, irp, "WskGetLocalAddress", &ANY) {
        Ok(call) => call,
        Err(status) => return status,
    };
    check_not_paged(&call.me, local.addr(), "an address buffer");
    let result = call.socket.local_address(&call.me.sim);
    reply(
        &call,
        result.map(|found| address::write_out(Context(local.cast()), found)),
    )
}

/// `WskGetRemoteAddress` [wsk 9.8].
pub(super) unsafe extern "C" fn wsk_get_remote_address(
    socket: PWSK_SOCKET,
    remote: PSOCKADDR,
    irp: PIRP,
) -> NTSTATUS {
    let call = match enter(socket, irp, "WskGetRemoteAddress", &[Connection]) {
        Ok(call) => call,
        Err(status) => return status,
    };
    check_not_paged(&call.me, remote.addr(), "an address buffer");
    let result = call.socket.remote_address(&call.me.sim);
    reply(
        &call,
        result.map(|found| address::write_out(Context(remote.cast()), found)),
    )
}

/// `WskSend` [wsk 9.1, 9.2].
pub(super) unsafe extern "C" fn wsk_send(
    socket: PWSK_SOCKET,
    buffer: PWSK_BUF,
    flags: ULONG,
    irp: PIRP,
) -> NTSTATUS {
    let call = match enter(socket, irp, "WskSend", &[Connection]) {
        Ok(call) => call,
        Err(status) => return status,
    };
    // SAFETY: the client passes a WSK_BUF over MDLs that it keeps until completion [wsk 3.12].
    let buffer = unsafe { Buffer::read(&call.me, buffer, "WskSend") };
    match check_connected(&call) {
        _ if flags & !WSK_FLAG_NODELAY != 0 => reply(&call, Err(STATUS_NOT_SUPPORTED)),
        Err(status) => reply(&call, Err(status)),
        Ok(()) => submit(&call, Work::Send { buffer, done: 0 }),
    }
}

/// `WskReceive` [wsk 8.7].
pub(super) unsafe extern "C" fn wsk_receive(
    socket: PWSK_SOCKET,
    buffer: PWSK_BUF,
    flags: ULONG,
    irp: PIRP,
) -> NTSTATUS {
    let call = match enter(socket, irp, "WskReceive", &[Connection]) {
        Ok(call) => call,
        Err(status) => return status,
    };
    // SAFETY: the client passes a WSK_BUF over MDLs that it keeps until completion [wsk 3.12].
    let buffer = unsafe { Buffer::read(&call.me, buffer, "WskReceive") };
    let all = flags & WSK_FLAG_WAITALL != 0;
    match check_connected(&call) {
        _ if flags & !WSK_FLAG_WAITALL != 0 => reply(&call, Err(STATUS_NOT_SUPPORTED)),
        Err(status) => reply(&call, Err(status)),
        Ok(()) => submit(
            &call,
            Work::Receive {
                buffer,
                done: 0,
                all,
            },
        ),
    }
}

/// `WskDisconnect` [wsk 9.5, 9.6].
pub(super) unsafe extern "C" fn wsk_disconnect(
    socket: PWSK_SOCKET,
    buffer: PWSK_BUF,
    flags: ULONG,
    irp: PIRP,
) -> NTSTATUS {
    let call = match enter(socket, irp, "WskDisconnect", &[Connection]) {
        Ok(call) => call,
        Err(status) => return status,
    };
    if let Err(status) = check_connected(&call) {
        return reply(&call, Err(status));
    }
    match flags {
        WSK_FLAG_ABORTIVE if !buffer.is_null() => reply(&call, Err(STATUS_INVALID_PARAMETER)),
        WSK_FLAG_ABORTIVE => {
            call.socket.abort(&call.me.sim);
            progress::schedule(&call.me.sim, &call.socket);
            reply(&call, Ok(()))
        }
        0 => {
            let buffer = if buffer.is_null() {
                Buffer::default()
            } else {
                // SAFETY: the client passes a WSK_BUF over MDLs that it keeps until completion [wsk
                // 3.12].
                unsafe { Buffer::read(&call.me, buffer, "WskDisconnect") }
            };
            submit(&call, Work::Disconnect { buffer, done: 0 })
        }
        _ => reply(&call, Err(STATUS_INVALID_PARAMETER)),
    }
}

fn check_connected(call: &Call) -> Result<(), NTSTATUS> {
    if lock(&call.socket.state).connected {
        Ok(())
    } else {
        Err(STATUS_INVALID_DEVICE_STATE)
    }
}
