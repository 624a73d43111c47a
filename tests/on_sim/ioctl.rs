//! Control operations.

use std::{net::SocketAddr, time::Duration};

use crate::common::{Client, address, buffer, passive};
use wsk::{
    AddressFamily, BacklogWriter, BasicSocket, Buffer, ConnectionSocket, ErrorKind, KeepAlive,
    Protocol, SocketType,
};

const SCHEDULES: u64 = 100;

fn empty(capacity: usize) -> Buffer {
    Buffer::with_capacity(capacity).expect("memory")
}

/// [wsk 5.2]
#[test]
fn backlogs_are_sizes() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let ideal = connection.ideal_send_backlog().wait(passive());
        assert!(ideal.expect("connected") > 0);
        peer.write_all(b"waiting").expect("connected");
        // It arrives in its own time.
        let mut backlog = 0;
        while backlog < 7 {
            sim.sleep(Duration::from_millis(1));
            let asked = connection.receive_backlog().wait(passive());
            backlog = asked.expect("connected");
        }
        assert_eq!(backlog, 7);
        let (received, _) = connection.receive_exact(empty(7)).wait(passive());
        assert_eq!(received, Ok(7));
        let asked = connection.receive_backlog().wait(passive());
        assert_eq!(asked, Ok(0));
        let (read, half) = connection.into_split();
        let ideal = half
            .ideal_send_backlog()
            .wait(passive())
            .expect("connected");
        let mut writer = BacklogWriter::<4>::new(half, ideal);
        writer.send(buffer(b"written")).expect("there is room");
        assert_eq!(peer.read_exact(7).expect("sent"), b"written");
        drop((writer, read, peer));
        client.end();
    });
}

/// [wsk 5]
#[test]
fn backlogs_of_an_unconnected_socket_are_refused() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let opening = ConnectionSocket::open(&client.provider, AddressFamily::Inet);
        let socket = opening.wait(passive()).expect("opened");
        for asked in [
            socket.ideal_send_backlog().wait(passive()),
            socket.receive_backlog().wait(passive()),
        ] {
            assert_eq!(asked.unwrap_err().kind(), ErrorKind::InvalidState);
        }
        drop(socket);
        client.end();
    });
}

#[test]
fn keep_alive_values_are_taken() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let values = KeepAlive {
            time: Duration::from_mins(1),
            interval: Duration::from_secs(1),
        };
        let set = connection.set_keep_alive(Some(values));
        set.wait(passive()).expect("set");
        let on = connection.option(&wsk::option::KEEP_ALIVE).wait(passive());
        assert_eq!(on, Ok(true));
        connection
            .set_keep_alive(None)
            .wait(passive())
            .expect("set");
        let too_long = KeepAlive {
            time: Duration::MAX,
            ..values
        };
        let refused = connection.set_keep_alive(Some(too_long)).wait(passive());
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidParameter);
        drop((connection, peer));
        client.end();
    });
}

/// A connection within the system cannot be silenced, and comes back as it was.
#[test]
fn silence_refused_gives_the_connection_back() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        match connection.silence().wait(passive()) {
            Ok(silent) => {
                silent.close().wait(passive()).expect("closed");
            }
            Err((_, connection)) => {
                let (sent, _) = connection.send(buffer(b"not silent")).wait(passive());
                sent.expect("sent");
                assert_eq!(peer.read_exact(10).expect("sent"), b"not silent");
            }
        }
        drop(peer);
        client.end();
    });
}

/// [wsk 3a] Without an IRP, at PASSIVE_LEVEL.
#[test]
fn address_list_has_the_addresses_of_the_family() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let listener = client.listen();
        let list = listener.address_list(passive()).expect("told");
        let addresses: Vec<SocketAddr> = list.iter().collect();
        assert!(!addresses.is_empty());
        assert!(addresses.iter().all(SocketAddr::is_ipv4), "{addresses:?}");
        let mut sorted = addresses.clone();
        sorted.reverse();
        listener
            .sort_addresses(&mut sorted, passive())
            .expect("sorted");
        assert_eq!(sorted.len(), addresses.len());
        assert!(addresses.iter().all(|address| sorted.contains(address)));
        drop(listener);
        client.end();
    });
}

#[test]
fn address_list_of_a_basic_socket_is_that_of_its_family() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let (family, kind, protocol) = (AddressFamily::Inet6, SocketType::STREAM, Protocol::TCP);
        let opening = BasicSocket::open(&client.provider, family, kind, protocol);
        let socket = opening.wait(passive()).expect("opened");
        let list = socket.address_list(passive()).expect("told");
        assert!(list.iter().all(|address| address.is_ipv6()));
        drop(socket.address_list_change(passive()));
        drop(socket);
        client.end();
    });
}

#[test]
fn address_list_change_waits_until_it_is_given_up() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let listener = client.listen();
        let change = listener.address_list_change(passive());
        let passed = change.wait_timeout(Duration::from_secs(1), passive());
        assert_eq!(passed.unwrap_err().kind(), ErrorKind::TimedOut);
        let change = listener.address_list_change(passive());
        listener.close().wait(passive()).expect("closed");
        let ended = change.wait(passive()).unwrap_err();
        assert_eq!(ended.kind(), ErrorKind::Cancelled);
        client.end();
    });
}

#[test]
fn redirect_records_of_a_connection_that_was_not_redirected() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        for query in [
            connection.redirect_records(empty(64), passive()),
            connection.redirect_context(empty(64), passive()),
        ] {
            let told = query.wait(passive());
            let output = told.output.expect("it comes back");
            assert_eq!(output.capacity(), 64);
            assert_eq!(told.result.unwrap_or(0), output.len());
        }
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn redirect_records_are_set_before_the_connection_is_made() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let opening = ConnectionSocket::open(&client.provider, AddressFamily::Inet);
        let socket = opening.wait(passive()).expect("opened");
        let set = socket.set_redirect_records(buffer(b"opaque"), passive());
        let (_, same) = set.wait(passive());
        assert_eq!(same[..], *b"opaque");
        drop(socket);
        client.end();
    });
}

#[test]
fn loopback_fast_path_is_taken_or_not_supported() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let opening = ConnectionSocket::open(&client.provider, AddressFamily::Inet);
        let socket = opening.wait(passive()).expect("opened");
        let set = socket.set_loopback_fast_path(true, passive());
        if let Err(error) = set.wait(passive()) {
            assert_eq!(error.kind(), ErrorKind::NotSupported);
        }
        drop(socket);
        client.end();
    });
}

/// [wsk 5] Without a conditional listener there is none.
#[test]
fn inspect_id_of_a_connection_that_was_not_inspected_is_refused() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let refused = connection.inspect_id().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidState);
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn raw_ioctl_is_the_typed_one_in_bytes() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let code = wsk_sys::SIO_WSK_QUERY_IDEAL_SEND_BACKLOG;
        let told = connection
            .raw_ioctl(code, None, Some(empty(8)))
            .wait(passive());
        assert_eq!(told.result, Ok(8));
        let output = told.output.expect("it comes back");
        let size = u64::from_ne_bytes(output[..].try_into().expect("a SIZE_T"));
        let ideal = connection.ideal_send_backlog().wait(passive());
        assert_eq!(ideal, Ok(usize::try_from(size).expect("a size")));
        drop((connection, peer));
        client.end();
    });
}

#[test]
fn ioctls_with_any_fault_leave_nothing() {
    wsk_sim::every_fault(|sim| {
        let Ok(registration) = wsk::Registration::register(wsk::Version::V1_0, passive()) else {
            return;
        };
        let Ok(provider) = registration.try_capture() else {
            return;
        };
        let server = sim.listen(address()).expect("a free port");
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        let connecting = ConnectionSocket::connect_from(&provider, any, address());
        let Ok(connection) = connecting.wait(passive()) else {
            return;
        };
        let peer = server.accept();
        let _ = connection.ideal_send_backlog().wait(passive());
        let _ = connection.set_keep_alive(None).wait(passive());
        let _ = connection.inspect_id();
        if let Ok(list) = connection.address_list(passive()) {
            let mut addresses: Vec<SocketAddr> = list.iter().collect();
            let _ = connection.sort_addresses(&mut addresses, passive());
        }
        let change = connection.address_list_change(passive());
        let _ = change.wait_timeout(Duration::from_millis(1), passive());
        let _ = connection.silence().wait(passive());
        drop(peer);
    });
}
