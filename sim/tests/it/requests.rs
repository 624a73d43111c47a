//! More requests of the client in the manner of C: options, events, and what belongs to them.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use core::ffi::c_void;
use core::ptr;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use wdk_sys::ntddk::KeSetEvent;
use wdk_sys::{
    KEVENT, NTSTATUS, PDEVICE_OBJECT, PIRP, PVOID, SIZE_T, STATUS_MORE_PROCESSING_REQUIRED, ULONG,
};
use wsk_sim::{Peer, Sim};
use wsk_sys::{
    IPPROTO, IoSetCompletionRoutine, NPI_WSK_INTERFACE_ID, SO_CONDITIONAL_ACCEPT,
    SO_WSK_EVENT_CALLBACK, SOCK_STREAM, SOL_SOCKET, WSK_CONTROL_SOCKET_TYPE,
    WSK_EVENT_CALLBACK_CONTROL, WSK_EVENT_DISABLE, WSK_FLAG_CONNECTION_SOCKET,
    WSK_FLAG_LISTEN_SOCKET, WSK_PROVIDER_STREAM_DISPATCH_FULL,
};

use crate::common::{Address, Client, Io, Memory, Outcome, Socket};
use crate::handlers::{Action, ConnectionHandlers, Id, List, ListenHandlers, Table};

/// A control operation with an input, and perhaps an IRP.
fn control(
    socket: Socket,
    (level, code): (ULONG, ULONG),
    input: *const c_void,
    size: usize,
    irp: PIRP,
) -> NTSTATUS {
    let control = socket.listen_table().Basic.WskControlSocket.unwrap();
    // SAFETY: a complete request; every table begins with WskControlSocket.
    unsafe {
        control(
            socket.0,
            WSK_CONTROL_SOCKET_TYPE::WskSetOption,
            code,
            level,
            size as SIZE_T,
            input.cast_mut(),
            0,
            ptr::null_mut(),
            ptr::null_mut(),
            irp,
        )
    }
}

fn event_control(mask: ULONG) -> WSK_EVENT_CALLBACK_CONTROL {
    WSK_EVENT_CALLBACK_CONTROL {
        NpiId: (&raw const NPI_WSK_INTERFACE_ID).cast_mut(),
        EventMask: mask,
    }
}

impl Socket {
    /// Sets `SO_WSK_EVENT_CALLBACK` without an IRP.
    pub fn set_events(self, mask: ULONG) -> NTSTATUS {
        self.start_set_events(mask, ptr::null_mut())
    }

    pub fn start_set_events(self, mask: ULONG, irp: PIRP) -> NTSTATUS {
        let input = event_control(mask);
        let size = size_of_val(&input);
        let option = (SOL_SOCKET, SO_WSK_EVENT_CALLBACK);
        control(self, option, (&raw const input).cast(), size, irp)
    }

    /// Disables an event without an IRP.
    pub fn disable(self, event: ULONG) -> NTSTATUS {
        self.set_events(event | WSK_EVENT_DISABLE)
    }

    /// Sets an option that is a `ULONG`.
    pub fn set_option(self, io: &mut Io, level: ULONG, code: ULONG, value: ULONG) -> Outcome {
        let value = Box::new(value);
        io.call(|irp| {
            let input = (&raw const *value).cast();
            control(self, (level, code), input, size_of::<ULONG>(), irp)
        })
    }

    pub fn release(self, list: List) -> NTSTATUS {
        let release = self.table().WskRelease.unwrap();
        // SAFETY: a complete request.
        unsafe { release(self.0, list.0) }
    }

    pub fn inspect_complete(self, io: &mut Io, id: Id, action: Action) -> Outcome {
        let mut id = id.to_c();
        io.call(|irp| self.start_inspect_complete(&raw mut id, action, irp))
    }

    pub fn start_inspect_complete(
        self,
        id: wsk_sys::PWSK_INSPECT_ID,
        action: Action,
        irp: PIRP,
    ) -> NTSTATUS {
        let complete = self.listen_table().WskInspectComplete.unwrap();
        // SAFETY: a complete request.
        unsafe { complete(self.0, id, action, irp) }
    }

    /// `WskAccept` with places for both addresses.
    pub fn start_accept_to(
        self,
        context: *const c_void,
        table: Table,
        addresses: &mut [Address; 2],
        irp: PIRP,
    ) -> NTSTATUS {
        let accept = self.listen_table().WskAccept.unwrap();
        let [local, remote] = addresses;
        // SAFETY: a complete request.
        unsafe {
            accept(
                self.0,
                0,
                context.cast_mut(),
                table.0.cast(),
                local.pointer(),
                remote.pointer(),
                irp,
            )
        }
    }

    pub fn connect_ex(
        self,
        io: &mut Io,
        remote: SocketAddr,
        data: Option<&Memory>,
        flags: ULONG,
    ) -> Outcome {
        let mut remote = Address::of(remote);
        let mut buffer = data.map(|memory| memory.buffer(0, memory.length));
        let buffer = buffer.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
        let connect = self.table().WskConnectEx.unwrap();
        // SAFETY: a complete request.
        io.call(|irp| unsafe { connect(self.0, remote.pointer(), buffer, flags, irp) })
    }

    pub fn start_connect(self, remote: &mut Address, irp: PIRP) -> NTSTATUS {
        let connect = self.table().WskConnect.unwrap();
        // SAFETY: a complete request.
        unsafe { connect(self.0, remote.pointer(), 0, irp) }
    }

    /// `WskDisconnect` with the last data.
    pub fn start_disconnect(self, last: Option<&Memory>, flags: ULONG, irp: PIRP) -> NTSTATUS {
        let mut buffer = last.map(|memory| memory.buffer(0, memory.length));
        let buffer = buffer.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
        let disconnect = self.table().WskDisconnect.unwrap();
        // SAFETY: a complete request.
        unsafe { disconnect(self.0, buffer, flags, irp) }
    }

    /// `WskSend` of a part of a buffer.
    pub fn start_send_of(self, mut buffer: wsk_sys::WSK_BUF, flags: ULONG, irp: PIRP) -> NTSTATUS {
        let send = self.table().WskSend.unwrap();
        // SAFETY: a complete request.
        unsafe { send(self.0, &raw mut buffer, flags, irp) }
    }

    /// `WskReceive` into nothing.
    pub fn receive_nothing(self, io: &mut Io, flags: ULONG) -> Outcome {
        io.call(|irp| self.start_receive_nothing(flags, irp))
    }

    pub fn start_receive_nothing(self, flags: ULONG, irp: PIRP) -> NTSTATUS {
        let receive = self.table().WskReceive.unwrap();
        let mut buffer = wsk_sys::WSK_BUF::default();
        // SAFETY: a complete request.
        unsafe { receive(self.0, &raw mut buffer, flags, irp) }
    }

    /// The local address, or the remote one.
    pub fn address(self, io: &mut Io, remote: bool) -> Result<SocketAddr, NTSTATUS> {
        let table = self.table();
        let get = if remote {
            table.WskGetRemoteAddress
        } else {
            table.WskGetLocalAddress
        };
        let (get, mut address) = (get.unwrap(), Box::new(Address::empty()));
        // SAFETY: a complete request.
        let (status, _) = io.call(|irp| unsafe { get(self.0, address.pointer(), irp) });
        if status == 0 {
            // SAFETY: the provider has written an address.
            Ok(unsafe { Address::read(address.pointer()) })
        } else {
            Err(status)
        }
    }
}

/// The calls of stream sockets, whose table has an order of its own.
impl Socket {
    pub fn stream_table(self) -> &'static WSK_PROVIDER_STREAM_DISPATCH_FULL {
        // SAFETY: a stream socket.
        let table = unsafe { (*self.0).Dispatch };
        // SAFETY: a stream socket's table.
        unsafe { &*table.cast() }
    }

    /// The table as an array of addresses.
    pub fn slots<const N: usize>(self) -> [usize; N] {
        let table = ptr::from_ref(self.stream_table());
        assert_eq!(size_of_val(self.stream_table()), size_of::<[usize; N]>());
        // SAFETY: the table consists of that many pointers.
        unsafe { table.cast::<[usize; N]>().read() }
    }

    pub fn listen(self, io: &mut Io) -> Outcome {
        let listen = self.stream_table().WskListen.unwrap();
        // SAFETY: a complete request.
        io.call(|irp| unsafe { listen(self.0, irp) })
    }

    pub fn accept_as_stream(self, io: &mut Io) -> Outcome {
        let accept = self.stream_table().WskAccept.unwrap();
        let (null, place) = (ptr::null_mut::<c_void>(), ptr::null_mut);
        // SAFETY: a complete request.
        io.call(|irp| unsafe { accept(self.0, 0, null, ptr::null(), place(), place(), irp) })
    }

    pub fn connect_as_stream(self, io: &mut Io, remote: SocketAddr) -> Outcome {
        let mut remote = Address::of(remote);
        let connect = self.stream_table().WskConnect.unwrap();
        // SAFETY: a complete request.
        io.call(|irp| unsafe { connect(self.0, remote.pointer(), 0, irp) })
    }

    pub fn connect_ex_as_stream(self, io: &mut Io, remote: SocketAddr) -> Outcome {
        let mut remote = Address::of(remote);
        let connect = self.stream_table().WskConnectEx.unwrap();
        let nothing = ptr::null_mut();
        // SAFETY: a complete request.
        io.call(|irp| unsafe { connect(self.0, remote.pointer(), nothing, 0, irp) })
    }

    pub fn start_send_as_stream(self, memory: &Memory, irp: PIRP) -> NTSTATUS {
        let send = self.stream_table().WskSend.unwrap();
        let mut buffer = memory.buffer(0, memory.length);
        // SAFETY: a complete request.
        unsafe { send(self.0, &raw mut buffer, 0, irp) }
    }
}

/// Where the listening sockets of these tests are.
pub const ADDRESS: &str = "127.0.0.1:7";

impl Client {
    /// A listening socket at `ADDRESS`, whose events are disabled; with `conditional` it inspects.
    pub fn listener_with(
        &self,
        io: &mut Io,
        handlers: &ListenHandlers,
        conditional: bool,
    ) -> Socket {
        let socket = self.unbound_listener(io, handlers);
        if conditional {
            let outcome = socket.set_option(io, SOL_SOCKET, SO_CONDITIONAL_ACCEPT, 1);
            assert_eq!(outcome.0, 0);
        }
        assert_eq!(socket.bind(io, ADDRESS.parse().unwrap()).0, 0);
        socket
    }

    pub fn unbound_listener(&self, io: &mut Io, handlers: &ListenHandlers) -> Socket {
        let context = ptr::from_ref(handlers).cast();
        self.open(io, WSK_FLAG_LISTEN_SOCKET, context, Table::LISTEN)
    }

    /// A socket for IPv4.
    pub fn open(&self, io: &mut Io, flags: u32, context: *const c_void, table: Table) -> Socket {
        let (status, socket) = self.try_socket_with(io, flags, false, context, table.0);
        assert_eq!(status, 0);
        Socket::new(socket)
    }

    /// A socket that is connected to a listening peer, and that peer's end. Its events are
    /// disabled.
    pub fn connection_with(
        &self,
        sim: &Sim,
        io: &mut Io,
        handlers: &ConnectionHandlers,
    ) -> (Socket, Peer) {
        let context = ptr::from_ref(handlers).cast();
        let socket = self.open(io, WSK_FLAG_CONNECTION_SOCKET, context, Table::CONNECTION);
        assert_eq!(socket.bind(io, "127.0.0.1:0".parse().unwrap()).0, 0);
        let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(socket.connect(io, server.local_addr()).0, 0);
        (socket, server.accept())
    }
}

/// The bytes that a connection has given, in the order in which its client got them.
pub type Bytes = Arc<Mutex<Vec<u8>>>;

/// A `WskReceive` whose completion routine enters what has come, so that nothing that comes later
/// is entered before.
pub struct RecordedReceive {
    io: Io,
    record: Box<Record>,
}

struct Record {
    memory: Memory,
    stream: Bytes,
    event: *mut KEVENT,
}

impl RecordedReceive {
    pub fn new(length: usize, stream: &Bytes) -> Self {
        let mut io = Io::new();
        let record = Box::new(Record {
            memory: Memory::new(length),
            stream: Arc::clone(stream),
            event: &raw mut *io.event,
        });
        Self { io, record }
    }

    pub fn start(&mut self, socket: Socket, flags: ULONG) -> NTSTATUS {
        let irp = self.io.prepare();
        let context = (&raw mut *self.record).cast();
        // SAFETY: the IRP has one stack location; the record stays until `wait`.
        unsafe { IoSetCompletionRoutine(irp, Some(record), context, true, true, true) };
        socket.start_receive(&self.record.memory, flags, irp)
    }

    pub fn cancel(&mut self) {
        self.io.cancel();
    }

    pub fn wait(mut self) -> Outcome {
        self.io.wait()
    }
}

unsafe extern "C" fn record(_: PDEVICE_OBJECT, irp: PIRP, context: PVOID) -> NTSTATUS {
    // SAFETY: the context is the record of the request.
    let record = unsafe { &*context.cast::<Record>() };
    // SAFETY: the IRP is complete.
    let status = unsafe { (*irp).IoStatus };
    let count = usize::try_from(status.Information).unwrap_or(0);
    // SAFETY: every value of the union is a status.
    if unsafe { status.__bindgen_anon_1.Status } >= 0 {
        let data = record.memory.read(count);
        record.stream.lock().unwrap().extend(data);
    }
    // SAFETY: the event of the request.
    unsafe { KeSetEvent(record.event, 0, 0) };
    STATUS_MORE_PROCESSING_REQUIRED
}

/// What `WskSocketConnect` is called with.
pub struct SocketConnect {
    pub local: Address,
    pub remote: Address,
    pub flags: ULONG,
    pub context: *const c_void,
    pub table: Table,
}

impl SocketConnect {
    pub fn new(local: &str, remote: SocketAddr) -> Self {
        Self {
            local: Address::of(local.parse().unwrap()),
            remote: Address::of(remote),
            flags: 0,
            context: ptr::null(),
            table: Table::NONE,
        }
    }

    pub fn start(&mut self, client: &Client, irp: PIRP) -> NTSTATUS {
        // SAFETY: the provider's table is valid while it is captured.
        let connect = unsafe { (*client.npi.Dispatch).WskSocketConnect }.unwrap();
        // SAFETY: a complete request.
        unsafe {
            connect(
                client.npi.Client,
                u16::try_from(SOCK_STREAM).unwrap(),
                IPPROTO::IPPROTO_TCP.cast_unsigned(),
                self.local.pointer(),
                self.remote.pointer(),
                self.flags,
                self.context.cast_mut(),
                self.table.0.cast(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                irp,
            )
        }
    }

    pub fn call(&mut self, client: &Client, io: &mut Io) -> Outcome {
        io.call(|irp| self.start(client, irp))
    }
}
