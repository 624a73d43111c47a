//! Transports that come and go: waiting for it, and sockets that are dead [wsk 2.9, 7.2, 7.10, 8.1,
//! 9.9].

// UNSAFETY: plays a driver in C, with callbacks.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use core::ptr;
use core::time::Duration;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

use crate::common::{Address, Block, Client, Io, Memory, Socket};
use crate::control::{CATEGORIES, Connected, Control, Making, bind, open, set_number};
use wdk_sys::{
    NTSTATUS, PIRP, PVOID, SIZE_T, STATUS_CANCELLED, STATUS_CONNECTION_REFUSED,
    STATUS_CONNECTION_RESET, STATUS_DATA_NOT_ACCEPTED, STATUS_FILE_FORCED_CLOSED,
    STATUS_NOT_SUPPORTED, STATUS_PENDING, STATUS_SUCCESS, ULONG,
};
use wsk_sim::{Sim, Transport};
use wsk_sys::{
    PSOCKADDR, PWSK_DATA_INDICATION, PWSK_INSPECT_ID, PWSK_SOCKET, SIO_ADDRESS_LIST_CHANGE,
    SIO_ADDRESS_LIST_QUERY, SO_CONDITIONAL_ACCEPT, SO_KEEPALIVE, SOL_SOCKET,
    WSK_CLIENT_CONNECTION_DISPATCH, WSK_CLIENT_LISTEN_DISPATCH, WSK_EVENT_ACCEPT,
    WSK_EVENT_RECEIVE, WSK_FLAG_ABORTIVE, WSK_FLAG_BASIC_SOCKET, WSK_FLAG_CONNECTION_SOCKET,
    WSK_FLAG_DATAGRAM_SOCKET, WSK_FLAG_LISTEN_SOCKET, WSK_INSPECT_ACTION,
    WSK_TRANSPORT_LIST_CHANGE, WSK_TRANSPORT_LIST_QUERY,
};

/// Waits for a change of the list of transports.
fn start_waiting(client: &Client, irp: PIRP) -> NTSTATUS {
    let mut control = Control::ioctl(WSK_TRANSPORT_LIST_CHANGE);
    control.start_on_client(client, ptr::null_mut(), irp)
}

/// The size of the list of transports.
fn list_size(client: &Client) -> u64 {
    let mut control = Control::ioctl(WSK_TRANSPORT_LIST_QUERY);
    control.on_client(client);
    control.returned
}

#[test]
fn transport_list_change_completes_when_one_goes_or_comes() {
    wsk_sim::seeds(30, |sim| {
        let mut changes = [Io::new(), Io::new()];
        let client = Client::new();
        let before = list_size(&client);
        // What changes nothing does not count.
        for change in &mut changes {
            assert_eq!(start_waiting(&client, change.prepare()), STATUS_PENDING);
        }
        sim.add_transport(Transport::TcpV4);
        sim.sleep(Duration::from_secs(1));
        assert!(!changes[0].is_complete() && !changes[1].is_complete());
        sim.remove_transport(Transport::UdpV6);
        for change in &mut changes {
            assert_eq!(change.wait(), (STATUS_SUCCESS, 0));
        }
        assert!(list_size(&client) < before);
        start_waiting(&client, changes[0].prepare());
        sim.add_transport(Transport::UdpV6);
        assert_eq!(changes[0].wait(), (STATUS_SUCCESS, 0));
        assert_eq!(list_size(&client), before);
    });
}

#[test]
fn transport_list_change_is_cancelled_by_its_irp() {
    wsk_sim::seeds(30, |_| {
        let (mut change, mut other) = (Io::new(), Io::new());
        let client = Client::new();
        start_waiting(&client, change.prepare());
        start_waiting(&client, other.prepare());
        change.cancel();
        assert_eq!(change.wait().0, STATUS_CANCELLED);
        assert!(!other.is_complete());
        other.cancel();
        assert_eq!(other.wait().0, STATUS_CANCELLED);
        // It is cancelled before it was given to the provider.
        let irp = change.prepare();
        change.cancel();
        start_waiting(&client, irp);
        assert_eq!(change.wait().0, STATUS_CANCELLED);
    });
}

#[test]
fn wsk_2_9_transport_list_change_is_cancelled_by_deregistering() {
    wsk_sim::seeds(30, |_| {
        let (mut change, mut foreign) = (Io::new(), Io::new());
        let (client, other) = (Client::new(), Client::new());
        start_waiting(&client, change.prepare());
        start_waiting(&other, foreign.prepare());
        drop(client);
        assert_eq!(change.wait().0, STATUS_CANCELLED);
        assert!(!foreign.is_complete(), "another client's");
        foreign.cancel();
        foreign.wait();
    });
}

#[test]
fn wsk_2_9_transport_list_change_of_a_client_that_leaves_is_cancelled_at_once() {
    wsk_sim::seeds(50, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let leaving = sim.spawn({
            let block = Block::of(&client);
            move || block.deregister()
        });
        let status = start_waiting(&client, io.prepare());
        assert_eq!(status, STATUS_PENDING);
        assert_eq!(io.wait().0, STATUS_CANCELLED);
        client.release();
        leaving.join();
    });
}

#[test]
fn socket_of_a_transport_that_is_gone_is_not_supported() {
    // [wsk 4.4]
    wsk_sim::run(|sim| {
        let mut io = Io::new();
        let client = Client::new();
        sim.remove_transport(Transport::TcpV6);
        sim.remove_transport(Transport::UdpV4);
        for (flags, v6, expected) in [
            (WSK_FLAG_LISTEN_SOCKET, true, STATUS_NOT_SUPPORTED),
            (WSK_FLAG_LISTEN_SOCKET, false, STATUS_SUCCESS),
            (WSK_FLAG_DATAGRAM_SOCKET, true, STATUS_SUCCESS),
            (WSK_FLAG_DATAGRAM_SOCKET, false, STATUS_NOT_SUPPORTED),
        ] {
            let (status, socket) = Making::new(flags, v6).try_make(&client, &mut io);
            assert_eq!(status, expected, "{flags} {v6}");
            if status == STATUS_SUCCESS {
                Socket::new(socket).close(&mut io);
            }
        }
    });
}

#[test]
fn wsk_9_9_every_call_on_a_dead_socket_fails_and_it_can_be_closed() {
    wsk_sim::seeds(20, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let sockets = CATEGORIES.map(|(_, flags)| open(&client, &mut io, flags));
        let living = Making::new(WSK_FLAG_LISTEN_SOCKET, true).make(&client, &mut io);
        sim.remove_transport(Transport::TcpV4);
        sim.remove_transport(Transport::UdpV4);
        for (socket, (category, _)) in sockets.into_iter().zip(CATEGORIES) {
            let keep_alive = (SOL_SOCKET, SO_KEEPALIVE);
            let status = set_number(socket, &mut io, keep_alive, 1);
            assert_eq!(status, STATUS_FILE_FORCED_CLOSED, "{category}");
            let mut query = Control::ioctl(SIO_ADDRESS_LIST_QUERY).output(256);
            assert_eq!(
                query.without_irp(socket),
                STATUS_FILE_FORCED_CLOSED,
                "{category}"
            );
            let events = Control::events(WSK_EVENT_ACCEPT).without_irp(socket);
            assert_eq!(events, STATUS_FILE_FORCED_CLOSED, "{category}");
            if category != "basic" {
                let status = bind(socket, &mut io, "127.0.0.1:0");
                assert_eq!(status, STATUS_FILE_FORCED_CLOSED, "{category}");
            }
            socket.close(&mut io);
        }
        assert_eq!(bind(living, &mut io, "[::1]:0"), STATUS_SUCCESS);
        living.close(&mut io);
    });
}

#[test]
fn wsk_9_9_pending_requests_of_dead_sockets_end() {
    wsk_sim::seeds(50, |sim| {
        let (mut io, mut pending) = (Io::new(), [(); 5].map(|()| Io::new()));
        let connected = Connected::new(sim, &mut io, "127.0.0.1:0");
        let (client, socket) = (&connected.client, connected.socket);
        let listener = client.listener(&mut io, "127.0.0.1:7");
        let [accept, receive, send, change, list] = &mut pending;
        let (small, large) = (Memory::new(16), Memory::new(200_000));
        listener.start_accept(accept.prepare());
        socket.start_receive(&small, 0, receive.prepare());
        socket.start_send(&large, send.prepare());
        let mut control = Control::ioctl(SIO_ADDRESS_LIST_CHANGE);
        control.start(listener, ptr::null_mut(), change.prepare());
        start_waiting(client, list.prepare());
        sim.sleep(Duration::from_secs(1));
        sim.detach_transport();
        for request in [accept, receive, send, change] {
            assert_eq!(request.wait().0, STATUS_FILE_FORCED_CLOSED);
        }
        assert_eq!(list.wait().0, STATUS_SUCCESS, "the transports have changed");
        assert_eq!(socket.send(&mut io, b"x").0, STATUS_FILE_FORCED_CLOSED);
        let status = socket.disconnect(&mut io, WSK_FLAG_ABORTIVE).0;
        assert_eq!(status, STATUS_FILE_FORCED_CLOSED);
        listener.close(&mut io);
        socket.close(&mut io);
    });
}

#[test]
fn other_side_of_a_dead_connection_is_reset() {
    wsk_sim::seeds(20, |sim| {
        let mut io = Io::new();
        let connected = Connected::new(sim, &mut io, "127.0.0.1:0");
        let listener = connected.client.listener(&mut io, "127.0.0.1:7");
        let waiting = sim.connect("127.0.0.1:7".parse().unwrap()).unwrap();
        sim.detach_transport();
        assert_eq!(connected.peer.read(1), Err(STATUS_CONNECTION_RESET));
        assert_eq!(
            waiting.read(1),
            Err(STATUS_CONNECTION_RESET),
            "it was not accepted"
        );
        let refused = sim.connect("127.0.0.1:7".parse().unwrap()).err();
        assert_eq!(refused, Some(STATUS_CONNECTION_REFUSED), "nobody listens");
        listener.close(&mut io);
        connected.close(&mut io);
    });
}

#[test]
fn connecting_socket_that_dies_gets_no_connection() {
    wsk_sim::seeds(30, |sim| {
        let (mut io, mut connect) = (Io::new(), Io::new());
        let client = Client::new();
        let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let socket = client.connection(&mut io, "127.0.0.1:0");
        sim.stall_network();
        let mut address = Address::of(server.local_addr());
        socket.start_connect(&mut address, connect.prepare());
        sim.detach_transport();
        assert_eq!(connect.wait().0, STATUS_FILE_FORCED_CLOSED);
        sim.resume_network();
        socket.close(&mut io);
    });
}

/// What the callbacks of a socket have been told.
#[derive(Default)]
struct Told {
    accept: AtomicU32,
    inspect: AtomicU32,
    receive: AtomicU32,
    data: AtomicU32,
}

static LISTEN: WSK_CLIENT_LISTEN_DISPATCH = WSK_CLIENT_LISTEN_DISPATCH {
    WskAcceptEvent: Some(accept),
    WskInspectEvent: Some(inspect),
    WskAbortEvent: Some(abort),
};

static CONNECTION: WSK_CLIENT_CONNECTION_DISPATCH = WSK_CLIENT_CONNECTION_DISPATCH {
    WskReceiveEvent: Some(receive),
    WskDisconnectEvent: None,
    WskSendBacklogEvent: None,
};

/// # Safety
///
/// The context is that of a socket of these tests, which keep it until it is closed.
unsafe fn told<'a>(context: PVOID) -> &'a Told {
    // SAFETY: promised by the caller.
    unsafe { &*context.cast() }
}

unsafe extern "C" fn accept(
    context: PVOID,
    _flags: ULONG,
    _local: PSOCKADDR,
    _remote: PSOCKADDR,
    socket: PWSK_SOCKET,
    _new_context: *mut PVOID,
    _new_table: *mut *const WSK_CLIENT_CONNECTION_DISPATCH,
) -> NTSTATUS {
    assert!(socket.is_null(), "nobody has connected");
    // SAFETY: a socket of these tests.
    unsafe { told(context) }.accept.fetch_add(1, SeqCst);
    STATUS_SUCCESS
}

unsafe extern "C" fn inspect(
    context: PVOID,
    _local: PSOCKADDR,
    _remote: PSOCKADDR,
    id: PWSK_INSPECT_ID,
) -> WSK_INSPECT_ACTION::Type {
    assert!(id.is_null(), "nobody has connected");
    // SAFETY: a socket of these tests.
    unsafe { told(context) }.inspect.fetch_add(1, SeqCst);
    WSK_INSPECT_ACTION::WskInspectReject
}

unsafe extern "C" fn abort(_context: PVOID, _id: PWSK_INSPECT_ID) -> NTSTATUS {
    STATUS_SUCCESS
}

unsafe extern "C" fn receive(
    context: PVOID,
    _flags: ULONG,
    list: PWSK_DATA_INDICATION,
    _indicated: SIZE_T,
    _accepted: *mut SIZE_T,
) -> NTSTATUS {
    // SAFETY: a socket of these tests.
    let told = unsafe { told(context) };
    if list.is_null() {
        told.receive.fetch_add(1, SeqCst);
    } else {
        told.data.fetch_add(1, SeqCst);
    }
    STATUS_DATA_NOT_ACCEPTED
}

/// Lets a transport go, and time pass for callbacks.
fn detach(sim: &Sim) {
    sim.detach_transport();
    sim.sleep(Duration::from_secs(10));
}

#[test]
fn wsk_7_2_dead_listener_is_told_by_its_accept_event_once() {
    wsk_sim::seeds(30, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let told = Box::new(Told::default());
        let making = Making::new(WSK_FLAG_LISTEN_SOCKET, false);
        let making = making.with_table(&LISTEN).with_context(&*told);
        let listener = making.make(&client, &mut io);
        assert_eq!(bind(listener, &mut io, "127.0.0.1:7"), STATUS_SUCCESS);
        let status = Control::events(WSK_EVENT_ACCEPT).without_irp(listener);
        assert_eq!(status, STATUS_SUCCESS);
        detach(sim);
        assert_eq!(told.accept.load(SeqCst), 1);
        assert_eq!(told.inspect.load(SeqCst), 0, "it is not conditional");
        detach(sim);
        assert_eq!(told.accept.load(SeqCst), 1);
        listener.close(&mut io);
    });
}

#[test]
fn wsk_7_10_dead_conditional_listener_is_told_by_an_inspection_without_id() {
    wsk_sim::seeds(30, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let told = Box::new(Told::default());
        let making = Making::new(WSK_FLAG_LISTEN_SOCKET, false);
        let making = making.with_table(&LISTEN).with_context(&*told);
        let listener = making.make(&client, &mut io);
        let conditional = (SOL_SOCKET, SO_CONDITIONAL_ACCEPT);
        assert_eq!(
            set_number(listener, &mut io, conditional, 1),
            STATUS_SUCCESS
        );
        assert_eq!(bind(listener, &mut io, "127.0.0.1:7"), STATUS_SUCCESS);
        detach(sim);
        assert_eq!(told.inspect.load(SeqCst), 1);
        assert_eq!(told.accept.load(SeqCst), 0, "accept events are not enabled");
        listener.close(&mut io);
    });
}

#[test]
fn wsk_8_1_dead_connection_is_told_by_a_receive_event_without_data() {
    wsk_sim::seeds(30, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let told = Box::new(Told::default());
        let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let making = Making::new(WSK_FLAG_CONNECTION_SOCKET, false);
        let making = making.with_table(&CONNECTION).with_context(&*told);
        let socket = making.make(&client, &mut io);
        assert_eq!(bind(socket, &mut io, "127.0.0.1:0"), STATUS_SUCCESS);
        assert_eq!(
            socket.connect(&mut io, server.local_addr()).0,
            STATUS_SUCCESS
        );
        let status = Control::events(WSK_EVENT_RECEIVE).without_irp(socket);
        assert_eq!(status, STATUS_SUCCESS);
        // Refused data stops the events for data, but not this one.
        let peer = server.accept();
        peer.write_all(b"refused").unwrap();
        sim.sleep(Duration::from_secs(10));
        assert_eq!(told.data.load(SeqCst), 1);
        detach(sim);
        assert_eq!(told.receive.load(SeqCst), 1);
        assert_eq!(told.data.load(SeqCst), 1);
        socket.close(&mut io);
    });
}

#[test]
fn dead_socket_without_events_tells_nobody() {
    wsk_sim::seeds(10, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let told = Box::new(Told::default());
        let making = Making::new(WSK_FLAG_LISTEN_SOCKET, false);
        let making = making.with_table(&LISTEN).with_context(&*told);
        let listener = making.make(&client, &mut io);
        assert_eq!(bind(listener, &mut io, "127.0.0.1:7"), STATUS_SUCCESS);
        detach(sim);
        assert_eq!(told.accept.load(SeqCst) + told.inspect.load(SeqCst), 0);
        listener.close(&mut io);
    });
}

#[test]
fn transport_that_has_come_back_serves_new_sockets() {
    wsk_sim::run(|sim| {
        let mut io = Io::new();
        let client = Client::new();
        let dead = open(&client, &mut io, WSK_FLAG_BASIC_SOCKET);
        sim.detach_transport();
        sim.add_transport(Transport::TcpV4);
        let status = set_number(dead, &mut io, (SOL_SOCKET, SO_KEEPALIVE), 1);
        assert_eq!(status, STATUS_FILE_FORCED_CLOSED, "the old one stays dead");
        dead.close(&mut io);
        client.listener(&mut io, "127.0.0.1:7").close(&mut io);
    });
}
