//! `WskControlClient`: every row of the table of facts, and what the codes do [wsk 3a, 4.4, 5,
//! 6.7].

// UNSAFETY: plays a driver in C, with callbacks.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use core::ptr;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, AtomicUsize};

use crate::common::{Client, Io, Socket};
use crate::control::{Control, Making, bind, event_control, open};
use crate::descriptors::{Descriptor, cache, cache_at, release};
use crate::facts;
use wdk_sys::ntddk::{
    IoGetCurrentProcess, ObfDereferenceObject, PsGetCurrentThreadId, PsLookupThreadByThreadId,
};
use wdk_sys::{
    NTSTATUS, PVOID, SIZE_T, STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL,
    STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_INVALID_SECURITY_DESCR,
    STATUS_NOT_SUPPORTED, STATUS_SUCCESS, ULONG,
};
use wsk_sys::{
    AF_INET, AF_INET6, IPPROTO, NPI_WSK_INTERFACE_ID, NPIID, PSOCKADDR, PWSK_DATA_INDICATION,
    PWSK_SOCKET, SOCK_DGRAM, SOCK_STREAM, WSK_CACHE_SD, WSK_CLIENT_CONNECTION_DISPATCH,
    WSK_CLIENT_LISTEN_DISPATCH, WSK_EVENT_ACCEPT, WSK_EVENT_CALLBACK_CONTROL, WSK_EVENT_DISABLE,
    WSK_EVENT_DISCONNECT, WSK_EVENT_RECEIVE, WSK_EVENT_RECEIVE_FROM, WSK_FLAG_BASIC_SOCKET,
    WSK_FLAG_DATAGRAM_SOCKET, WSK_FLAG_LISTEN_SOCKET, WSK_SET_STATIC_EVENT_CALLBACKS,
    WSK_TDI_BEHAVIOR, WSK_TDI_DEVICENAME_MAPPING, WSK_TDI_MAP, WSK_TDI_MAP_INFO, WSK_TRANSPORT,
    WSK_TRANSPORT_LIST_QUERY,
};

#[test]
fn wsk_4_4_transport_list_is_a_bare_array() {
    wsk_sim::run(|_| {
        let client = Client::new();
        let mut empty = Control::ioctl(WSK_TRANSPORT_LIST_QUERY);
        assert_eq!(empty.on_client(&client), STATUS_BUFFER_OVERFLOW);
        let size = usize::try_from(empty.returned).unwrap();
        assert_eq!(size % size_of::<WSK_TRANSPORT>(), 0);
        let mut small = Control::ioctl(WSK_TRANSPORT_LIST_QUERY).output(size - 1);
        assert_eq!(small.on_client(&client), STATUS_BUFFER_OVERFLOW);
        assert_eq!(small.returned, size as u64);
        let mut control = Control::ioctl(WSK_TRANSPORT_LIST_QUERY).output(size);
        assert_eq!(control.on_client(&client), STATUS_SUCCESS);
        assert_eq!(control.returned, size as u64);
        let entries = control.taken(size).chunks_exact(size_of::<WSK_TRANSPORT>());
        let mut listed: Vec<_> = entries
            .map(|bytes| {
                // SAFETY: any bytes are a transport.
                let entry = unsafe { bytes.as_ptr().cast::<WSK_TRANSPORT>().read_unaligned() };
                assert_eq!(entry.Version, 0x0100);
                (entry.SocketType, entry.Protocol, entry.AddressFamily)
            })
            .collect();
        listed.sort_unstable();
        let number = |value: u32| u16::try_from(value).unwrap();
        let mut expected = Vec::new();
        for family in [AF_INET, AF_INET6].map(number) {
            let tcp = IPPROTO::IPPROTO_TCP.cast_unsigned();
            let udp = IPPROTO::IPPROTO_UDP.cast_unsigned();
            expected.push((number(SOCK_STREAM), tcp, family));
            expected.push((number(SOCK_DGRAM), udp, family));
        }
        expected.sort_unstable();
        assert_eq!(listed, expected);
    });
}

/// The input of an operation that changes something, as the facts name it.
fn good_input(code: u32) -> Vec<u8> {
    match code {
        WSK_SET_STATIC_EVENT_CALLBACKS => {
            event_control(ptr::from_ref(&NPI_WSK_INTERFACE_ID), WSK_EVENT_RECEIVE)
        }
        WSK_TDI_BEHAVIOR => 1_u32.to_ne_bytes().to_vec(),
        WSK_TDI_DEVICENAME_MAPPING => map_info(&MAP, 1),
        other => panic!("no input for {other}"),
    }
}

/// One mapping, of a name that lives as long as the program.
struct Map(WSK_TDI_MAP);

// SAFETY: what it points to is constant.
unsafe impl Sync for Map {}

static NAME: [u16; 4] = [b'\\' as u16, b'D' as u16, b'x' as u16, 0];
static MAP: Map = Map(WSK_TDI_MAP {
    SocketType: 1,
    AddressFamily: 2,
    Protocol: 6,
    TdiDeviceName: NAME.as_ptr().cast_mut(),
});
static NAMELESS: Map = Map(WSK_TDI_MAP {
    TdiDeviceName: ptr::null_mut(),
    ..MAP.0
});

/// A `WSK_TDI_MAP_INFO`.
fn map_info(map: &'static Map, count: u32) -> Vec<u8> {
    let mut bytes = count.to_ne_bytes().to_vec();
    bytes.resize(core::mem::offset_of!(WSK_TDI_MAP_INFO, Map), 0);
    let start = ptr::from_ref(&map.0).expose_provenance();
    bytes.extend(start.to_ne_bytes());
    bytes
}

#[test]
fn operation_for_before_the_first_socket_is_refused_afterwards() {
    // [wsk 5]
    let rows = facts::of("WskControlClient").into_iter();
    let rows: Vec<_> = rows.filter(facts::Row::is_before_sockets).collect();
    assert_eq!(rows.len(), 3);
    wsk_sim::run(move |_| {
        let mut io = Io::new();
        for row in &rows {
            let (client, other) = (Client::new(), Client::new());
            let input = good_input(row.code());
            assert_eq!(row.input_size(), Some(input.len()), "{}", row.name());
            let set = || Control::ioctl(row.code()).input(&input).on_client(&client);
            // What another client does is its own affair.
            let foreign = open(&other, &mut io, WSK_FLAG_BASIC_SOCKET);
            assert_eq!(set(), STATUS_SUCCESS, "{}", row.name());
            assert_eq!(set(), STATUS_SUCCESS, "{}", row.name());
            let socket = open(&client, &mut io, WSK_FLAG_BASIC_SOCKET);
            assert_eq!(set(), STATUS_INVALID_DEVICE_STATE, "{}", row.name());
            socket.close(&mut io);
            assert_eq!(set(), STATUS_INVALID_DEVICE_STATE, "{}", row.name());
            foreign.close(&mut io);
        }
    });
}

#[test]
fn input_of_another_size_is_refused() {
    wsk_sim::run(|_| {
        let client = Client::new();
        for row in facts::of("WskControlClient") {
            let Some(size) = row.input_size().filter(|size| *size > 0) else {
                continue;
            };
            for wrong in [0, 1, size - 1, size + 1] {
                let mut control = Control::ioctl(row.code()).input(&vec![0; wrong]).output(8);
                let status = control.on_client(&client);
                assert_eq!(
                    status,
                    STATUS_INVALID_PARAMETER,
                    "{} of {wrong}",
                    row.name()
                );
            }
        }
    });
}

#[test]
fn unknown_operation_is_not_supported() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        for code in [0, 1, 9, 0x1234] {
            let mut control = Control::ioctl(code);
            assert_eq!(control.on_client(&client), STATUS_NOT_SUPPORTED);
            let with_irp = |irp| control.start_on_client(&client, ptr::null_mut(), irp);
            assert_eq!(io.call(with_irp).0, STATUS_NOT_SUPPORTED);
        }
    });
}

#[test]
fn tdi_operations_check_what_they_are_given() {
    wsk_sim::run(|_| {
        let client = Client::new();
        for input in [
            map_info(&MAP, 0),
            map_info(&NAMELESS, 1),
            vec![1; 16][..8].to_vec(),
        ] {
            let mut control = Control::ioctl(WSK_TDI_DEVICENAME_MAPPING).input(&input);
            assert_eq!(control.on_client(&client), STATUS_INVALID_PARAMETER);
        }
        let mut control = Control::ioctl(WSK_TDI_BEHAVIOR).input(&2_u32.to_ne_bytes());
        assert_eq!(control.on_client(&client), STATUS_INVALID_PARAMETER);
    });
}

#[test]
fn descriptor_that_is_none_is_refused() {
    // [wsk 4.5]
    wsk_sim::run(|_| {
        let client = Client::new();
        let wrong = Descriptor::everybody().of_revision(2);
        assert_eq!(cache(&client, &wrong), Err(STATUS_INVALID_SECURITY_DESCR));
        assert_eq!(cache_at(&client, 0), Err(STATUS_INVALID_SECURITY_DESCR));
        let mut small = Control::ioctl(WSK_CACHE_SD).input(&[0; 8]).output(4);
        assert_eq!(small.on_client(&client), STATUS_BUFFER_TOO_SMALL);
    });
}

#[test]
fn wsk_4_5_descriptor_outlives_the_socket_that_it_was_for() {
    wsk_sim::seeds(20, |_| {
        let mut io = Io::new();
        let client = Client::new();
        let cached = cache(&client, &Descriptor::everybody()).unwrap();
        for _ in 0..2 {
            let mut making = Making::new(WSK_FLAG_LISTEN_SOCKET, false);
            making.security = ptr::with_exposed_provenance_mut(cached);
            making.make(&client, &mut io).close(&mut io);
        }
        release(&client, cached);
    });
}

/// What callbacks count.
#[derive(Default)]
struct Counts {
    accepted: AtomicU32,
    received: AtomicU32,
    ended: AtomicU32,
    /// The accepted socket.
    socket: AtomicUsize,
}

static LISTEN: WSK_CLIENT_LISTEN_DISPATCH = WSK_CLIENT_LISTEN_DISPATCH {
    WskAcceptEvent: Some(accept),
    WskInspectEvent: None,
    WskAbortEvent: None,
};

static CONNECTION: WSK_CLIENT_CONNECTION_DISPATCH = WSK_CLIENT_CONNECTION_DISPATCH {
    WskReceiveEvent: Some(receive),
    WskDisconnectEvent: Some(disconnect),
    WskSendBacklogEvent: None,
};

/// The counts of the test that a callback belongs to.
///
/// # Safety
///
/// The context is that of a socket of these tests, which keep their counts until it is closed.
unsafe fn counts<'a>(context: PVOID) -> &'a Counts {
    // SAFETY: promised by the caller.
    unsafe { &*context.cast() }
}

unsafe extern "C" fn accept(
    context: PVOID,
    _flags: ULONG,
    _local: PSOCKADDR,
    _remote: PSOCKADDR,
    socket: PWSK_SOCKET,
    new_context: *mut PVOID,
    new_table: *mut *const WSK_CLIENT_CONNECTION_DISPATCH,
) -> NTSTATUS {
    // SAFETY: a socket of these tests.
    let counts = unsafe { counts(context) };
    counts.accepted.fetch_add(1, SeqCst);
    counts.socket.store(socket.expose_provenance(), SeqCst);
    // SAFETY: places for the answer.
    unsafe { new_context.write(context) };
    // SAFETY: as above.
    unsafe { new_table.write(&raw const CONNECTION) };
    STATUS_SUCCESS
}

unsafe extern "C" fn receive(
    context: PVOID,
    _flags: ULONG,
    _list: PWSK_DATA_INDICATION,
    indicated: SIZE_T,
    _accepted: *mut SIZE_T,
) -> NTSTATUS {
    // SAFETY: a socket of these tests.
    let counts = unsafe { counts(context) };
    let indicated = u32::try_from(indicated).unwrap();
    counts.received.fetch_add(indicated, SeqCst);
    STATUS_SUCCESS
}

unsafe extern "C" fn disconnect(context: PVOID, _flags: ULONG) -> NTSTATUS {
    // SAFETY: a socket of these tests.
    unsafe { counts(context) }.ended.fetch_add(1, SeqCst);
    STATUS_SUCCESS
}

fn set_static(client: &Client, mask: u32) -> NTSTATUS {
    let npi = ptr::from_ref(&NPI_WSK_INTERFACE_ID);
    let mut control =
        Control::ioctl(WSK_SET_STATIC_EVENT_CALLBACKS).input(&event_control(npi, mask));
    control.on_client(client)
}

#[test]
fn wsk_6_7_static_events_come_on_every_later_socket() {
    wsk_sim::seeds(50, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let counts = Box::new(Counts::default());
        // Bits of several categories in one mask.
        let mask = WSK_EVENT_ACCEPT | WSK_EVENT_RECEIVE | WSK_EVENT_RECEIVE_FROM;
        assert_eq!(set_static(&client, mask), STATUS_SUCCESS);
        assert_eq!(set_static(&client, WSK_EVENT_DISCONNECT), STATUS_SUCCESS);
        let making = Making::new(WSK_FLAG_LISTEN_SOCKET, false);
        let making = making.with_table(&LISTEN).with_context(&*counts);
        let listener = making.make(&client, &mut io);
        assert_eq!(bind(listener, &mut io, "127.0.0.1:7"), STATUS_SUCCESS);
        let peer = sim.connect("127.0.0.1:7".parse().unwrap()).unwrap();
        peer.write_all(&[1; 3000]).unwrap();
        peer.shut_down();
        sim.sleep(core::time::Duration::from_secs(10));
        assert_eq!(counts.accepted.load(SeqCst), 1);
        assert_eq!(counts.received.load(SeqCst), 3000);
        assert_eq!(counts.ended.load(SeqCst), 1);
        let accepted = Socket::new(counts.socket.load(SeqCst));
        accepted.close(&mut io);
        listener.close(&mut io);
    });
}

#[test]
fn wsk_6_7_static_events_are_neither_disabled_nor_enabled_again() {
    wsk_sim::seeds(10, |_| {
        let (mut io, mut irp) = (Io::new(), Io::new());
        let client = Client::new();
        assert_eq!(set_static(&client, WSK_EVENT_ACCEPT), STATUS_SUCCESS);
        let counts = Box::new(Counts::default());
        let making = Making::new(WSK_FLAG_LISTEN_SOCKET, false);
        let making = making.with_table(&LISTEN).with_context(&*counts);
        let listener = making.make(&client, &mut io);
        assert_eq!(bind(listener, &mut io, "127.0.0.1:7"), STATUS_SUCCESS);
        let disable = WSK_EVENT_ACCEPT | WSK_EVENT_DISABLE;
        assert_eq!(
            Control::events(disable).without_irp(listener),
            STATUS_INVALID_PARAMETER
        );
        let (status, _) = Control::events(disable).with_irp(listener, &mut irp);
        assert_eq!(status, STATUS_INVALID_PARAMETER);
        let status = Control::events(WSK_EVENT_ACCEPT).without_irp(listener);
        assert_eq!(status, STATUS_INVALID_PARAMETER);
        listener.close(&mut io);
    });
}

#[test]
fn static_events_that_are_none_are_refused() {
    wsk_sim::run(|_| {
        let client = Client::new();
        for mask in [
            0,
            1,
            WSK_EVENT_RECEIVE | 1,
            WSK_EVENT_RECEIVE | WSK_EVENT_DISABLE,
        ] {
            assert_eq!(
                set_static(&client, mask),
                STATUS_INVALID_PARAMETER,
                "{mask:#x}"
            );
        }
        let foreign = NPIID {
            Data1: 1,
            ..NPI_WSK_INTERFACE_ID
        };
        for npi in [ptr::null(), &raw const foreign] {
            let mut control = Control::ioctl(WSK_SET_STATIC_EVENT_CALLBACKS)
                .input(&event_control(npi, WSK_EVENT_RECEIVE));
            assert_eq!(control.on_client(&client), STATUS_INVALID_PARAMETER);
        }
        assert_eq!(
            event_control(ptr::null(), 0).len(),
            size_of::<WSK_EVENT_CALLBACK_CONTROL>()
        );
    });
}

#[test]
fn owner_of_a_socket_may_be_named() {
    // [wsk 4.5]
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let mut making = Making::new(WSK_FLAG_DATAGRAM_SOCKET, false);
        // SAFETY: within a simulation.
        making.process = unsafe { IoGetCurrentProcess() };
        // SAFETY: as above.
        let own = unsafe { PsGetCurrentThreadId() };
        // SAFETY: a place for the thread.
        let status = unsafe { PsLookupThreadByThreadId(own, &raw mut making.thread) };
        assert_eq!(status, STATUS_SUCCESS);
        making.make(&client, &mut io).close(&mut io);
        // SAFETY: looking it up gave a reference.
        unsafe { ObfDereferenceObject(making.thread.cast()) };
    });
}

#[test]
fn wsk_4_4_triple_of_the_list_makes_a_socket() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        for (udp, v6) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut making = Making::new(WSK_FLAG_BASIC_SOCKET, v6);
            making.udp = udp;
            making.make(&client, &mut io).close(&mut io);
        }
    });
}
