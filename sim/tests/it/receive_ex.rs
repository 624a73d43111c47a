//! The receive event with control data, which replaces the ordinary one while it is set [wsk 6.9].

// UNSAFETY: plays a driver in C, with callbacks.
#![expect(unsafe_code, reason = "a client in the manner of C")]

use core::time::Duration;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use crate::common::{Client, Io, Socket};
use crate::control::{Control, Making, bind, open};
use wdk_sys::{
    NTSTATUS, PVOID, SIZE_T, STATUS_DATA_NOT_ACCEPTED, STATUS_INVALID_DEVICE_REQUEST,
    STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS, ULONG,
};
use wsk_sim::{Peer, Sim};
use wsk_sys::{
    PCMSGHDR, PFN_WSK_RECEIVE_EX_EVENT, PWSK_DATA_INDICATION, SIO_WSK_SET_RECEIVE_EX_CALLBACK,
    WSK_CLIENT_CONNECTION_DISPATCH, WSK_CLIENT_STREAM_DISPATCH, WSK_EVENT_DISABLE,
    WSK_EVENT_RECEIVE, WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_LISTEN_SOCKET, WSK_FLAG_STREAM_SOCKET,
};

/// How many bytes each of the two callbacks was given, and how often it was told of death.
#[derive(Default)]
struct Counts {
    plain: AtomicUsize,
    extended: AtomicUsize,
    dead: AtomicUsize,
}

static CONNECTION: WSK_CLIENT_CONNECTION_DISPATCH = WSK_CLIENT_CONNECTION_DISPATCH {
    WskReceiveEvent: Some(plain),
    WskDisconnectEvent: None,
    WskSendBacklogEvent: None,
};

/// A table of pointers to constants.
struct Stream(WSK_CLIENT_STREAM_DISPATCH);

// SAFETY: what it points to is constant.
unsafe impl Sync for Stream {}

static STREAM: Stream = Stream(WSK_CLIENT_STREAM_DISPATCH {
    Listen: core::ptr::null(),
    Connect: &raw const CONNECTION,
});

/// # Safety
///
/// The context is that of a socket of these tests, which keep it until it is closed.
unsafe fn counts<'a>(context: PVOID) -> &'a Counts {
    // SAFETY: promised by the caller.
    unsafe { &*context.cast() }
}

unsafe extern "C" fn plain(
    context: PVOID,
    _flags: ULONG,
    _list: PWSK_DATA_INDICATION,
    indicated: SIZE_T,
    _accepted: *mut SIZE_T,
) -> NTSTATUS {
    // SAFETY: a socket of these tests.
    let counts = unsafe { counts(context) };
    let indicated = usize::try_from(indicated).unwrap();
    counts.plain.fetch_add(indicated, SeqCst);
    STATUS_SUCCESS
}

unsafe extern "C" fn extended(
    context: PVOID,
    _flags: ULONG,
    list: PWSK_DATA_INDICATION,
    control: PCMSGHDR,
    control_length: ULONG,
    indicated: SIZE_T,
    _accepted: *mut SIZE_T,
) -> NTSTATUS {
    assert!(
        control.is_null() && control_length == 0,
        "TCP has no control data"
    );
    // SAFETY: a socket of these tests.
    let counts = unsafe { counts(context) };
    let indicated = usize::try_from(indicated).unwrap();
    counts.extended.fetch_add(indicated, SeqCst);
    counts.dead.fetch_add(usize::from(list.is_null()), SeqCst);
    STATUS_SUCCESS
}

unsafe extern "C" fn refusing(
    context: PVOID,
    _flags: ULONG,
    _list: PWSK_DATA_INDICATION,
    _control: PCMSGHDR,
    _control_length: ULONG,
    indicated: SIZE_T,
    _accepted: *mut SIZE_T,
) -> NTSTATUS {
    // SAFETY: a socket of these tests.
    let counts = unsafe { counts(context) };
    let indicated = usize::try_from(indicated).unwrap();
    counts.extended.fetch_add(indicated, SeqCst);
    STATUS_DATA_NOT_ACCEPTED
}

fn callback(function: PFN_WSK_RECEIVE_EX_EVENT) -> Control {
    let address = function.map_or(0, |function| (function as *const ()).expose_provenance());
    Control::ioctl(SIO_WSK_SET_RECEIVE_EX_CALLBACK).input(&address.to_ne_bytes())
}

/// A connection with callbacks to a peer.
struct Scene {
    client: Client,
    io: Io,
    counts: Box<Counts>,
    socket: Socket,
    peer: Peer,
}

impl Scene {
    fn new(sim: &Sim, flags: u32) -> Self {
        let mut io = Io::new();
        let client = Client::new();
        let counts = Box::new(Counts::default());
        let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let making = Making::new(flags, false).with_context(&*counts);
        if flags == WSK_FLAG_STREAM_SOCKET {
            let socket = making.with_table(&STREAM.0).make(&client, &mut io);
            assert_eq!(bind(socket, &mut io, "127.0.0.1:0"), STATUS_SUCCESS);
            assert_eq!(socket.connect_as_stream(&mut io, server.local_addr()).0, 0);
            let peer = server.accept();
            return Self {
                client,
                io,
                counts,
                socket,
                peer,
            };
        }
        let socket = making.with_table(&CONNECTION).make(&client, &mut io);
        assert_eq!(bind(socket, &mut io, "127.0.0.1:0"), STATUS_SUCCESS);
        assert_eq!(socket.connect(&mut io, server.local_addr()).0, 0);
        let peer = server.accept();
        Self {
            client,
            io,
            counts,
            socket,
            peer,
        }
    }

    /// Sends `count` bytes, and tells what the two callbacks have got by now.
    fn gets(&self, sim: &Sim, count: usize) -> (usize, usize) {
        self.peer.write_all(&vec![1; count]).unwrap();
        sim.sleep(Duration::from_secs(10));
        let (plain, extended) = (&self.counts.plain, &self.counts.extended);
        (plain.load(SeqCst), extended.load(SeqCst))
    }

    fn close(mut self) {
        self.socket.close(&mut self.io);
        drop(self.client);
    }
}

#[test]
fn wsk_6_9_callback_enables_the_event_and_null_disables_it() {
    wsk_sim::seeds(30, |sim| {
        for flags in [WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_STREAM_SOCKET] {
            let mut scene = Scene::new(sim, flags);
            assert_eq!(scene.gets(sim, 10), (0, 0), "events begin disabled");
            // What has come before is indicated as well.
            let set = callback(Some(extended)).with_irp(scene.socket, &mut scene.io);
            assert_eq!(set.0, STATUS_SUCCESS);
            assert_eq!(scene.gets(sim, 20), (0, 30));
            assert_eq!(callback(None).without_irp(scene.socket), STATUS_SUCCESS);
            assert_eq!(scene.gets(sim, 30), (0, 30));
            scene.close();
        }
    });
}

#[test]
fn wsk_6_9_callback_overrides_the_ordinary_receive_event() {
    wsk_sim::seeds(30, |sim| {
        let scene = Scene::new(sim, WSK_FLAG_CONNECTION_SOCKET);
        let socket = scene.socket;
        assert_eq!(
            Control::events(WSK_EVENT_RECEIVE).without_irp(socket),
            STATUS_SUCCESS
        );
        assert_eq!(scene.gets(sim, 10), (10, 0));
        assert_eq!(callback(Some(extended)).without_irp(socket), STATUS_SUCCESS);
        assert_eq!(scene.gets(sim, 20), (10, 20));
        // Disabling the ordinary event does not disable this one.
        let disable = WSK_EVENT_RECEIVE | WSK_EVENT_DISABLE;
        Control::events(disable).without_irp(socket);
        assert_eq!(scene.gets(sim, 30), (10, 50));
        assert_eq!(
            Control::events(WSK_EVENT_RECEIVE).without_irp(socket),
            STATUS_SUCCESS
        );
        assert_eq!(callback(None).without_irp(socket), STATUS_SUCCESS);
        assert_eq!(
            scene.gets(sim, 40),
            (50, 50),
            "what is enabled counts again"
        );
        scene.close();
    });
}

#[test]
fn wsk_8_2_refused_data_stops_the_event_until_a_receive() {
    wsk_sim::seeds(30, |sim| {
        let mut scene = Scene::new(sim, WSK_FLAG_CONNECTION_SOCKET);
        let socket = scene.socket;
        assert_eq!(callback(Some(refusing)).without_irp(socket), STATUS_SUCCESS);
        let (_, refused) = scene.gets(sim, 1000);
        assert!(refused > 0);
        assert_eq!(scene.gets(sim, 10), (0, refused));
        let set = callback(Some(extended)).without_irp(socket);
        assert_eq!(set, STATUS_SUCCESS);
        assert_eq!(
            scene.gets(sim, 5),
            (0, refused),
            "another callback changes nothing"
        );
        let taken = socket.receive(&mut scene.io, 100).unwrap().len();
        let rest = 1000 + 10 + 5 + 1 - taken;
        assert_eq!(scene.gets(sim, 1), (0, refused + rest));
        scene.close();
    });
}

#[test]
fn wsk_8_1_dead_connection_is_told_by_the_callback_that_replaces() {
    wsk_sim::seeds(20, |sim| {
        let scene = Scene::new(sim, WSK_FLAG_CONNECTION_SOCKET);
        assert_eq!(
            callback(Some(extended)).without_irp(scene.socket),
            STATUS_SUCCESS
        );
        sim.detach_transport();
        sim.sleep(Duration::from_secs(1));
        assert_eq!(scene.counts.dead.load(SeqCst), 1);
        scene.close();
    });
}

#[test]
fn callback_is_for_connections_that_are_connected() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = client.connection(&mut io, "127.0.0.1:0");
        let stream = open(&client, &mut io, WSK_FLAG_STREAM_SOCKET);
        let listener = open(&client, &mut io, WSK_FLAG_LISTEN_SOCKET);
        for (socket, expected) in [
            (socket, STATUS_INVALID_DEVICE_STATE),
            (stream, STATUS_INVALID_DEVICE_STATE),
            (listener, STATUS_INVALID_DEVICE_REQUEST),
        ] {
            assert_eq!(callback(Some(extended)).without_irp(socket), expected);
            socket.close(&mut io);
        }
    });
}

#[test]
fn callback_is_a_pointer() {
    wsk_sim::run(|sim| {
        let mut scene = Scene::new(sim, WSK_FLAG_CONNECTION_SOCKET);
        for size in [0, 4, 16] {
            let mut control = Control::ioctl(SIO_WSK_SET_RECEIVE_EX_CALLBACK).input(&vec![0; size]);
            let (status, _) = control.with_irp(scene.socket, &mut scene.io);
            assert_eq!(status, STATUS_INVALID_PARAMETER, "{size} bytes");
        }
        scene.close();
    });
}
