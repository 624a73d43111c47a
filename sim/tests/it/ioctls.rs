//! `WskIoctl`: every row of the table of facts, and what the codes do [wsk 3a, 5, 5.4].

// UNSAFETY: plays a driver in C, with callbacks.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use core::ptr;

use crate::common::{Address, Client, Io, Memory, Socket};
use crate::control::{CATEGORIES, Connected, Control, Making, bind, get_number, open, set_number};
use crate::facts;
use wdk_sys::{
    NTSTATUS, PVOID, STATUS_BUFFER_TOO_SMALL, STATUS_CANCELLED, STATUS_CONNECTION_RESET,
    STATUS_INVALID_ADDRESS_COMPONENT, STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER, STATUS_NOT_FOUND, STATUS_NOT_SUPPORTED, STATUS_SUCCESS,
};
use wsk_sys::{
    PSOCKADDR, PWSK_INSPECT_ID, SIO_KEEPALIVE_VALS, SIO_LOOPBACK_FAST_PATH,
    SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT, SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS,
    SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS, SIO_WSK_QUERY_IDEAL_SEND_BACKLOG,
    SIO_WSK_QUERY_INSPECT_ID, SIO_WSK_QUERY_RECEIVE_BACKLOG, SIO_WSK_SET_REMOTE_ADDRESS,
    SIO_WSK_SET_SENDTO_ADDRESS, SIO_WSK_SET_TCP_SILENT_MODE, SO_CONDITIONAL_ACCEPT, SO_KEEPALIVE,
    SOL_SOCKET, TCP_KEEPIDLE, TCP_KEEPINTVL, WSK_CLIENT_LISTEN_DISPATCH,
    WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_DATAGRAM_SOCKET, WSK_FLAG_LISTEN_SOCKET,
    WSK_FLAG_STREAM_SOCKET, WSK_INSPECT_ACTION, WSK_INSPECT_ID,
};

const TCP: u32 = wsk_sys::IPPROTO::IPPROTO_TCP.cast_unsigned();
const SIZE_T: usize = size_of::<u64>();

/// Makes the call that a row of the facts describes, with buffers of its sizes, at `socket`.
fn call(row: &facts::Row, socket: Socket, io: &mut Io) -> NTSTATUS {
    let mut control = Control::ioctl(row.code());
    match row.input_size() {
        Some(0) => {}
        size => control = control.input(&vec![0; size.unwrap_or(16)]),
    }
    match row.output_size() {
        Some(0) => {}
        size => control = control.output(size.unwrap_or(1024)),
    }
    if row.irp_must_be_null() {
        control.without_irp(socket)
    } else {
        control.with_irp(socket, io).0
    }
}

#[test]
fn ioctl_of_another_category_is_an_invalid_request() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        for row in facts::ioctls() {
            for (category, flags) in CATEGORIES {
                // These name more than a category, or one that the facts do not list.
                let named = ["listen", "connection", "datagram", "stream"]
                    .into_iter()
                    .any(|category| row.applies_to(category));
                if !named || category == "stream" || row.applies_to(category) {
                    continue;
                }
                let socket = open(&client, &mut io, flags);
                let status = call(&row, socket, &mut io);
                assert_eq!(
                    status,
                    STATUS_INVALID_DEVICE_REQUEST,
                    "{} at {category}",
                    row.name()
                );
                socket.close(&mut io);
            }
        }
    });
}

#[test]
fn ioctl_of_connections_is_too_early_before_they_are() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = client.connection(&mut io, "127.0.0.1:0");
        for code in [
            SIO_WSK_QUERY_IDEAL_SEND_BACKLOG,
            SIO_WSK_QUERY_RECEIVE_BACKLOG,
            SIO_WSK_SET_TCP_SILENT_MODE,
            SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS,
            SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT,
        ] {
            let (status, _) = Control::ioctl(code).output(64).with_irp(socket, &mut io);
            assert_eq!(status, STATUS_INVALID_DEVICE_STATE, "{code:#x}");
        }
        socket.close(&mut io);
    });
}

#[test]
fn unknown_ioctl_is_not_supported() {
    wsk_sim::seeds(10, |_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = open(&client, &mut io, WSK_FLAG_LISTEN_SOCKET);
        let (status, _) = Control::ioctl(0x1234).with_irp(socket, &mut io);
        assert_eq!(status, STATUS_NOT_SUPPORTED);
        let status = Control::ioctl(0x1234).without_irp(socket);
        assert_eq!(status, STATUS_NOT_SUPPORTED);
        socket.close(&mut io);
    });
}

/// Asks for a `SIZE_T`.
fn ask(code: u32, socket: Socket, io: &mut Io) -> Result<u64, NTSTATUS> {
    let mut control = Control::ioctl(code).output(SIZE_T);
    match control.with_irp(socket, io) {
        (STATUS_SUCCESS, size) => {
            assert_eq!(size, SIZE_T);
            Ok(u64::from_ne_bytes(control.taken(size).try_into().unwrap()))
        }
        (status, _) => Err(status),
    }
}

#[test]
fn wsk_5_2_backlogs_are_sizes() {
    wsk_sim::seeds(20, |sim| {
        let mut io = Io::new();
        let connected = Connected::new(sim, &mut io, "127.0.0.1:0");
        let socket = connected.socket;
        let ideal = ask(SIO_WSK_QUERY_IDEAL_SEND_BACKLOG, socket, &mut io);
        assert!(ideal.unwrap() > 0);
        let receive = SIO_WSK_QUERY_RECEIVE_BACKLOG;
        assert_eq!(ask(receive, socket, &mut io), Ok(0));
        connected.peer.write_all(&[7; 1000]).unwrap();
        // All of it arrives within this time.
        sim.sleep(core::time::Duration::from_secs(10));
        assert_eq!(ask(receive, socket, &mut io), Ok(1000));
        let got = socket.receive(&mut io, 400).unwrap().len() as u64;
        assert_eq!(ask(receive, socket, &mut io), Ok(1000 - got));
        let mut small = Control::ioctl(receive).output(4);
        assert_eq!(small.with_irp(socket, &mut io).0, STATUS_BUFFER_TOO_SMALL);
        connected.close(&mut io);
    });
}

/// The bytes of an address with the size of its family.
fn address(text: &str) -> Vec<u8> {
    let address: std::net::SocketAddr = text.parse().unwrap();
    let size = if address.is_ipv4() { 16 } else { 28 };
    Address::of(address).0[..size].to_vec()
}

#[test]
fn wsk_5_4_address_of_a_datagram_socket_is_set_and_cleared_when_it_is_bound() {
    wsk_sim::seeds(10, |_| {
        let mut io = Io::new();
        let client = Client::new();
        for (v6, local, remote) in [
            (false, "127.0.0.1:0", "127.0.0.1:9"),
            (true, "[::1]:0", "[::1]:9"),
        ] {
            let socket = Making::new(WSK_FLAG_DATAGRAM_SOCKET, v6).make(&client, &mut io);
            for code in [SIO_WSK_SET_REMOTE_ADDRESS, SIO_WSK_SET_SENDTO_ADDRESS] {
                let status = Control::ioctl(code)
                    .input(&address(remote))
                    .with_irp(socket, &mut io);
                assert_eq!(status.0, STATUS_INVALID_DEVICE_STATE, "not bound yet");
            }
            assert_eq!(bind(socket, &mut io, local), STATUS_SUCCESS);
            for code in [SIO_WSK_SET_REMOTE_ADDRESS, SIO_WSK_SET_SENDTO_ADDRESS] {
                let set = |io: &mut Io, input: &[u8]| {
                    Control::ioctl(code).input(input).with_irp(socket, io).0
                };
                let mut of_other_family = address(remote);
                of_other_family[0] = if v6 { 2 } else { 23 };
                assert_eq!(set(&mut io, &address(remote)), STATUS_SUCCESS);
                assert_eq!(set(&mut io, &[0; 7]), STATUS_INVALID_PARAMETER);
                let status = set(&mut io, &of_other_family);
                assert_eq!(status, STATUS_INVALID_ADDRESS_COMPONENT);
                let (status, _) = Control::ioctl(code).with_irp(socket, &mut io);
                assert_eq!(status, STATUS_SUCCESS, "no input clears the address");
            }
            socket.close(&mut io);
        }
    });
}

#[test]
fn silent_connection_drops_what_comes_and_sends_nothing() {
    // [wsk 5]
    wsk_sim::seeds(30, |sim| {
        let mut io = Io::new();
        let connected = Connected::new(sim, &mut io, "192.0.2.1:0");
        let Connected { socket, peer, .. } = &connected;
        peer.write_all(b"before").unwrap();
        let (mut receive, memory) = (Io::new(), Memory::new(64));
        sim.sleep(core::time::Duration::from_secs(10));
        let silence = |io: &mut Io| {
            let mut control = Control::ioctl(SIO_WSK_SET_TCP_SILENT_MODE);
            control.with_irp(*socket, io).0
        };
        let mut got = Vec::new();
        while got.len() < 6 {
            got.extend(socket.receive(&mut io, 64).unwrap());
        }
        assert_eq!(got, b"before");
        socket.start_receive(&memory, 0, receive.prepare());
        assert_eq!(silence(&mut io), STATUS_SUCCESS);
        peer.write_all(b"after").unwrap();
        sim.sleep(core::time::Duration::from_secs(10));
        assert_eq!(socket.send(&mut io, b"x").0, STATUS_INVALID_DEVICE_STATE);
        assert_eq!(socket.disconnect(&mut io, 0).0, STATUS_INVALID_DEVICE_STATE);
        assert_eq!(
            silence(&mut io),
            STATUS_INVALID_DEVICE_STATE,
            "it is silent"
        );
        socket.close(&mut io);
        assert_eq!(receive.wait().0, STATUS_CANCELLED, "nothing was received");
        // Not even a reset reaches the other side.
        sim.sleep(core::time::Duration::from_secs(10));
        peer.write_all(b"still connected").unwrap();
    });
}

#[test]
fn connection_that_is_not_silent_is_reset_by_closing() {
    wsk_sim::seeds(10, |sim| {
        let mut io = Io::new();
        let connected = Connected::new(sim, &mut io, "192.0.2.1:0");
        connected.socket.close(&mut io);
        assert_eq!(connected.peer.read(1), Err(STATUS_CONNECTION_RESET));
    });
}

#[test]
fn silent_mode_is_refused_on_loopback_and_while_data_is_being_sent() {
    wsk_sim::seeds(20, |sim| {
        let mut io = Io::new();
        let silence = |socket, io: &mut Io| {
            let mut control = Control::ioctl(SIO_WSK_SET_TCP_SILENT_MODE);
            control.with_irp(socket, io).0
        };
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let connected = Connected::new(sim, &mut io, address);
            let status = silence(connected.socket, &mut io);
            assert_eq!(status, STATUS_INVALID_DEVICE_STATE, "{address}");
            connected.close(&mut io);
        }
        let connected = Connected::new(sim, &mut io, "[2001:db8::1]:0");
        let (mut send, memory) = (Io::new(), Memory::new(200_000));
        connected.socket.start_send(&memory, send.prepare());
        let status = silence(connected.socket, &mut io);
        assert_eq!(status, STATUS_INVALID_DEVICE_STATE, "a send is pending");
        connected.peer.read_exact(200_000).unwrap();
        assert_eq!(send.wait().0, STATUS_SUCCESS);
        assert_eq!(silence(connected.socket, &mut io), STATUS_SUCCESS);
        connected.close(&mut io);
    });
}

#[test]
fn keep_alive_values_set_three_options() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = open(&client, &mut io, WSK_FLAG_CONNECTION_SOCKET);
        let values = |on: u32| [on, 30_000, 2_500].map(u32::to_ne_bytes).concat();
        let set = |io: &mut Io, input: &[u8]| {
            let mut control = Control::ioctl(SIO_KEEPALIVE_VALS).input(input);
            control.with_irp(socket, io).0
        };
        assert_eq!(set(&mut io, &values(1)), STATUS_SUCCESS);
        let (on, idle) = ((SOL_SOCKET, SO_KEEPALIVE), (TCP, TCP_KEEPIDLE));
        assert_eq!(get_number(socket, &mut io, on), Ok(1));
        assert_eq!(get_number(socket, &mut io, idle), Ok(30));
        assert_eq!(get_number(socket, &mut io, (TCP, TCP_KEEPINTVL)), Ok(3));
        assert_eq!(set(&mut io, &values(0)), STATUS_SUCCESS);
        assert_eq!(get_number(socket, &mut io, on), Ok(0));
        assert_eq!(
            get_number(socket, &mut io, idle),
            Ok(30),
            "only switched off"
        );
        assert_eq!(set(&mut io, &values(1)[..8]), STATUS_INVALID_PARAMETER);
        socket.close(&mut io);
    });
}

#[test]
fn loopback_fast_path_takes_one_byte_or_four_before_connecting() {
    wsk_sim::run(|sim| {
        let mut io = Io::new();
        let connected = Connected::new(sim, &mut io, "127.0.0.1:0");
        let fresh = connected.client.connection(&mut io, "127.0.0.1:0");
        for (socket, size, expected) in [
            (fresh, 1, STATUS_SUCCESS),
            (fresh, 4, STATUS_SUCCESS),
            (fresh, 2, STATUS_INVALID_PARAMETER),
            (connected.socket, 4, STATUS_INVALID_DEVICE_STATE),
        ] {
            let mut control = Control::ioctl(SIO_LOOPBACK_FAST_PATH).input(&vec![1; size]);
            assert_eq!(
                control.with_irp(socket, &mut io).0,
                expected,
                "{size} bytes"
            );
        }
        fresh.close(&mut io);
        connected.close(&mut io);
    });
}

/// A listener of the driver's, a peer that has connected to it, and the accepted socket.
fn accepted(sim: &wsk_sim::Sim, client: &Client, io: &mut Io) -> (Socket, wsk_sim::Peer, Socket) {
    let listener = client.listener(io, "127.0.0.1:7");
    let peer = sim
        .begin_to_connect("127.0.0.1:7".parse().unwrap())
        .unwrap();
    let accepted = Socket::new(listener.accept(io).1);
    (listener, peer.finish().unwrap(), accepted)
}

#[test]
fn redirected_connection_has_the_records_and_context_of_the_filter() {
    wsk_sim::seeds(10, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        sim.redirect_connections(b"some records", b"ctx");
        let (listener, peer, socket) = accepted(sim, &client, &mut io);
        for (code, expected) in [
            (
                SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS,
                &b"some records"[..],
            ),
            (SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT, b"ctx"),
        ] {
            let mut small = Control::ioctl(code).output(2);
            let mut needed = 0;
            let (status, _) = io.call(|irp| small.start(socket, &raw mut needed, irp));
            assert_eq!(
                (status, needed),
                (STATUS_BUFFER_TOO_SMALL, expected.len() as u64)
            );
            let mut control = Control::ioctl(code).output(64);
            let (status, size) = control.with_irp(socket, &mut io);
            assert_eq!((status, control.taken(size)), (STATUS_SUCCESS, expected));
        }
        // A proxy hands the records on to the connection that it makes.
        let set = SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS;
        let outgoing = client.connection(&mut io, "127.0.0.1:0");
        let mut control = Control::ioctl(set).input(b"some records");
        assert_eq!(control.with_irp(outgoing, &mut io).0, STATUS_SUCCESS);
        let (status, _) = Control::ioctl(set).with_irp(outgoing, &mut io);
        assert_eq!(status, STATUS_INVALID_PARAMETER, "no records");
        let mut late = Control::ioctl(set).input(b"some records");
        assert_eq!(
            late.with_irp(socket, &mut io).0,
            STATUS_INVALID_DEVICE_STATE
        );
        drop(peer);
        for socket in [outgoing, socket, listener] {
            socket.close(&mut io);
        }
    });
}

#[test]
fn connection_that_no_filter_redirected_has_no_records() {
    wsk_sim::run(|sim| {
        let mut io = Io::new();
        let client = Client::new();
        let (listener, peer, socket) = accepted(sim, &client, &mut io);
        let code = SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS;
        let (status, _) = Control::ioctl(code).output(64).with_irp(socket, &mut io);
        assert_eq!(status, STATUS_NOT_FOUND);
        drop(peer);
        socket.close(&mut io);
        listener.close(&mut io);
    });
}

/// What the inspection callback was told last.
static TABLE: WSK_CLIENT_LISTEN_DISPATCH = WSK_CLIENT_LISTEN_DISPATCH {
    WskAcceptEvent: None,
    WskInspectEvent: Some(inspect),
    WskAbortEvent: Some(abort),
};

type Seen = std::sync::Mutex<Option<(u64, u32)>>;

unsafe extern "C" fn inspect(
    context: PVOID,
    _local: PSOCKADDR,
    _remote: PSOCKADDR,
    id: PWSK_INSPECT_ID,
) -> WSK_INSPECT_ACTION::Type {
    // SAFETY: the context is the test's.
    let seen: &Seen = unsafe { &*context.cast() };
    // SAFETY: the listener lives, so there is an ID.
    let id = unsafe { id.read() };
    *seen.lock().unwrap() = Some((id.Key, id.SerialNumber));
    WSK_INSPECT_ACTION::WskInspectAccept
}

unsafe extern "C" fn abort(_context: PVOID, _id: PWSK_INSPECT_ID) -> NTSTATUS {
    STATUS_SUCCESS
}

#[test]
fn inspect_id_of_an_accepted_connection_is_that_of_its_inspection() {
    // [wsk 5, 7.9]
    wsk_sim::seeds(20, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let seen = Box::new(Seen::default());
        let making = Making::new(WSK_FLAG_LISTEN_SOCKET, false)
            .with_table(&TABLE)
            .with_context(&*seen);
        let listener = making.make(&client, &mut io);
        let conditional = (SOL_SOCKET, SO_CONDITIONAL_ACCEPT);
        assert_eq!(
            set_number(listener, &mut io, conditional, 1),
            STATUS_SUCCESS
        );
        assert_eq!(bind(listener, &mut io, "127.0.0.1:7"), STATUS_SUCCESS);
        let peer = sim
            .begin_to_connect("127.0.0.1:7".parse().unwrap())
            .unwrap();
        let socket = Socket::new(listener.accept(&mut io).1);
        let mut control = Control::ioctl(SIO_WSK_QUERY_INSPECT_ID).output(16);
        assert_eq!(control.without_irp(socket), STATUS_SUCCESS);
        assert_eq!(control.returned, size_of::<WSK_INSPECT_ID>() as u64);
        let id = control.taken(16);
        let key = u64::from_ne_bytes(id[..8].try_into().unwrap());
        let serial = u32::from_ne_bytes(id[8..12].try_into().unwrap());
        assert_eq!(Some((key, serial)), *seen.lock().unwrap());
        let mut small = Control::ioctl(SIO_WSK_QUERY_INSPECT_ID).output(8);
        assert_eq!(small.without_irp(socket), STATUS_BUFFER_TOO_SMALL);
        assert_eq!(small.returned, 16);
        drop(peer);
        socket.close(&mut io);
        listener.close(&mut io);
    });
}

#[test]
fn inspect_id_of_any_other_socket_is_an_invalid_request() {
    // [wsk 5]
    wsk_sim::run(|sim| {
        let mut io = Io::new();
        let client = Client::new();
        let (listener, peer, socket) = accepted(sim, &client, &mut io);
        let fresh = open(&client, &mut io, WSK_FLAG_CONNECTION_SOCKET);
        let stream = open(&client, &mut io, WSK_FLAG_STREAM_SOCKET);
        for other in [socket, listener, fresh, stream] {
            let mut control = Control::ioctl(SIO_WSK_QUERY_INSPECT_ID).output(16);
            assert_eq!(control.without_irp(other), STATUS_INVALID_DEVICE_REQUEST);
        }
        drop(peer);
        for socket in [fresh, stream, socket, listener] {
            socket.close(&mut io);
        }
    });
}

#[test]
fn ioctl_ignores_the_level() {
    // [wsk 5.1]
    wsk_sim::run(|sim| {
        let mut io = Io::new();
        let connected = Connected::new(sim, &mut io, "127.0.0.1:0");
        let mut control = Control::ioctl(SIO_WSK_QUERY_RECEIVE_BACKLOG)
            .at_level(SOL_SOCKET)
            .output(SIZE_T);
        let outcome = io.call(|irp| control.start(connected.socket, ptr::null_mut(), irp));
        assert_eq!(outcome, (STATUS_SUCCESS, SIZE_T));
        connected.close(&mut io);
    });
}
