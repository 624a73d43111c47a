//! Calls of the client's event callbacks, through the tables that it gave.
//!
//! Addresses and IDs that an event passes are valid during the call only: their memory is taken
//! back when it has returned.

// UNSAFETY: calls functions of the client's, found in its tables.
#![expect(unsafe_code, reason = "calls of the client's event callbacks")]

use core::ptr;
use std::net::SocketAddr;

use wdk_sys::{NTSTATUS, PVOID, SIZE_T, STATUS_SUCCESS, ULONG};
use wsk_sys::{
    PFN_WSK_RECEIVE_EX_EVENT, PWSK_DATA_INDICATION, PWSK_DATAGRAM_INDICATION,
    WSK_CLIENT_CONNECTION_DISPATCH, WSK_CLIENT_DATAGRAM_DISPATCH, WSK_CLIENT_LISTEN_DISPATCH,
    WSK_CLIENT_STREAM_DISPATCH, WSK_EVENT_ACCEPT, WSK_EVENT_DISCONNECT, WSK_EVENT_RECEIVE,
    WSK_EVENT_RECEIVE_FROM, WSK_EVENT_SEND_BACKLOG, WSK_INSPECT_ACTION,
};

use super::address;
use super::events::Callback;
use super::inspect::InspectId;
use super::socket::{ClientSide, Flow, Socket, State};
use super::tables::Category;
use crate::kernel::irql::check_unchanged;
use crate::kernel::lent::Lent;
use crate::kernel::thread::Context;
use crate::reached;
use crate::sim::{Shared, offence};
use crate::verifier::Rule;

type Addresses = (SocketAddr, SocketAddr);

/// The local and the remote address, lent for the time of a call.
struct LentAddresses {
    local: Lent,
    remote: Lent,
}

impl LentAddresses {
    fn new(sim: &Shared, (local, remote): Addresses) -> Self {
        Self {
            local: Lent::of(sim, &address::encode(local)),
            remote: Lent::of(sim, &address::encode(remote)),
        }
    }

    fn take_back(self) {
        self.local.take_back();
        self.remote.take_back();
    }
}

/// Where `WskAcceptEvent` puts the context and the table of the new socket.
type Places = (*mut PVOID, *mut *const WSK_CLIENT_CONNECTION_DISPATCH);

/// The client's part of a socket that is being offered to `WskAcceptEvent`.
pub(super) struct Offered {
    context: Lent,
    dispatch: Lent,
}

/// What is in a place that the client has not written to: its address.
static UNWRITTEN: u8 = 0;

impl Offered {
    pub(super) fn new(sim: &Shared) -> Self {
        let place = || Lent::holding(sim, core::ptr::from_ref(&UNWRITTEN));
        Self {
            context: place(),
            dispatch: place(),
        }
    }

    pub(super) fn places(&self) -> Places {
        (self.context.pointer(), self.dispatch.pointer())
    }

    /// What the client has written; it must have when it accepts the socket, and before it enables
    /// events [wsk 6.8, 7.2].
    pub(super) fn read(&self, socket: &Socket, state: &State) -> ClientSide {
        let read = |place: &Lent| {
            // SAFETY: the place holds a pointer from the beginning, and is taken back later.
            let given = unsafe { place.pointer::<PVOID>().read() };
            if given.addr() == (&raw const UNWRITTEN).addr() {
                let details = format!("not written for the {}", socket.describe_as(state));
                offence(Rule::AcceptAnswer, &details);
            }
            Context(given)
        };
        ClientSide {
            context: read(&self.context),
            dispatch: read(&self.dispatch),
        }
    }

    pub(super) fn take_back(self) {
        self.context.take_back();
        self.dispatch.take_back();
    }
}

/// Runs a callback, which must return at the IRQL at which it was called.
pub(super) fn run<T>(callback: &Callback<'_>, name: &str, call: impl FnOnce() -> T) -> T {
    reached::function(name);
    let me = callback.me;
    me.sim.sched.point(me);
    let irql = me.irql();
    let result = call();
    check_unchanged(me, irql, name);
    result
}

impl ClientSide {
    fn table<T: Copy + Default>(
        self,
        category: Category,
        of_stream: fn(WSK_CLIENT_STREAM_DISPATCH) -> *const T,
    ) -> T {
        let given = self.dispatch.get();
        let table = if category == Category::Stream && !given.is_null() {
            // SAFETY: the client keeps the table of a stream socket as long as the socket is open
            // [wsk 4.3].
            of_stream(unsafe { given.cast::<WSK_CLIENT_STREAM_DISPATCH>().read() })
        } else {
            given.cast::<T>().cast_const()
        };
        if table.is_null() {
            return T::default();
        }
        // SAFETY: the client keeps the table as long as the socket is open [wsk 4.3].
        unsafe { table.read() }
    }

    fn listen_table(self, category: Category) -> WSK_CLIENT_LISTEN_DISPATCH {
        self.table(category, |both| both.Listen)
    }

    fn connection_table(self, category: Category) -> WSK_CLIENT_CONNECTION_DISPATCH {
        self.table(category, |both| both.Connect)
    }

    fn datagram_table(self) -> WSK_CLIENT_DATAGRAM_DISPATCH {
        self.table(Category::Datagram, |_| ptr::null())
    }

    /// The memory that the client must keep while the socket is open [wsk 4.3, 10.3].
    pub(super) fn memory(self, category: Category) -> Vec<(usize, &'static str)> {
        let given = self.dispatch.get();
        let mut memory = vec![
            (self.context.get().addr(), "its context"),
            (given.addr(), "its table of event callbacks"),
        ];
        if category == Category::Stream && !given.is_null() {
            // SAFETY: as in `table`.
            let both = unsafe { given.cast::<WSK_CLIENT_STREAM_DISPATCH>().read() };
            memory.push((both.Listen.addr(), "its table of listening callbacks"));
            memory.push((both.Connect.addr(), "its table of connection callbacks"));
        }
        memory.retain(|(address, _)| *address != 0);
        memory
    }

    /// The events for which there is a callback.
    fn callbacks(self, category: Category, flow: Flow) -> ULONG {
        let bit = |there: bool, event: ULONG| if there { event } else { 0 };
        match flow {
            Flow::Listen => {
                let table = self.listen_table(category);
                bit(table.WskAcceptEvent.is_some(), WSK_EVENT_ACCEPT)
            }
            Flow::Connection => {
                let table = self.connection_table(category);
                bit(table.WskReceiveEvent.is_some(), WSK_EVENT_RECEIVE)
                    | bit(table.WskDisconnectEvent.is_some(), WSK_EVENT_DISCONNECT)
                    | bit(table.WskSendBacklogEvent.is_some(), WSK_EVENT_SEND_BACKLOG)
            }
            Flow::Other if category == Category::Datagram => {
                let table = self.datagram_table();
                bit(table.WskReceiveFromEvent.is_some(), WSK_EVENT_RECEIVE_FROM)
            }
            Flow::Undecided | Flow::Other => 0,
        }
    }
}

/// Reports events that are to be enabled, and for which the client gave no callback [wsk 6.8].
pub(super) fn expect_all(socket: &Socket, state: &State, events: ULONG) {
    let there = state.client_side.callbacks(socket.category, state.flow);
    let replaced = if state.incoming.receive_ex.is_some() {
        WSK_EVENT_RECEIVE
    } else {
        0
    };
    let missing = events & !(there | replaced);
    if missing != 0 {
        let details = format!(
            "events {missing:#x} enabled without a callback for the {}",
            socket.describe_as(state)
        );
        offence(Rule::EventWithoutCallback, &details);
    }
}

/// Reports a listening socket that is to inspect, and has no callbacks for that [wsk 7.6].
pub(super) fn expect_inspection(socket: &Socket, state: &State) {
    let table = state.client_side.listen_table(socket.category);
    if table.WskInspectEvent.is_none() || table.WskAbortEvent.is_none() {
        let details = format!(
            "conditional accept without both callbacks for the {}",
            socket.describe_as(state)
        );
        offence(Rule::EventWithoutCallback, &details);
    }
}

impl Callback<'_> {
    fn context(&self) -> PVOID {
        self.client_side.context.get()
    }

    fn listen_table(&self) -> WSK_CLIENT_LISTEN_DISPATCH {
        self.client_side.listen_table(self.socket.category)
    }

    fn connection_table(&self) -> WSK_CLIENT_CONNECTION_DISPATCH {
        self.client_side.connection_table(self.socket.category)
    }
}

/// The function of a table that an event needs.
fn expect<T>(callback: &Callback<'_>, function: Option<T>, name: &str) -> T {
    function.unwrap_or_else(|| {
        let details = format!("{name} is missing for the {}", callback.socket.describe());
        offence(Rule::EventWithoutCallback, &details)
    })
}

/// `WskAcceptEvent` for a connection, or for the listener's death.
pub(super) fn accept(
    callback: &Callback<'_>,
    connection: Option<(&Socket, Addresses)>,
    (context, dispatch): Places,
) -> NTSTATUS {
    let function = callback.listen_table().WskAcceptEvent;
    let function = expect(callback, function, "WskAcceptEvent");
    let socket = connection.map_or(ptr::null_mut(), |(socket, _)| socket.pointer());
    let lent = connection.map(|(_, addresses)| LentAddresses::new(&callback.me.sim, addresses));
    let nothing = (ptr::null_mut(), ptr::null_mut());
    let (local, remote) = lent.as_ref().map_or(nothing, |lent| {
        (lent.local.pointer(), lent.remote.pointer())
    });
    let (flags, given) = (callback.flags(), callback.context());
    // SAFETY: the client's callback, with its context; the addresses and the places for the answer
    // are valid during the call [wsk 7.2, 7.3].
    let status = run(callback, "WskAcceptEvent", || unsafe {
        function(given, flags, local, remote, socket, context, dispatch)
    });
    lent.into_iter().for_each(LentAddresses::take_back);
    status
}

/// `WskInspectEvent` for a request, or for the listener's death.
pub(super) fn inspect(
    callback: &Callback<'_>,
    request: Option<(InspectId, Addresses)>,
) -> WSK_INSPECT_ACTION::Type {
    let function = callback.listen_table().WskInspectEvent;
    let function = expect(callback, function, "WskInspectEvent");
    let sim = &callback.me.sim;
    let lent = request.map(|(id, addresses)| {
        let id = Lent::holding(sim, id.to_c());
        (id, LentAddresses::new(sim, addresses))
    });
    let nothing = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    let (id, local, remote) = lent.as_ref().map_or(nothing, |(id, addresses)| {
        let (local, remote) = (&addresses.local, &addresses.remote);
        (id.pointer(), local.pointer(), remote.pointer())
    });
    let context = callback.context();
    // SAFETY: the client's callback, with its context; ID and addresses are valid during the call
    // [wsk 7.9].
    let action = run(callback, "WskInspectEvent", || unsafe {
        function(context, local, remote, id)
    });
    if let Some((id, addresses)) = lent {
        id.take_back();
        addresses.take_back();
    }
    action
}

/// `WskAbortEvent`.
pub(super) fn abort(callback: &Callback<'_>, id: InspectId) -> NTSTATUS {
    let function = callback.listen_table().WskAbortEvent;
    let function = expect(callback, function, "WskAbortEvent");
    let id = Lent::holding(&callback.me.sim, id.to_c());
    let context = callback.context();
    // SAFETY: the client's callback, with its context; the ID is valid during the call.
    let status = run(callback, "WskAbortEvent", || unsafe {
        function(context, id.pointer())
    });
    id.take_back();
    status
}

/// `WskReceiveEvent`; the count is what the client wrote to `BytesAccepted`.
pub(super) fn receive(
    callback: &Callback<'_>,
    flags: ULONG,
    list: PWSK_DATA_INDICATION,
    indicated: usize,
) -> (NTSTATUS, usize) {
    let function = callback.connection_table().WskReceiveEvent;
    let function = expect(callback, function, "WskReceiveEvent");
    let accepted = Lent::holding(&callback.me.sim, indicated as SIZE_T);
    let place = accepted.pointer::<SIZE_T>();
    let context = callback.context();
    let flags = flags | callback.flags();
    // SAFETY: the client's callback, with its context; the list is valid during the call, and
    // longer if the client retains it [wsk 8.2].
    let status = run(callback, "WskReceiveEvent", || unsafe {
        function(context, flags, list, indicated as SIZE_T, place)
    });
    (status, read_count(accepted))
}

/// The number of bytes that a client has accepted.
fn read_count(place: Lent) -> usize {
    // SAFETY: the place holds a count from the beginning, and is taken back below.
    let count = unsafe { place.pointer::<SIZE_T>().read() };
    place.take_back();
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// `WskReceiveFromEvent`; null tells that the socket is dead.
pub(super) fn receive_from(
    callback: &Callback<'_>,
    flags: ULONG,
    list: PWSK_DATAGRAM_INDICATION,
) -> NTSTATUS {
    let function = callback.client_side.datagram_table().WskReceiveFromEvent;
    let function = expect(callback, function, "WskReceiveFromEvent");
    let context = callback.context();
    let flags = flags | callback.flags();
    // SAFETY: the client's callback, with its context; the list is valid during the call, and
    // longer if the client retains it [wsk 8.5].
    run(callback, "WskReceiveFromEvent", || unsafe {
        function(context, flags, list)
    })
}

/// The event that `SIO_WSK_SET_RECEIVE_EX_CALLBACK` set, in place of `WskReceiveEvent` [wsk 6.9].
pub(super) fn receive_ex(
    callback: &Callback<'_>,
    function: PFN_WSK_RECEIVE_EX_EVENT,
    flags: ULONG,
    list: PWSK_DATA_INDICATION,
    indicated: usize,
) -> (NTSTATUS, usize) {
    let function = expect(callback, function, "the receive event with control data");
    let accepted = Lent::holding(&callback.me.sim, indicated as SIZE_T);
    let place = accepted.pointer::<SIZE_T>();
    let context = callback.context();
    let flags = flags | callback.flags();
    // SAFETY: as for `WskReceiveEvent`; there is no control data.
    let status = run(callback, "WskReceiveExEvent", || unsafe {
        function(
            context,
            flags,
            list,
            ptr::null_mut(),
            0,
            indicated as SIZE_T,
            place,
        )
    });
    (status, read_count(accepted))
}

/// `WskDisconnectEvent`.
pub(super) fn disconnect(callback: &Callback<'_>, flags: ULONG) -> NTSTATUS {
    let function = callback.connection_table().WskDisconnectEvent;
    let function = expect(callback, function, "WskDisconnectEvent");
    let flags = flags | callback.flags();
    let context = callback.context();
    // SAFETY: the client's callback, with its context.
    run(callback, "WskDisconnectEvent", || unsafe {
        function(context, flags)
    })
}

/// `WskSendBacklogEvent`.
pub(super) fn send_backlog(callback: &Callback<'_>, ideal: usize) {
    let function = callback.connection_table().WskSendBacklogEvent;
    let function = expect(callback, function, "WskSendBacklogEvent");
    let context = callback.context();
    // SAFETY: the client's callback, with its context.
    let status = run(callback, "WskSendBacklogEvent", || unsafe {
        function(context, ideal as SIZE_T)
    });
    callback.expect_status(status, "WskSendBacklogEvent", &[STATUS_SUCCESS]);
}
