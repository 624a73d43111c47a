//! WSK reached through the registrar of network modules.

// UNSAFETY: plays a driver in C, which is called by the registrar and calls the kernel directly.
#![expect(unsafe_code, reason = "a client module in the manner of C")]

use core::mem::ManuallyDrop;
use core::ptr;
use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicBool, AtomicUsize};
use core::time::Duration;
use std::sync::Arc;

use wdk_sys::{
    HANDLE, NTSTATUS, PVOID, STATUS_NOINTERFACE, STATUS_PENDING, STATUS_SUCCESS, USHORT,
};
use wsk_sim::{Rule, Sim, every_fault, run, seeds};
use wsk_sys::{
    NPI_CLIENT_CHARACTERISTICS, NPI_MODULEID, NPI_REGISTRATION_INSTANCE, NPI_WSK_INTERFACE_ID,
    NmrClientAttachProvider, NmrClientDetachProviderComplete, NmrDeregisterClient,
    NmrRegisterClient, NmrWaitForClientDeregisterComplete, PNPI_REGISTRATION_INSTANCE,
    WSK_CLIENT_DISPATCH, WSK_FLAG_LISTEN_SOCKET, WSK_PROVIDER_CHARACTERISTICS, WSK_PROVIDER_NPI,
    WSK_REGISTRATION, npi_moduleid_guid,
};

use crate::common::{Client, Io, Socket};
use crate::driver::expect;
use crate::modules::guid;

static MODULE: NPI_MODULEID = npi_moduleid_guid(guid(20));

const VERSION_1: USHORT = 0x0100;
const VERSION_9: USHORT = 0x0900;

const fn table(version: USHORT) -> WSK_CLIENT_DISPATCH {
    WSK_CLIENT_DISPATCH {
        Version: version,
        Reserved: 0,
        WskClientEvent: None,
    }
}

static TABLES: [WSK_CLIENT_DISPATCH; 2] = [table(VERSION_9), table(VERSION_1)];

/// What the callbacks of a module leave.
#[derive(Default)]
struct State {
    /// Index of the first table that it offers, and how many it offers.
    tables: (usize, usize),
    /// Its detach is completed by the test.
    pends: bool,
    binding: AtomicUsize,
    client: AtomicUsize,
    dispatch: AtomicUsize,
    refused: AtomicUsize,
    detaches: AtomicUsize,
    cleaned: AtomicBool,
}

/// A client module of WSK's interface.
struct Module {
    handle: HANDLE,
    state: Arc<State>,
    _characteristics: Box<NPI_CLIENT_CHARACTERISTICS>,
}

// SAFETY: the handle is a number.
unsafe impl Send for Module {}
// SAFETY: as above; the characteristics are not changed.
unsafe impl Sync for Module {}

impl Module {
    fn new(state: State) -> Self {
        Self::try_new(state).expect("the registrar has memory")
    }

    fn try_new(state: State) -> Option<Self> {
        let state = Arc::new(state);
        let characteristics = Box::new(NPI_CLIENT_CHARACTERISTICS {
            Version: 0,
            Length: 72,
            ClientAttachProvider: Some(attach),
            ClientDetachProvider: Some(detach),
            ClientCleanupBindingContext: Some(cleanup),
            ClientRegistrationInstance: NPI_REGISTRATION_INSTANCE {
                Version: 0,
                Size: 40,
                NpiId: &raw const NPI_WSK_INTERFACE_ID,
                ModuleId: &raw const MODULE,
                Number: 0,
                NpiSpecificCharacteristics: ptr::null(),
            },
        });
        let context = Arc::as_ptr(&state).cast_mut().cast();
        let mut handle = ptr::null_mut();
        // SAFETY: characteristics and context stay where they are.
        let status =
            unsafe { NmrRegisterClient(&raw const *characteristics, context, &raw mut handle) };
        (status == STATUS_SUCCESS).then_some(Self {
            handle,
            state,
            _characteristics: characteristics,
        })
    }

    fn is_attached(&self) -> bool {
        self.state.dispatch.load(SeqCst) != 0
    }

    /// Waits until it is attached, and returns what it attached to in the shape of a registration.
    /// Dropping that does nothing.
    fn client(&self, sim: &Sim) -> ManuallyDrop<Client> {
        while !self.is_attached() {
            sim.sleep(Duration::from_millis(1));
        }
        ManuallyDrop::new(Client {
            block: Box::new(WSK_REGISTRATION::default()),
            npi: WSK_PROVIDER_NPI {
                Client: ptr::with_exposed_provenance_mut(self.state.client.load(SeqCst)),
                Dispatch: ptr::with_exposed_provenance(self.state.dispatch.load(SeqCst)),
            },
        })
    }

    fn start_deregistering(&self) {
        // SAFETY: registered once.
        assert_eq!(unsafe { NmrDeregisterClient(self.handle) }, STATUS_PENDING);
    }

    fn wait(&self) {
        // SAFETY: deregistered before.
        let status = unsafe { NmrWaitForClientDeregisterComplete(self.handle) };
        assert_eq!(status, STATUS_SUCCESS);
    }

    fn deregister(self) {
        self.start_deregistering();
        self.wait();
        assert_eq!(self.state.cleaned.load(SeqCst), self.is_attached());
    }

    /// Completes the detach that it left pending.
    fn complete(&self) {
        let binding = ptr::without_provenance_mut(self.state.binding.load(SeqCst));
        // SAFETY: pending.
        unsafe { NmrClientDetachProviderComplete(binding) };
    }
}

fn state<'a>(context: PVOID) -> &'a State {
    // SAFETY: registration and binding context of a module are its state.
    unsafe { &*context.cast() }
}

// [wsk 12.7, 12.17]
unsafe extern "C" fn attach(
    binding: HANDLE,
    context: PVOID,
    instance: PNPI_REGISTRATION_INSTANCE,
) -> NTSTATUS {
    let state = state(context);
    // SAFETY: the registrar passes the provider's instance.
    let versions = unsafe { (*instance).NpiSpecificCharacteristics };
    // SAFETY: the characteristics of WSK's interface.
    let versions = unsafe { versions.cast::<WSK_PROVIDER_CHARACTERISTICS>().read() };
    assert!((versions.LowestVersion..=versions.HighestVersion).contains(&VERSION_1));
    let (mut client, mut dispatch) = (ptr::null_mut(), ptr::null());
    let mut status = STATUS_NOINTERFACE;
    for table in TABLES.iter().skip(state.tables.0).take(state.tables.1) {
        let table = ptr::from_ref(table).cast();
        // SAFETY: inside of ClientAttachProvider, with its handle.
        status = unsafe {
            NmrClientAttachProvider(binding, context, table, &raw mut client, &raw mut dispatch)
        };
        if status != STATUS_NOINTERFACE {
            break;
        }
        state.refused.fetch_add(1, SeqCst);
    }
    if status == STATUS_SUCCESS {
        state.binding.store(binding.addr(), SeqCst);
        state.client.store(client.expose_provenance(), SeqCst);
        state.dispatch.store(dispatch.expose_provenance(), SeqCst);
    }
    status
}

unsafe extern "C" fn detach(context: PVOID) -> NTSTATUS {
    let state = state(context);
    assert_eq!(state.detaches.fetch_add(1, SeqCst), 0, "once [wsk 12.19]");
    if state.pends {
        STATUS_PENDING
    } else {
        STATUS_SUCCESS
    }
}

unsafe extern "C" fn cleanup(context: PVOID) {
    state(context).cleaned.store(true, SeqCst);
}

fn plain() -> State {
    State {
        tables: (1, 1),
        ..State::default()
    }
}

/// Opens a listening socket.
fn open(client: &Client, io: &mut Io) -> Socket {
    let (status, socket) = client.try_socket(io, WSK_FLAG_LISTEN_SOCKET, false);
    assert_eq!(status, STATUS_SUCCESS);
    Socket::new(socket)
}

// [wsk 12.16, 12.17]
#[test]
fn client_module_attaches_to_wsk_and_exchanges_data() {
    seeds(100, |sim| {
        let module = Module::new(plain());
        let client = module.client(sim);
        let mut io = Io::new();
        let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let socket = client.connection(&mut io, "127.0.0.1:0");
        assert_eq!(
            socket.connect(&mut io, server.local_addr()).0,
            STATUS_SUCCESS
        );
        let peer = server.accept();
        assert_eq!(socket.send(&mut io, b"hello"), (STATUS_SUCCESS, 5));
        assert_eq!(peer.read_exact(5).unwrap(), b"hello");
        socket.close(&mut io);
        module.deregister();
    });
}

// [wsk 12.7, 12.17]
#[test]
fn version_refused_is_followed_by_another() {
    seeds(20, |sim| {
        let module = Module::new(State {
            tables: (0, 2),
            ..State::default()
        });
        module.client(sim);
        assert_eq!(module.state.refused.load(SeqCst), 1);
        module.deregister();
    });
}

// [wsk 12.6, 12.17]
#[test]
fn version_unknown_does_not_attach() {
    seeds(20, |sim| {
        let module = Module::new(State {
            tables: (0, 1),
            ..State::default()
        });
        sim.sleep(Duration::from_secs(1));
        assert_eq!(module.state.refused.load(SeqCst), 1);
        assert!(!module.is_attached());
        module.deregister();
    });
}

// [wsk 12.2, 12.16]
#[test]
fn provider_that_is_ready_later_attaches_then() {
    seeds(20, |sim| {
        sim.provider_ready_after(Duration::from_secs(5));
        let module = Module::new(plain());
        sim.sleep(Duration::from_secs(4));
        assert!(!module.is_attached());
        module.client(sim);
        assert!(sim.now() >= Duration::from_secs(5));
        module.deregister();
    });
}

// [wsk 12.2, 12.16]
#[test]
fn provider_that_is_never_ready_does_not_attach() {
    run(|sim| {
        sim.provider_never_ready();
        let module = Module::new(plain());
        sim.sleep(Duration::from_hours(1));
        assert!(!module.is_attached());
        sim.provider_ready_after(Duration::from_secs(1));
        module.client(sim);
        module.deregister();
    });
}

// [wsk 12.16]
#[test]
fn several_clients_attach_each_for_itself() {
    seeds(50, |sim| {
        let modules = [Module::new(plain()), Module::new(plain())];
        let clients = modules
            .each_ref()
            .map(|module| module.client(sim).npi.Client);
        assert_ne!(clients[0], clients[1]);
        let registered = Client::new();
        assert!(!clients.contains(&registered.npi.Client));
        modules.into_iter().for_each(Module::deregister);
    });
}

// [wsk 12.18]
#[test]
fn detach_waits_until_the_sockets_are_closed() {
    for pends in [false, true] {
        seeds(100, move |sim| {
            let mut io = Io::new();
            let module = Arc::new(Module::new(State { pends, ..plain() }));
            let socket = open(&module.client(sim), &mut io);
            let over = Arc::new(AtomicBool::new(false));
            let (waiter, done) = (Arc::clone(&module), Arc::clone(&over));
            let task = sim.spawn(move || {
                waiter.start_deregistering();
                waiter.wait();
                done.store(true, SeqCst);
            });
            sim.sleep(Duration::from_secs(1));
            assert_eq!(module.state.detaches.load(SeqCst), 1);
            if pends && sim.seed() % 2 == 0 {
                module.complete();
            }
            sim.sleep(Duration::from_secs(1));
            assert!(!over.load(SeqCst), "over with an open socket");
            socket.close(&mut io);
            sim.sleep(Duration::from_secs(1));
            if pends && sim.seed() % 2 != 0 {
                assert!(!over.load(SeqCst), "over before the client detached");
                module.complete();
            }
            task.join();
        });
    }
}

// [wsk 12.11]: calls that the client counted before it was asked to detach are legal.
#[test]
fn socket_made_while_the_detach_is_pending_is_waited_for() {
    seeds(100, |sim| {
        let mut io = Io::new();
        let module = Module::new(State {
            pends: true,
            ..plain()
        });
        let client = module.client(sim);
        module.start_deregistering();
        let socket = open(&client, &mut io);
        while module.state.detaches.load(SeqCst) == 0 {
            sim.sleep(Duration::from_millis(1));
        }
        module.complete();
        sim.sleep(Duration::from_secs(1));
        assert!(!module.state.cleaned.load(SeqCst));
        socket.close(&mut io);
        module.wait();
    });
}

// [wsk 12.4, 12.6]
#[test]
fn client_module_survives_every_fault() {
    every_fault(|sim| {
        let Some(module) = Module::try_new(plain()) else {
            return;
        };
        sim.sleep(Duration::from_secs(1));
        module.deregister();
    });
}

#[test]
fn wsk_12_11_call_after_the_detach_is_reported() {
    expect(Rule::NmrCallAfterDetach, "WskSocket", |sim| {
        let mut io = Io::new();
        let module = Module::new(plain());
        let client = module.client(sim);
        module.start_deregistering();
        module.wait();
        open(&client, &mut io);
    });
}

#[test]
fn wsk_12_18_socket_left_open_is_reported_as_hang() {
    expect(Rule::Hang, "with 1 sockets", |sim| {
        let mut io = Io::new();
        let module = Module::new(plain());
        open(&module.client(sim), &mut io);
        module.deregister();
    });
}
