//! Control operations as a C driver would make them: the calls with all their arguments, and
//! sockets of every category to make them on.

// UNSAFETY: plays a driver in C, which calls through the provider's tables.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use core::ffi::c_void;
use core::ptr;
use std::net::SocketAddr;

use crate::common::{Client, Io, Outcome, Socket};
use wdk_sys::{NTSTATUS, PEPROCESS, PETHREAD, PIRP, PVOID};
use wsk_sys::{
    AF_INET, AF_INET6, IPPROTO, NPI_WSK_INTERFACE_ID, PNPIID, SO_WSK_EVENT_CALLBACK, SOCK_DGRAM,
    SOCK_STREAM, SOL_SOCKET, WSK_CONTROL_SOCKET_TYPE, WSK_EVENT_CALLBACK_CONTROL,
    WSK_FLAG_BASIC_SOCKET, WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_DATAGRAM_SOCKET,
    WSK_FLAG_LISTEN_SOCKET, WSK_FLAG_STREAM_SOCKET,
};

/// The flags of `WskSocket` for each category, by the names of the facts.
pub const CATEGORIES: [(&str, u32); 5] = [
    ("basic", WSK_FLAG_BASIC_SOCKET),
    ("listen", WSK_FLAG_LISTEN_SOCKET),
    ("connection", WSK_FLAG_CONNECTION_SOCKET),
    ("datagram", WSK_FLAG_DATAGRAM_SOCKET),
    ("stream", WSK_FLAG_STREAM_SOCKET),
];

/// What a new socket is made with.
#[derive(Clone, Copy)]
pub struct Making {
    pub flags: u32,
    pub v6: bool,
    pub udp: bool,
    pub context: PVOID,
    pub table: *const c_void,
    pub process: PEPROCESS,
    pub thread: PETHREAD,
    pub security: PVOID,
}

impl Making {
    pub fn new(flags: u32, v6: bool) -> Self {
        Self {
            flags,
            v6,
            udp: flags == WSK_FLAG_DATAGRAM_SOCKET,
            context: ptr::null_mut(),
            table: ptr::null(),
            process: ptr::null_mut(),
            thread: ptr::null_mut(),
            security: ptr::null_mut(),
        }
    }

    pub fn with_table<T>(mut self, table: &'static T) -> Self {
        self.table = ptr::from_ref(table).cast();
        self
    }

    pub fn with_context<T>(mut self, context: &T) -> Self {
        self.context = ptr::from_ref(context).cast_mut().cast();
        self
    }

    pub fn start(self, client: &Client, irp: PIRP) -> NTSTATUS {
        // SAFETY: the provider's table is valid while it is captured.
        let socket = unsafe { (*client.npi.Dispatch).WskSocket }.unwrap();
        let family = if self.v6 { AF_INET6 } else { AF_INET };
        let (kind, protocol) = if self.udp {
            (SOCK_DGRAM, IPPROTO::IPPROTO_UDP)
        } else {
            (SOCK_STREAM, IPPROTO::IPPROTO_TCP)
        };
        // SAFETY: a complete request.
        unsafe {
            socket(
                client.npi.Client,
                u16::try_from(family).unwrap(),
                u16::try_from(kind).unwrap(),
                protocol.cast_unsigned(),
                self.flags,
                self.context,
                self.table,
                self.process,
                self.thread,
                self.security,
                irp,
            )
        }
    }

    pub fn try_make(self, client: &Client, io: &mut Io) -> Outcome {
        io.call(|irp| self.start(client, irp))
    }

    pub fn make(self, client: &Client, io: &mut Io) -> Socket {
        let (status, socket) = self.try_make(client, io);
        assert_eq!(status, 0, "a socket with flags {:#x}", self.flags);
        Socket::new(socket)
    }
}

/// A socket of IPv4 without callbacks.
pub fn open(client: &Client, io: &mut Io, flags: u32) -> Socket {
    Making::new(flags, false).make(client, io)
}

/// Binds a socket of any category but the basic one.
pub fn bind(socket: Socket, io: &mut Io, address: &str) -> NTSTATUS {
    let address: SocketAddr = address.parse().unwrap();
    // All these tables have WskBind in the same slot.
    socket.bind(io, address).0
}

/// One control operation, with its buffers and a place for the size.
pub struct Control {
    request: WSK_CONTROL_SOCKET_TYPE::Type,
    code: u32,
    level: u32,
    input: Option<Vec<u8>>,
    pub output: Option<Vec<u8>>,
    pub returned: u64,
}

impl Control {
    pub fn ioctl(code: u32) -> Self {
        Self {
            request: WSK_CONTROL_SOCKET_TYPE::WskIoctl,
            code,
            level: 0,
            input: None,
            output: None,
            returned: u64::MAX,
        }
    }

    pub fn set((level, code): (u32, u32), value: &[u8]) -> Self {
        Self {
            request: WSK_CONTROL_SOCKET_TYPE::WskSetOption,
            level,
            ..Self::ioctl(code).input(value)
        }
    }

    pub fn get((level, code): (u32, u32), size: usize) -> Self {
        Self {
            request: WSK_CONTROL_SOCKET_TYPE::WskGetOption,
            level,
            ..Self::ioctl(code).output(size)
        }
    }

    /// Enables or disables events of WSK.
    pub fn events(mask: u32) -> Self {
        let npi = ptr::from_ref(&NPI_WSK_INTERFACE_ID);
        Self::set(
            (SOL_SOCKET, SO_WSK_EVENT_CALLBACK),
            &event_control(npi, mask),
        )
    }

    pub fn input(mut self, bytes: &[u8]) -> Self {
        self.input = Some(bytes.to_vec());
        self
    }

    pub fn output(mut self, size: usize) -> Self {
        self.output = Some(vec![0xEE; size]);
        self
    }

    pub fn at_level(self, level: u32) -> Self {
        Self { level, ..self }
    }

    /// The output, of which the operation has said that it has this size.
    pub fn taken(&self, size: usize) -> &[u8] {
        &self.output.as_ref().unwrap()[..size]
    }

    fn buffers(&mut self) -> (u64, PVOID, u64, PVOID) {
        let parts = |buffer: &mut Option<Vec<u8>>| match buffer {
            Some(bytes) => (bytes.len() as u64, bytes.as_mut_ptr().cast()),
            None => (0, ptr::null_mut()),
        };
        let (input_size, input) = parts(&mut self.input);
        let (output_size, output) = parts(&mut self.output);
        (input_size, input, output_size, output)
    }

    /// Calls `WskControlSocket`.
    pub fn start(&mut self, socket: Socket, returned: *mut u64, irp: PIRP) -> NTSTATUS {
        let control = socket.listen_table().Basic.WskControlSocket.unwrap();
        let (input_size, input, output_size, output) = self.buffers();
        // SAFETY: a complete request; every table begins with WskControlSocket.
        unsafe {
            control(
                socket.0,
                self.request,
                self.code,
                self.level,
                input_size,
                input,
                output_size,
                output,
                returned,
                irp,
            )
        }
    }

    pub fn with_irp(&mut self, socket: Socket, io: &mut Io) -> Outcome {
        io.call(|irp| self.start(socket, ptr::null_mut(), irp))
    }

    pub fn without_irp(&mut self, socket: Socket) -> NTSTATUS {
        let returned = &raw mut self.returned;
        self.start(socket, returned, ptr::null_mut())
    }

    /// Calls `WskControlClient`.
    pub fn start_on_client(&mut self, client: &Client, returned: *mut u64, irp: PIRP) -> NTSTATUS {
        // SAFETY: the provider's table is valid while it is captured.
        let control = unsafe { (*client.npi.Dispatch).WskControlClient }.unwrap();
        let (input_size, input, output_size, output) = self.buffers();
        let client = client.npi.Client;
        // SAFETY: a complete request.
        unsafe {
            control(
                client,
                self.code,
                input_size,
                input,
                output_size,
                output,
                returned,
                irp,
            )
        }
    }

    pub fn on_client(&mut self, client: &Client) -> NTSTATUS {
        let returned = &raw mut self.returned;
        self.start_on_client(client, returned, ptr::null_mut())
    }
}

/// A `WSK_EVENT_CALLBACK_CONTROL`, as bytes.
pub fn event_control(npi: PNPIID, mask: u32) -> Vec<u8> {
    let mut bytes = npi.expose_provenance().to_ne_bytes().to_vec();
    bytes.extend(mask.to_ne_bytes());
    bytes.resize(size_of::<WSK_EVENT_CALLBACK_CONTROL>(), 0);
    bytes
}

/// Sets an option that is a `ULONG`.
pub fn set_number(socket: Socket, io: &mut Io, option: (u32, u32), value: u32) -> NTSTATUS {
    let mut control = Control::set(option, &value.to_ne_bytes());
    control.with_irp(socket, io).0
}

/// Gets an option that is a `ULONG`.
pub fn get_number(socket: Socket, io: &mut Io, option: (u32, u32)) -> Result<u32, NTSTATUS> {
    let mut control = Control::get(option, size_of::<u32>());
    let (status, size) = control.with_irp(socket, io);
    if status == 0 {
        assert_eq!(size, size_of::<u32>(), "the size of a ULONG");
        Ok(u32::from_ne_bytes(control.taken(size).try_into().unwrap()))
    } else {
        Err(status)
    }
}

/// A connection of the driver's to a listening peer at `address`.
pub struct Connected {
    pub client: Client,
    pub socket: Socket,
    pub peer: wsk_sim::Peer,
}

impl Connected {
    pub fn new(sim: &wsk_sim::Sim, io: &mut Io, address: &str) -> Self {
        let client = Client::new();
        let server = sim.listen(address.parse().unwrap()).unwrap();
        let wildcard = if server.local_addr().is_ipv6() {
            "[::]:0"
        } else {
            "0.0.0.0:0"
        };
        let socket = client.connection(io, wildcard);
        assert_eq!(socket.connect(io, server.local_addr()).0, 0);
        let peer = server.accept();
        Self {
            client,
            socket,
            peer,
        }
    }

    pub fn close(self, io: &mut Io) {
        self.socket.close(io);
    }
}
