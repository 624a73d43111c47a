//! Connections that the driver makes, and sockets that decide late what they become.

use std::{net::SocketAddr, time::Duration};

use crate::common::{Client, address, block_on, buffer, passive};
use wsk::{
    AddressFamily, BasicSocket, Buffer, ConnectionSocket, ErrorKind, ListenSocket, Protocol,
    SendFlags, SocketType, StreamSocket,
};
use wsk_sim::{Listener, Sim};

const SCHEDULES: u64 = 200;
const LONG: Duration = Duration::from_secs(30);
/// Nobody listens there.
const NOBODY: u16 = 9;

fn any() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 0))
}

fn nobody() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], NOBODY))
}

/// A server of the host's that the driver connects to.
fn server(sim: &Sim) -> Listener {
    sim.listen(address()).expect("a free port")
}

fn bound(client: &Client) -> ConnectionSocket {
    let opening = ConnectionSocket::open(&client.provider, AddressFamily::Inet);
    let connection = opening.wait(passive()).expect("opened");
    connection.bind(any()).wait(passive()).expect("bound");
    connection
}

fn stream(client: &Client) -> StreamSocket {
    let opening = StreamSocket::open(&client.provider, AddressFamily::Inet);
    opening.wait(passive()).expect("opened")
}

/// Both ends can send and receive.
fn check_connected(mut connection: ConnectionSocket, peer: &wsk_sim::Peer) {
    let (sent, same) = connection.send(buffer(b"ping")).wait(passive());
    assert_eq!(sent.expect("sent"), 4);
    assert_eq!(peer.read_exact(4).expect("sent"), b"ping");
    peer.write_all(b"pong").expect("connected");
    let (received, filled) = connection.receive_exact(same).wait(passive());
    assert_eq!(received.expect("received"), 4);
    assert_eq!(filled[..], *b"pong");
    connection.close().wait(passive()).expect("closed");
}

#[test]
fn connect_gives_a_connection_with_both_addresses() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let server = server(sim);
        let connection = bound(&client);
        block_on(sim, connection.connect(address())).expect("connected");
        let peer = server.accept();
        let remote = connection.remote_address().wait(passive());
        assert_eq!(remote, Ok(address()));
        let local = connection.local_address().wait(passive()).expect("bound");
        assert_eq!(local, peer.addresses().1);
        check_connected(connection, &peer);
        drop((peer, server));
        client.end();
    });
}

/// [wsk 4.6]
#[test]
fn connect_from_opens_binds_and_connects() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let server = server(sim);
        let connecting = ConnectionSocket::connect_from(&client.provider, any(), address());
        let connection = connecting.wait(passive()).expect("connected");
        let peer = server.accept();
        check_connected(connection, &peer);
        drop((peer, server));
        client.end();
    });
}

#[test]
fn connect_from_that_fails_leaves_no_socket() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let connecting = ConnectionSocket::connect_from(&client.provider, any(), nobody());
        let refused = connecting.wait(passive()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(refused.call(), "WskSocketConnect");
        let other_family = "[::1]:7".parse().expect("an address");
        let connecting = ConnectionSocket::connect_from(&client.provider, any(), other_family);
        let refused = connecting.wait(passive()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidAddress);
        client.end();
    });
}

/// The socket that a dropped request makes all the same is closed.
#[test]
fn connect_from_dropped_in_flight_leaves_no_socket() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let server = server(sim);
        drop(ConnectionSocket::connect_from(
            &client.provider,
            any(),
            address(),
        ));
        let connecting = ConnectionSocket::connect_from(&client.provider, any(), address());
        drop(connecting.wait_timeout(Duration::from_micros(50), passive()));
        drop(server);
        client.end();
    });
}

#[test]
fn connect_to_nobody_is_refused_and_can_be_tried_again() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let server = server(sim);
        let connection = bound(&client);
        let refused = connection.connect(nobody()).wait(passive()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        connection
            .connect(address())
            .wait(passive())
            .expect("this one listens");
        let peer = server.accept();
        check_connected(connection, &peer);
        drop((peer, server));
        client.end();
    });
}

/// [wsk 4.7, 9.8]
#[test]
fn connection_in_the_wrong_state_says_so() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let opening = ConnectionSocket::open(&client.provider, AddressFamily::Inet);
        let mut connection = opening.wait(passive()).expect("opened");
        let unbound = [
            connection.connect(address()).wait(passive()).unwrap_err(),
            connection.local_address().wait(passive()).unwrap_err(),
            connection.remote_address().wait(passive()).unwrap_err(),
            connection.send(buffer(b"x")).wait(passive()).0.unwrap_err(),
            connection
                .receive(buffer(b"x"))
                .wait(passive())
                .0
                .unwrap_err(),
        ];
        assert_eq!(unbound.map(wsk::Error::kind), [ErrorKind::InvalidState; 5]);
        drop(connection);
        client.end();
    });
}

/// [wsk 9.4]
#[test]
fn connect_with_data_sends_it_first() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let server = server(sim);
        let connection = bound(&client);
        let connecting = connection.connect_with_data(address(), buffer(b"first "));
        let (connected, same) = connecting.wait(passive());
        connected.expect("connected");
        assert_eq!(same[..], *b"first ");
        let peer = server.accept();
        let (sent, _) = connection.send(buffer(b"second")).wait(passive());
        sent.expect("sent");
        assert_eq!(peer.read_exact(12).expect("sent"), b"first second");
        drop((connection, peer, server));
        client.end();
    });
}

/// [wsk 9.4]
#[test]
fn connect_with_too_much_data_is_refused_with_the_buffer() {
    wsk_sim::seeds(50, |sim| {
        let client = Client::new();
        let server = server(sim);
        let connection = bound(&client);
        let connecting = connection.connect_with_data(address(), buffer(&vec![0; 65_536]));
        let (connected, same) = connecting.wait(passive());
        let status = connected.unwrap_err().status();
        assert_eq!(status, wsk::Status::BUFFER_OVERFLOW);
        assert_eq!(same.len(), 65_536);
        drop((connection, server));
        client.end();
    });
}

#[test]
fn disconnect_with_data_sends_it_before_the_end() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let (sent, _) = connection.send(buffer(b"almost ")).wait(passive());
        sent.expect("sent");
        let (ended, same) = connection
            .disconnect_with_data(buffer(b"done"))
            .wait(passive());
        ended.expect("disconnected");
        assert_eq!(same[..], *b"done");
        assert_eq!(peer.read_to_end().expect("a graceful end"), b"almost done");
        drop((connection, peer));
        client.end();
    });
}

/// [wsk 9.2]
#[test]
fn send_with_flags_sends_or_says_that_the_flag_is_not_supported() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let send = connection.send_with(buffer(b"now"), SendFlags::NO_DELAY);
        assert_eq!(send.wait(passive()).0.expect("sent"), 3);
        assert_eq!(peer.read_exact(3).expect("sent"), b"now");
        for flags in [SendFlags::OUT_OF_BAND, SendFlags::from_raw(0x80)] {
            let (sent, same) = connection.send_with(buffer(b"!"), flags).wait(passive());
            assert_eq!(sent.unwrap_err().kind(), ErrorKind::NotSupported);
            assert_eq!(same[..], *b"!");
        }
        drop((connection, peer));
        client.end();
    });
}

/// [wsk 4.8, 4.10]
#[test]
fn stream_socket_becomes_a_listener() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let socket = stream(&client);
        socket.bind(address()).wait(passive()).expect("bound");
        assert!(sim.connect(address()).is_err(), "listens before it is told");
        let mut listener: ListenSocket = socket.listen().wait(passive()).expect("listens");
        let local = listener.local_address().wait(passive());
        assert_eq!(local, Ok(address()));
        let peer = sim.connect(address()).expect("it listens");
        let accepted = block_on(sim, listener.accept()).expect("accepted");
        assert_eq!(accepted.remote, Some(peer.addresses().0));
        check_connected(accepted.socket, &peer);
        listener.close().wait(passive()).expect("closed");
        drop(peer);
        client.end();
    });
}

/// [wsk 4.8, 4.10]
#[test]
fn stream_socket_becomes_a_connection() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let server = server(sim);
        let socket = stream(&client);
        socket.bind(any()).wait(passive()).expect("bound");
        let connection = block_on(sim, socket.connect(address())).expect("connected");
        let peer = server.accept();
        let local = connection.local_address().wait(passive());
        assert_eq!(local, Ok(peer.addresses().1));
        let remote = connection.remote_address().wait(passive());
        assert_eq!(remote, Ok(address()));
        let (read, write) = connection.into_split();
        check_connected(read.reunite(write).expect("one connection"), &peer);
        drop((peer, server));
        client.end();
    });
}

/// [wsk 4.8, 9.4]
#[test]
fn stream_socket_connects_with_data_or_comes_back() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let server = server(sim);
        let socket = stream(&client);
        socket.bind(any()).wait(passive()).expect("bound");
        let connecting = socket.connect_with_data(nobody(), buffer(b"first "));
        let (refused, same) = connecting.wait_timeout(LONG, passive());
        let (error, socket) = refused.expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(same[..], *b"first ");
        let connecting = block_on(sim, socket.connect_with_data(address(), same));
        let (connected, same) = connecting;
        let connection = connected.expect("connected");
        assert_eq!(same[..], *b"first ");
        let peer = server.accept();
        assert_eq!(peer.read_exact(6).expect("sent"), b"first ");
        check_connected(connection, &peer);
        drop((peer, server));
        client.end();
    });
}

#[test]
fn stream_socket_that_cannot_commit_comes_back() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let server = server(sim);
        let socket = stream(&client);
        let (error, socket) = socket.listen().wait(passive()).expect_err("not bound");
        assert_eq!(error.kind(), ErrorKind::InvalidState);
        socket.bind(any()).wait(passive()).expect("bound");
        let (error, socket) = socket
            .connect(nobody())
            .wait_timeout(LONG, passive())
            .expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let connection = socket.connect(address()).wait(passive());
        let peer = server.accept();
        check_connected(connection.expect("this one listens"), &peer);
        drop((peer, server));
        client.end();
    });
}

#[test]
fn commit_dropped_closes_the_socket() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let server = server(sim);
        for _ in 0..2 {
            let socket = stream(&client);
            socket.bind(any()).wait(passive()).expect("bound");
            drop(socket.connect(address()));
        }
        let socket = stream(&client);
        socket.bind(any()).wait(passive()).expect("bound");
        let mut commit = socket.listen();
        commit.cancel();
        drop(commit.wait(passive()));
        drop(stream(&client).close());
        drop(server);
        client.end();
    });
}

#[test]
fn connecting_socket_closed_elsewhere_ends() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let server = server(sim);
        let socket = stream(&client);
        let closer = socket.closer();
        socket.bind(any()).wait(passive()).expect("bound");
        let commit = socket.connect(address());
        let thread = sim.spawn(move || closer.close());
        if let Err((error, _socket)) = commit.wait(passive()) {
            let expected = [ErrorKind::Cancelled, ErrorKind::Closed];
            assert!(expected.contains(&error.kind()), "{error}");
        }
        thread.join();
        drop(server);
        client.end();
    });
}

#[test]
fn basic_socket_is_opened_and_closed() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        for (kind, protocol) in [
            (SocketType::STREAM, Protocol::TCP),
            (SocketType::DATAGRAM, Protocol::UDP),
        ] {
            let opening = BasicSocket::open(&client.provider, AddressFamily::Inet6, kind, protocol);
            let socket = opening.wait(passive()).expect("opened");
            socket.closer().close();
            socket.close().wait(passive()).expect("closed");
        }
        let (kind, protocol) = (SocketType::STREAM, Protocol::UDP);
        let opening = BasicSocket::open(&client.provider, AddressFamily::Inet, kind, protocol);
        let refused = opening.wait(passive()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotSupported);
        client.end();
    });
}

/// Each allocation and call failing in turn, over the life of a connection that the driver makes.
#[test]
fn connection_made_with_any_fault_leaves_nothing() {
    wsk_sim::every_fault(|sim| {
        let Ok(registration) = wsk::Registration::register(wsk::Version::V1_0, passive()) else {
            return;
        };
        let Ok(provider) = registration.try_capture() else {
            return;
        };
        let server = server(sim);
        let server = sim.spawn(move || {
            // One for each attempt below.
            for _ in 0..3 {
                let peer = server.accept();
                let _ = peer.write_all(b"hello");
                let _ = peer.read_to_end();
            }
        });
        let first = wsk::ConnectionSocket::connect_from(&provider, any(), address());
        let first = first.wait(passive()).or_else(|_| {
            // One fault only: this one is made.
            ConnectionSocket::connect_from(&provider, any(), address()).wait(passive())
        });
        exchange(first.expect("made this time"));
        for _ in 0..2 {
            let opening = StreamSocket::open(&provider, AddressFamily::Inet);
            let Ok(socket) = opening.wait(passive()) else {
                continue;
            };
            let _ = socket.bind(any()).wait(passive());
            if let Ok(connection) = socket.connect(address()).wait(passive()) {
                exchange(connection);
            }
        }
        // The server may still wait for somebody.
        while sim.connect(address()).is_ok() {}
        server.join();
    });
}

fn exchange(mut connection: ConnectionSocket) {
    let Ok(free) = Buffer::with_capacity(5) else {
        return;
    };
    let (received, filled) = connection.receive_exact(free).wait(passive());
    if received.is_ok() {
        assert_eq!(filled[..], *b"hello");
    }
    let _ = connection.send(filled).wait(passive());
    let _ = connection.disconnect().wait(passive());
}
