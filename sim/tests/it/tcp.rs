//! The TCP provider, by a client in the manner of C.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;
use core::time::Duration;

use crate::common::{Client, Io, Memory, Socket};
use crate::registered::Registered;
use wdk_sys::ntddk::IoCancelIrp;
use wdk_sys::{
    STATUS_ADDRESS_ALREADY_EXISTS, STATUS_CANCELLED, STATUS_CONNECTION_REFUSED,
    STATUS_CONNECTION_RESET, STATUS_DEVICE_NOT_READY, STATUS_NOINTERFACE, STATUS_SUCCESS,
};
use wsk_sys::{
    WSK_CLIENT_VERSION_1_0, WSK_FLAG_ABORTIVE, WSK_FLAG_LISTEN_SOCKET, WSK_FLAG_WAITALL,
    WSK_INFINITE_WAIT,
};

/// Schedules that each scenario is run under.
const SEEDS: u64 = 200;

fn echo_until_end(connection: Socket, io: &mut Io) {
    loop {
        let data = connection.receive(io, 512).unwrap();
        if data.is_empty() {
            break;
        }
        assert_eq!(connection.send(io, &data), (STATUS_SUCCESS, data.len()));
    }
}

#[test]
fn echo_any_schedule_returns_what_was_sent() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let listener = client.listener(&mut io, "127.0.0.1:7");
        let peer_sim = sim.clone();
        let peer = sim.spawn(move || {
            let peer = peer_sim.connect("127.0.0.1:7".parse().unwrap()).unwrap();
            let data: Vec<u8> = (0..3000_u32)
                .map(|i| u8::try_from(i % 251).unwrap())
                .collect();
            peer.write_all(&data).unwrap();
            peer.shut_down();
            assert_eq!(peer.read_to_end().unwrap(), data);
        });
        let (status, socket) = listener.accept(&mut io);
        assert_eq!(status, STATUS_SUCCESS);
        let connection = Socket::new(socket);
        echo_until_end(connection, &mut io);
        assert_eq!(connection.disconnect(&mut io, 0).0, STATUS_SUCCESS);
        connection.close(&mut io);
        peer.join();
        listener.close(&mut io);
    });
}

#[test]
fn connect_to_listening_peer_exchanges_data() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let server = sim.listen("[::1]:0".parse().unwrap()).unwrap();
        let address = server.local_addr();
        let task = sim.spawn(move || {
            let peer = server.accept();
            assert_eq!(peer.read_exact(4).unwrap(), b"ping");
            peer.write_all(b"pong").unwrap();
            assert_eq!(peer.read(1).unwrap(), b"");
        });
        let socket = client.connection(&mut io, "[::]:0");
        assert_eq!(socket.connect(&mut io, address).0, STATUS_SUCCESS);
        assert_eq!(socket.send(&mut io, b"ping").0, STATUS_SUCCESS);
        let memory = Memory::new(4);
        let outcome = io.call(|irp| socket.start_receive(&memory, WSK_FLAG_WAITALL, irp));
        assert_eq!(outcome, (STATUS_SUCCESS, 4));
        assert_eq!(memory.read(4), b"pong");
        drop(memory);
        assert_eq!(socket.disconnect(&mut io, 0).0, STATUS_SUCCESS);
        task.join();
        socket.close(&mut io);
    });
}

#[test]
fn connect_nobody_listens_is_refused() {
    wsk_sim::seeds(20, |_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = client.connection(&mut io, "0.0.0.0:0");
        let outcome = socket.connect(&mut io, "127.0.0.1:9".parse().unwrap());
        assert_eq!(outcome.0, STATUS_CONNECTION_REFUSED);
        socket.close(&mut io);
    });
}

#[test]
fn bind_address_in_use_is_refused() {
    wsk_sim::seeds(20, |_| {
        let mut io = Io::new();
        let client = Client::new();
        let listener = client.listener(&mut io, "127.0.0.1:7");
        let (_, second) = client.try_socket(&mut io, WSK_FLAG_LISTEN_SOCKET, false);
        let second = Socket::new(second);
        let outcome = second.bind(&mut io, "127.0.0.1:7".parse().unwrap());
        assert_eq!(outcome.0, STATUS_ADDRESS_ALREADY_EXISTS);
        second.close(&mut io);
        listener.close(&mut io);
    });
}

#[test]
fn cancel_pending_accept_completes_cancelled() {
    wsk_sim::seeds(SEEDS, |_| {
        let (mut io, mut accept) = (Io::new(), Io::new());
        let client = Client::new();
        let listener = client.listener(&mut io, "0.0.0.0:0");
        let irp = accept.prepare();
        listener.start_accept(irp);
        // SAFETY: the IRP is pending: nobody connects.
        assert_eq!(unsafe { IoCancelIrp(irp) }, 1);
        assert_eq!(accept.wait().0, STATUS_CANCELLED);
        listener.close(&mut io);
    });
}

#[test]
fn close_with_pending_receive_completes_both() {
    wsk_sim::seeds(SEEDS, |sim| {
        let (mut io, mut receive) = (Io::new(), Io::new());
        let client = Client::new();
        let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let socket = client.connection(&mut io, "127.0.0.1:0");
        assert_eq!(
            socket.connect(&mut io, server.local_addr()).0,
            STATUS_SUCCESS
        );
        let peer = server.accept();
        let memory = Memory::new(16);
        let irp = receive.prepare();
        socket.start_receive(&memory, 0, irp);
        socket.close(&mut io);
        assert_eq!(receive.wait().0, STATUS_CANCELLED);
        assert_eq!(peer.read(1), Err(STATUS_CONNECTION_RESET));
    });
}

#[test]
fn disconnect_abortive_resets_the_peer() {
    wsk_sim::seeds(SEEDS, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let socket = client.connection(&mut io, "127.0.0.1:0");
        assert_eq!(
            socket.connect(&mut io, server.local_addr()).0,
            STATUS_SUCCESS
        );
        let peer = server.accept();
        assert_eq!(
            socket.disconnect(&mut io, WSK_FLAG_ABORTIVE).0,
            STATUS_SUCCESS
        );
        assert_eq!(peer.read(1), Err(STATUS_CONNECTION_RESET));
        socket.close(&mut io);
    });
}

#[test]
fn send_peer_does_not_read_stalls_until_it_does() {
    wsk_sim::seeds(50, |sim| {
        let (mut io, mut send) = (Io::new(), Io::new());
        let client = Client::new();
        let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let socket = client.connection(&mut io, "127.0.0.1:0");
        assert_eq!(
            socket.connect(&mut io, server.local_addr()).0,
            STATUS_SUCCESS
        );
        let peer = server.accept();
        let memory = Memory::new(200_000);
        let irp = send.prepare();
        socket.start_send(&memory, irp);
        assert_eq!(peer.read_exact(200_000).unwrap().len(), 200_000);
        assert_eq!(send.wait(), (STATUS_SUCCESS, 200_000));
        socket.close(&mut io);
    });
}

#[test]
fn local_address_of_connection_is_what_the_peer_sees() {
    wsk_sim::seeds(20, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let socket = client.connection(&mut io, "127.0.0.1:0");
        assert_eq!(
            socket.connect(&mut io, server.local_addr()).0,
            STATUS_SUCCESS
        );
        let peer = server.accept();
        assert_eq!(socket.local_port(&mut io), peer.addresses().1.port());
        socket.close(&mut io);
    });
}

#[test]
fn cancel_racing_with_data_completes_once_with_either() {
    // Over all schedules both outcomes must occur: the data wins, or the cancellation.
    static WON: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    wsk_sim::seeds(SEEDS, |sim| {
        let (mut io, mut receive) = (Io::new(), Io::new());
        let client = Client::new();
        let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let socket = client.connection(&mut io, "127.0.0.1:0");
        assert_eq!(
            socket.connect(&mut io, server.local_addr()).0,
            STATUS_SUCCESS
        );
        let peer = server.accept();
        let memory = Memory::new(16);
        let irp = receive.prepare();
        socket.start_receive(&memory, 0, irp);
        let writer = sim.spawn(move || {
            peer.write_all(b"x").unwrap();
            peer
        });
        // SAFETY: `receive` keeps the IRP, whether it is complete or not.
        unsafe { IoCancelIrp(irp) };
        let outcome = receive.wait();
        let cancelled = outcome.0 == STATUS_CANCELLED;
        assert!(cancelled || outcome == (STATUS_SUCCESS, 1), "{outcome:x?}");
        WON[usize::from(cancelled)].fetch_add(1, SeqCst);
        drop(writer.join());
        socket.close(&mut io);
    });
    assert!(WON.iter().all(|won| won.load(SeqCst) > 0), "{WON:?}");
}

#[test]
fn wsk_2_5_capture_waits_until_the_provider_is_ready() {
    wsk_sim::run(|sim| {
        sim.provider_ready_after(Duration::from_secs(30));
        drop(Client::new());
        assert!(sim.now() >= Duration::from_secs(30));
    });
}

#[test]
fn wsk_2_5_capture_with_time_out_gives_up() {
    wsk_sim::run(|sim| {
        sim.provider_never_ready();
        let mut registered = Registered::new(WSK_CLIENT_VERSION_1_0);
        assert_eq!(registered.capture(5000), STATUS_DEVICE_NOT_READY);
        assert_eq!(sim.now(), Duration::from_secs(5));
    });
}

#[test]
fn wsk_2_5_capture_of_unknown_version_is_refused() {
    wsk_sim::run(|_| {
        let mut registered = Registered::new(0x0200);
        assert_eq!(registered.capture(0), STATUS_NOINTERFACE);
    });
}

#[test]
fn wsk_2_2_npi_is_read_during_the_registration_only() {
    wsk_sim::run(|_| {
        // Its NPI was on the stack of `Registered::new`.
        let mut registered = Registered::new(0x0200);
        assert_eq!(registered.capture(WSK_INFINITE_WAIT), STATUS_NOINTERFACE);
    });
}

#[test]
fn wsk_2_6_capture_after_deregister_is_not_ready() {
    wsk_sim::run(|_| {
        let mut registered = Registered::new(WSK_CLIENT_VERSION_1_0);
        registered.deregister();
        assert_eq!(
            registered.capture(WSK_INFINITE_WAIT),
            STATUS_DEVICE_NOT_READY
        );
    });
}
