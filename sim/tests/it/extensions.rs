//! Extension interfaces [wsk 5.5, 10.1]: an extension with one function and one event, and clients
//! of it.

// UNSAFETY: plays an extension and a driver in C.
#![expect(unsafe_code, reason = "an extension and a client in the manner of C")]

use core::ffi::c_void;
use core::mem::forget;
use core::ptr;
use core::time::Duration;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::sync::{Arc, Mutex};

use crate::common::{Client, Io, Socket, TAG};
use crate::control::{CATEGORIES, Control, event_control, open};
use wdk_sys::ntddk::{ExAllocatePool2, ExFreePoolWithTag};
use wdk_sys::{
    NTSTATUS, PVOID, STATUS_ACCESS_DENIED, STATUS_BUFFER_TOO_SMALL, STATUS_EVENT_PENDING,
    STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED, STATUS_PENDING,
    STATUS_SUCCESS, ULONG,
};
use wsk_sim::{Extension, ExtensionClient, Rule, Sim, builder};
use wsk_sys::{
    NPI_WSK_INTERFACE_ID, NPIID, PWSK_SOCKET, SIO_WSK_REGISTER_EXTENSION, SO_WSK_EVENT_CALLBACK,
    SOL_SOCKET, WSK_EVENT_DISABLE, WSK_EXTENSION_CONTROL_IN, WSK_EXTENSION_CONTROL_OUT,
    WSK_FLAG_BASIC_SOCKET, WSK_FLAG_LISTEN_SOCKET,
};

static ID: NPIID = NPIID {
    Data1: 0x1234,
    Data2: 5,
    Data3: 6,
    Data4: [7; 8],
};
static OTHER: NPIID = NPIID {
    Data1: 0x4321,
    ..ID
};

/// The event that the extension has; it means something else to WSK.
const RUNG: ULONG = 0x40;

/// What clients call.
#[repr(C)]
struct ProviderTable {
    /// Rings as many bells as it is told, slowly, and tells how many rang.
    ring: unsafe extern "C" fn(PVOID, u32) -> u32,
}

/// What the extension calls.
#[repr(C)]
struct ClientTable {
    rung: unsafe extern "C" fn(PVOID),
}

static PROVIDER: ProviderTable = ProviderTable { ring };

/// The extension, and what it notes.
#[derive(Clone, Default)]
struct Bells(Arc<Notes>);

#[derive(Default)]
struct Notes {
    refuses: AtomicU32,
    gone: AtomicU32,
    /// The clients that have registered, for the test: socket, context and table.
    registered: Mutex<Vec<(usize, usize, usize)>>,
}

/// What a client passes to the functions.
struct Link(ExtensionClient);

impl Extension for Bells {
    fn id(&self) -> NPIID {
        ID
    }

    fn dispatch(&self) -> *const c_void {
        (&raw const PROVIDER).cast()
    }

    fn register(&self, client: ExtensionClient) -> Result<PVOID, NTSTATUS> {
        if self.0.refuses.load(SeqCst) > 0 {
            return Err(STATUS_ACCESS_DENIED);
        }
        let socket: PWSK_SOCKET = client.socket();
        let parts = (
            socket.addr(),
            client.context().addr(),
            client.dispatch().addr(),
        );
        self.0.registered.lock().unwrap().push(parts);
        Ok(Box::into_raw(Box::new(Link(client))).cast())
    }

    fn events(&self) -> ULONG {
        RUNG
    }

    fn socket_gone(&self, provider_context: PVOID) {
        self.0.gone.fetch_add(1, SeqCst);
        // SAFETY: `register` made the context, and the socket has let go of it.
        drop(unsafe { Box::from_raw(provider_context.cast::<Link>()) });
    }
}

unsafe extern "C" fn ring(context: PVOID, times: u32) -> u32 {
    // SAFETY: the context is one that `register` made.
    let Link(client) = unsafe { &*context.cast::<Link>() };
    let call = client.enter("Ring");
    for _ in 0..times {
        let (callee, table) = (client.context().addr(), client.dispatch().addr());
        client.raise(RUNG, move || {
            let table = ptr::with_exposed_provenance::<ClientTable>(table);
            // SAFETY: the client keeps its table and its context while the socket is open.
            let rung = unsafe { (*table).rung };
            // SAFETY: as above.
            unsafe { rung(ptr::with_exposed_provenance_mut(callee)) };
        });
        // SAFETY: within a simulation; something else may run meanwhile.
        unsafe { wdk_sys::ntddk::KeRaiseIrqlToDpcLevel() };
        // SAFETY: lowers it again.
        unsafe { wdk_sys::ntddk::KeLowerIrql(0) };
    }
    drop(call);
    times
}

/// What the client counts.
#[derive(Default)]
struct Counts {
    rung: AtomicU32,
    /// The socket on which the callback disables its own event.
    disable_on: AtomicUsize,
    status: AtomicU32,
}

static CLIENT: ClientTable = ClientTable { rung };

unsafe extern "C" fn rung(context: PVOID) {
    // SAFETY: the context is the test's.
    let counts = unsafe { &*context.cast::<Counts>() };
    counts.rung.fetch_add(1, SeqCst);
    let socket = counts.disable_on.swap(0, SeqCst);
    if socket != 0 {
        let status = events(RUNG | WSK_EVENT_DISABLE).without_irp(Socket::new(socket));
        counts.status.store(status.cast_unsigned(), SeqCst);
    }
}

/// A `WSK_EXTENSION_CONTROL_IN`.
fn input(id: *const NPIID, context: usize, table: usize) -> Vec<u8> {
    [id.expose_provenance(), context, table]
        .map(usize::to_ne_bytes)
        .concat()
}

/// Registers for an extension.
fn register(socket: Socket, id: *const NPIID, counts: &Counts) -> (NTSTATUS, Control) {
    let context = ptr::from_ref(counts).expose_provenance();
    let table = (&raw const CLIENT).expose_provenance();
    let mut control = Control::ioctl(SIO_WSK_REGISTER_EXTENSION)
        .input(&input(id, context, table))
        .output(size_of::<WSK_EXTENSION_CONTROL_OUT>());
    (control.without_irp(socket), control)
}

/// What registering has given, as a function to call.
#[derive(Clone, Copy)]
struct Registered {
    context: usize,
    table: usize,
}

impl Registered {
    fn new(socket: Socket, counts: &Counts) -> Self {
        let (status, control) = register(socket, &raw const ID, counts);
        assert_eq!(status, STATUS_SUCCESS);
        let word =
            |at: usize| usize::from_ne_bytes(control.taken(16)[at..at + 8].try_into().unwrap());
        Self {
            context: word(0),
            table: word(8),
        }
    }

    fn ring(self, times: u32) -> u32 {
        let table = ptr::with_exposed_provenance::<ProviderTable>(self.table);
        let context = ptr::with_exposed_provenance_mut(self.context);
        // SAFETY: the table is the extension's.
        let ring = unsafe { (*table).ring };
        // SAFETY: the context is the extension's.
        unsafe { ring(context, times) }
    }
}

/// Enables or disables the extension's event.
fn events(mask: ULONG) -> Control {
    let option = (SOL_SOCKET, SO_WSK_EVENT_CALLBACK);
    Control::set(option, &event_control(&raw const ID, mask))
}

fn offer(sim: &Sim) -> Bells {
    let bells = Bells::default();
    sim.offer_extension(bells.clone());
    bells
}

#[test]
fn extension_is_introduced_to_clients_on_sockets_of_every_category() {
    wsk_sim::seeds(10, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let bells = offer(sim);
        let counts = Box::new(Counts::default());
        for (number, (_, flags)) in CATEGORIES.into_iter().enumerate() {
            let socket = open(&client, &mut io, flags);
            let registered = Registered::new(socket, &counts);
            assert_eq!(registered.table, (&raw const PROVIDER).addr());
            assert_eq!(registered.ring(3), 3);
            let (of_socket, context, table) = bells.0.registered.lock().unwrap()[number];
            assert_eq!(of_socket, socket.0.addr());
            assert_eq!(context, ptr::from_ref(&*counts).addr());
            assert_eq!(table, (&raw const CLIENT).addr());
            socket.close(&mut io);
        }
        sim.sleep(Duration::from_secs(1));
        assert_eq!(
            bells.0.gone.load(SeqCst),
            5,
            "it is told when a socket is gone"
        );
        assert_eq!(counts.rung.load(SeqCst), 0, "events begin disabled");
    });
}

#[test]
fn wsk_5_5_extension_that_nobody_offers_is_not_supported() {
    wsk_sim::run(|sim| {
        let mut io = Io::new();
        let client = Client::new();
        let counts = Box::new(Counts::default());
        let socket = open(&client, &mut io, WSK_FLAG_BASIC_SOCKET);
        let id = &raw const ID;
        assert_eq!(register(socket, id, &counts).0, STATUS_NOT_SUPPORTED);
        let bells = offer(sim);
        assert_eq!(
            register(socket, &raw const OTHER, &counts).0,
            STATUS_NOT_SUPPORTED
        );
        assert_eq!(
            register(socket, ptr::null(), &counts).0,
            STATUS_INVALID_PARAMETER
        );
        bells.0.refuses.store(1, SeqCst);
        assert_eq!(register(socket, id, &counts).0, STATUS_ACCESS_DENIED);
        bells.0.refuses.store(0, SeqCst);
        assert_eq!(register(socket, id, &counts).0, STATUS_SUCCESS);
        let status = register(socket, id, &counts).0;
        assert_eq!(status, STATUS_INVALID_DEVICE_STATE, "once for each socket");
        socket.close(&mut io);
    });
}

#[test]
fn extension_needs_structures_of_their_sizes() {
    wsk_sim::run(|sim| {
        let mut io = Io::new();
        let client = Client::new();
        offer(sim);
        let socket = open(&client, &mut io, WSK_FLAG_BASIC_SOCKET);
        let given = input(&raw const ID, 0, 0);
        assert_eq!(given.len(), size_of::<WSK_EXTENSION_CONTROL_IN>());
        let room = size_of::<WSK_EXTENSION_CONTROL_OUT>();
        for (given, room, expected) in [
            (&given[..16], room, STATUS_INVALID_PARAMETER),
            (&given[..], room - 1, STATUS_BUFFER_TOO_SMALL),
        ] {
            let mut control = Control::ioctl(SIO_WSK_REGISTER_EXTENSION)
                .input(given)
                .output(room);
            assert_eq!(control.without_irp(socket), expected);
        }
        socket.close(&mut io);
    });
}

#[test]
fn basic_socket_has_the_events_of_its_extensions() {
    // A basic socket has none of WSK's own events.
    wsk_sim::seeds(30, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        offer(sim);
        let counts = Box::new(Counts::default());
        let socket = open(&client, &mut io, WSK_FLAG_BASIC_SOCKET);
        let other = open(&client, &mut io, WSK_FLAG_BASIC_SOCKET);
        assert_eq!(
            Control::events(RUNG).without_irp(socket),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(
            events(RUNG).without_irp(socket),
            STATUS_NOT_SUPPORTED,
            "not registered"
        );
        let registered = Registered::new(socket, &counts);
        assert_eq!(
            events(RUNG).without_irp(other),
            STATUS_NOT_SUPPORTED,
            "per socket"
        );
        for wrong in [0, 1, RUNG | 1] {
            let status = events(wrong).without_irp(socket);
            assert_eq!(status, STATUS_INVALID_PARAMETER, "{wrong:#x}");
        }
        assert_eq!(events(RUNG).without_irp(socket), STATUS_SUCCESS);
        registered.ring(3);
        sim.sleep(Duration::from_secs(1));
        assert_eq!(counts.rung.load(SeqCst), 3);
        let disable = RUNG | WSK_EVENT_DISABLE;
        assert_eq!(events(disable).with_irp(socket, &mut io).0, STATUS_SUCCESS);
        registered.ring(3);
        sim.sleep(Duration::from_secs(1));
        assert_eq!(counts.rung.load(SeqCst), 3);
        let both = RUNG | 1 | WSK_EVENT_DISABLE;
        assert_eq!(events(both).without_irp(socket), STATUS_INVALID_PARAMETER);
        other.close(&mut io);
        socket.close(&mut io);
    });
}

#[test]
fn wsk_6_4_event_of_an_extension_disabled_in_its_callback_is_pending() {
    wsk_sim::seeds(30, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        offer(sim);
        let counts = Box::new(Counts::default());
        let socket = open(&client, &mut io, WSK_FLAG_BASIC_SOCKET);
        let registered = Registered::new(socket, &counts);
        assert_eq!(events(RUNG).without_irp(socket), STATUS_SUCCESS);
        counts
            .disable_on
            .store(socket.0.expose_provenance(), SeqCst);
        registered.ring(1);
        sim.sleep(Duration::from_secs(1));
        assert_eq!(counts.rung.load(SeqCst), 1);
        let status = counts.status.load(SeqCst).cast_signed();
        assert_eq!(status, STATUS_EVENT_PENDING);
        registered.ring(1);
        sim.sleep(Duration::from_secs(1));
        assert_eq!(counts.rung.load(SeqCst), 1, "it is off");
        socket.close(&mut io);
    });
}

#[test]
fn wsk_10_2_close_waits_for_callbacks_of_extensions() {
    wsk_sim::seeds(50, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        offer(sim);
        let counts = Box::new(Counts::default());
        let socket = open(&client, &mut io, WSK_FLAG_BASIC_SOCKET);
        let registered = Registered::new(socket, &counts);
        assert_eq!(events(RUNG).without_irp(socket), STATUS_SUCCESS);
        registered.ring(5);
        socket.close(&mut io);
        let at_close = counts.rung.load(SeqCst);
        sim.sleep(Duration::from_secs(1));
        assert_eq!(
            counts.rung.load(SeqCst),
            at_close,
            "a callback after the close"
        );
    });
}

/// Runs a body that breaks a rule, and checks that the report is about it.
fn expect(rule: Rule, body: impl FnOnce(&Sim) + Send + 'static) {
    let report = builder().offence(body);
    assert_eq!(report.rule, rule, "{report}");
}

#[test]
fn wsk_10_3_function_of_an_extension_after_close_is_reported() {
    expect(Rule::CallAfterClose, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        offer(sim);
        let counts = Box::new(Counts::default());
        let socket = open(&client, &mut io, WSK_FLAG_BASIC_SOCKET);
        let registered = Registered::new(socket, &counts);
        let close = socket.start_close(io.prepare());
        // The extension has not been told yet, so that its context is there.
        assert!(close == STATUS_PENDING || close == STATUS_SUCCESS);
        registered.ring(1);
        forget((client, counts));
    });
}

#[test]
fn wsk_10_1_close_during_a_function_of_an_extension_is_reported() {
    // Whether the two meet is up to the schedule: one of these seeds lets them.
    let meets = |seed| {
        let report = builder().seed(seed).preempt_one_in(1).offence(|sim| {
            let mut io = Io::new();
            let client = Client::new();
            offer(sim);
            let counts = Box::new(Counts::default());
            let socket = open(&client, &mut io, WSK_FLAG_LISTEN_SOCKET);
            let registered = Registered::new(socket, &counts);
            let task = sim.spawn(move || registered.ring(50));
            socket.start_close(io.prepare());
            task.join();
            // An order without a meeting: the socket is left open, or was closed before.
            forget((client, counts));
        });
        report.rule == Rule::CloseDuringCall
    };
    assert!((0..50).any(meets), "no schedule lets the two meet");
}

#[test]
fn wsk_10_3_table_for_an_extension_freed_while_the_socket_is_open_is_reported() {
    expect(Rule::FreedInUse, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        offer(sim);
        let socket = open(&client, &mut io, WSK_FLAG_BASIC_SOCKET);
        // SAFETY: within a simulation.
        let table = unsafe { ExAllocatePool2(0x40, 64, TAG) };
        let given = input(&raw const ID, 0, table.expose_provenance());
        let mut control = Control::ioctl(SIO_WSK_REGISTER_EXTENSION)
            .input(&given)
            .output(16);
        assert_eq!(control.without_irp(socket), STATUS_SUCCESS);
        // SAFETY: breaks the rule.
        unsafe { ExFreePoolWithTag(table, TAG) };
        forget(client);
    });
}

#[test]
fn wsk_1_function_of_an_extension_above_dispatch_level_is_reported() {
    expect(Rule::Irql, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        offer(sim);
        let counts = Box::new(Counts::default());
        let socket = open(&client, &mut io, WSK_FLAG_BASIC_SOCKET);
        let registered = Registered::new(socket, &counts);
        // SAFETY: within a simulation.
        unsafe { wdk_sys::ntddk::KfRaiseIrql(3) };
        registered.ring(0);
        forget((client, counts));
    });
}

#[test]
fn extension_of_another_interface_leaves_the_events_of_wsk_alone() {
    assert_ne!(ID.Data1, NPI_WSK_INTERFACE_ID.Data1);
    wsk_sim::run(|sim| {
        let mut io = Io::new();
        let client = Client::new();
        offer(sim);
        let counts = Box::new(Counts::default());
        let listener = client.listener(&mut io, "127.0.0.1:7");
        let registered = Registered::new(listener, &counts);
        assert_eq!(events(RUNG).without_irp(listener), STATUS_SUCCESS);
        let peer = sim
            .begin_to_connect("127.0.0.1:7".parse().unwrap())
            .unwrap();
        let accepted = Socket::new(listener.accept(&mut io).1);
        peer.finish()
            .unwrap()
            .write_all(b"not an event of the extension's")
            .unwrap();
        sim.sleep(Duration::from_secs(1));
        assert_eq!(counts.rung.load(SeqCst), 0);
        registered.ring(1);
        accepted.close(&mut io);
        listener.close(&mut io);
    });
}
