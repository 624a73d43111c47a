//! The event callbacks of a client in the manner of C: tables that the provider gets, contexts
//! whose handlers a test sets, and a queue by which they tell the test what happened.
//!
//! A handler runs in a callback: it must not panic, and it leaves all judgement to the test.

// UNSAFETY: plays a driver in C, whose callbacks the provider calls.
#![expect(unsafe_code, reason = "event callbacks in the manner of C")]

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use wdk_sys::ntddk::{
    KeGetCurrentIrql, KeInitializeSemaphore, KeReleaseSemaphore, KeWaitForSingleObject,
};
use wdk_sys::{
    KSEMAPHORE, LARGE_INTEGER, NTSTATUS, PIRP, PVOID, SIZE_T, STATUS_REQUEST_NOT_ACCEPTED,
    STATUS_SUCCESS, STATUS_TIMEOUT, ULONG,
};
use wsk_sys::{
    MmGetSystemAddressForMdlSafe, PSOCKADDR, PWSK_DATA_INDICATION, PWSK_INSPECT_ID, PWSK_SOCKET,
    WSK_CLIENT_CONNECTION_DISPATCH, WSK_CLIENT_LISTEN_DISPATCH, WSK_CLIENT_STREAM_DISPATCH,
    WSK_INSPECT_ACTION, WSK_INSPECT_ID,
};

use crate::common::{Address, Io, Socket};

/// What `WskInspectEvent` returns.
pub type Action = WSK_INSPECT_ACTION::Type;

type Handler<A, R> = Box<dyn Fn(A) -> R + Send + Sync>;

/// The context of a listening socket.
pub struct ListenHandlers {
    pub accept: Handler<Offer, NTSTATUS>,
    pub inspect: Handler<Option<Inspection>, Action>,
    pub abort: Handler<Id, NTSTATUS>,
}

/// The context of a connection.
pub struct ConnectionHandlers {
    pub receive: Handler<Indication, NTSTATUS>,
    pub disconnect: Handler<ULONG, NTSTATUS>,
    pub backlog: Handler<usize, NTSTATUS>,
}

impl Default for ListenHandlers {
    fn default() -> Self {
        Self {
            accept: Box::new(|_| STATUS_REQUEST_NOT_ACCEPTED),
            inspect: Box::new(|_| WSK_INSPECT_ACTION::WskInspectReject),
            abort: Box::new(|_| STATUS_SUCCESS),
        }
    }
}

impl Default for ConnectionHandlers {
    fn default() -> Self {
        Self {
            receive: Box::new(|_| STATUS_SUCCESS),
            disconnect: Box::new(|_| STATUS_SUCCESS),
            backlog: Box::new(|_| STATUS_SUCCESS),
        }
    }
}

/// A table, of events or of nothing, as a socket gets it.
#[derive(Clone, Copy)]
pub struct Table(pub *const c_void);

// SAFETY: the tables are statics, or leaked.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Table {
    pub const NONE: Self = Self(ptr::null());
    pub const LISTEN: Self = Self((&raw const LISTEN).cast());
    pub const CONNECTION: Self = Self((&raw const CONNECTION).cast());
    pub const STREAM: Self = Self((&raw const STREAM).cast());

    /// A table of nulls, long enough for any category.
    pub const EMPTY: Self = Self((&raw const NOTHING).cast());
}

static NOTHING: [usize; 4] = [0; 4];

static LISTEN: WSK_CLIENT_LISTEN_DISPATCH = WSK_CLIENT_LISTEN_DISPATCH {
    WskAcceptEvent: Some(accept_event),
    WskInspectEvent: Some(inspect_event),
    WskAbortEvent: Some(abort_event),
};

static CONNECTION: WSK_CLIENT_CONNECTION_DISPATCH = WSK_CLIENT_CONNECTION_DISPATCH {
    WskReceiveEvent: Some(receive_event),
    WskDisconnectEvent: Some(disconnect_event),
    WskSendBacklogEvent: Some(backlog_event),
};

struct StreamTable(
    #[expect(dead_code, reason = "read by the provider")] WSK_CLIENT_STREAM_DISPATCH,
);

// SAFETY: it points to statics.
unsafe impl Sync for StreamTable {}

static STREAM: StreamTable = StreamTable(WSK_CLIENT_STREAM_DISPATCH {
    Listen: &raw const LISTEN,
    Connect: &raw const CONNECTION,
});

/// The handlers behind a context of a listening socket.
///
/// # Safety
///
/// The context is that of a socket with the table `Table::LISTEN`.
unsafe fn listening<'a>(context: PVOID) -> &'a ListenHandlers {
    // SAFETY: promised by the caller; the test keeps the handlers until the socket is closed.
    unsafe { &*context.cast() }
}

/// As `listening`, for connections.
///
/// # Safety
///
/// The context is that of a socket with the table `Table::CONNECTION`.
unsafe fn connected<'a>(context: PVOID) -> &'a ConnectionHandlers {
    // SAFETY: promised by the caller; the test keeps the handlers until the socket is closed.
    unsafe { &*context.cast() }
}

unsafe extern "C" fn accept_event(
    context: PVOID,
    flags: ULONG,
    local: PSOCKADDR,
    remote: PSOCKADDR,
    socket: PWSK_SOCKET,
    accepted_context: *mut PVOID,
    dispatch: *mut *const WSK_CLIENT_CONNECTION_DISPATCH,
) -> NTSTATUS {
    let offer = Offer {
        socket: (!socket.is_null()).then_some(Socket(socket)),
        flags,
        local,
        remote,
        context: accepted_context,
        dispatch,
    };
    // SAFETY: the context of a listening socket.
    (unsafe { listening(context) }.accept)(offer)
}

unsafe extern "C" fn inspect_event(
    context: PVOID,
    local: PSOCKADDR,
    remote: PSOCKADDR,
    id: PWSK_INSPECT_ID,
) -> Action {
    let inspection = (!id.is_null()).then(|| Inspection {
        // SAFETY: valid during the call.
        id: Id::of(unsafe { id.read() }),
        lent: id,
        // SAFETY: as above.
        local: unsafe { Address::read(local) },
        // SAFETY: as above.
        remote: unsafe { Address::read(remote) },
    });
    // SAFETY: the context of a listening socket.
    (unsafe { listening(context) }.inspect)(inspection)
}

unsafe extern "C" fn abort_event(context: PVOID, id: PWSK_INSPECT_ID) -> NTSTATUS {
    // SAFETY: valid during the call.
    let id = Id::of(unsafe { id.read() });
    // SAFETY: the context of a listening socket.
    (unsafe { listening(context) }.abort)(id)
}

unsafe extern "C" fn receive_event(
    context: PVOID,
    flags: ULONG,
    list: PWSK_DATA_INDICATION,
    indicated: SIZE_T,
    accepted: *mut SIZE_T,
) -> NTSTATUS {
    let indication = Indication {
        flags,
        list: List(list),
        length: usize::try_from(indicated).unwrap_or(usize::MAX),
        accepted,
    };
    // SAFETY: the context of a connection.
    (unsafe { connected(context) }.receive)(indication)
}

unsafe extern "C" fn disconnect_event(context: PVOID, flags: ULONG) -> NTSTATUS {
    // SAFETY: the context of a connection.
    (unsafe { connected(context) }.disconnect)(flags)
}

unsafe extern "C" fn backlog_event(context: PVOID, ideal: SIZE_T) -> NTSTATUS {
    let ideal = usize::try_from(ideal).unwrap_or(usize::MAX);
    // SAFETY: the context of a connection.
    (unsafe { connected(context) }.backlog)(ideal)
}

/// What `WskAcceptEvent` is called with.
pub struct Offer {
    /// None: the listening socket is dead.
    pub socket: Option<Socket>,
    pub flags: ULONG,
    pub local: PSOCKADDR,
    pub remote: PSOCKADDR,
    context: *mut PVOID,
    dispatch: *mut *const WSK_CLIENT_CONNECTION_DISPATCH,
}

impl Offer {
    /// The local and the remote address.
    pub fn addresses(&self) -> (SocketAddr, SocketAddr) {
        // SAFETY: valid during the call.
        let local = unsafe { Address::read(self.local) };
        // SAFETY: as above.
        (local, unsafe { Address::read(self.remote) })
    }

    /// Gives the new socket a context and a table.
    pub fn answer(&self, context: *const c_void, table: Table) {
        // SAFETY: a place for the answer.
        unsafe { self.context.write(context.cast_mut()) };
        // SAFETY: as above.
        unsafe { self.dispatch.write(table.0.cast()) };
    }

    /// Accepts the socket without events.
    pub fn accept(&self) -> NTSTATUS {
        self.answer(ptr::null(), Table::NONE);
        STATUS_SUCCESS
    }

    /// Accepts the socket with the handlers of `connection`.
    pub fn accept_with(&self, connection: &ConnectionHandlers) -> NTSTATUS {
        self.answer(ptr::from_ref(connection).cast(), Table::CONNECTION);
        STATUS_SUCCESS
    }
}

/// A `WSK_INSPECT_ID`, by its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    pub key: u64,
    pub serial: u32,
}

impl Id {
    fn of(id: WSK_INSPECT_ID) -> Self {
        Self {
            key: id.Key,
            serial: id.SerialNumber,
        }
    }

    pub fn to_c(self) -> WSK_INSPECT_ID {
        WSK_INSPECT_ID {
            Key: self.key,
            SerialNumber: self.serial,
        }
    }
}

/// What `WskInspectEvent` is called with.
#[derive(Clone, Copy)]
pub struct Inspection {
    pub id: Id,
    /// Where the provider has the ID, during the call.
    pub lent: PWSK_INSPECT_ID,
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

// SAFETY: the tests say who uses the pointer when.
unsafe impl Send for Inspection {}

/// A list of data indications, by its head.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct List(pub PWSK_DATA_INDICATION);

// SAFETY: a list may be read and released by any thread [wsk 8.2].
unsafe impl Send for List {}

/// What a list looks like.
#[derive(Default)]
pub struct Shape {
    pub data: Vec<u8>,
    pub indications: usize,
    pub mdls: usize,
    pub offsets: usize,
}

impl List {
    /// Reads the list: the offset of a `WSK_BUF` counts in its first MDL only [wsk 8.9].
    pub fn shape(self) -> Shape {
        let mut shape = Shape::default();
        let mut next = self.0;
        while !next.is_null() {
            // SAFETY: the list is valid during the call, and while it is retained.
            let indication = unsafe { next.read() };
            let (mut mdl, mut offset) = (indication.Buffer.Mdl, indication.Buffer.Offset as usize);
            let mut left = usize::try_from(indication.Buffer.Length).unwrap();
            shape.indications += 1;
            shape.offsets += usize::from(offset > 0);
            while left > 0 {
                shape.mdls += 1;
                // SAFETY: as above.
                let count = unsafe { (*mdl).ByteCount } as usize - offset;
                // SAFETY: as above.
                let start = unsafe { MmGetSystemAddressForMdlSafe(mdl, 16) }.cast::<u8>();
                let start = start.wrapping_add(offset);
                let count = count.min(left);
                // SAFETY: the MDL describes at least so many bytes after the offset.
                shape
                    .data
                    .extend(unsafe { core::slice::from_raw_parts(start, count) });
                left -= count;
                offset = 0;
                // SAFETY: as above.
                mdl = unsafe { (*mdl).Next };
            }
            next = indication.Next;
        }
        shape
    }

    pub fn data(self) -> Vec<u8> {
        self.shape().data
    }

    /// The second indication of the list, if there is one.
    pub fn second(self) -> Option<Self> {
        // SAFETY: the list is valid.
        let next = unsafe { (*self.0).Next };
        (!next.is_null()).then_some(Self(next))
    }

    /// The description of the first indication's data.
    pub fn buffer(self) -> wsk_sys::WSK_BUF {
        // SAFETY: the list is valid.
        unsafe { (*self.0).Buffer }
    }
}

/// What `WskReceiveEvent` is called with.
pub struct Indication {
    pub flags: ULONG,
    pub list: List,
    pub length: usize,
    accepted: *mut SIZE_T,
}

impl Indication {
    /// The socket is dead.
    pub fn is_death(&self) -> bool {
        self.list.0.is_null()
    }

    /// Tells how many bytes are accepted.
    pub fn accept(&self, count: usize) -> NTSTATUS {
        // SAFETY: a place for the count.
        unsafe { self.accepted.write(count as SIZE_T) };
        STATUS_SUCCESS
    }
}

/// An IRP that is ready for a request, for a handler that makes it.
#[derive(Clone, Copy)]
pub struct Packet(PIRP);

// SAFETY: the tests say who uses it when.
unsafe impl Send for Packet {}
// SAFETY: as above.
unsafe impl Sync for Packet {}

impl Packet {
    pub fn of(io: &mut Io) -> Self {
        Self(io.prepare())
    }

    pub fn get(self) -> PIRP {
        self.0
    }
}

/// Whether this callback was called at `PASSIVE_LEVEL`.
pub fn is_passive() -> bool {
    // SAFETY: there are no conditions.
    unsafe { KeGetCurrentIrql() == 0 }
}

/// What handlers tell a test, in order. A handler at `PASSIVE_LEVEL` may take from one as well.
pub struct Queue<T> {
    items: Mutex<VecDeque<T>>,
    count: Box<UnsafeCell<KSEMAPHORE>>,
}

// SAFETY: only the kernel's functions touch the semaphore.
unsafe impl<T: Send> Sync for Queue<T> {}
// SAFETY: as above; it stays in its box.
unsafe impl<T: Send> Send for Queue<T> {}

impl<T> Queue<T> {
    pub fn new() -> Arc<Self> {
        // SAFETY: initialised below.
        let count = unsafe { Box::new(MaybeUninit::zeroed().assume_init()) };
        let queue = Self {
            items: Mutex::default(),
            count,
        };
        // SAFETY: the semaphore has its place.
        unsafe { KeInitializeSemaphore(queue.count.get(), 0, i32::MAX) };
        Arc::new(queue)
    }

    pub fn push(&self, item: T) {
        self.items.lock().unwrap().push_back(item);
        // SAFETY: the semaphore is initialised; nobody waits at once.
        unsafe { KeReleaseSemaphore(self.count.get(), 0, 1, 0) };
    }

    /// Waits for the next.
    pub fn pop(&self) -> T {
        // SAFETY: the semaphore is initialised.
        let _ = unsafe { KeWaitForSingleObject(self.count.get().cast(), 0, 0, 0, ptr::null_mut()) };
        self.take()
    }

    /// Waits for the next, but not for longer than a second.
    pub fn pop_soon(&self) -> Option<T> {
        let mut limit = LARGE_INTEGER {
            QuadPart: -10_000_000,
        };
        let semaphore = self.count.get().cast();
        // SAFETY: the semaphore is initialised.
        let status = unsafe { KeWaitForSingleObject(semaphore, 0, 0, 0, &raw mut limit) };
        (status != STATUS_TIMEOUT).then(|| self.take())
    }

    fn take(&self) -> T {
        let item = self.items.lock().unwrap().pop_front();
        item.expect("one item for each release of the semaphore")
    }

    pub fn len(&self) -> usize {
        self.items.lock().unwrap().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Clone> Queue<T> {
    /// What is in it now.
    pub fn items(&self) -> Vec<T> {
        self.items.lock().unwrap().iter().cloned().collect()
    }
}
