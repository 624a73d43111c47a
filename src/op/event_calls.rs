//! The WSK calls that belong to events: enabling and disabling, deciding about inspections, giving
//! data back.

// UNSAFETY: calls through the provider's tables.
#![expect(unsafe_code, reason = "calls through the provider's tables")]

use core::{
    mem::offset_of,
    ptr::{NonNull, null_mut},
};

use wsk_sys::{
    NPI_WSK_INTERFACE_ID, NPIID, SO_CONDITIONAL_ACCEPT, SO_WSK_EVENT_CALLBACK, SOL_SOCKET,
    WSK_CONTROL_SOCKET_TYPE, WSK_EVENT_CALLBACK_CONTROL, WSK_EVENT_DISABLE, WSK_INSPECT_ACTION,
    WSK_INSPECT_ID, WSK_PROVIDER_CONNECTION_DISPATCH, WSK_PROVIDER_DATAGRAM_DISPATCH,
    WSK_PROVIDER_STREAM_DISPATCH, WSK_SOCKET,
    wdk_sys::{STATUS_NOT_IMPLEMENTED, ULONG},
};

use super::{
    calls::{Started, Table, start, table_of},
    core::CoreRef,
    retained::List,
    slot::{Arguments, Payload, Prepared, Slot},
};
use crate::status::{Error, Result, Status, check};

/// What enables or disables the events of `mask`.
pub(super) fn event_control(interface: &'static NPIID, mask: ULONG) -> WSK_EVENT_CALLBACK_CONTROL {
    WSK_EVENT_CALLBACK_CONTROL {
        NpiId: core::ptr::from_ref(interface).cast_mut(),
        EventMask: mask,
    }
}

/// Enables events of WSK's own.
pub(crate) fn enable_events(core: &CoreRef, mask: ULONG) -> Result<()> {
    enable_events_of(core, &NPI_WSK_INTERFACE_ID, mask)
}

/// WskControlSocket with `SO_WSK_EVENT_CALLBACK`, which enables without an IRP [wsk 6.2].
pub(crate) fn enable_events_of(
    core: &CoreRef,
    interface: &'static NPIID,
    mask: ULONG,
) -> Result<()> {
    const CALL: &str = "WskControlSocket";
    // Disabling without an IRP would not tell when the event is off [wsk 6.4].
    if mask & WSK_EVENT_DISABLE != 0 {
        return Err(Error::new(CALL, Status::INVALID_PARAMETER));
    }
    let call = core.enter(CALL)?;
    let mut control = event_control(interface, mask);
    let function = table_of(&call).control();
    let Some(function) = function else {
        return Err(Error::new(CALL, Status::NOT_IMPLEMENTED));
    };
    // SAFETY: the socket is open; an input of the option's size, read during the call, since there
    // is no IRP [wsk 3a].
    let status = unsafe {
        function(
            call.socket(),
            WSK_CONTROL_SOCKET_TYPE::WskSetOption,
            SO_WSK_EVENT_CALLBACK,
            SOL_SOCKET,
            size_of::<WSK_EVENT_CALLBACK_CONTROL>() as u64,
            (&raw mut control).cast(),
            0,
            null_mut(),
            null_mut(),
            null_mut(),
        )
    };
    check(CALL, status)
}

/// Disables an event of WSK's own.
pub(crate) fn disable_event(core: &CoreRef, event: ULONG) -> Started {
    disable_event_of(core, &NPI_WSK_INTERFACE_ID, event)
}

/// WskControlSocket with `SO_WSK_EVENT_CALLBACK` and an IRP, which completes when the event is off
/// and no callback for it runs any more: `STATUS_EVENT_PENDING` is for calls without one [wsk 6.4].
pub(crate) fn disable_event_of(core: &CoreRef, interface: &'static NPIID, event: ULONG) -> Started {
    let control = event_control(interface, event | WSK_EVENT_DISABLE);
    let mut arguments = Arguments::none();
    arguments.put_extra(control);
    set_option(core, SO_WSK_EVENT_CALLBACK, arguments)
}

/// WskControlSocket with `SO_CONDITIONAL_ACCEPT`, before the bind [wsk 7.6].
pub(crate) fn set_conditional_accept(core: &CoreRef) -> Started {
    let mut arguments = Arguments::none();
    arguments.put_extra(ULONG::from(true));
    set_option(core, SO_CONDITIONAL_ACCEPT, arguments)
}

/// An option of `SOL_SOCKET` whose value is in the arguments.
fn set_option(core: &CoreRef, option: ULONG, arguments: Arguments) -> Started {
    let size = u64::from(arguments.extra_length);
    let wsk = |table: Table, socket, prepared: &Prepared| {
        let (value, irp) = (prepared.extra(), prepared.irp);
        // SAFETY: an open socket; the value lies in the slot until completion [wsk 3.12].
        table.control().map(|control| unsafe {
            control(
                socket,
                WSK_CONTROL_SOCKET_TYPE::WskSetOption,
                option,
                SOL_SOCKET,
                size,
                value,
                0,
                null_mut(),
                null_mut(),
                irp,
            )
        })
    };
    start(core, "WskControlSocket", Payload::Nothing, arguments, wsk)
}

/// `WskInspectComplete`, in a slot that was set aside for it.
pub(crate) fn inspect_complete(
    listener: &CoreRef,
    slot: NonNull<Slot>,
    id: WSK_INSPECT_ID,
    action: WSK_INSPECT_ACTION::Type,
) -> Started {
    let mut arguments = Arguments::none();
    arguments.put_extra(id);
    let call = match listener.enter("WskInspectComplete") {
        Ok(call) => call,
        Err(error) => {
            // SAFETY: set aside of this listener, idle, and ours alone.
            unsafe { listener.put_back(slot) }
            return Err(error.into());
        }
    };
    let socket = call.socket();
    let table = table_of(&call);
    let wsk = |prepared: &Prepared| match table.inspect_complete() {
        // SAFETY: a listening socket, a copy of the ID that lies in the slot, an action that is
        // not "pend" [wsk 7.11].
        Some(complete) => unsafe { complete(socket, prepared.extra(), action, prepared.irp) },
        None => STATUS_NOT_IMPLEMENTED,
    };
    // SAFETY: one call on a socket that is open while `call` lives; the slot was set aside for it.
    Ok(unsafe {
        call.outstanding()
            .start_in(slot, Payload::Nothing, arguments, wsk)
    })
}

/// WskReceive of nothing, which lets receive events come again when it completes [wsk 8.2].
pub(crate) fn receive_nothing(connection: &CoreRef) -> Started {
    let wsk = |table: Table, socket, prepared: &Prepared| {
        let (data, irp) = (prepared.data(), prepared.irp);
        // SAFETY: an open connection; the description, of no memory, lies in the slot.
        table
            .receive()
            .map(|receive| unsafe { receive(socket, data, 0, irp) })
    };
    let (name, payload) = ("WskReceive", Payload::Nothing);
    start(connection, name, payload, Arguments::none(), wsk)
}

const _: () = assert!(
    offset_of!(WSK_PROVIDER_CONNECTION_DISPATCH, WskRelease)
        == offset_of!(WSK_PROVIDER_STREAM_DISPATCH, WskRelease),
    "one function releases for both"
);

/// `WskRelease` of a connection.
///
/// # Safety
///
/// An open connection socket, and a list of its own that was retained and not released.
pub(crate) unsafe fn release_of_connection(socket: *mut WSK_SOCKET, list: List) {
    // SAFETY: an open socket (the caller's promise).
    let table = unsafe { (*socket).Dispatch }.cast::<WSK_PROVIDER_CONNECTION_DISPATCH>();
    // SAFETY: a connection socket (the caller's promise) points to this table; the slot is at the
    // same place in that of a stream socket.
    let release = unsafe { (*table).WskRelease };
    if let Some(release) = release {
        // SAFETY: the caller's promise [wsk 8.6].
        let status = unsafe { release(socket, list.as_ptr().cast()) };
        debug_assert!(status >= 0, "a retained list is released once");
    }
}

/// `WskRelease` of a datagram socket.
///
/// # Safety
///
/// An open datagram socket, and a list of its own that was retained and not released.
pub(crate) unsafe fn release_of_datagrams(socket: *mut WSK_SOCKET, list: List) {
    // SAFETY: an open socket (the caller's promise).
    let table = unsafe { (*socket).Dispatch }.cast::<WSK_PROVIDER_DATAGRAM_DISPATCH>();
    // SAFETY: a datagram socket (the caller's promise) points to this table.
    let release = unsafe { (*table).WskRelease };
    if let Some(release) = release {
        // SAFETY: the caller's promise [wsk 8.6].
        let status = unsafe { release(socket, list.as_ptr().cast()) };
        debug_assert!(status >= 0, "a retained list is released once");
    }
}
