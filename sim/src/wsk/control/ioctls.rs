//! `WskIoctl`: the table, and those operations that need little [wsk 5, 6.9]. The level is ignored
//! [wsk 5.1].

// UNSAFETY: an input is a pointer to a function of the client's, another an address.
#![expect(unsafe_code, reason = "pointers in the client's input")]
#![expect(
    clippy::unnecessary_wraps,
    reason = "all operations of a table have one type"
)]

use std::net::SocketAddr;

use wdk_sys::{
    NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_ADDRESS_COMPONENT,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
    STATUS_NOT_SUPPORTED, ULONG,
};
use wsk_sys::{
    PFN_WSK_RECEIVE_EX_EVENT, SIO_ADDRESS_LIST_CHANGE, SIO_ADDRESS_LIST_QUERY,
    SIO_ADDRESS_LIST_SORT, SIO_KEEPALIVE_VALS, SIO_LOOPBACK_FAST_PATH,
    SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT, SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS,
    SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS, SIO_WSK_QUERY_IDEAL_SEND_BACKLOG,
    SIO_WSK_QUERY_INSPECT_ID, SIO_WSK_QUERY_RECEIVE_BACKLOG, SIO_WSK_REGISTER_EXTENSION,
    SIO_WSK_SET_RECEIVE_EX_CALLBACK, SIO_WSK_SET_REMOTE_ADDRESS, SIO_WSK_SET_SENDTO_ADDRESS,
    SIO_WSK_SET_TCP_SILENT_MODE, SO_KEEPALIVE, SOL_SOCKET, TCP_KEEPIDLE, TCP_KEEPINTVL,
    WSK_INSPECT_ID, tcp_keepalive,
};

use super::super::address;
use super::super::call::Entry;
use super::super::datagram::{self, Fixed};
use super::super::progress;
use super::super::request::Lane;
use super::super::tables::Category::{self, Connection, Datagram, Listen, Stream};
use super::option_table::TCP;
use super::terms::Moment::{self, Accepted, AfterBind, Any, BeforeConnect, Connected};
use super::terms::Packet::{Either, Never, Required};
use super::terms::Terms;
use super::{Effect, Operation, Outcome, addresses, extension, options, redirect};
use crate::sim::lock;

/// One control code.
pub(super) struct Row {
    code: ULONG,
    pub(super) terms: Terms,
    categories: &'static [Category],
    moment: Moment,
    action: fn(&Entry, &Operation) -> Outcome,
}

const OF_TCP: &[Category] = &[Listen, Connection, Stream];
const CONNECTING: &[Category] = &[Connection, Stream];
const OF_UDP: &[Category] = &[Datagram];
const ACCEPTED: &[Category] = &[Connection];
const ALL: &[Category] = &Category::ALL;

/// A row with the name of the code's constant.
macro_rules! row {
    ($code:ident, $packet:ident, $categories:ident, $moment:ident, $action:expr) => {
        Row::new(
            $code,
            Terms::new(stringify!($code), $packet),
            $categories,
            $moment,
            $action,
        )
    };
}

static IOCTLS: &[Row] = &[
    row!(
        SIO_WSK_SET_REMOTE_ADDRESS,
        Required,
        OF_UDP,
        AfterBind,
        set_remote
    ),
    row!(
        SIO_WSK_REGISTER_EXTENSION,
        Never,
        ALL,
        Any,
        extension::register
    ),
    row!(
        SIO_WSK_QUERY_IDEAL_SEND_BACKLOG,
        Required,
        CONNECTING,
        Connected,
        ideal_send_backlog
    ),
    row!(
        SIO_WSK_QUERY_RECEIVE_BACKLOG,
        Required,
        CONNECTING,
        Connected,
        receive_backlog
    ),
    row!(SIO_WSK_QUERY_INSPECT_ID, Never, ACCEPTED, Any, inspect_id)
        .telling_size(STATUS_BUFFER_TOO_SMALL),
    row!(
        SIO_WSK_SET_SENDTO_ADDRESS,
        Required,
        OF_UDP,
        AfterBind,
        set_send_to
    ),
    row!(
        SIO_WSK_SET_TCP_SILENT_MODE,
        Required,
        CONNECTING,
        Connected,
        set_silent
    ),
    row!(
        SIO_WSK_SET_RECEIVE_EX_CALLBACK,
        Either,
        CONNECTING,
        Connected,
        set_receive_ex
    ),
    row!(SIO_KEEPALIVE_VALS, Required, OF_TCP, Any, set_keep_alive),
    row!(SIO_ADDRESS_LIST_QUERY, Never, ALL, Any, addresses::query)
        .telling_size(STATUS_BUFFER_OVERFLOW)
        .at_passive(),
    row!(
        SIO_ADDRESS_LIST_CHANGE,
        Required,
        ALL,
        Any,
        addresses::wait_for_change
    )
    .at_passive(),
    row!(SIO_ADDRESS_LIST_SORT, Either, ALL, Any, addresses::sort)
        .telling_size(STATUS_BUFFER_OVERFLOW)
        .at_passive(),
    row!(
        SIO_LOOPBACK_FAST_PATH,
        Required,
        OF_TCP,
        BeforeConnect,
        loopback_fast_path
    )
    .at_passive(),
    row!(
        SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS,
        Required,
        ACCEPTED,
        Accepted,
        redirect::records
    )
    .telling_size(STATUS_BUFFER_TOO_SMALL)
    .at_passive(),
    row!(
        SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT,
        Required,
        ACCEPTED,
        Accepted,
        redirect::context
    )
    .telling_size(STATUS_BUFFER_TOO_SMALL)
    .at_passive(),
    row!(
        SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS,
        Required,
        CONNECTING,
        BeforeConnect,
        redirect::set
    )
    .at_passive(),
];

impl Row {
    const fn new(
        code: ULONG,
        terms: Terms,
        categories: &'static [Category],
        moment: Moment,
        action: fn(&Entry, &Operation) -> Outcome,
    ) -> Self {
        Self {
            code,
            terms,
            categories,
            moment,
            action,
        }
    }

    const fn telling_size(self, too_small: NTSTATUS) -> Self {
        Self {
            terms: self.terms.telling_size(too_small),
            ..self
        }
    }

    const fn at_passive(self) -> Self {
        Self {
            terms: self.terms.at_passive(),
            ..self
        }
    }
}

pub(super) fn find(code: ULONG) -> Option<&'static Row> {
    IOCTLS.iter().find(|row| row.code == code)
}

/// Performs an operation, if the socket has it, and if it is possible now.
pub(super) fn perform(entry: &Entry, operation: &Operation) -> Outcome {
    let row = find(operation.code).ok_or(STATUS_NOT_SUPPORTED)?;
    if !row.categories.contains(&entry.socket.category) {
        return Err(STATUS_INVALID_DEVICE_REQUEST);
    }
    if !row.moment.is_now(&mut lock(&entry.socket.state)) {
        return Err(STATUS_INVALID_DEVICE_STATE);
    }
    (row.action)(entry, operation)
}

fn nothing(result: Result<(), NTSTATUS>) -> Outcome {
    result.map(|()| Effect::Done(Vec::new()))
}

fn size(value: usize) -> Outcome {
    Ok(Effect::Done(value.to_ne_bytes().to_vec()))
}

/// An address of the socket's family; none to clear the one that was set before [wsk 5.4].
fn read_address(entry: &Entry, operation: &Operation) -> Result<Option<SocketAddr>, NTSTATUS> {
    let Some(input) = operation.input() else {
        return Ok(None);
    };
    let family = entry.socket.family;
    if input.len() != family.address_size() {
        return Err(STATUS_INVALID_PARAMETER);
    }
    // SAFETY: the input has the size of an address of this family; `None` comes of any other.
    let address = unsafe { address::read_as(input.as_ptr().cast_mut().cast(), family) };
    address.map(Some).ok_or(STATUS_INVALID_ADDRESS_COMPONENT)
}

/// `SIO_WSK_SET_REMOTE_ADDRESS`: datagrams go there, and come only from there [wsk 5.4].
fn set_remote(entry: &Entry, operation: &Operation) -> Outcome {
    let remote = read_address(entry, operation)?;
    nothing(datagram::set_fixed_address(entry, Fixed::Remote, remote))
}

/// `SIO_WSK_SET_SENDTO_ADDRESS`: datagrams go there [wsk 5.4].
fn set_send_to(entry: &Entry, operation: &Operation) -> Outcome {
    let send_to = read_address(entry, operation)?;
    nothing(datagram::set_fixed_address(entry, Fixed::SendTo, send_to))
}

fn ideal_send_backlog(entry: &Entry, _operation: &Operation) -> Outcome {
    size(lock(&entry.socket.state).incoming.ideal_backlog())
}

fn receive_backlog(entry: &Entry, _operation: &Operation) -> Outcome {
    let state = lock(&entry.socket.state);
    let endpoint = state.endpoint.ok_or(STATUS_INVALID_DEVICE_STATE)?;
    size(state.incoming.unread() + entry.me.sim.net.waiting(endpoint))
}

fn inspect_id(entry: &Entry, _operation: &Operation) -> Outcome {
    let inspected = lock(&entry.socket.state).inspected;
    let id = inspected.ok_or(STATUS_INVALID_DEVICE_REQUEST)?;
    let mut bytes = id.key.to_ne_bytes().to_vec();
    bytes.extend(id.serial.to_ne_bytes());
    bytes.resize(size_of::<WSK_INSPECT_ID>(), 0);
    Ok(Effect::Done(bytes))
}

/// `SIO_WSK_SET_TCP_SILENT_MODE`: nothing is sent any more, and what comes is dropped.
fn set_silent(entry: &Entry, _operation: &Operation) -> Outcome {
    let net = &entry.me.sim.net;
    let mut state = lock(&entry.socket.state);
    let endpoint = state.endpoint.ok_or(STATUS_INVALID_DEVICE_STATE)?;
    let loopback = net.addresses(endpoint).is_none_or(|(local, remote)| {
        [local, remote]
            .iter()
            .any(|address| address.ip().to_canonical().is_loopback())
    });
    let busy = [Lane::Send, Lane::Connect]
        .into_iter()
        .any(|lane| !state.lane(lane).is_empty());
    let alive = net.receive(endpoint, 0, true).is_ok();
    if loopback || busy || !alive || state.incoming.is_silent() {
        return Err(STATUS_INVALID_DEVICE_STATE);
    }
    if !net.silence(endpoint) {
        return Err(STATUS_NOT_SUPPORTED);
    }
    state.incoming.set_silent();
    nothing(Ok(()))
}

/// `SIO_WSK_SET_RECEIVE_EX_CALLBACK` [wsk 6.9].
fn set_receive_ex(entry: &Entry, operation: &Operation) -> Outcome {
    // SAFETY: the client passes null or a pointer to its function.
    let function: PFN_WSK_RECEIVE_EX_EVENT = unsafe { operation.read() }?;
    let mut state = lock(&entry.socket.state);
    state.incoming.receive_ex = function;
    state.events.replace_receive(function.is_some());
    drop(state);
    progress::schedule(&entry.me.sim, &entry.socket);
    nothing(Ok(()))
}

/// `SIO_KEEPALIVE_VALS`: the older way to set three options.
fn set_keep_alive(entry: &Entry, operation: &Operation) -> Outcome {
    const MILLISECONDS: u32 = 1000;
    let input = operation.input_of(size_of::<tcp_keepalive>())?;
    let value = |at: usize| options::read_number(&input[at..at + size_of::<u32>()]);
    let on = value(core::mem::offset_of!(tcp_keepalive, onoff)) != 0;
    let seconds = |at| value(at).div_ceil(MILLISECONDS);
    let mut state = lock(&entry.socket.state);
    let mut set = |option, value: u32| {
        state.options.insert(option, value.to_ne_bytes().to_vec());
    };
    set((SOL_SOCKET, SO_KEEPALIVE), u32::from(on));
    if on {
        let until = seconds(core::mem::offset_of!(tcp_keepalive, keepalivetime));
        let between = seconds(core::mem::offset_of!(tcp_keepalive, keepaliveinterval));
        set((TCP, TCP_KEEPIDLE), until);
        set((TCP, TCP_KEEPINTVL), between);
    }
    nothing(Ok(()))
}

/// `SIO_LOOPBACK_FAST_PATH`: the virtual network has no slower one.
fn loopback_fast_path(_entry: &Entry, operation: &Operation) -> Outcome {
    let sizes = [size_of::<u8>(), size_of::<ULONG>()];
    let given = operation
        .input()
        .is_some_and(|input| sizes.contains(&input.len()));
    nothing(given.then_some(()).ok_or(STATUS_INVALID_PARAMETER))
}
