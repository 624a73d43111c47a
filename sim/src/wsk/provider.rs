//! The provider's dispatch tables, and the calls that make sockets.

// UNSAFETY: the functions are called by the client through the tables.
#![expect(unsafe_code, reason = "functions of the provider's tables")]

use core::ffi::c_void;

use wdk_sys::{
    NTSTATUS, PEPROCESS, PETHREAD, PIRP, PSECURITY_DESCRIPTOR, PVOID,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED, STATUS_PENDING,
    STATUS_SUCCESS, ULONG, USHORT,
};
use wsk_sys::{
    ADDRESS_FAMILY, IPPROTO, PWSK_CLIENT, SOCK_STREAM, WSK_CLIENT_VERSION_1_0,
    WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_LISTEN_SOCKET, WSK_PROVIDER_BASIC_DISPATCH,
    WSK_PROVIDER_CONNECTION_DISPATCH_FULL, WSK_PROVIDER_DISPATCH,
    WSK_PROVIDER_LISTEN_DISPATCH_FULL,
};

use super::address::Family;
use super::call::{check_context, complete_inline};
use super::registration;
use super::request::Work;
use super::socket::Socket;
use super::{control, functions, progress};
use crate::current::current;
use crate::faults::Fault;
use crate::kernel::irp;
use crate::kernel::irql::DISPATCH;
use crate::kernel::pool::check_not_paged;
use crate::kernel::thread::Context;
use crate::sim::{lock, offence};
use crate::verifier::Rule;

/// A socket category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    Listen,
    Connection,
}

/// The provider's table.
pub(super) static PROVIDER: WSK_PROVIDER_DISPATCH = WSK_PROVIDER_DISPATCH {
    Version: WSK_CLIENT_VERSION_1_0,
    Reserved: 0,
    WskSocket: Some(wsk_socket),
    WskSocketConnect: None,
    WskControlClient: Some(control::wsk_control_client),
    WskGetAddressInfo: None,
    WskFreeAddressInfo: None,
    WskGetNameInfo: None,
};

const BASIC: WSK_PROVIDER_BASIC_DISPATCH = WSK_PROVIDER_BASIC_DISPATCH {
    WskControlSocket: Some(control::wsk_control_socket),
    WskCloseSocket: Some(functions::wsk_close_socket),
};

static LISTEN: WSK_PROVIDER_LISTEN_DISPATCH_FULL = WSK_PROVIDER_LISTEN_DISPATCH_FULL {
    Basic: BASIC,
    WskBind: Some(functions::wsk_bind),
    WskAccept: Some(functions::wsk_accept),
    WskInspectComplete: None,
    WskGetLocalAddress: Some(functions::wsk_get_local_address),
};

static CONNECTION: WSK_PROVIDER_CONNECTION_DISPATCH_FULL = WSK_PROVIDER_CONNECTION_DISPATCH_FULL {
    Basic: BASIC,
    WskBind: Some(functions::wsk_bind),
    WskConnect: Some(functions::wsk_connect),
    WskGetLocalAddress: Some(functions::wsk_get_local_address),
    WskGetRemoteAddress: Some(functions::wsk_get_remote_address),
    WskSend: Some(functions::wsk_send),
    WskReceive: Some(functions::wsk_receive),
    WskDisconnect: Some(functions::wsk_disconnect),
    WskRelease: None,
    WskConnectEx: None,
    WskSendEx: None,
    WskReceiveEx: None,
};

/// The table of a category.
pub(super) fn table(category: Category) -> *const c_void {
    match category {
        Category::Listen => (&raw const LISTEN).cast(),
        Category::Connection => (&raw const CONNECTION).cast(),
    }
}

/// The category and family that `WskSocket` is asked for.
fn triple(
    family: ADDRESS_FAMILY,
    socket_type: USHORT,
    protocol: ULONG,
    flags: ULONG,
) -> Result<(Category, Family), NTSTATUS> {
    let family = Family::from_number(family).ok_or(STATUS_NOT_SUPPORTED)?;
    let category = match flags {
        WSK_FLAG_LISTEN_SOCKET => Category::Listen,
        WSK_FLAG_CONNECTION_SOCKET => Category::Connection,
        flags if flags.is_power_of_two() || flags == 0 => return Err(STATUS_NOT_SUPPORTED),
        _ => return Err(STATUS_INVALID_PARAMETER),
    };
    let tcp =
        u32::from(socket_type) == SOCK_STREAM && protocol == IPPROTO::IPPROTO_TCP.cast_unsigned();
    if tcp {
        Ok((category, family))
    } else {
        Err(STATUS_NOT_SUPPORTED)
    }
}

/// `WskSocket` [wsk 4].
unsafe extern "C" fn wsk_socket(
    client: PWSK_CLIENT,
    family: ADDRESS_FAMILY,
    socket_type: USHORT,
    protocol: ULONG,
    flags: ULONG,
    context: PVOID,
    dispatch: *const c_void,
    _process: PEPROCESS,
    _thread: PETHREAD,
    _security: PSECURITY_DESCRIPTOR,
    irp: PIRP,
) -> NTSTATUS {
    let me = current();
    check_context(&me, DISPATCH, "WskSocket");
    let client = registration::expect_client(&me, client, "WskSocket");
    if irp.is_null() {
        offence(Rule::IrpRequired, "WskSocket without an IRP");
    }
    if lock(&me.sim.kernel.pool).is_paged(context.addr()) {
        offence(
            Rule::PagedAtDispatch,
            &format!("SocketContext {context:p} is in paged pool"),
        );
    }
    check_not_paged(&me, dispatch.addr(), "a table of event callbacks");
    let packet = irp::give_to_provider(&me, irp, "WskSocket");
    me.sim.sched.point(&me);
    if me.sim.faults.strikes(Fault::ProviderCall) {
        return complete_inline(&me, irp, packet, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    let (category, family) = match triple(family, socket_type, protocol, flags) {
        Ok(found) => found,
        Err(status) => return complete_inline(&me, irp, packet, status, 0),
    };
    let socket = Socket::create(&me.sim, category, family, client, Context(context));
    let information = socket.pointer().expose_provenance();
    let reply = Work::Reply {
        status: STATUS_SUCCESS,
        information,
    };
    let status = progress::submit_reply(&me, &socket, irp, packet, reply);
    debug_assert!(
        status == STATUS_SUCCESS || status == STATUS_PENDING,
        "a reply is due at once or later"
    );
    status
}
