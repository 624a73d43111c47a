//! Datagram sockets of the client in the manner of C, and its event callback.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use core::ffi::c_void;
use core::mem::{MaybeUninit, offset_of};
use core::ptr;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

use wdk_sys::ntddk::{KeInitializeEvent, KeSetEvent, KeWaitForSingleObject};
use wdk_sys::{KEVENT, NTSTATUS, PIRP, PVOID, STATUS_SUCCESS, ULONG};
use wsk_sys::{
    AF_INET, AF_INET6, IPPROTO, NPI_WSK_INTERFACE_ID, PSOCKADDR, PWSK_DATAGRAM_INDICATION,
    PWSK_SOCKET, SO_WSK_EVENT_CALLBACK, SOCK_DGRAM, SOL_SOCKET, WSK_BUF, WSK_BUF_LIST,
    WSK_CLIENT_DATAGRAM_DISPATCH, WSK_CONTROL_SOCKET_TYPE, WSK_DATAGRAM_INDICATION,
    WSK_EVENT_CALLBACK_CONTROL, WSK_EVENT_DISABLE, WSK_EVENT_RECEIVE_FROM,
    WSK_FLAG_DATAGRAM_SOCKET, WSK_PROVIDER_DATAGRAM_DISPATCH_FULL,
};

use crate::common::{Address, Client, Io, Memory, Outcome};

/// A synchronisation event.
pub struct Signal(Box<KEVENT>);

// SAFETY: an event may be set and waited for by any thread.
unsafe impl Send for Signal {}
// SAFETY: as above.
unsafe impl Sync for Signal {}

impl Signal {
    pub fn new() -> Self {
        // SAFETY: an event is initialised below.
        let mut event: Box<KEVENT> = unsafe { Box::new(MaybeUninit::zeroed().assume_init()) };
        // SAFETY: the event has its place.
        unsafe { KeInitializeEvent(&raw mut *event, 1, 0) };
        Self(event)
    }

    fn pointer(&self) -> *mut KEVENT {
        ptr::from_ref(&*self.0).cast_mut()
    }

    pub fn set(&self) {
        // SAFETY: the event is initialised.
        unsafe { KeSetEvent(self.pointer(), 0, 0) };
    }

    pub fn wait(&self) {
        // SAFETY: the event is initialised.
        let _ = unsafe { KeWaitForSingleObject(self.pointer().cast(), 0, 0, 0, ptr::null_mut()) };
    }
}

/// One datagram as the event callback, or a receive request, has seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub data: Vec<u8>,
    pub from: SocketAddr,
    /// Level, type and data of each control object.
    pub control: Vec<(u32, u32, Vec<u8>)>,
    pub flags: u32,
}

impl Seen {
    /// The address in the first control object, which is `IN_PKTINFO` or `IN6_PKTINFO`.
    pub fn control_address(&self) -> IpAddr {
        let info = &self.control[0].2;
        if let Ok(v6) = <[u8; 16]>::try_from(&info[..info.len() - 4]) {
            return v6.into();
        }
        <[u8; 4]>::try_from(&info[..4]).unwrap().into()
    }
}

type Answer = dyn Fn(&Receiver, PWSK_DATAGRAM_INDICATION) -> NTSTATUS + Send + Sync;

/// The socket context: what the event callback has seen, and how it answers.
pub struct Receiver {
    seen: Mutex<Vec<Seen>>,
    /// How many datagrams each call brought; 0 for a dead socket.
    calls: Mutex<Vec<usize>>,
    changed: Signal,
    answer: Box<Answer>,
}

#[expect(clippy::unnecessary_box_returns, reason = "the context does not move")]
impl Receiver {
    /// A callback that answers with what `answer` says.
    pub fn new(
        answer: impl Fn(&Self, PWSK_DATAGRAM_INDICATION) -> NTSTATUS + Send + Sync + 'static,
    ) -> Box<Self> {
        Box::new(Self {
            seen: Mutex::default(),
            calls: Mutex::default(),
            changed: Signal::new(),
            answer: Box::new(answer),
        })
    }

    /// A callback that takes everything.
    pub fn taking() -> Box<Self> {
        Self::new(|_, _| STATUS_SUCCESS)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn calls(&self) -> Vec<usize> {
        self.calls.lock().unwrap().clone()
    }

    /// Wakes whoever waits, as the end of a call does.
    pub fn signal(&self) {
        self.changed.set();
    }

    /// Waits for the next signal.
    pub fn wait(&self) {
        self.changed.wait();
    }

    /// Waits until the callback was called so often.
    pub fn wait_for_calls(&self, count: usize) -> Vec<usize> {
        while self.calls().len() < count {
            self.changed.wait();
        }
        self.calls()
    }

    /// Waits for so many datagrams.
    pub fn wait_for(&self, count: usize) -> Vec<Seen> {
        while self.seen().len() < count {
            self.changed.wait();
        }
        self.seen()
    }
}

unsafe extern "C" fn receive_from_event(
    context: PVOID,
    flags: ULONG,
    list: PWSK_DATAGRAM_INDICATION,
) -> NTSTATUS {
    // SAFETY: the context is the receiver, which outlives the socket.
    let receiver = unsafe { &*context.cast::<Receiver>() };
    // SAFETY: the list is valid during the call.
    let seen = unsafe { read_list(list, flags) };
    let status = (receiver.answer)(receiver, list);
    receiver.calls.lock().unwrap().push(seen.len());
    receiver.seen.lock().unwrap().extend(seen);
    receiver.changed.set();
    status
}

/// Reads a list of indications.
///
/// # Safety
///
/// The list is valid.
pub unsafe fn read_list(list: PWSK_DATAGRAM_INDICATION, flags: u32) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut next = list;
    while !next.is_null() {
        // SAFETY: promised by the caller.
        let node = unsafe { next.read() };
        // SAFETY: as above.
        seen.push(unsafe { read_node(&node, flags) });
        next = node.Next;
    }
    seen
}

/// # Safety
///
/// The indication is valid.
unsafe fn read_node(node: &WSK_DATAGRAM_INDICATION, flags: u32) -> Seen {
    let length = node.ControlInfoLength as usize;
    let control = if node.ControlInfo.is_null() {
        Vec::new()
    } else {
        assert!(node.ControlInfo.is_aligned(), "control data is aligned");
        // SAFETY: promised by the caller.
        unsafe { core::slice::from_raw_parts(node.ControlInfo.cast::<u8>(), length) }.to_vec()
    };
    // SAFETY: there is room for an address of any family.
    let from = unsafe { node.RemoteAddress.cast::<[u8; 28]>().read() };
    Seen {
        // SAFETY: promised by the caller.
        data: unsafe { read_buffer(&node.Buffer) },
        from: Address(from).to_socket(),
        control: control_objects(&control),
        flags,
    }
}

/// Gathers what a `WSK_BUF` describes: the offset is that of the first MDL [wsk 8.9].
///
/// # Safety
///
/// The buffer is valid.
unsafe fn read_buffer(buffer: &WSK_BUF) -> Vec<u8> {
    let mut data = Vec::new();
    let (mut mdl, mut offset) = (buffer.Mdl, buffer.Offset as usize);
    let mut left = usize::try_from(buffer.Length).unwrap();
    while left > 0 {
        // SAFETY: promised by the caller: the chain is long enough.
        let description = unsafe { mdl.read() };
        let count = (description.ByteCount as usize - offset).min(left);
        // SAFETY: as above; MDLs of indications are mapped.
        let start = unsafe { description.MappedSystemVa.cast::<u8>().add(offset) };
        // SAFETY: as above.
        data.extend(unsafe { core::slice::from_raw_parts(start, count) });
        left -= count;
        offset = 0;
        mdl = description.Next;
    }
    data
}

/// Takes control data apart.
pub fn control_objects(data: &[u8]) -> Vec<(u32, u32, Vec<u8>)> {
    let word = |at: usize| u32::from_ne_bytes(data[at..at + 4].try_into().unwrap());
    let mut objects = Vec::new();
    let mut at = 0;
    while at < data.len() {
        let length = usize::from_ne_bytes(data[at..at + 8].try_into().unwrap());
        let value = data[at + 16..at + length].to_vec();
        objects.push((word(at + 8), word(at + 12), value));
        at += length.next_multiple_of(8);
    }
    objects
}

/// Puts control data together.
pub fn control_data(objects: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    for (level, kind, value) in objects {
        data.extend((16 + value.len()).to_ne_bytes());
        data.extend(level.to_ne_bytes());
        data.extend(kind.to_ne_bytes());
        data.extend(*value);
        data.resize(data.len().next_multiple_of(8), 0);
    }
    data
}

static DISPATCH: WSK_CLIENT_DATAGRAM_DISPATCH = WSK_CLIENT_DATAGRAM_DISPATCH {
    WskReceiveFromEvent: Some(receive_from_event),
};

/// A datagram socket's address, without any claim.
#[derive(Clone, Copy)]
pub struct DatagramSocket(pub PWSK_SOCKET);

// SAFETY: the tests say which thread does what.
unsafe impl Send for DatagramSocket {}
// SAFETY: as above.
unsafe impl Sync for DatagramSocket {}

/// Everything that a call of `WskReceiveFrom` points to.
pub struct Incoming {
    pub memory: Memory,
    pub from: Box<Address>,
    pub control: Vec<u64>,
    pub control_length: Box<u32>,
    pub flags: Box<u32>,
}

impl Incoming {
    /// Room for so many bytes of data, and of control data.
    pub fn new(length: usize, control: usize) -> Self {
        Self {
            memory: Memory::new(length.max(1)),
            from: Box::new(Address([0; 28])),
            control: vec![0; control.div_ceil(8)],
            control_length: Box::new(u32::try_from(control).unwrap()),
            flags: Box::new(0),
        }
    }

    /// What a request that gave so many bytes has left here.
    pub fn seen(&self, count: usize) -> Seen {
        let bytes: Vec<u8> = self.control.iter().flat_map(|w| w.to_ne_bytes()).collect();
        let length = (*self.control_length as usize).min(bytes.len());
        Seen {
            data: self.memory.read(count),
            from: self.from.to_socket(),
            control: control_objects(&bytes[..length]),
            flags: *self.flags,
        }
    }
}

impl Client {
    /// A datagram socket without events, bound.
    pub fn datagram(&self, io: &mut Io, local: &str) -> DatagramSocket {
        let local = local.parse().unwrap();
        let socket = self.datagram_unbound(io, local, ptr::null_mut());
        assert_eq!(socket.bind(io, local).0, STATUS_SUCCESS);
        socket
    }

    /// A datagram socket whose events go to a receiver, bound.
    pub fn datagram_for(&self, io: &mut Io, local: &str, receiver: &Receiver) -> DatagramSocket {
        let local = local.parse().unwrap();
        let context = ptr::from_ref(receiver).cast_mut().cast();
        let socket = self.datagram_unbound(io, local, context);
        assert_eq!(socket.bind(io, local).0, STATUS_SUCCESS);
        socket
    }

    /// A datagram socket of the family of an address; without a context it has no events.
    pub fn datagram_unbound(
        &self,
        io: &mut Io,
        local: SocketAddr,
        context: PVOID,
    ) -> DatagramSocket {
        let table: *const WSK_CLIENT_DATAGRAM_DISPATCH = if context.is_null() {
            ptr::null()
        } else {
            &raw const DISPATCH
        };
        self.datagram_with(io, local, context, table)
    }

    /// A datagram socket with a table of the test's own.
    pub fn datagram_with(
        &self,
        io: &mut Io,
        local: SocketAddr,
        context: PVOID,
        table: *const WSK_CLIENT_DATAGRAM_DISPATCH,
    ) -> DatagramSocket {
        let (status, information) = self.make_datagram(io, local, context, table);
        assert_eq!(status, STATUS_SUCCESS);
        DatagramSocket(ptr::with_exposed_provenance_mut(information))
    }

    /// A datagram socket, unless making it fails.
    pub fn try_datagram(&self, io: &mut Io, local: SocketAddr) -> Option<DatagramSocket> {
        let (status, information) = self.make_datagram(io, local, ptr::null_mut(), ptr::null());
        let pointer = ptr::with_exposed_provenance_mut(information);
        (status == STATUS_SUCCESS).then_some(DatagramSocket(pointer))
    }

    fn make_datagram(
        &self,
        io: &mut Io,
        local: SocketAddr,
        context: PVOID,
        table: *const WSK_CLIENT_DATAGRAM_DISPATCH,
    ) -> Outcome {
        // SAFETY: the provider's table is valid while it is captured.
        let socket = unsafe { (*self.npi.Dispatch).WskSocket }.unwrap();
        let family = if local.is_ipv6() { AF_INET6 } else { AF_INET };
        io.call(|irp| {
            // SAFETY: a complete request.
            unsafe {
                socket(
                    self.npi.Client,
                    u16::try_from(family).unwrap(),
                    u16::try_from(SOCK_DGRAM).unwrap(),
                    IPPROTO::IPPROTO_UDP.cast_unsigned(),
                    WSK_FLAG_DATAGRAM_SOCKET,
                    context,
                    table.cast::<c_void>(),
                    ptr::null_mut(),
                    ptr::null_mut(),
                    ptr::null_mut(),
                    irp,
                )
            }
        })
    }
}

impl DatagramSocket {
    pub fn table(self) -> &'static WSK_PROVIDER_DATAGRAM_DISPATCH_FULL {
        // SAFETY: a socket; closed ones stay readable in the simulator.
        let table = unsafe { (*self.0).Dispatch };
        // SAFETY: a datagram socket's table.
        unsafe { &*table.cast() }
    }

    pub fn bind(self, io: &mut Io, local: SocketAddr) -> Outcome {
        let mut local = Address::of(local);
        let bind = self.table().WskBind.unwrap();
        // SAFETY: a complete request.
        io.call(|irp| unsafe { bind(self.0, local.pointer(), 0, irp) })
    }

    pub fn local_address(self, io: &mut Io) -> SocketAddr {
        let get = self.table().WskGetLocalAddress.unwrap();
        let mut address = Box::new(Address([0; 28]));
        // SAFETY: a complete request.
        let outcome = io.call(|irp| unsafe { get(self.0, address.pointer(), irp) });
        assert_eq!(outcome.0, STATUS_SUCCESS);
        address.to_socket()
    }

    /// Begins to send; `remote` may be null.
    pub fn start_send(
        self,
        memory: &Memory,
        remote: PSOCKADDR,
        control: &[u8],
        irp: PIRP,
    ) -> NTSTATUS {
        let send = self.table().WskSendTo.unwrap();
        let mut buffer = memory.buffer(0, memory.length);
        let length = u32::try_from(control.len()).unwrap();
        let start = if control.is_empty() {
            ptr::null_mut()
        } else {
            control.as_ptr().cast_mut().cast()
        };
        // SAFETY: a complete request.
        unsafe { send(self.0, &raw mut buffer, 0, remote, length, start, irp) }
    }

    pub fn send_with(
        self,
        io: &mut Io,
        data: &[u8],
        remote: Option<SocketAddr>,
        control: &[u8],
    ) -> Outcome {
        let memory = Memory::of(data);
        let mut remote = remote.map(Address::of);
        let remote = remote.as_mut().map_or(ptr::null_mut(), Address::pointer);
        io.call(|irp| self.start_send(&memory, remote, control, irp))
    }

    pub fn send(self, io: &mut Io, data: &[u8], remote: SocketAddr) -> Outcome {
        self.send_with(io, data, Some(remote), &[])
    }

    /// Sends several datagrams with one call.
    pub fn send_messages(self, io: &mut Io, data: &[&[u8]], remote: SocketAddr) -> Outcome {
        let memory: Vec<_> = data.iter().map(|data| Memory::of(data)).collect();
        let mut nodes: Vec<_> = memory
            .iter()
            .map(|memory| WSK_BUF_LIST {
                Next: ptr::null_mut(),
                Buffer: memory.buffer(0, memory.length),
            })
            .collect();
        let mut next = ptr::null_mut();
        for node in nodes.iter_mut().rev() {
            node.Next = next;
            next = ptr::from_mut(node);
        }
        let mut remote = Address::of(remote);
        let send = self.table().WskSendMessages.unwrap();
        io.call(|irp| {
            // SAFETY: a complete request.
            unsafe { send(self.0, next, 0, remote.pointer(), 0, ptr::null_mut(), irp) }
        })
    }

    pub fn start_receive(self, incoming: &mut Incoming, irp: PIRP) -> NTSTATUS {
        let receive = self.table().WskReceiveFrom.unwrap();
        let mut buffer = incoming.memory.buffer(0, incoming.memory.length);
        // SAFETY: a complete request.
        unsafe {
            receive(
                self.0,
                &raw mut buffer,
                0,
                incoming.from.pointer(),
                &raw mut *incoming.control_length,
                incoming.control.as_mut_ptr().cast(),
                &raw mut *incoming.flags,
                irp,
            )
        }
    }

    /// Receives a datagram of at most so many bytes, with all that belongs to it.
    pub fn receive(self, io: &mut Io, limit: usize) -> Seen {
        let mut incoming = Incoming::new(limit, 256);
        let (status, count) = io.call(|irp| self.start_receive(&mut incoming, irp));
        assert_eq!(status, STATUS_SUCCESS);
        incoming.seen(count)
    }

    /// Calls `WskControlSocket` with an input only.
    pub fn control(
        self,
        io: &mut Io,
        request: WSK_CONTROL_SOCKET_TYPE::Type,
        (level, code): (u32, u32),
        input: &[u8],
    ) -> Outcome {
        io.call(|irp| self.start_control(request, (level, code), input, irp))
    }

    pub fn start_control(
        self,
        request: WSK_CONTROL_SOCKET_TYPE::Type,
        (level, code): (u32, u32),
        input: &[u8],
        irp: PIRP,
    ) -> NTSTATUS {
        let control = self.table().Basic.WskControlSocket.unwrap();
        let start: PVOID = if input.is_empty() {
            ptr::null_mut()
        } else {
            input.as_ptr().cast_mut().cast()
        };
        // SAFETY: a complete request.
        unsafe {
            control(
                self.0,
                request,
                code,
                level,
                input.len() as u64,
                start,
                0,
                ptr::null_mut(),
                ptr::null_mut(),
                irp,
            )
        }
    }

    /// Sets an option to a `ULONG`.
    pub fn set(self, io: &mut Io, option: (u32, u32), value: u32) -> NTSTATUS {
        let set = WSK_CONTROL_SOCKET_TYPE::WskSetOption;
        self.control(io, set, option, &value.to_ne_bytes()).0
    }

    /// Sets or clears a fixed address.
    pub fn fix(self, io: &mut Io, code: u32, address: Option<SocketAddr>) -> NTSTATUS {
        let bytes = address.map(|address| {
            let length = if address.is_ipv4() { 16 } else { 28 };
            Address::of(address).0[..length].to_vec()
        });
        let input = bytes.unwrap_or_default();
        let ioctl = WSK_CONTROL_SOCKET_TYPE::WskIoctl;
        self.control(io, ioctl, (0, code), &input).0
    }

    /// Enables the event, or disables it; without an IRP if that is null.
    pub fn set_event(self, enable: bool, irp: PIRP) -> NTSTATUS {
        let mask = if enable {
            WSK_EVENT_RECEIVE_FROM
        } else {
            WSK_EVENT_RECEIVE_FROM | WSK_EVENT_DISABLE
        };
        self.set_events(mask, irp)
    }

    /// Sets `SO_WSK_EVENT_CALLBACK`.
    pub fn set_events(self, mask: u32, irp: PIRP) -> NTSTATUS {
        let mut input = [0; size_of::<WSK_EVENT_CALLBACK_CONTROL>()];
        let interface = (&raw const NPI_WSK_INTERFACE_ID).expose_provenance();
        input[..size_of::<usize>()].copy_from_slice(&interface.to_ne_bytes());
        let at = offset_of!(WSK_EVENT_CALLBACK_CONTROL, EventMask);
        input[at..at + 4].copy_from_slice(&mask.to_ne_bytes());
        let option = (SOL_SOCKET, SO_WSK_EVENT_CALLBACK);
        self.start_control(WSK_CONTROL_SOCKET_TYPE::WskSetOption, option, &input, irp)
    }

    pub fn enable(self) {
        assert_eq!(self.set_event(true, ptr::null_mut()), STATUS_SUCCESS);
    }

    pub fn release(self, list: PWSK_DATAGRAM_INDICATION) -> NTSTATUS {
        let release = self.table().WskRelease.unwrap();
        // SAFETY: WSK checks the list.
        unsafe { release(self.0, list) }
    }

    pub fn start_close(self, irp: PIRP) -> NTSTATUS {
        let close = self.table().Basic.WskCloseSocket.unwrap();
        // SAFETY: a complete request.
        unsafe { close(self.0, irp) }
    }

    pub fn close(self, io: &mut Io) {
        assert_eq!(io.call(|irp| self.start_close(irp)).0, STATUS_SUCCESS);
    }
}
