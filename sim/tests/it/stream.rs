//! Stream sockets: listening or connected, as the first call that commits them says [wsk 4.8,
//! 4.9, 4.10].

use core::ffi::c_void;
use std::sync::Arc;

use wdk_sys::{
    STATUS_CONNECTION_REFUSED, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
    STATUS_SUCCESS,
};
use wsk_sim::seeds;
use wsk_sys::{WSK_EVENT_ACCEPT, WSK_EVENT_DISCONNECT, WSK_EVENT_RECEIVE, WSK_FLAG_STREAM_SOCKET};

use crate::common::{Client, Io, Memory, Socket};
use crate::handlers::{ConnectionHandlers, ListenHandlers, Queue, Table};
use crate::requests::ADDRESS;

const SEEDS: u64 = 200;

/// A stream socket, bound to an address.
fn stream_socket(client: &Client, io: &mut Io, context: *const c_void, address: &str) -> Socket {
    let socket = client.open(io, WSK_FLAG_STREAM_SOCKET, context, Table::STREAM);
    assert_eq!(socket.bind(io, address.parse().unwrap()).0, STATUS_SUCCESS);
    socket
}

#[test]
fn wsk_4_10_table_has_its_fifteen_functions_in_order() {
    seeds(1, |_| {
        let (mut io, client) = (Io::new(), Client::new());
        let socket = stream_socket(&client, &mut io, core::ptr::null(), ADDRESS);
        let table = socket.stream_table();
        let expected = [
            table.Basic.WskControlSocket.map(|f| f as usize),
            table.Basic.WskCloseSocket.map(|f| f as usize),
            table.WskBind.map(|f| f as usize),
            table.WskAccept.map(|f| f as usize),
            table.WskConnect.map(|f| f as usize),
            table.WskListen.map(|f| f as usize),
            table.WskSend.map(|f| f as usize),
            table.WskReceive.map(|f| f as usize),
            table.WskDisconnect.map(|f| f as usize),
            table.WskRelease.map(|f| f as usize),
            table.WskGetLocalAddress.map(|f| f as usize),
            table.WskGetRemoteAddress.map(|f| f as usize),
            table.WskConnectEx.map(|f| f as usize),
            table.WskSendEx.map(|f| f as usize),
            table.WskReceiveEx.map(|f| f as usize),
        ];
        let slots = socket.slots::<15>();
        assert_eq!(expected.map(Option::unwrap), slots);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_4_8_stream_socket_listens_from_wsk_listen_on() {
    seeds(SEEDS, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let handlers = ListenHandlers::default();
        let context = core::ptr::from_ref(&handlers).cast();
        let socket = stream_socket(&client, &mut io, context, ADDRESS);
        let remote = ADDRESS.parse().unwrap();
        assert_eq!(sim.connect(remote).err(), Some(STATUS_CONNECTION_REFUSED));
        let early = socket.accept_as_stream(&mut io);
        assert_eq!(early.0, STATUS_INVALID_DEVICE_STATE);
        assert_eq!(
            socket.set_events(WSK_EVENT_ACCEPT),
            STATUS_INVALID_DEVICE_STATE
        );
        assert_eq!(socket.listen(&mut io).0, STATUS_SUCCESS);
        let peer = sim.connect(remote).unwrap();
        let (status, accepted) = socket.accept_as_stream(&mut io);
        assert_eq!(status, STATUS_SUCCESS);
        let accepted = Socket::new(accepted);
        assert_eq!(accepted.send(&mut io, b"hello").0, STATUS_SUCCESS);
        assert_eq!(peer.read_exact(5).unwrap(), b"hello");
        accepted.close(&mut io);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_4_8_listen_needs_an_address() {
    seeds(5, |_| {
        let (mut io, client) = (Io::new(), Client::new());
        let null = core::ptr::null();
        let socket = client.open(&mut io, WSK_FLAG_STREAM_SOCKET, null, Table::STREAM);
        assert_eq!(socket.listen(&mut io).0, STATUS_INVALID_DEVICE_STATE);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_4_8_listen_commits_a_stream_socket_to_listening() {
    seeds(20, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let socket = stream_socket(&client, &mut io, core::ptr::null(), ADDRESS);
        assert_eq!(socket.listen(&mut io).0, STATUS_SUCCESS);
        assert_eq!(socket.listen(&mut io).0, STATUS_INVALID_DEVICE_STATE);
        let outcome = socket.connect_as_stream(&mut io, server.local_addr());
        assert_eq!(outcome.0, STATUS_INVALID_DEVICE_STATE);
        let memory = Memory::of(b"x");
        let outcome = io.call(|irp| socket.start_send_as_stream(&memory, irp));
        assert_eq!(outcome.0, STATUS_INVALID_DEVICE_STATE);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_4_8_connect_commits_a_stream_socket_to_its_connection() {
    seeds(20, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        for extended in [false, true] {
            let socket = stream_socket(&client, &mut io, core::ptr::null(), "127.0.0.1:0");
            // One that fails commits to nothing.
            let nobody = "127.0.0.1:9".parse().unwrap();
            let outcome = socket.connect_as_stream(&mut io, nobody);
            assert_eq!(outcome.0, STATUS_CONNECTION_REFUSED);
            let remote = server.local_addr();
            let outcome = if extended {
                socket.connect_ex_as_stream(&mut io, remote)
            } else {
                socket.connect_as_stream(&mut io, remote)
            };
            assert_eq!(outcome.0, STATUS_SUCCESS);
            assert_eq!(socket.listen(&mut io).0, STATUS_INVALID_DEVICE_STATE);
            let outcome = socket.accept_as_stream(&mut io);
            assert_eq!(outcome.0, STATUS_INVALID_DEVICE_STATE);
            socket.close(&mut io);
        }
    });
}

#[test]
fn wsk_4_8_failed_connect_leaves_a_stream_socket_free_to_listen() {
    seeds(20, |sim| {
        let (mut io, client) = (Io::new(), Client::new());
        let socket = stream_socket(&client, &mut io, core::ptr::null(), ADDRESS);
        let nobody = "127.0.0.1:9".parse().unwrap();
        let outcome = socket.connect_as_stream(&mut io, nobody);
        assert_eq!(outcome.0, STATUS_CONNECTION_REFUSED);
        assert_eq!(socket.listen(&mut io).0, STATUS_SUCCESS);
        drop(sim.connect(ADDRESS.parse().unwrap()).unwrap());
        socket.close(&mut io);
    });
}

#[test]
fn wsk_6_10_events_of_a_stream_socket_follow_its_use() {
    seeds(SEEDS, |sim| {
        let (mut io, client, log) = (Io::new(), Client::new(), Queue::new());
        let told = Arc::clone(&log);
        let listening = ListenHandlers {
            accept: Box::new(move |offer| {
                let status = offer.accept();
                offer
                    .socket
                    .into_iter()
                    .for_each(|socket| told.push(socket));
                status
            }),
            ..ListenHandlers::default()
        };
        let data = Queue::new();
        let told = Arc::clone(&data);
        let connected = ConnectionHandlers {
            receive: Box::new(move |indication| {
                told.push(indication.list.data());
                STATUS_SUCCESS
            }),
            ..ConnectionHandlers::default()
        };
        let context = core::ptr::from_ref(&listening).cast();
        let listener = stream_socket(&client, &mut io, context, ADDRESS);
        assert_eq!(listener.listen(&mut io).0, STATUS_SUCCESS);
        assert_eq!(listener.set_events(WSK_EVENT_ACCEPT), STATUS_SUCCESS);

        let context = core::ptr::from_ref(&connected).cast();
        let socket = stream_socket(&client, &mut io, context, "127.0.0.1:0");
        assert_eq!(
            socket.set_events(WSK_EVENT_RECEIVE),
            STATUS_INVALID_DEVICE_STATE
        );
        let outcome = socket.connect_as_stream(&mut io, ADDRESS.parse().unwrap());
        assert_eq!(outcome.0, STATUS_SUCCESS);
        assert_eq!(
            socket.set_events(WSK_EVENT_ACCEPT | WSK_EVENT_RECEIVE),
            STATUS_INVALID_PARAMETER
        );
        let events = WSK_EVENT_RECEIVE | WSK_EVENT_DISCONNECT;
        assert_eq!(socket.set_events(events), STATUS_SUCCESS);
        let accepted = log.pop();
        assert_eq!(accepted.send(&mut io, b"x").0, STATUS_SUCCESS);
        assert_eq!(data.pop(), b"x");
        accepted.close(&mut io);
        socket.close(&mut io);
        listener.close(&mut io);
        sim.sleep(core::time::Duration::from_secs(1));
    });
}
