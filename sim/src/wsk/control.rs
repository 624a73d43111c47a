//! Options of sockets, and `WskControlClient`.
//!
//! Options that a transport would honour by its timing or its buffers (keep-alive, no-delay,
//! receive buffer) are stored and can be read back; the virtual network does not act on them.

// UNSAFETY: the functions are called by the client through the tables, with buffers of its own.
#![expect(unsafe_code, reason = "functions of the provider's tables")]

use wdk_sys::{
    NTSTATUS, PIRP, PVOID, SIZE_T, STATUS_BUFFER_TOO_SMALL, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED, STATUS_SUCCESS,
    ULONG,
};
use wsk_sys::{
    IPPROTO, IPV6_V6ONLY, PWSK_CLIENT, PWSK_SOCKET, SO_EXCLUSIVEADDRUSE, SO_KEEPALIVE, SO_RCVBUF,
    SO_REUSEADDR, SOL_SOCKET, TCP_NODELAY, WSK_CONTROL_SOCKET_TYPE,
};

use super::call::{Call, check_context, complete_inline};
use super::progress::submit;
use super::provider::Category;
use super::registration;
use super::request::Work;
use crate::current::current;
use crate::faults::Fault;
use crate::kernel::irp;
use crate::kernel::irql::DISPATCH;
use crate::sim::lock;

const TCP: u32 = IPPROTO::IPPROTO_TCP.cast_unsigned();
const IPV6: u32 = IPPROTO::IPPROTO_IPV6.cast_unsigned();
const OPTION_SIZE: usize = size_of::<ULONG>();

/// When an option may be set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    BeforeBind,
    Any,
}

/// The options that the provider has.
fn moment(level: u32, option: u32) -> Option<Moment> {
    match (level, option) {
        (SOL_SOCKET, SO_REUSEADDR) | (IPV6, IPV6_V6ONLY) => Some(Moment::BeforeBind),
        (SOL_SOCKET, option) if option == SO_EXCLUSIVEADDRUSE.cast_unsigned() => {
            Some(Moment::BeforeBind)
        }
        (SOL_SOCKET, SO_KEEPALIVE | SO_RCVBUF) | (TCP, TCP_NODELAY) => Some(Moment::Any),
        _ => None,
    }
}

fn set_option(
    call: &Call,
    level: u32,
    option: u32,
    value: Option<&[u8]>,
) -> Result<usize, NTSTATUS> {
    let moment = moment(level, option).ok_or(STATUS_NOT_SUPPORTED)?;
    let value = value
        .filter(|value| value.len() == OPTION_SIZE)
        .ok_or(STATUS_INVALID_PARAMETER)?;
    let mut state = lock(&call.socket.state);
    if moment == Moment::BeforeBind && state.bound.is_some() {
        return Err(STATUS_INVALID_DEVICE_STATE);
    }
    state.options.insert((level, option), value.to_vec());
    Ok(0)
}

fn get_option(call: &Call, level: u32, option: u32) -> Result<Vec<u8>, NTSTATUS> {
    moment(level, option).ok_or(STATUS_NOT_SUPPORTED)?;
    let state = lock(&call.socket.state);
    Ok(state
        .options
        .get(&(level, option))
        .cloned()
        .unwrap_or_else(|| vec![0; OPTION_SIZE]))
}

/// `WskControlSocket` [wsk 5].
pub(super) unsafe extern "C" fn wsk_control_socket(
    socket: PWSK_SOCKET,
    request: WSK_CONTROL_SOCKET_TYPE::Type,
    code: ULONG,
    level: ULONG,
    input_size: SIZE_T,
    input: PVOID,
    output_size: SIZE_T,
    output: PVOID,
    _output_size_returned: *mut SIZE_T,
    irp: PIRP,
) -> NTSTATUS {
    let call = Call::enter(
        socket,
        irp,
        "WskControlSocket",
        &[Category::Listen, Category::Connection],
    );
    if call.me.sim.faults.strikes(Fault::ProviderCall) {
        return call.complete(STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    let result = match request {
        WSK_CONTROL_SOCKET_TYPE::WskSetOption => {
            let length = usize::try_from(input_size).unwrap_or(0);
            // SAFETY: the client passes a buffer of the size that it names.
            let value = (!input.is_null())
                .then(|| unsafe { core::slice::from_raw_parts(input.cast::<u8>(), length) });
            set_option(&call, level, code, value)
        }
        WSK_CONTROL_SOCKET_TYPE::WskGetOption => get_option(&call, level, code).and_then(|value| {
            if output.is_null() || usize::try_from(output_size).unwrap_or(0) < value.len() {
                return Err(STATUS_BUFFER_TOO_SMALL);
            }
            // SAFETY: the client passes a buffer of the size that it names, checked above.
            unsafe {
                output
                    .cast::<u8>()
                    .copy_from_nonoverlapping(value.as_ptr(), value.len());
            };
            Ok(value.len())
        }),
        _ => Err(STATUS_NOT_SUPPORTED),
    };
    let (status, information) = match result {
        Ok(information) => (STATUS_SUCCESS, information),
        Err(status) => (status, 0),
    };
    submit(
        &call,
        Work::Reply {
            status,
            information,
        },
    )
}

/// `WskControlClient`: no control code is known.
pub(super) unsafe extern "C" fn wsk_control_client(
    client: PWSK_CLIENT,
    _code: ULONG,
    _input_size: SIZE_T,
    _input: PVOID,
    _output_size: SIZE_T,
    _output: PVOID,
    _output_size_returned: *mut SIZE_T,
    irp: PIRP,
) -> NTSTATUS {
    let me = current();
    check_context(&me, DISPATCH, "WskControlClient");
    registration::expect_client(&me, client, "WskControlClient");
    if irp.is_null() {
        return STATUS_NOT_SUPPORTED;
    }
    let packet = irp::give_to_provider(&me, irp, "WskControlClient");
    complete_inline(&me, irp, packet, STATUS_NOT_SUPPORTED, 0)
}
