//! The host's own network: ordinary clients and servers on `std::net` against a WSK client in the
//! manner of C, in real time.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{UnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use socket2::SockRef;
use wdk_sys::ntddk::IoCancelIrp;
use wdk_sys::{
    STATUS_ADDRESS_ALREADY_EXISTS, STATUS_CANCELLED, STATUS_CONNECTION_REFUSED,
    STATUS_CONNECTION_RESET, STATUS_SUCCESS,
};
use wsk_sim::{Builder, Rule, Sim};

use crate::common::{Address, Client, Io, Memory, Socket};

/// Any free port of loopback, IPv4 and IPv6.
const LOOPBACK: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];
/// How long a peer may take that is expected to act.
const LIMIT: Duration = Duration::from_secs(20);

fn host() -> Builder {
    wsk_sim::builder().host_network()
}

fn listener(client: &Client, io: &mut Io, address: &str) -> (Socket, SocketAddr) {
    let listener = client.listener(io, address);
    let get = listener.listen_table().WskGetLocalAddress.unwrap();
    let mut local = Box::new(Address([0; 28]));
    // SAFETY: a complete request.
    let outcome = io.call(|irp| unsafe { get(listener.0, local.pointer(), irp) });
    assert_eq!(outcome.0, STATUS_SUCCESS);
    let mut address: SocketAddr = address.parse().unwrap();
    address.set_port(local.port());
    (listener, address)
}

fn accept(listener: Socket, io: &mut Io) -> Socket {
    let (status, socket) = listener.accept(io);
    assert_eq!(status, STATUS_SUCCESS);
    Socket::new(socket)
}

/// Has `body` run by an ordinary thread of the host.
fn ordinary<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    std::thread::spawn(body)
}

fn join<T: Send>(sim: &Sim, thread: std::thread::JoinHandle<T>) -> T {
    sim.outside(|| thread.join()).expect("the thread succeeds")
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

fn reset(stream: TcpStream) {
    let zero = Some(Duration::ZERO);
    SockRef::from(&stream).set_linger(zero).unwrap();
    drop(stream);
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| u8::try_from(i % 251).unwrap())
        .collect()
}

fn read_to_end(mut stream: &TcpStream) -> Vec<u8> {
    let mut data = Vec::new();
    stream.read_to_end(&mut data).expect("a graceful end");
    data
}

#[test]
fn ordinary_client_of_either_family_gets_back_what_it_sent() {
    for address in LOOPBACK {
        host().run(move |sim| {
            let mut io = Io::new();
            let client = Client::new();
            let (listener, address) = listener(&client, &mut io, address);
            let peer = ordinary(move || {
                let mut stream = connect(address);
                stream.write_all(&pattern(100_000)).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                assert_eq!(read_to_end(&stream), pattern(100_000));
            });
            let connection = accept(listener, &mut io);
            loop {
                let data = connection.receive(&mut io, 4096).unwrap();
                if data.is_empty() {
                    break;
                }
                assert_eq!(connection.send(&mut io, &data).0, STATUS_SUCCESS);
            }
            // [wsk 9.5]
            assert_eq!(connection.disconnect(&mut io, 0).0, STATUS_SUCCESS);
            join(sim, peer);
            connection.close(&mut io);
            listener.close(&mut io);
        });
    }
}

#[test]
fn ordinary_server_of_either_family_is_connected_to() {
    for address in LOOPBACK {
        host().run(move |sim| {
            let mut io = Io::new();
            let client = Client::new();
            let server = TcpListener::bind(address).unwrap();
            let target = server.local_addr().unwrap();
            let peer = ordinary(move || {
                let (mut stream, from) = server.accept().unwrap();
                assert_eq!(read_to_end(&stream), b"ping");
                stream.write_all(b"pong").unwrap();
                from
            });
            let socket = client.connection(&mut io, address);
            assert_eq!(socket.connect(&mut io, target).0, STATUS_SUCCESS);
            let port = socket.local_port(&mut io);
            assert_eq!(socket.send(&mut io, b"ping").0, STATUS_SUCCESS);
            assert_eq!(socket.disconnect(&mut io, 0).0, STATUS_SUCCESS);
            assert_eq!(join(sim, peer).port(), port);
            assert_eq!(socket.receive(&mut io, 16).unwrap(), b"pong");
            assert_eq!(socket.receive(&mut io, 16).unwrap(), b"");
            socket.close(&mut io);
        });
    }
}

#[test]
fn connect_where_nobody_listens_is_refused() {
    for address in LOOPBACK {
        host().run(move |_| {
            let mut io = Io::new();
            let client = Client::new();
            let unused = TcpListener::bind(address).unwrap().local_addr().unwrap();
            let socket = client.connection(&mut io, address);
            let (status, _) = socket.connect(&mut io, unused);
            assert_eq!(status, STATUS_CONNECTION_REFUSED);
            // The socket can be used again, at the address that it has.
            let server = TcpListener::bind(address).unwrap();
            let target = server.local_addr().unwrap();
            assert_eq!(socket.connect(&mut io, target).0, STATUS_SUCCESS);
            socket.close(&mut io);
        });
    }
}

#[test]
fn bind_to_an_address_of_an_ordinary_listener_is_refused() {
    host().run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let taken = TcpListener::bind(LOOPBACK[0]).unwrap();
        let address = taken.local_addr().unwrap();
        let flags = wsk_sys::WSK_FLAG_LISTEN_SOCKET;
        let (status, socket) = client.try_socket(&mut io, flags, false);
        assert_eq!(status, STATUS_SUCCESS);
        let socket = Socket::new(socket);
        assert_eq!(
            socket.bind(&mut io, address).0,
            STATUS_ADDRESS_ALREADY_EXISTS
        );
        socket.close(&mut io);
    });
}

#[test]
fn reset_by_an_ordinary_client_fails_a_pending_receive() {
    host().run(|sim| {
        let mut io = Io::new();
        let client = Client::new();
        let (listener, address) = listener(&client, &mut io, LOOPBACK[0]);
        let stream = sim.outside(|| connect(address));
        let connection = accept(listener, &mut io);
        let memory = Memory::new(16);
        assert!(connection.start_receive(&memory, 0, io.prepare()) >= 0);
        reset(stream);
        assert_eq!(io.wait().0, STATUS_CONNECTION_RESET);
        // It stays so.
        assert_eq!(
            connection.receive(&mut io, 16),
            Err(STATUS_CONNECTION_RESET)
        );
        assert_eq!(connection.send(&mut io, b"x").0, STATUS_CONNECTION_RESET);
        connection.close(&mut io);
        listener.close(&mut io);
    });
}

// [wsk 10.5]
#[test]
fn close_resets_unless_both_sides_have_ended() {
    for graceful in [false, true] {
        host().run(move |sim| {
            let mut io = Io::new();
            let client = Client::new();
            let (listener, address) = listener(&client, &mut io, LOOPBACK[0]);
            let mut stream = sim.outside(|| connect(address));
            let connection = accept(listener, &mut io);
            if graceful {
                stream.shutdown(Shutdown::Write).unwrap();
                assert_eq!(connection.receive(&mut io, 16).unwrap(), b"");
                assert_eq!(connection.disconnect(&mut io, 0).0, STATUS_SUCCESS);
            }
            connection.close(&mut io);
            let result = sim.outside(|| stream.read(&mut [0]));
            if graceful {
                assert_eq!(result.unwrap(), 0);
            } else {
                let error = result.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            }
            listener.close(&mut io);
        });
    }
}

#[test]
fn send_larger_than_all_buffers_completes_as_the_client_reads() {
    const LENGTH: usize = 16 * 1024 * 1024;
    host().run(|sim| {
        let mut io = Io::new();
        let client = Client::new();
        let (listener, address) = listener(&client, &mut io, LOOPBACK[0]);
        let stream = sim.outside(|| connect(address));
        let connection = accept(listener, &mut io);
        let memory = Memory::of(&pattern(LENGTH));
        assert!(connection.start_send(&memory, io.prepare()) >= 0);
        let reader = ordinary(move || read_to_end(&stream));
        assert_eq!(io.wait(), (STATUS_SUCCESS, LENGTH));
        assert_eq!(connection.disconnect(&mut io, 0).0, STATUS_SUCCESS);
        assert!(join(sim, reader) == pattern(LENGTH), "every byte arrives");
        connection.close(&mut io);
        listener.close(&mut io);
    });
}

#[test]
fn pending_requests_without_a_peer_are_cancelled() {
    host().run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let (listener, _) = listener(&client, &mut io, LOOPBACK[0]);
        assert!(listener.start_accept(io.prepare()) >= 0);
        // SAFETY: the IRP is in flight.
        unsafe { IoCancelIrp(io.irp) };
        assert_eq!(io.wait().0, STATUS_CANCELLED);
        listener.close(&mut io);
    });
}

#[test]
fn peers_of_the_simulator_work_as_well() {
    host().run(|sim| {
        let mut io = Io::new();
        let client = Client::new();
        let server = sim.listen(LOOPBACK[1].parse().unwrap()).unwrap();
        let address = server.local_addr();
        let task = sim.spawn(move || {
            let peer = server.accept();
            assert_eq!(peer.read_to_end().unwrap(), b"ping");
            peer.write_all(b"pong").unwrap();
            peer.shut_down();
        });
        let socket = client.connection(&mut io, LOOPBACK[1]);
        assert_eq!(socket.connect(&mut io, address).0, STATUS_SUCCESS);
        assert_eq!(socket.send(&mut io, b"ping").0, STATUS_SUCCESS);
        assert_eq!(socket.disconnect(&mut io, 0).0, STATUS_SUCCESS);
        assert_eq!(socket.receive(&mut io, 16).unwrap(), b"pong");
        socket.close(&mut io);
        task.join();
        let refused = sim.connect(address).err();
        assert_eq!(refused, Some(STATUS_CONNECTION_REFUSED));
    });
}

#[test]
fn time_is_real() {
    const NAP: Duration = Duration::from_millis(30);
    host().run(|sim| {
        let (began, before) = (Instant::now(), sim.now());
        sim.sleep(NAP);
        assert!(began.elapsed() >= NAP, "the clock was not waited for");
        assert!(sim.now() >= before + NAP);
    });
}

#[test]
fn others_go_on_while_a_thread_is_outside() {
    host().run(|sim| {
        let (sender, receiver) = channel();
        let task = sim.spawn(move || sender.send(7).unwrap());
        assert_eq!(sim.outside(move || receiver.recv_timeout(LIMIT)), Ok(7));
        task.join();
    });
}

#[test]
fn task_that_is_outside_is_waited_for_at_the_end() {
    let (sender, receiver) = channel::<()>();
    host().run(move |sim| {
        let inner = sim.clone();
        // It comes back when the body has ended, which drops the sender.
        sim.spawn(move || inner.outside(move || receiver.recv()).unwrap_err());
        let _until_the_end = sender;
    });
}

/// The message with which `body` panics.
fn panic_of(body: impl FnOnce() + UnwindSafe) -> String {
    let payload = catch_unwind(body).expect_err("it panics");
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
        .expect("a panic with a message")
}

#[test]
fn panic_outside_fails_the_test() {
    let message = panic_of(|| host().run(|sim| sim.outside(|| panic!("it left"))));
    assert_eq!(message, "it left");
}

#[test]
fn simulation_called_outside_fails_the_test() {
    let message = panic_of(|| {
        host().run(|sim| sim.outside(|| sim.sleep(Duration::ZERO)));
    });
    assert!(message.contains("belongs to no simulation"), "{message}");
}

#[test]
fn outside_in_virtual_time_fails_the_test() {
    let message = panic_of(|| wsk_sim::run(|sim| sim.outside(|| ())));
    assert!(message.contains("host_network"), "{message}");
}

#[test]
fn waiting_for_what_never_arrives_is_unresponsive() {
    let report = host()
        .unresponsive_after(Duration::from_millis(200))
        .offence(|_| {
            let mut io = Io::new();
            let client = Client::new();
            let (listener, _) = listener(&client, &mut io, LOOPBACK[0]);
            listener.accept(&mut io);
        });
    assert_eq!(report.rule, Rule::Unresponsive, "{report}");
    let text = report.to_string();
    assert!(text.contains("KeWaitForSingleObject"), "{text}");
}
