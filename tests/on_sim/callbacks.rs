//! What a callback may not do, and cannot: wait. What it starts is waited for elsewhere, and ends
//! when the callback has returned.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use wsk::{
    AddressFamily, ConnectionEventSet, ConnectionEvents, ConnectionSocket, DatagramEvents,
    DatagramIndication, DatagramSocket, Indication, InspectId, InspectRequest, Inspection,
    ListenEvents, ListenSocket, Offer, Operation, Passive, Received, Verdict, request,
};
use wsk_sim::{Sim, builder};

use crate::common::{Client, address, buffer, passive};
use crate::datagram::any;

const SCHEDULES: u64 = 300;

/// Asks for a [`Passive`] in every event, and keeps what the events bring.
#[derive(Clone, Default)]
struct Asker(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    /// How often each event has come.
    events: BTreeMap<&'static str, usize>,
    /// How often there was a [`Passive`].
    granted: usize,
    connection: Option<ConnectionSocket>,
    pended: Option<Inspection>,
}

impl Asker {
    fn with<R>(&self, access: impl FnOnce(&mut Log) -> R) -> R {
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn ask(&self, event: &'static str) {
        let granted = Passive::new().is_some();
        self.with(|log| {
            *log.events.entry(event).or_default() += 1;
            log.granted += usize::from(granted);
        });
    }

    fn await_event(&self, sim: &Sim, event: &str) {
        let deadline = sim.now() + Duration::from_mins(1);
        while !self.with(|log| log.events.contains_key(event)) {
            assert!(sim.now() < deadline, "no {event} event");
            sim.sleep(Duration::from_millis(1));
        }
    }
}

impl ListenEvents for Asker {
    fn accept(&self, offer: Offer<'_>) {
        let connection = offer.accept_with(self.clone()).expect("memory");
        self.with(|log| log.connection = Some(connection));
        self.ask("accept");
    }

    fn inspect<'call>(&self, request: InspectRequest<'call>) -> Verdict<'call> {
        let (verdict, inspection) = request.pend().expect("memory");
        self.with(|log| log.pended = Some(inspection));
        self.ask("inspect");
        verdict
    }

    fn aborted(&self, _id: InspectId) {
        self.ask("abort");
    }

    fn dead(&self) {
        self.ask("death");
    }
}

impl ConnectionEvents for Asker {
    fn receive<'call>(&self, indication: Indication<'call>) -> Received<'call> {
        self.ask("receive");
        indication.consume()
    }

    fn disconnected(&self, _abortive: bool) {
        self.ask("disconnect");
    }
}

impl DatagramEvents for Asker {
    fn receive_from<'call>(&self, indication: DatagramIndication<'call>) -> Received<'call> {
        self.ask("receive from");
        indication.consume()
    }
}

fn decide(sim: &Sim, asker: &Asker) {
    asker.await_event(sim, "inspect");
    let inspection = asker.with(|log| log.pended.take()).expect("pended");
    inspection.accept().wait(passive()).expect("undecided");
}

fn listen(client: &Client, handler: impl ListenEvents, conditional: bool) -> ListenSocket {
    let listener = client.listen_with(handler, conditional);
    let inherited = ConnectionEventSet::RECEIVE | ConnectionEventSet::DISCONNECT;
    listener.enable_accept_events(inherited).expect("bound");
    listener
}

// [wsk 1.3]: so that neither a request nor its own end is waited for in any event.
#[test]
fn no_event_of_a_listener_or_a_connection_has_a_passive() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let asker = Asker::default();
        let listener = listen(&client, asker.clone(), true);
        let connecting = sim.begin_to_connect(address()).expect("it listens");
        decide(sim, &asker);
        let peer = connecting.finish().expect("let in");
        peer.write_all(b"data").expect("open");
        asker.await_event(sim, "receive");
        peer.shut_down();
        asker.await_event(sim, "disconnect");
        asker.with(|log| log.events.remove("inspect"));
        let connecting = sim.begin_to_connect(address()).expect("it listens");
        asker.await_event(sim, "inspect");
        drop(connecting);
        asker.await_event(sim, "abort");
        sim.break_sockets();
        asker.await_event(sim, "death");
        assert_eq!(asker.with(|log| log.granted), 0);
        drop((asker.with(std::mem::take), peer, listener));
        client.end();
    });
}

#[test]
fn no_event_of_a_datagram_socket_has_a_passive() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let asker = Asker::default();
        let opening =
            DatagramSocket::open_with(&client.provider, AddressFamily::Inet, asker.clone());
        let socket = opening.wait(passive()).expect("opened");
        socket.bind(address()).wait(passive()).expect("bound");
        socket.enable_receive_events().expect("bound");
        let peer = sim
            .datagram_peer(any(AddressFamily::Inet))
            .expect("a free port");
        peer.send_to(b"data", address()).expect("sent");
        asker.await_event(sim, "receive from");
        assert_eq!(asker.with(|log| log.granted), 0);
        drop((socket, peer));
        client.end();
    });
}

/// What a [`Leaver`] does in its event.
#[derive(Clone, Copy)]
enum Leave {
    /// Nothing but take its time.
    Not,
    Disable,
    Close,
}

struct Leaving {
    leave: Leave,
    listener: OnceLock<ListenSocket>,
    /// The event closes it.
    signal: DatagramSocket,
    disabling: Mutex<Option<Operation<request::DisableEvent>>>,
    /// Events that run.
    inside: AtomicUsize,
    /// Events that have begun.
    begun: AtomicUsize,
}

/// Refuses every connection, and has its own socket at hand.
#[derive(Clone)]
struct Leaver(Arc<Leaving>);

impl Leaver {
    /// Listens, with accept events.
    fn listen(client: &Client, leave: Leave) -> Self {
        let signal = DatagramSocket::open(&client.provider, AddressFamily::Inet);
        let signal = signal.wait(passive()).expect("opened");
        let local = any(AddressFamily::Inet);
        signal.bind(local).wait(passive()).expect("a free port");
        let this = Self(Arc::new(Leaving {
            leave,
            listener: OnceLock::new(),
            signal,
            disabling: Mutex::new(None),
            inside: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
        }));
        let listener = client.listen_with(this.clone(), false);
        let listener = this.0.listener.get_or_init(|| listener);
        let nothing = ConnectionEventSet::empty();
        listener.enable_accept_events(nothing).expect("bound");
        this
    }

    fn listener(&self) -> &ListenSocket {
        self.0.listener.get().expect("from the start")
    }

    fn runs(&self) -> bool {
        self.0.inside.load(SeqCst) > 0
    }

    /// Returns when an event has begun, perhaps while it runs.
    fn await_event(&self) {
        let receive = self.0.signal.receive_from(buffer(b"")).wait(passive());
        receive.0.expect_err("the event closes the socket");
    }
}

impl ListenEvents for Leaver {
    fn accept(&self, offer: Offer<'_>) {
        self.0.inside.fetch_add(1, SeqCst);
        self.0.begun.fetch_add(1, SeqCst);
        self.0.signal.closer().close();
        match self.0.leave {
            Leave::Not => {}
            Leave::Disable => {
                let disabling = self.listener().disable_accept_events();
                let mut place = self.0.disabling.lock().expect("not poisoned");
                place.get_or_insert(disabling);
            }
            Leave::Close => self.listener().closer().close(),
        }
        // Other threads run meanwhile: it allocates, frees and calls.
        drop(offer.accept());
        self.0.inside.fetch_sub(1, SeqCst);
    }
}

fn knock(sim: &Sim) -> wsk_sim::Task<()> {
    let own = sim.clone();
    sim.spawn(move || drop(own.connect(address())))
}

// [wsk 6.5]
#[test]
fn disable_started_in_its_event_completes_when_that_has_returned() {
    builder().preempt_one_in(2).seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let leaver = Leaver::listen(&client, Leave::Disable);
        let first = knock(sim);
        leaver.await_event();
        let disabling = loop {
            let started = leaver.0.disabling.lock().expect("not poisoned").take();
            match started {
                Some(disabling) => break disabling,
                None => sim.sleep(Duration::from_micros(10)),
            }
        };
        disabling.wait(passive()).expect("it was enabled");
        assert!(!leaver.runs(), "the event runs on");
        first.join();
        let second = knock(sim);
        sim.sleep(Duration::from_secs(1));
        assert_eq!(leaver.0.begun.load(SeqCst), 1, "an event that is off");
        leaver.listener().closer().close();
        second.join();
        drop(leaver);
        client.end();
    });
}

// [wsk 6.4, 10.2]
#[test]
fn disable_or_close_on_another_thread_waits_for_the_event_that_runs() {
    static FOUND_RUNNING: AtomicUsize = AtomicUsize::new(0);
    builder().preempt_one_in(2).seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let leaver = Leaver::listen(&client, Leave::Not);
        let peer = knock(sim);
        leaver.await_event();
        FOUND_RUNNING.fetch_add(usize::from(leaver.runs()), SeqCst);
        let disabled = leaver.listener().disable_accept_events().wait(passive());
        disabled.expect("it was enabled");
        assert!(!leaver.runs(), "the event runs on");
        leaver.listener().closer().close();
        peer.join();
        drop(leaver);
        client.end();
    });
    assert!(FOUND_RUNNING.load(SeqCst) > 0, "a test of nothing");
}

// [wsk 10.2, 10.6]
#[test]
fn close_started_in_its_event_ends_the_socket() {
    builder().preempt_one_in(2).seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let leaver = Leaver::listen(&client, Leave::Close);
        let peer = knock(sim);
        leaver.await_event();
        peer.join();
        drop(leaver);
        // Waits for the close.
        client.end();
    });
}
