//! A WSK client as a C driver would write it, for the tests of the provider: an IRP, an event, and
//! calls that wait.
//!
//! It knows the interface only through `wsk-sys`, and shows what the simulator asks of a driver.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr;
use std::net::SocketAddr;

use wdk_sys::ntddk::{
    ExAllocatePool2, ExFreePoolWithTag, IoAllocateIrp, IoAllocateMdl, IoCancelIrp, IoFreeIrp,
    IoFreeMdl, IoReuseIrp, KeClearEvent, KeInitializeEvent, KeSetEvent, KeWaitForSingleObject,
    MmBuildMdlForNonPagedPool,
};
use wdk_sys::{
    KEVENT, LARGE_INTEGER, NTSTATUS, PDEVICE_OBJECT, PIRP, PMDL, PVOID,
    STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING, STATUS_TIMEOUT,
};
use wsk_sys::{
    AF_INET, AF_INET6, IPPROTO, IoSetCompletionRoutine, PSOCKADDR, PWSK_SOCKET, SOCK_STREAM,
    WSK_BUF, WSK_CLIENT_DISPATCH, WSK_CLIENT_NPI, WSK_CLIENT_VERSION_1_0,
    WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_LISTEN_SOCKET, WSK_INFINITE_WAIT,
    WSK_PROVIDER_CONNECTION_DISPATCH_FULL, WSK_PROVIDER_LISTEN_DISPATCH_FULL, WSK_PROVIDER_NPI,
    WSK_REGISTRATION, WskCaptureProviderNPI, WskDeregister, WskRegister, WskReleaseProviderNPI,
};

pub const TAG: u32 = u32::from_le_bytes(*b"Test");
const NON_PAGED: u64 = 0x40;

/// The status and the information with which a request completed.
pub type Outcome = (NTSTATUS, usize);

/// A notification event.
#[expect(clippy::unnecessary_box_returns, reason = "the event does not move")]
pub fn event() -> Box<KEVENT> {
    // SAFETY: an event is initialised below.
    let mut event: Box<KEVENT> = unsafe { Box::new(MaybeUninit::zeroed().assume_init()) };
    // SAFETY: the event has its place.
    unsafe { KeInitializeEvent(&raw mut *event, 0, 0) };
    event
}

/// An IRP with an event that its completion sets.
pub struct Io {
    pub irp: PIRP,
    pub event: Box<KEVENT>,
}

impl Io {
    pub fn new() -> Self {
        // SAFETY: within a simulation.
        let irp = unsafe { IoAllocateIrp(1, 0) };
        assert!(!irp.is_null(), "no memory for an IRP");
        Self::of(irp)
    }

    /// None if allocating the IRP fails, as a test has asked for.
    pub fn new_unless_out_of_memory() -> Option<Self> {
        // SAFETY: within a simulation.
        let irp = unsafe { IoAllocateIrp(1, 0) };
        (!irp.is_null()).then(|| Self::of(irp))
    }

    fn of(irp: PIRP) -> Self {
        Self {
            irp,
            event: event(),
        }
    }

    /// Makes the IRP ready for the next request.
    pub fn prepare(&mut self) -> PIRP {
        let context = (&raw mut *self.event).cast();
        // SAFETY: the IRP is idle.
        unsafe { IoReuseIrp(self.irp, 0) };
        // SAFETY: the event is alive.
        unsafe { KeClearEvent(&raw mut *self.event) };
        // SAFETY: the IRP has one stack location.
        unsafe { IoSetCompletionRoutine(self.irp, Some(completed), context, true, true, true) };
        self.irp
    }

    /// Cancels the request; true if it was pending.
    pub fn cancel(&mut self) -> bool {
        // SAFETY: the IRP stays, whether its request is complete or not.
        unsafe { IoCancelIrp(self.irp) != 0 }
    }

    /// Waits for the completion.
    pub fn wait(&mut self) -> Outcome {
        let event: PVOID = (&raw mut *self.event).cast();
        // SAFETY: the event is alive.
        let _ = unsafe { KeWaitForSingleObject(event, 0, 0, 0, ptr::null_mut()) };
        self.outcome()
    }

    /// Whether the request is complete.
    pub fn is_complete(&mut self) -> bool {
        let event: PVOID = (&raw mut *self.event).cast();
        let mut now = LARGE_INTEGER { QuadPart: 0 };
        // SAFETY: the event is alive.
        unsafe { KeWaitForSingleObject(event, 0, 0, 0, &raw mut now) != STATUS_TIMEOUT }
    }

    pub fn outcome(&self) -> Outcome {
        // SAFETY: the IRP is complete, so it is ours.
        let status = unsafe { (*self.irp).IoStatus };
        // SAFETY: every value of the union is a status.
        (
            unsafe { status.__bindgen_anon_1.Status },
            usize::try_from(status.Information).unwrap(),
        )
    }

    /// Makes a request and waits for it [wsk 3.6].
    pub fn call(&mut self, request: impl FnOnce(PIRP) -> NTSTATUS) -> Outcome {
        let returned = request(self.prepare());
        let outcome = self.wait();
        assert!(
            returned == STATUS_PENDING || returned == outcome.0,
            "an inline completion returns its status"
        );
        outcome
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        // SAFETY: the IRP is idle.
        unsafe { IoFreeIrp(self.irp) };
    }
}

unsafe extern "C" fn completed(_: PDEVICE_OBJECT, _: PIRP, context: PVOID) -> NTSTATUS {
    // SAFETY: the context is the event of the request's `Io`.
    unsafe { KeSetEvent(context.cast(), 0, 0) };
    STATUS_MORE_PROCESSING_REQUIRED
}

/// A buffer in nonpaged pool with its MDL.
pub struct Memory {
    pub bytes: *mut u8,
    pub length: usize,
    pub mdl: PMDL,
}

impl Memory {
    pub fn new(length: usize) -> Self {
        // SAFETY: within a simulation.
        let bytes = unsafe { ExAllocatePool2(NON_PAGED, length as u64, TAG) };
        // SAFETY: as above.
        let mdl =
            unsafe { IoAllocateMdl(bytes, u32::try_from(length).unwrap(), 0, 0, ptr::null_mut()) };
        // SAFETY: the MDL was made for nonpaged pool.
        unsafe { MmBuildMdlForNonPagedPool(mdl) };
        Self {
            bytes: bytes.cast(),
            length,
            mdl,
        }
    }

    pub fn of(data: &[u8]) -> Self {
        let memory = Self::new(data.len());
        // SAFETY: the memory has this length.
        unsafe {
            memory
                .bytes
                .copy_from_nonoverlapping(data.as_ptr(), data.len());
        };
        memory
    }

    pub fn read(&self, length: usize) -> Vec<u8> {
        // SAFETY: the memory is allocated and zeroed.
        unsafe { core::slice::from_raw_parts(self.bytes, length) }.to_vec()
    }

    pub fn buffer(&self, offset: u32, length: usize) -> WSK_BUF {
        WSK_BUF {
            Mdl: self.mdl,
            Offset: offset,
            Length: length as u64,
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: no request uses the MDL any more.
        unsafe { IoFreeMdl(self.mdl) };
        // SAFETY: no request uses the memory any more.
        unsafe { ExFreePoolWithTag(self.bytes.cast(), TAG) };
    }
}

pub static DISPATCH: WSK_CLIENT_DISPATCH = WSK_CLIENT_DISPATCH {
    Version: WSK_CLIENT_VERSION_1_0,
    Reserved: 0,
    WskClientEvent: None,
};

/// Calls `WskSocket` for a family, a type and a protocol.
pub fn start_socket(
    npi: WSK_PROVIDER_NPI,
    (family, kind, protocol): (u16, u16, u32),
    flags: u32,
    context: *const c_void,
    table: *const c_void,
    irp: PIRP,
) -> NTSTATUS {
    // SAFETY: the provider's table is valid while it is captured.
    let socket = unsafe { (*npi.Dispatch).WskSocket }.unwrap();
    // SAFETY: a complete request.
    unsafe {
        socket(
            npi.Client,
            family,
            kind,
            protocol,
            flags,
            context.cast_mut(),
            table,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            irp,
        )
    }
}

/// A registration with a captured provider.
pub struct Client {
    pub block: Box<WSK_REGISTRATION>,
    pub npi: WSK_PROVIDER_NPI,
}

impl Client {
    pub fn new() -> Self {
        Self::try_new().expect("WSK registers")
    }

    /// None if registering or capturing fails, as a test has asked for.
    pub fn try_new() -> Option<Self> {
        let mut npi = WSK_CLIENT_NPI {
            ClientContext: ptr::null_mut(),
            Dispatch: &raw const DISPATCH,
        };
        let mut block = Box::new(WSK_REGISTRATION::default());
        // SAFETY: the block stays where it is.
        if unsafe { WskRegister(&raw mut npi, &raw mut *block) } != 0 {
            return None;
        }
        let mut npi = WSK_PROVIDER_NPI::default();
        // SAFETY: the block is registered.
        if unsafe { WskCaptureProviderNPI(&raw mut *block, WSK_INFINITE_WAIT, &raw mut npi) } != 0 {
            // SAFETY: nothing was captured.
            unsafe { WskDeregister(&raw mut *block) };
            return None;
        }
        Some(Self { block, npi })
    }

    /// Calls `WskSocket` for a TCP socket without events.
    pub fn try_socket(&self, io: &mut Io, flags: u32, v6: bool) -> Outcome {
        self.try_socket_with(io, flags, v6, ptr::null(), ptr::null())
    }

    /// Calls `WskSocket` for a TCP socket with a context and a table of events.
    pub fn try_socket_with(
        &self,
        io: &mut Io,
        flags: u32,
        v6: bool,
        context: *const c_void,
        table: *const c_void,
    ) -> Outcome {
        let kind = u16::try_from(SOCK_STREAM).unwrap();
        let family = u16::try_from(if v6 { AF_INET6 } else { AF_INET }).unwrap();
        let protocol = IPPROTO::IPPROTO_TCP.cast_unsigned();
        self.socket_call(io, (family, kind, protocol), flags, context, table)
    }

    /// Calls `WskSocket` for a family, a type and a protocol.
    pub fn socket_call(
        &self,
        io: &mut Io,
        (family, kind, protocol): (u16, u16, u32),
        flags: u32,
        context: *const c_void,
        table: *const c_void,
    ) -> Outcome {
        io.call(|irp| {
            start_socket(
                self.npi,
                (family, kind, protocol),
                flags,
                context,
                table,
                irp,
            )
        })
    }

    pub fn listener(&self, io: &mut Io, address: &str) -> Socket {
        let address: SocketAddr = address.parse().unwrap();
        let (status, socket) = self.try_socket(io, WSK_FLAG_LISTEN_SOCKET, address.is_ipv6());
        assert_eq!(status, 0);
        let socket = Socket::new(socket);
        assert_eq!(socket.bind(io, address).0, 0);
        socket
    }

    /// A listening socket of a client that is never deregistered.
    pub fn listener_leaked(self, io: &mut Io) -> Socket {
        let socket = self.listener(io, "127.0.0.1:7");
        core::mem::forget(self);
        socket
    }

    pub fn connection(&self, io: &mut Io, local: &str) -> Socket {
        let local: SocketAddr = local.parse().unwrap();
        let (status, socket) = self.try_socket(io, WSK_FLAG_CONNECTION_SOCKET, local.is_ipv6());
        assert_eq!(status, 0);
        let socket = Socket::new(socket);
        assert_eq!(socket.bind(io, local).0, 0);
        socket
    }
}

impl Client {
    /// Gives the NPI back, of a client that somebody else deregisters.
    pub fn release(mut self) {
        // SAFETY: the NPI was captured once.
        unsafe { WskReleaseProviderNPI(&raw mut *self.block) };
        // The block must stay until `Block::deregister` is through.
        core::mem::forget(self);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: the NPI was captured once.
        unsafe { WskReleaseProviderNPI(&raw mut *self.block) };
        // SAFETY: all sockets are closed.
        unsafe { WskDeregister(&raw mut *self.block) };
    }
}

/// The registration of a client, for another thread to end.
pub struct Block(*mut WSK_REGISTRATION);

// SAFETY: only the address is carried, and WSK may be called on any thread.
unsafe impl Send for Block {}

impl Block {
    pub fn of(client: &Client) -> Self {
        Self(ptr::from_ref(&*client.block).cast_mut())
    }

    pub fn deregister(&self) {
        // SAFETY: registered once; the client is not dropped but released.
        unsafe { WskDeregister(self.0) };
    }
}

/// A socket's address, without any claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket(pub PWSK_SOCKET);

// SAFETY: the tests say which thread does what.
unsafe impl Send for Socket {}
// SAFETY: as above.
unsafe impl Sync for Socket {}

/// A SOCKADDR of either family.
#[repr(align(8))]
pub struct Address(pub [u8; 28]);

impl Address {
    pub fn of(address: SocketAddr) -> Self {
        let mut bytes = [0; 28];
        bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) => {
                bytes[0] = u8::try_from(AF_INET).unwrap();
                bytes[4..8].copy_from_slice(&v4.ip().octets());
            }
            SocketAddr::V6(v6) => {
                bytes[0] = u8::try_from(AF_INET6).unwrap();
                bytes[8..24].copy_from_slice(&v6.ip().octets());
            }
        }
        Self(bytes)
    }

    pub fn empty() -> Self {
        Self([0; 28])
    }

    /// Reads an address in the provider's memory.
    ///
    /// # Safety
    ///
    /// The pointer leads to a complete address.
    pub unsafe fn read(address: PSOCKADDR) -> SocketAddr {
        let start = address.cast::<u8>().cast_const();
        let mut bytes = Self::empty();
        // SAFETY: promised by the caller: every address begins with its family.
        let family = unsafe { start.cast::<u16>().read_unaligned() };
        let length = if u32::from(family) == AF_INET { 16 } else { 28 };
        let target = bytes.0.as_mut_ptr();
        // SAFETY: promised by the caller.
        unsafe { target.copy_from_nonoverlapping(start, length) };
        bytes.to_socket()
    }

    pub fn to_socket(&self) -> SocketAddr {
        let bytes = &self.0;
        if u32::from(bytes[0]) == AF_INET {
            let ip: [u8; 4] = bytes[4..8].try_into().unwrap();
            return SocketAddr::from((ip, self.port()));
        }
        let ip: [u8; 16] = bytes[8..24].try_into().unwrap();
        SocketAddr::from((ip, self.port()))
    }

    pub fn port(&self) -> u16 {
        u16::from_be_bytes([self.0[2], self.0[3]])
    }

    pub fn pointer(&mut self) -> PSOCKADDR {
        self.0.as_mut_ptr().cast()
    }
}

impl Socket {
    pub fn new(information: usize) -> Self {
        Self(ptr::with_exposed_provenance_mut(information))
    }

    fn dispatch(self) -> *const c_void {
        // SAFETY: a socket that WSK returned; closed ones stay readable in the simulator.
        unsafe { (*self.0).Dispatch }
    }

    pub fn listen_table(self) -> &'static WSK_PROVIDER_LISTEN_DISPATCH_FULL {
        // SAFETY: a listening socket's table.
        unsafe { &*self.dispatch().cast() }
    }

    pub fn table(self) -> &'static WSK_PROVIDER_CONNECTION_DISPATCH_FULL {
        // SAFETY: a connection socket's table.
        unsafe { &*self.dispatch().cast() }
    }

    pub fn bind(self, io: &mut Io, address: SocketAddr) -> Outcome {
        let mut address = Address::of(address);
        let bind = self.listen_table().WskBind.unwrap();
        // SAFETY: a complete request; both tables have WskBind in the same slot.
        io.call(|irp| unsafe { bind(self.0, address.pointer(), 0, irp) })
    }

    pub fn connect(self, io: &mut Io, address: SocketAddr) -> Outcome {
        let mut address = Address::of(address);
        let connect = self.table().WskConnect.unwrap();
        // SAFETY: a complete request.
        io.call(|irp| unsafe { connect(self.0, address.pointer(), 0, irp) })
    }

    pub fn start_accept(self, irp: PIRP) -> NTSTATUS {
        let accept = self.listen_table().WskAccept.unwrap();
        let null = ptr::null_mut::<c_void>();
        // SAFETY: a complete request.
        unsafe {
            accept(
                self.0,
                0,
                null,
                ptr::null(),
                ptr::null_mut(),
                ptr::null_mut(),
                irp,
            )
        }
    }

    pub fn accept(self, io: &mut Io) -> Outcome {
        io.call(|irp| self.start_accept(irp))
    }

    pub fn local_port(self, io: &mut Io) -> u16 {
        let get = self.table().WskGetLocalAddress.unwrap();
        let mut address = Box::new(Address::empty());
        // SAFETY: a complete request.
        let outcome = io.call(|irp| unsafe { get(self.0, address.pointer(), irp) });
        assert_eq!(outcome.0, 0);
        address.port()
    }

    pub fn start_send(self, memory: &Memory, irp: PIRP) -> NTSTATUS {
        let send = self.table().WskSend.unwrap();
        let mut buffer = memory.buffer(0, memory.length);
        // SAFETY: a complete request.
        unsafe { send(self.0, &raw mut buffer, 0, irp) }
    }

    pub fn send(self, io: &mut Io, data: &[u8]) -> Outcome {
        let memory = Memory::of(data);
        io.call(|irp| self.start_send(&memory, irp))
    }

    pub fn start_receive(self, memory: &Memory, flags: u32, irp: PIRP) -> NTSTATUS {
        let receive = self.table().WskReceive.unwrap();
        let mut buffer = memory.buffer(0, memory.length);
        // SAFETY: a complete request.
        unsafe { receive(self.0, &raw mut buffer, flags, irp) }
    }

    pub fn receive(self, io: &mut Io, limit: usize) -> Result<Vec<u8>, NTSTATUS> {
        let memory = Memory::new(limit);
        let (status, length) = io.call(|irp| self.start_receive(&memory, 0, irp));
        if status < 0 {
            Err(status)
        } else {
            Ok(memory.read(length))
        }
    }

    pub fn disconnect(self, io: &mut Io, flags: u32) -> Outcome {
        let disconnect = self.table().WskDisconnect.unwrap();
        // SAFETY: a complete request.
        io.call(|irp| unsafe { disconnect(self.0, ptr::null_mut(), flags, irp) })
    }

    pub fn start_close(self, irp: PIRP) -> NTSTATUS {
        let close = self.listen_table().Basic.WskCloseSocket.unwrap();
        // SAFETY: a complete request; every table begins with WskCloseSocket's.
        unsafe { close(self.0, irp) }
    }

    pub fn close(self, io: &mut Io) {
        assert_eq!(io.call(|irp| self.start_close(irp)).0, 0);
    }
}
