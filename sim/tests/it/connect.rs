//! Creating sockets, and connecting them [wsk 4, 9.4, 9.8].

use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::SeqCst;
use std::net::SocketAddr;
use std::sync::Arc;

use wdk_sys::{
    STATUS_ADDRESS_ALREADY_EXISTS, STATUS_BUFFER_OVERFLOW, STATUS_CANCELLED,
    STATUS_CONNECTION_REFUSED, STATUS_INVALID_ADDRESS_COMPONENT, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED, STATUS_SUCCESS,
};
use wsk_sim::{Listener, Sim, seeds};
use wsk_sys::WSK_INSPECT_ACTION::{WskInspectAccept, WskInspectPend};
use wsk_sys::{
    AF_INET, IPPROTO, SOCK_DGRAM, SOCK_STREAM, WSK_EVENT_RECEIVE, WSK_FLAG_BASIC_SOCKET,
    WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_DATAGRAM_SOCKET, WSK_FLAG_LISTEN_SOCKET,
};

use crate::common::{Address, Client, Io, Memory, Socket};
use crate::handlers::{ConnectionHandlers, ListenHandlers, Queue, Table};
use crate::requests::{ADDRESS, SocketConnect};

const SEEDS: u64 = 200;

fn server(sim: &Sim) -> Listener {
    sim.listen("127.0.0.1:0".parse().unwrap()).unwrap()
}

#[test]
fn wsk_4_2_socket_has_one_category() {
    seeds(10, |_| {
        let (mut io, client) = (Io::new(), Client::new());
        let two = WSK_FLAG_LISTEN_SOCKET | WSK_FLAG_CONNECTION_SOCKET;
        for flags in [two, 0x10] {
            let outcome = client.try_socket(&mut io, flags, false);
            assert_eq!(outcome.0, STATUS_INVALID_PARAMETER);
        }
    });
}

#[test]
fn wsk_4_1_basic_socket_has_neither_context_nor_table() {
    seeds(10, |_| {
        let (mut io, client) = (Io::new(), Client::new());
        let handlers = ListenHandlers::default();
        let context = core::ptr::from_ref(&handlers).cast();
        let null = core::ptr::null();
        for (context, table) in [(context, Table::NONE), (null, Table::LISTEN)] {
            let flags = WSK_FLAG_BASIC_SOCKET;
            let outcome = client.try_socket_with(&mut io, flags, false, context, table.0);
            assert_eq!(outcome.0, STATUS_INVALID_PARAMETER);
        }
        client
            .open(&mut io, WSK_FLAG_BASIC_SOCKET, null, Table::NONE)
            .close(&mut io);
    });
}

#[test]
fn wsk_4_4_combinations_that_no_transport_has_are_refused() {
    let (tcp, udp) = (
        IPPROTO::IPPROTO_TCP.cast_unsigned(),
        IPPROTO::IPPROTO_UDP.cast_unsigned(),
    );
    let (stream, datagram) = (
        u16::try_from(SOCK_STREAM).unwrap(),
        u16::try_from(SOCK_DGRAM).unwrap(),
    );
    let inet = u16::try_from(AF_INET).unwrap();
    let wrong = [
        (99, stream, tcp, WSK_FLAG_LISTEN_SOCKET),
        (inet, datagram, tcp, WSK_FLAG_LISTEN_SOCKET),
        (inet, stream, udp, WSK_FLAG_CONNECTION_SOCKET),
        (inet, datagram, udp, WSK_FLAG_LISTEN_SOCKET),
        (inet, stream, tcp, WSK_FLAG_DATAGRAM_SOCKET),
    ];
    seeds(5, move |_| {
        let (mut io, client) = (Io::new(), Client::new());
        for (family, kind, protocol, flags) in wrong {
            let null = core::ptr::null();
            let triple = (family, kind, protocol);
            let outcome = client.socket_call(&mut io, triple, flags, null, null);
            assert_eq!(outcome.0, STATUS_NOT_SUPPORTED);
        }
    });
}

#[test]
fn wsk_4_7_connect_needs_a_bound_socket_that_is_not_connected() {
    seeds(20, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let server = server(sim);
        let null = core::ptr::null();
        let socket = client.open(&mut io, WSK_FLAG_CONNECTION_SOCKET, null, Table::NONE);
        let remote = server.local_addr();
        let outcome = socket.connect(&mut io, remote);
        assert_eq!(outcome.0, STATUS_INVALID_DEVICE_STATE);
        assert_eq!(socket.bind(&mut io, "0.0.0.0:0".parse().unwrap()).0, 0);
        let outcome = socket.connect(&mut io, "[::1]:7".parse().unwrap());
        assert_eq!(outcome.0, STATUS_INVALID_ADDRESS_COMPONENT);
        assert_eq!(socket.connect(&mut io, remote).0, STATUS_SUCCESS);
        let outcome = socket.connect(&mut io, remote);
        assert_eq!(outcome.0, STATUS_INVALID_DEVICE_STATE);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_4_7_connect_may_be_tried_again_after_it_was_refused() {
    seeds(20, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let socket = client.connection(&mut io, "127.0.0.1:0");
        let outcome = socket.connect(&mut io, "127.0.0.1:9".parse().unwrap());
        assert_eq!(outcome.0, STATUS_CONNECTION_REFUSED);
        let server = server(sim);
        assert_eq!(socket.connect(&mut io, server.local_addr()).0, 0);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_9_8_addresses_are_there_when_they_are_known() {
    seeds(20, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let server = server(sim);
        let null = core::ptr::null();
        let socket = client.open(&mut io, WSK_FLAG_CONNECTION_SOCKET, null, Table::NONE);
        for remote in [false, true] {
            let address = socket.address(&mut io, remote);
            assert_eq!(address, Err(STATUS_INVALID_DEVICE_STATE));
        }
        assert_eq!(socket.bind(&mut io, "0.0.0.0:0".parse().unwrap()).0, 0);
        let bound = socket.address(&mut io, false).unwrap();
        assert!(bound.ip().is_unspecified() && bound.port() != 0);
        let remote = socket.address(&mut io, true);
        assert_eq!(remote, Err(STATUS_INVALID_DEVICE_STATE));
        assert_eq!(socket.connect(&mut io, server.local_addr()).0, 0);
        let local = SocketAddr::new([127, 0, 0, 1].into(), bound.port());
        assert_eq!(socket.address(&mut io, false), Ok(local));
        assert_eq!(socket.address(&mut io, true), Ok(server.local_addr()));
        socket.close(&mut io);
    });
}

#[test]
fn wsk_4_6_socket_connect_gives_a_connection_with_events() {
    seeds(SEEDS, |sim| {
        let (mut io, client, data) = (Io::new(), Client::new(), Queue::new());
        let told = Arc::clone(&data);
        let handlers = ConnectionHandlers {
            receive: Box::new(move |indication| {
                told.push(indication.list.data());
                STATUS_SUCCESS
            }),
            ..ConnectionHandlers::default()
        };
        let server = server(sim);
        let mut call = SocketConnect {
            context: core::ptr::from_ref(&handlers).cast(),
            table: Table::CONNECTION,
            ..SocketConnect::new("0.0.0.0:0", server.local_addr())
        };
        let (status, socket) = call.call(&client, &mut io);
        assert_eq!(status, STATUS_SUCCESS);
        let socket = Socket::new(socket);
        let peer = server.accept();
        assert_eq!(socket.set_events(WSK_EVENT_RECEIVE), STATUS_SUCCESS);
        peer.write_all(b"hello").unwrap();
        let mut heard = Vec::new();
        while heard.len() < 5 {
            heard.extend(data.pop());
        }
        assert_eq!(heard, b"hello");
        socket.close(&mut io);
    });
}

#[test]
fn wsk_4_6_socket_connect_that_fails_leaves_no_socket() {
    seeds(SEEDS, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let server = server(sim);
        let remote = server.local_addr();
        let listener = client.listener(&mut io, ADDRESS);
        let nobody: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let other = "[::1]:7".parse().unwrap();
        let any = "127.0.0.1:0";
        for (local, remote, flags, expected) in [
            (any, remote, 1, STATUS_INVALID_PARAMETER),
            (any, other, 0, STATUS_INVALID_ADDRESS_COMPONENT),
            (any, nobody, 0, STATUS_CONNECTION_REFUSED),
            (ADDRESS, remote, 0, STATUS_ADDRESS_ALREADY_EXISTS),
            (
                "198.51.100.1:0",
                remote,
                0,
                STATUS_INVALID_ADDRESS_COMPONENT,
            ),
        ] {
            let mut call = SocketConnect::new(local, remote);
            call.flags = flags;
            assert_eq!(call.call(&client, &mut io).0, expected, "{local} {remote}");
        }
        // The client can deregister: no socket is left.
        listener.close(&mut io);
    });
}

/// A listener at `ADDRESS` that keeps those who connect waiting.
fn reluctant() -> ListenHandlers {
    ListenHandlers {
        inspect: Box::new(|_| WskInspectPend),
        ..ListenHandlers::default()
    }
}

#[test]
fn wsk_4_6_socket_connect_cancelled_while_connecting_leaves_no_socket() {
    seeds(SEEDS, |_| {
        let (mut io, mut connecting) = (Io::new(), Io::new());
        let (client, handlers) = (Client::new(), reluctant());
        let listener = client.listener_with(&mut io, &handlers, true);
        let mut call = SocketConnect::new("127.0.0.1:0", ADDRESS.parse().unwrap());
        call.start(&client, connecting.prepare());
        assert!(connecting.cancel());
        assert_eq!(connecting.wait().0, STATUS_CANCELLED);
        listener.close(&mut io);
    });
}

#[test]
fn wsk_4_6_cancel_racing_with_socket_connect_loses_no_socket() {
    static ENDS: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
    seeds(500, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let server = server(sim);
        let mut call = SocketConnect::new("127.0.0.1:0", server.local_addr());
        call.start(&client, io.prepare());
        io.cancel();
        let (status, socket) = io.wait();
        let connected = status == STATUS_SUCCESS;
        assert!(connected || status == STATUS_CANCELLED, "{status:#x}");
        ENDS[usize::from(connected)].fetch_add(1, SeqCst);
        if connected {
            Socket::new(socket).close(&mut io);
        }
    });
    assert!(ENDS.iter().all(|end| end.load(SeqCst) > 0), "{ENDS:?}");
}

#[test]
fn connect_cancelled_may_be_tried_again() {
    seeds(SEEDS, |sim| {
        let (mut io, mut connecting) = (Io::new(), Io::new());
        let (client, handlers) = (Client::new(), reluctant());
        let listener = client.listener_with(&mut io, &handlers, true);
        let socket = client.connection(&mut io, "127.0.0.1:0");
        let mut remote = Address::of(ADDRESS.parse().unwrap());
        socket.start_connect(&mut remote, connecting.prepare());
        assert!(connecting.cancel());
        assert_eq!(connecting.wait().0, STATUS_CANCELLED);
        let server = server(sim);
        assert_eq!(socket.connect(&mut io, server.local_addr()).0, 0);
        socket.close(&mut io);
        listener.close(&mut io);
    });
}

#[test]
fn connections_between_two_sockets_of_the_driver() {
    seeds(SEEDS, |_| {
        let mut io = Io::new();
        let (client, accepted) = (Client::new(), Queue::new());
        let told = Arc::clone(&accepted);
        let handlers = ListenHandlers {
            accept: Box::new(move |offer| {
                let status = offer.accept();
                offer
                    .socket
                    .into_iter()
                    .for_each(|socket| told.push(socket));
                status
            }),
            inspect: Box::new(|_| WskInspectAccept),
            ..ListenHandlers::default()
        };
        let listener = client.listener_with(&mut io, &handlers, true);
        assert_eq!(listener.set_events(wsk_sys::WSK_EVENT_ACCEPT), 0);
        let socket = client.connection(&mut io, "127.0.0.1:0");
        let remote = ADDRESS.parse().unwrap();
        assert_eq!(socket.connect(&mut io, remote).0, STATUS_SUCCESS);
        let other = accepted.pop();
        assert_eq!(socket.send(&mut io, b"hello").0, STATUS_SUCCESS);
        assert_eq!(other.receive(&mut io, 5).unwrap()[0], b'h');
        other.close(&mut io);
        socket.close(&mut io);
        listener.close(&mut io);
    });
}

/// A socket that is bound, for `WskConnectEx`.
fn bound(client: &Client, io: &mut Io) -> Socket {
    client.connection(io, "127.0.0.1:0")
}

#[test]
fn wsk_9_4_connect_ex_sends_the_first_data() {
    seeds(SEEDS, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let server = server(sim);
        for data in [None, Some(b"hello")] {
            let socket = bound(&client, &mut io);
            // The memory may be freed as soon as the request is complete.
            let memory = data.map(|data| Memory::of(data));
            let outcome = socket.connect_ex(&mut io, server.local_addr(), memory.as_ref(), 0);
            drop(memory);
            assert_eq!(outcome.0, STATUS_SUCCESS);
            let peer = server.accept();
            assert_eq!(socket.disconnect(&mut io, 0).0, STATUS_SUCCESS);
            assert_eq!(
                peer.read_to_end().unwrap(),
                data.map_or(&b""[..], |data| data)
            );
            socket.close(&mut io);
        }
    });
}

#[test]
fn wsk_9_4_connect_ex_takes_no_flags_and_no_more_than_65535_bytes() {
    seeds(20, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let server = server(sim);
        let remote = server.local_addr();
        let socket = bound(&client, &mut io);
        let outcome = socket.connect_ex(&mut io, remote, None, 1);
        assert_eq!(outcome.0, STATUS_INVALID_PARAMETER);
        let memory = Memory::new(65_536);
        let outcome = socket.connect_ex(&mut io, remote, Some(&memory), 0);
        assert_eq!(outcome.0, STATUS_BUFFER_OVERFLOW);
        let memory = Memory::new(65_535);
        let outcome = socket.connect_ex(&mut io, remote, Some(&memory), 0);
        assert_eq!(outcome.0, STATUS_SUCCESS);
        assert_eq!(server.accept().read_exact(65_535).unwrap().len(), 65_535);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_9_4_connect_ex_that_is_refused_sends_nothing() {
    seeds(20, |_| {
        let (mut io, client) = (Io::new(), Client::new());
        let socket = bound(&client, &mut io);
        let memory = Memory::of(b"hello");
        let nobody = "127.0.0.1:9".parse().unwrap();
        let outcome = socket.connect_ex(&mut io, nobody, Some(&memory), 0);
        assert_eq!(outcome.0, STATUS_CONNECTION_REFUSED);
        let sent = socket.send(&mut io, b"x");
        assert_eq!(sent.0, STATUS_INVALID_DEVICE_STATE);
        socket.close(&mut io);
    });
}
