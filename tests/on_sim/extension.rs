//! Extension interfaces: a bell that the simulator offers, and sockets of every category that are
//! registered for it.

// UNSAFETY: plays a provider in the manner of C.
#![expect(unsafe_code, reason = "an extension in the manner of C")]

use core::ffi::c_void;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use wsk::{
    AddressFamily, BasicSocket, ConnectionSocket, DatagramSocket, ErrorKind, Extension, Protocol,
    SocketType, StreamSocket, nmr::Npi,
};
use wsk_sim::{ExtensionClient, Fault, Sim, builder};
use wsk_sys::{
    NPIID,
    wdk_sys::{NTSTATUS, PVOID, STATUS_ACCESS_DENIED, ULONG},
};

use crate::common::{Client, passive, poll};

const SCHEDULES: u64 = 200;

wsk::npi! {
    /// A bell on a socket.
    // SAFETY: what offers it is below, with the same tables.
    pub interface Bell = unsafe 0x11223344_5566_7788_99AA_BBCCDDEEFF00;

    /// What the bell can do.
    pub provider trait Ring, table RingDispatch {
        /// Rings so many times, and says how many.
        fn ring(&self, times: u32) -> u32;
    }

    /// What is heard of it.
    pub client trait Hear, table HearDispatch {
        /// It has rung.
        fn rung(&self);
    }
}

wsk::npi! {
    /// An interface that nobody offers.
    pub interface Silence = 0x11223344_5566_7788_99AA_BBCCDDEEFF01;
    /// Does nothing.
    pub provider trait Nothing, table NothingDispatch {}
    /// Hears nothing.
    pub client trait Deaf, table DeafDispatch {}
}

/// As C has it.
fn id() -> NPIID {
    let digits = <Bell as Npi>::ID.to_u128();
    let part = |shift: u32, mask: u128| (digits >> shift) & mask;
    NPIID {
        Data1: u32::try_from(part(96, 0xFFFF_FFFF)).expect("32 bits"),
        Data2: u16::try_from(part(80, 0xFFFF)).expect("16 bits"),
        Data3: u16::try_from(part(64, 0xFFFF)).expect("16 bits"),
        Data4: u64::try_from(part(0, u64::MAX.into()))
            .expect("64 bits")
            .to_be_bytes(),
    }
}

/// The bell's event. WSK has another with the same bit.
const RUNG: u32 = 0x40;

static TABLE: RingDispatch = RingDispatch { ring };

/// The bell: whoever registers for it, unless it refuses.
#[derive(Clone, Default)]
struct Offered {
    refuses: Arc<AtomicU32>,
    gone: Arc<AtomicU32>,
}

impl wsk_sim::Extension for Offered {
    fn id(&self) -> NPIID {
        id()
    }

    fn dispatch(&self) -> *const c_void {
        (&raw const TABLE).cast()
    }

    fn register(&self, client: ExtensionClient) -> Result<PVOID, NTSTATUS> {
        if self.refuses.load(SeqCst) > 0 {
            return Err(STATUS_ACCESS_DENIED);
        }
        Ok(Box::into_raw(Box::new(client)).cast())
    }

    fn events(&self) -> ULONG {
        RUNG
    }

    fn socket_gone(&self, provider_context: PVOID) {
        self.gone.fetch_add(1, SeqCst);
        // SAFETY: `register` made it, and the socket has let go of it.
        drop(unsafe { Box::from_raw(provider_context.cast::<ExtensionClient>()) });
    }
}

unsafe extern "C" fn ring(context: PVOID, times: u32) -> u32 {
    // SAFETY: a context that `register` made.
    let client = unsafe { &*context.cast::<ExtensionClient>() };
    let call = client.enter("Ring");
    for _ in 0..times {
        let (callee, table) = (client.context().addr(), client.dispatch().addr());
        client.raise(RUNG, move || {
            let table = std::ptr::with_exposed_provenance::<HearDispatch>(table);
            // SAFETY: the client keeps its table and its context while the socket is open.
            let rung = unsafe { (*table).rung };
            // SAFETY: as above.
            unsafe { rung(std::ptr::with_exposed_provenance_mut(callee)) };
        });
    }
    drop(call);
    times
}

/// What a client hears: a count, which also says how many contexts there are.
#[derive(Clone, Default)]
struct Ears(Arc<Heard>);

#[derive(Default)]
struct Heard {
    count: AtomicU32,
    /// Disables the event from within its callback.
    bell: Mutex<Option<Extension<Bell>>>,
}

impl Ears {
    fn count(&self) -> u32 {
        self.0.count.load(SeqCst)
    }
}

impl Hear for Ears {
    fn rung(&self) {
        self.0.count.fetch_add(1, SeqCst);
        let bell = self.0.bell.lock().expect("not poisoned").take();
        if let Some(bell) = bell {
            drop(bell.disable_event(RUNG));
        }
    }
}

fn offer(sim: &Sim) -> Offered {
    let offered = Offered::default();
    sim.offer_extension(offered.clone());
    offered
}

macro_rules! register {
    ($socket:expr, $ears:expr) => {
        $socket.register_extension::<Bell, _>(HearDispatch::of(), $ears)
    };
}

fn basic(client: &Client) -> BasicSocket {
    let (family, kind) = (AddressFamily::Inet, SocketType::STREAM);
    let socket = BasicSocket::open(&client.provider, family, kind, Protocol::TCP);
    socket.wait(passive()).expect("opened")
}

/// Rings three times: with the event off, on, and off again.
fn ring_thrice(sim: &Sim, bell: &Extension<Bell>, ears: &Ears) {
    let ring = |times| {
        let rung = bell.enter().expect("open").ring(times);
        assert_eq!(rung, times);
        sim.sleep(Duration::from_millis(100));
    };
    ring(2);
    assert_eq!(ears.count(), 0, "events begin disabled");
    bell.enable_events(RUNG).expect("its event");
    ring(3);
    assert_eq!(ears.count(), 3);
    bell.disable_event(RUNG).wait(passive()).expect("its event");
    ring(4);
    assert_eq!(ears.count(), 3);
}

// [wsk 5.5]
#[test]
fn extension_works_on_sockets_of_every_category() {
    macro_rules! works_on {
        ($sim:ident, $client:ident, $offered:ident, $open:expr) => {{
            let ears = Ears::default();
            let socket = $open;
            let bell = register!(socket, ears.clone()).expect("offered");
            ring_thrice($sim, &bell, &ears);
            assert_eq!(Arc::strong_count(&ears.0), 2, "the socket has its context");
            let before = $offered.gone.load(SeqCst);
            socket.close().wait(passive()).expect("closed");
            assert_eq!(Arc::strong_count(&ears.0), 1, "the context is dropped");
            $sim.sleep(Duration::from_millis(1));
            assert_eq!($offered.gone.load(SeqCst), before + 1);
            let error = bell.enter().expect_err("closed");
            assert_eq!(error.kind(), ErrorKind::Closed);
        }};
    }
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let offered = offer(sim);
        let (provider, family) = (&client.provider, AddressFamily::Inet);
        works_on!(sim, client, offered, basic(&client));
        works_on!(sim, client, offered, client.listen());
        works_on!(sim, client, offered, client.connect(sim).0);
        works_on!(sim, client, offered, {
            let opening = ConnectionSocket::open(provider, family);
            opening.wait(passive()).expect("opened")
        });
        works_on!(sim, client, offered, {
            let opening = DatagramSocket::open(provider, family);
            opening.wait(passive()).expect("opened")
        });
        works_on!(sim, client, offered, {
            let opening = StreamSocket::open(provider, family);
            opening.wait(passive()).expect("opened")
        });
        client.end();
    });
}

// [wsk 5.5]
#[test]
fn extension_that_is_not_offered_or_refuses_leaves_no_context() {
    wsk_sim::seeds(50, |sim| {
        let client = Client::new();
        let socket = basic(&client);
        let ears = Ears::default();
        let kind = |ears: &Ears| register!(socket, ears.clone()).expect_err("refused").kind();
        assert_eq!(kind(&ears), ErrorKind::NotSupported);
        let offered = offer(sim);
        offered.refuses.store(1, SeqCst);
        assert_eq!(kind(&ears), ErrorKind::AccessDenied);
        offered.refuses.store(0, SeqCst);
        assert_eq!(Arc::strong_count(&ears.0), 1);
        let bell = register!(socket, ears.clone()).expect("offered");
        assert_eq!(kind(&ears), ErrorKind::InvalidState, "once for each socket");
        assert_eq!(Arc::strong_count(&ears.0), 2);
        let other = basic(&client);
        let second = register!(other, ears.clone()).expect("per socket");
        second.enable_events(RUNG).expect("registered");
        bell.enter().expect("open").ring(1);
        sim.sleep(Duration::from_millis(1));
        assert_eq!(ears.count(), 0, "the event of the other socket is enabled");
        drop((socket, other, bell, second));
        client.end();
        assert_eq!(Arc::strong_count(&ears.0), 1);
    });
}

struct Nobody;
impl Deaf for Nobody {}

#[test]
fn extension_of_another_interface_is_not_supported() {
    wsk_sim::run(|sim| {
        let client = Client::new();
        offer(sim);
        let socket = client.listen();
        let error = socket.register_extension::<Silence, _>(DeafDispatch::of(), Nobody);
        assert_eq!(
            error.expect_err("nobody offers it").kind(),
            ErrorKind::NotSupported
        );
        drop(socket);
        client.end();
    });
}

#[test]
fn extension_events_take_its_own_bits_only() {
    const DISABLE: u32 = 0x8000_0000;
    wsk_sim::run(|sim| {
        let client = Client::new();
        offer(sim);
        let socket = basic(&client);
        let bell = register!(socket, Ears::default()).expect("offered");
        for wrong in [0, 1, RUNG | 1, DISABLE | RUNG] {
            let error = bell.enable_events(wrong).expect_err("not its events");
            assert_eq!(error.kind(), ErrorKind::InvalidParameter, "{wrong:#x}");
        }
        let both = bell.disable_event(RUNG | 1).wait(passive());
        let error = both.expect_err("one at a time");
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
        let copy = bell.clone();
        socket.close().wait(passive()).expect("closed");
        let error = copy.enable_events(RUNG).expect_err("closed");
        assert_eq!(error.kind(), ErrorKind::Closed);
        let error = copy.disable_event(RUNG).wait(passive());
        assert_eq!(error.expect_err("closed").kind(), ErrorKind::Closed);
        drop(bell);
        client.end();
    });
}

// [wsk 6.4, 6.5]: without waiting, it may be disabled in its own callback.
#[test]
fn extension_event_disabled_in_its_callback_is_off_afterwards() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        offer(sim);
        let socket = basic(&client);
        let ears = Ears::default();
        let bell = register!(socket, ears.clone()).expect("offered");
        *ears.0.bell.lock().expect("not poisoned") = Some(bell.clone());
        bell.enable_events(RUNG).expect("its event");
        bell.enter().expect("open").ring(1);
        sim.sleep(Duration::from_millis(1));
        bell.enter().expect("open").ring(1);
        sim.sleep(Duration::from_millis(1));
        assert_eq!(ears.count(), 1);
        drop((socket, bell));
        client.end();
    });
}

// [wsk 10.1, 10.2]: no function runs while the socket is closed, and no callback afterwards.
#[test]
fn close_races_with_functions_and_callbacks_of_the_extension() {
    builder().preempt_one_in(2).seeds(SCHEDULES, |sim| {
        let client = Client::new();
        offer(sim);
        let socket = basic(&client);
        let ears = Ears::default();
        let bell = register!(socket, ears.clone()).expect("offered");
        bell.enable_events(RUNG).expect("its event");
        let rings = [bell.clone(), bell].map(|bell| {
            let caller = sim.clone();
            sim.spawn(move || {
                let mut rung = 0;
                while let Ok(entered) = bell.enter() {
                    rung += entered.ring(1);
                    drop(entered);
                    caller.sleep(Duration::from_micros(10));
                }
                rung
            })
        });
        sim.sleep(Duration::from_micros(50));
        let late = sim.seed() % 2 == 0;
        if late {
            drop(socket);
        } else {
            socket.close().wait(passive()).expect("closed");
            assert_eq!(Arc::strong_count(&ears.0), 1, "the context is dropped");
        }
        let rung: u32 = rings.into_iter().map(wsk_sim::Task::join).sum();
        client.end();
        assert!(ears.count() <= rung, "heard more than rung");
        assert_eq!(Arc::strong_count(&ears.0), 1);
    });
}

#[test]
fn extension_entered_at_the_close_puts_it_off() {
    wsk_sim::seeds(50, |sim| {
        let client = Client::new();
        offer(sim);
        let socket = basic(&client);
        let bell = register!(socket, Ears::default()).expect("offered");
        let entered = bell.enter().expect("open");
        let (mut closing, wakes) = (socket.close(), Arc::default());
        sim.sleep(Duration::from_secs(1));
        assert!(poll(&mut closing, &wakes).is_pending());
        assert_eq!(entered.ring(1), 1);
        drop(entered);
        drop(bell);
        closing.wait(passive()).expect("closed");
        client.end();
    });
}

/// A socket's life with an extension; whether registering has failed.
fn live(sim: &Sim) -> wsk::Result<bool> {
    offer(sim);
    let registration = wsk::Registration::register(wsk::Version::V1_0, passive())?;
    let provider = registration.try_capture()?;
    let (family, kind) = (AddressFamily::Inet, SocketType::STREAM);
    let socket = BasicSocket::open(&provider, family, kind, Protocol::TCP).wait(passive())?;
    let ears = Ears::default();
    let registered = register!(socket, ears.clone());
    if let Ok(bell) = &registered {
        let enabled = bell.enable_events(RUNG);
        bell.enter()?.ring(1);
        let _ = bell.disable_event(RUNG).wait(passive());
        assert!(ears.count() <= u32::from(enabled.is_ok()));
    }
    let contexts = Arc::strong_count(&ears.0) - 1;
    assert_eq!(contexts, usize::from(registered.is_ok()));
    socket.close().wait(passive())?;
    assert_eq!(Arc::strong_count(&ears.0), 1);
    Ok(registered.is_err())
}

#[test]
fn extension_that_fails_anywhere_leaves_nothing() {
    let mut refused = 0;
    for fault in [Fault::Allocation, Fault::ProviderCall] {
        for number in 1..=10 {
            let failing = builder().fail(fault, number);
            refused += u32::from(failing.run(live) == Ok(true));
        }
    }
    // The context's allocation, and the provider's call.
    assert_eq!(refused, 2, "registering fails in two ways");
}
