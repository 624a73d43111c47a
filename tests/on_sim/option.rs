//! Options: values in their types, at their moment, of the sockets that have them.

use std::time::Duration;

use crate::common::{Client, address, block_on, buffer, passive};
use wsk::{
    AddressFamily, Buffer, ConnectionSocket, ErrorKind, ListenSocket, dual_stack,
    option::{self, ipv6, tcp},
};

const SCHEDULES: u64 = 100;
const SOL_SOCKET: u32 = wsk_sys::SOL_SOCKET;

fn unbound(client: &Client, family: AddressFamily) -> ListenSocket {
    let opening = ListenSocket::open(&client.provider, family);
    opening.wait(passive()).expect("opened")
}

/// [wsk 5.2]
#[test]
fn option_that_was_set_is_read_back() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let set = connection.set_option(&option::KEEP_ALIVE, true);
        block_on(sim, set).expect("set");
        let read = block_on(sim, connection.option(&option::KEEP_ALIVE));
        assert_eq!(read, Ok(true));
        let set = connection.set_option(&option::RECEIVE_BUFFER, 65_536);
        set.wait(passive()).expect("set");
        let read = connection.option(&option::RECEIVE_BUFFER).wait(passive());
        assert_eq!(read, Ok(65_536));
        let set = connection.set_option(&tcp::NO_DELAY, true);
        set.wait(passive()).expect("set");
        let read = connection.option(&tcp::NO_DELAY).wait(passive());
        assert_eq!(read, Ok(true));
        drop((connection, peer));
        client.end();
    });
}

/// [wsk 5.3]
#[test]
fn options_of_a_listener_pass_to_what_it_accepts() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let mut listener = client.listen();
        let set = listener.set_option(&option::KEEP_ALIVE, true);
        set.wait(passive()).expect("set");
        let peer = sim.connect(address()).expect("it listens");
        let accepted = listener.accept().wait(passive()).expect("accepted").socket;
        let read = accepted.option(&option::KEEP_ALIVE).wait(passive());
        assert_eq!(read, Ok(true));
        drop((accepted, listener, peer));
        client.end();
    });
}

/// [wsk 5] Not left to the provider.
#[test]
fn option_set_after_its_moment_is_refused() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let listener = unbound(&client, AddressFamily::Inet);
        for _ in 0..2 {
            let set = listener.set_option(&option::REUSE_ADDRESS, true);
            set.wait(passive()).expect("not bound yet");
        }
        listener.bind(address()).wait(passive()).expect("bound");
        let late = [
            listener.set_option(&option::REUSE_ADDRESS, false),
            listener.set_option(&option::EXCLUSIVE_ADDRESS_USE, true),
        ];
        for set in late {
            let error = set.wait(passive()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidState);
            assert_eq!(error.call(), "WskControlSocket");
        }
        let read = listener.option(&option::REUSE_ADDRESS).wait(passive());
        assert_eq!(read, Ok(true), "reading is not too late");
        listener.close().wait(passive()).expect("closed");
        let (connection, peer) = client.connect(sim);
        let set = connection.set_option(&tcp::FAST_OPEN, true);
        assert_eq!(
            set.wait(passive()).unwrap_err().kind(),
            ErrorKind::InvalidState
        );
        drop((connection, peer));
        client.end();
    });
}

/// The socket is bound, whether anybody heard of it or not.
#[test]
fn option_set_after_a_bind_that_was_dropped_is_refused() {
    wsk_sim::builder().inline_only().seeds(SCHEDULES, |_| {
        let client = Client::new();
        let listener = unbound(&client, AddressFamily::Inet);
        drop(listener.bind(address()));
        let set = listener.set_option(&option::REUSE_ADDRESS, true);
        let late = set.wait(passive()).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::InvalidState);
        drop(listener);
        client.end();
    });
}

#[test]
fn option_of_a_family_is_set_before_the_bind() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let listener = unbound(&client, AddressFamily::Inet6);
        let set = listener.set_option(&ipv6::V6_ONLY, false);
        set.wait(passive()).expect("set");
        let read = listener.option(&ipv6::V6_ONLY).wait(passive());
        assert_eq!(read, Ok(false));
        drop(listener);
        client.end();
    });
}

#[test]
fn socket_of_both_families_accepts_both_and_tells_who_it_is() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let mut listener = unbound(&client, AddressFamily::Inet6);
        listener.set_dual_stack().wait(passive()).expect("set");
        listener
            .bind(dual_stack::any(7))
            .wait(passive())
            .expect("bound");
        for server in ["127.0.0.1:7", "[::1]:7"] {
            let peer = sim
                .connect(server.parse().expect("an address"))
                .expect("it listens");
            let accepted = listener.accept().wait(passive()).expect("accepted");
            let remote = accepted.remote.map(dual_stack::canonical);
            assert_eq!(remote, Some(peer.addresses().0));
        }
        drop(listener);
        client.end();
    });
}

#[test]
fn socket_of_ipv4_cannot_serve_both_families() {
    wsk_sim::seeds(10, |_| {
        let client = Client::new();
        let listener = unbound(&client, AddressFamily::Inet);
        let error = listener.set_dual_stack().wait(passive()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotSupported);
        drop(listener);
        client.end();
    });
}

#[test]
fn option_value_that_c_cannot_express_is_refused() {
    wsk_sim::seeds(10, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let set = connection.set_option(&tcp::KEEP_ALIVE_IDLE, Duration::MAX);
        let error = set.wait(passive()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn raw_options_are_the_typed_ones_in_bytes() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let name = option::KEEP_ALIVE.name();
        assert_eq!(option::KEEP_ALIVE.level(), SOL_SOCKET);
        let value = buffer(&1_u32.to_ne_bytes());
        let (set, same) = connection
            .set_raw_option(SOL_SOCKET, name, value)
            .wait(passive());
        set.expect("set");
        assert_eq!(same[..], 1_u32.to_ne_bytes());
        let output = Buffer::with_capacity(8).expect("memory");
        let (read, filled) = connection
            .raw_option(SOL_SOCKET, name, output)
            .wait(passive());
        assert_eq!(read, Ok(4));
        assert_eq!(filled[..], 1_u32.to_ne_bytes());
        // Too short.
        let output = Buffer::with_capacity(2).expect("memory");
        let (read, same) = connection
            .raw_option(SOL_SOCKET, name, output)
            .wait(passive());
        assert!(read.is_err() && same.is_empty() && same.capacity() == 2);
        drop((connection, peer));
        client.end();
    });
}

/// No safe program passes addresses to WSK.
#[test]
fn raw_options_that_contain_addresses_are_refused() {
    wsk_sim::seeds(10, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        for (level, name) in [
            (SOL_SOCKET, wsk_sys::SO_WSK_SECURITY),
            (SOL_SOCKET, wsk_sys::SO_WSK_EVENT_CALLBACK),
            (0x7777, 1),
        ] {
            let value = buffer(&[0xFF; 16]);
            let (set, value) = connection
                .set_raw_option(level, name, value)
                .wait(passive());
            assert_eq!(set.unwrap_err().kind(), ErrorKind::InvalidParameter);
            let (read, value) = connection.raw_option(level, name, value).wait(passive());
            assert_eq!(read.unwrap_err().kind(), ErrorKind::InvalidParameter);
            assert_eq!(value[..], [0xFF; 16]);
        }
        for code in [
            wsk_sys::SIO_WSK_REGISTER_EXTENSION,
            wsk_sys::SIO_WSK_SET_RECEIVE_EX_CALLBACK,
            wsk_sys::SIO_ADDRESS_LIST_SORT,
        ] {
            let ioctl = connection.raw_ioctl(code, Some(buffer(&[0xFF; 24])), None);
            let controlled = ioctl.wait(passive());
            let refused = controlled.result.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidParameter);
            assert!(controlled.input.is_some() && controlled.output.is_none());
        }
        drop((connection, peer));
        client.end();
    });
}

/// Each allocation and call failing in turn.
#[test]
fn options_with_any_fault_leave_nothing() {
    wsk_sim::every_fault(|_| {
        let Ok(registration) = wsk::Registration::register(wsk::Version::V1_0, passive()) else {
            return;
        };
        let Ok(provider) = registration.try_capture() else {
            return;
        };
        let opening = ConnectionSocket::open(&provider, AddressFamily::Inet);
        let Ok(socket) = opening.wait(passive()) else {
            return;
        };
        let _ = socket
            .set_option(&option::REUSE_ADDRESS, true)
            .wait(passive());
        let _ = socket.option(&option::REUSE_ADDRESS).wait(passive());
        if let Ok(output) = Buffer::with_capacity(4) {
            let name = option::KEEP_ALIVE.name();
            let (_, same) = socket.raw_option(SOL_SOCKET, name, output).wait(passive());
            assert_eq!(same.capacity(), 4);
        }
    });
}
