//! `SO_WSK_EVENT_CALLBACK`, the option: when it can be set, its size, whose events it names, its
//! IRP [wsk 3a, 5, 6.2, 6.4]. What the events do is tested elsewhere.

// UNSAFETY: plays a driver in C, with callbacks.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use core::ptr;

use crate::common::{Client, Io, Socket};
use crate::control::{Control, Making, bind, event_control};
use wdk_sys::{
    NTSTATUS, PVOID, SIZE_T, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
    STATUS_NOT_SUPPORTED, STATUS_REQUEST_NOT_ACCEPTED, STATUS_SUCCESS, ULONG,
};
use wsk_sys::{
    NPI_WSK_INTERFACE_ID, NPIID, PSOCKADDR, PWSK_DATA_INDICATION, PWSK_DATAGRAM_INDICATION,
    PWSK_SOCKET, SO_WSK_EVENT_CALLBACK, SOL_SOCKET, WSK_CLIENT_CONNECTION_DISPATCH,
    WSK_CLIENT_DATAGRAM_DISPATCH, WSK_CLIENT_LISTEN_DISPATCH, WSK_EVENT_ACCEPT, WSK_EVENT_DISABLE,
    WSK_EVENT_RECEIVE, WSK_EVENT_RECEIVE_FROM, WSK_FLAG_CONNECTION_SOCKET,
    WSK_FLAG_DATAGRAM_SOCKET, WSK_FLAG_LISTEN_SOCKET,
};

const OPTION: (u32, u32) = (SOL_SOCKET, SO_WSK_EVENT_CALLBACK);

static LISTEN: WSK_CLIENT_LISTEN_DISPATCH = WSK_CLIENT_LISTEN_DISPATCH {
    WskAcceptEvent: Some(accept),
    WskInspectEvent: None,
    WskAbortEvent: None,
};

static CONNECTION: WSK_CLIENT_CONNECTION_DISPATCH = WSK_CLIENT_CONNECTION_DISPATCH {
    WskReceiveEvent: Some(receive),
    WskDisconnectEvent: None,
    WskSendBacklogEvent: None,
};

static DATAGRAM: WSK_CLIENT_DATAGRAM_DISPATCH = WSK_CLIENT_DATAGRAM_DISPATCH {
    WskReceiveFromEvent: Some(receive_from),
};

unsafe extern "C" fn accept(
    _context: PVOID,
    _flags: ULONG,
    _local: PSOCKADDR,
    _remote: PSOCKADDR,
    _socket: PWSK_SOCKET,
    _new_context: *mut PVOID,
    _new_table: *mut *const WSK_CLIENT_CONNECTION_DISPATCH,
) -> NTSTATUS {
    STATUS_REQUEST_NOT_ACCEPTED
}

unsafe extern "C" fn receive(
    _context: PVOID,
    _flags: ULONG,
    _list: PWSK_DATA_INDICATION,
    _indicated: SIZE_T,
    _accepted: *mut SIZE_T,
) -> NTSTATUS {
    STATUS_SUCCESS
}

unsafe extern "C" fn receive_from(
    _context: PVOID,
    _flags: ULONG,
    _list: PWSK_DATAGRAM_INDICATION,
) -> NTSTATUS {
    STATUS_SUCCESS
}

/// A socket with callbacks for its events.
fn make(client: &Client, io: &mut Io, flags: u32) -> Socket {
    let making = Making::new(flags, false);
    let making = match flags {
        WSK_FLAG_LISTEN_SOCKET => making.with_table(&LISTEN),
        WSK_FLAG_CONNECTION_SOCKET => making.with_table(&CONNECTION),
        _ => making.with_table(&DATAGRAM),
    };
    making.make(client, io)
}

#[test]
fn wsk_5_events_are_enabled_after_bind_or_connect() {
    wsk_sim::seeds(10, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        for (flags, event) in [
            (WSK_FLAG_LISTEN_SOCKET, WSK_EVENT_ACCEPT),
            (WSK_FLAG_DATAGRAM_SOCKET, WSK_EVENT_RECEIVE_FROM),
            (WSK_FLAG_CONNECTION_SOCKET, WSK_EVENT_RECEIVE),
        ] {
            let socket = make(&client, &mut io, flags);
            let enable = || Control::events(event).without_irp(socket);
            assert_eq!(
                enable(),
                STATUS_INVALID_DEVICE_STATE,
                "{event:#x} before the bind"
            );
            assert_eq!(bind(socket, &mut io, "127.0.0.1:0"), STATUS_SUCCESS);
            if flags == WSK_FLAG_CONNECTION_SOCKET {
                assert_eq!(enable(), STATUS_INVALID_DEVICE_STATE, "before the connect");
                assert_eq!(
                    socket.connect(&mut io, server.local_addr()).0,
                    STATUS_SUCCESS
                );
            }
            assert_eq!(enable(), STATUS_SUCCESS, "{event:#x}");
            socket.close(&mut io);
        }
    });
}

#[test]
fn wsk_6_2_control_of_another_size_is_refused() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let listener = make(&client, &mut io, WSK_FLAG_LISTEN_SOCKET);
        assert_eq!(bind(listener, &mut io, "127.0.0.1:7"), STATUS_SUCCESS);
        let npi = ptr::from_ref(&NPI_WSK_INTERFACE_ID);
        let whole = event_control(npi, WSK_EVENT_ACCEPT);
        for size in [0, 1, 8, 12, 15, 17] {
            let mut bytes = whole.clone();
            bytes.resize(size, 0);
            let status = Control::set(OPTION, &bytes).without_irp(listener);
            assert_eq!(status, STATUS_INVALID_PARAMETER, "{size} bytes");
            let (status, _) = Control::set(OPTION, &bytes).with_irp(listener, &mut io);
            assert_eq!(
                status, STATUS_INVALID_PARAMETER,
                "{size} bytes, with an IRP"
            );
        }
        listener.close(&mut io);
    });
}

#[test]
fn wsk_6_2_events_of_an_unknown_interface_are_not_supported() {
    static UNKNOWN: NPIID = NPIID {
        Data1: 1,
        ..NPI_ZERO
    };
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let listener = make(&client, &mut io, WSK_FLAG_LISTEN_SOCKET);
        assert_eq!(bind(listener, &mut io, "127.0.0.1:7"), STATUS_SUCCESS);
        for mask in [WSK_EVENT_ACCEPT, WSK_EVENT_ACCEPT | WSK_EVENT_DISABLE] {
            let set = |npi| Control::set(OPTION, &event_control(npi, mask)).without_irp(listener);
            assert_eq!(set(&raw const UNKNOWN), STATUS_NOT_SUPPORTED);
            assert_eq!(set(ptr::null()), STATUS_INVALID_PARAMETER);
        }
        listener.close(&mut io);
    });
}

const NPI_ZERO: NPIID = NPIID {
    Data1: 0,
    Data2: 0,
    Data3: 0,
    Data4: [0; 8],
};

#[test]
fn wsk_6_4_irp_of_disabling_is_optional() {
    wsk_sim::seeds(20, |_| {
        let mut io = Io::new();
        let client = Client::new();
        let listener = make(&client, &mut io, WSK_FLAG_LISTEN_SOCKET);
        assert_eq!(bind(listener, &mut io, "127.0.0.1:7"), STATUS_SUCCESS);
        let disable = || Control::events(WSK_EVENT_ACCEPT | WSK_EVENT_DISABLE);
        for _ in 0..2 {
            let enabled = Control::events(WSK_EVENT_ACCEPT).without_irp(listener);
            assert_eq!(enabled, STATUS_SUCCESS);
            assert_eq!(disable().with_irp(listener, &mut io).0, STATUS_SUCCESS);
            let enabled = Control::events(WSK_EVENT_ACCEPT).without_irp(listener);
            assert_eq!(enabled, STATUS_SUCCESS);
            assert_eq!(disable().without_irp(listener), STATUS_SUCCESS);
        }
        listener.close(&mut io);
    });
}
