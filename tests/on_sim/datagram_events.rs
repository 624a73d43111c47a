//! Receiving datagrams by event: each comes once, whether it is consumed, refused or retained, and
//! what is retained goes back before the socket is closed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use wsk::{
    AddressFamily, DatagramEvents, DatagramFlags, DatagramIndication, DatagramSocket, ErrorKind,
    IndicatedDatagram, Received, RetainBudget, RetainedDatagrams, option,
};
use wsk_sim::{DatagramPeer, Sim};

use crate::common::{Client, block_on, buffer, passive};
use crate::datagram::any;

const SCHEDULES: u64 = 300;
/// Longer than any datagram is under way.
const LONG: Duration = Duration::from_secs(1);
/// What each retained datagram costs besides its data.
const OWN: usize = size_of::<wsk_sys::WSK_DATAGRAM_INDICATION>();

/// What a test does with datagrams that arrive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plan {
    Consume,
    Refuse,
    Retain,
}

struct Log {
    plan: Plan,
    data: Vec<Vec<u8>>,
    /// How many datagrams came with each event.
    events: Vec<usize>,
    flags: Vec<DatagramFlags>,
    retained: Vec<RetainedDatagrams>,
}

#[derive(Clone)]
struct Recorder {
    log: Arc<Mutex<Log>>,
    budget: RetainBudget,
}

impl Recorder {
    fn new(plan: Plan, budget: usize) -> Self {
        let log = Log {
            plan,
            data: Vec::new(),
            events: Vec::new(),
            flags: Vec::new(),
            retained: Vec::new(),
        };
        Self {
            log: Arc::new(Mutex::new(log)),
            budget: RetainBudget::new(budget).expect("memory"),
        }
    }

    fn with<R>(&self, access: impl FnOnce(&mut Log) -> R) -> R {
        access(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn sorted(&self) -> Vec<Vec<u8>> {
        let mut data = self.with(|log| log.data.clone());
        data.sort_unstable();
        data
    }
}

fn copy(datagram: IndicatedDatagram<'_>) -> Vec<u8> {
    let data = datagram.data();
    let mut bytes = vec![0; data.len()];
    assert_eq!(data.copy_to_slice(&mut bytes).expect("mapped"), data.len());
    bytes
}

impl DatagramEvents for Recorder {
    fn receive_from<'call>(&self, indication: DatagramIndication<'call>) -> Received<'call> {
        let data: Vec<_> = indication.datagrams().into_iter().map(copy).collect();
        self.with(|log| {
            log.events.push(data.len());
            log.flags.push(indication.flags());
        });
        let plan = self.with(|log| log.plan);
        if plan == Plan::Refuse {
            return indication.refuse();
        }
        self.with(|log| log.data.extend(data));
        if plan == Plan::Consume {
            return indication.consume();
        }
        match indication.retain(&self.budget) {
            Ok((received, retained)) => {
                self.with(|log| log.retained.push(retained));
                received
            }
            Err(indication) => indication.consume(),
        }
    }
}

fn until<T>(sim: &Sim, mut done: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(value) = done() {
            return value;
        }
        sim.sleep(Duration::from_millis(1));
    }
}

struct Scene {
    client: Client,
    socket: DatagramSocket,
    peer: DatagramPeer,
    recorder: Recorder,
}

impl Scene {
    /// With events that are yet to be enabled.
    fn new(sim: &Sim, recorder: &Recorder) -> Self {
        let client = Client::new();
        let inet = AddressFamily::Inet;
        let socket = DatagramSocket::open_with(&client.provider, inet, recorder.clone());
        let socket = socket.wait(passive()).expect("opened");
        socket.bind(any(inet)).wait(passive()).expect("bound");
        Self {
            client,
            socket,
            peer: sim.datagram_peer(any(inet)).expect("an address"),
            recorder: recorder.clone(),
        }
    }

    fn enabled(sim: &Sim, plan: Plan) -> Self {
        let scene = Self::new(sim, &Recorder::new(plan, 1 << 20));
        scene.socket.enable_receive_events().expect("bound");
        scene
    }

    fn send(&self, data: &[u8]) {
        let address = self.socket.local_address().wait(passive()).expect("bound");
        self.peer.send_to(data, address).expect("sent");
    }

    fn wait_for(&self, sim: &Sim, count: usize) {
        until(sim, || {
            self.recorder
                .with(|log| (log.data.len() >= count).then_some(()))
        });
    }

    fn wait_for_events(&self, sim: &Sim, count: usize) {
        until(sim, || {
            self.recorder
                .with(|log| (log.events.len() >= count).then_some(()))
        });
    }

    fn end(self) {
        drop((self.socket, self.peer));
        self.recorder.with(|log| log.retained.clear());
        self.client.end();
    }
}

fn numbers(count: u8) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| vec![number; number.into()])
        .collect()
}

#[test]
fn consumed_events_bring_each_datagram_once() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = Scene::enabled(sim, Plan::Consume);
        for data in numbers(6) {
            scene.send(&data);
        }
        scene.wait_for(sim, 6);
        assert_eq!(scene.recorder.sorted(), numbers(6));
        scene.recorder.with(|log| {
            assert!(log.events.iter().all(|count| *count > 0));
            assert!(log.flags.iter().all(|flags| *flags == DatagramFlags::NONE));
        });
        scene.end();
    });
}

/// [wsk 6.1]
#[test]
fn events_come_only_once_they_are_enabled() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = Scene::new(sim, &Recorder::new(Plan::Consume, 0));
        scene.send(b"early");
        sim.sleep(LONG);
        assert!(scene.recorder.with(|log| log.events.is_empty()));
        scene.socket.enable_receive_events().expect("bound");
        scene.wait_for(sim, 1);
        assert_eq!(scene.recorder.sorted(), [b"early"]);
        scene.end();
    });
}

/// [wsk 8.5]
#[test]
fn refused_datagrams_come_again_when_events_are_enabled_again() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = Scene::enabled(sim, Plan::Refuse);
        scene.send(b"refused");
        scene.wait_for_events(sim, 1);
        scene.send(b"second");
        sim.sleep(LONG);
        scene.recorder.with(|log| log.plan = Plan::Consume);
        scene.socket.enable_receive_events().expect("bound");
        scene.wait_for(sim, 2);
        assert_eq!(
            scene.recorder.sorted(),
            [b"refused".to_vec(), b"second".to_vec()]
        );
        scene.end();
    });
}

#[test]
fn refused_datagrams_can_be_received_by_call() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = Scene::enabled(sim, Plan::Refuse);
        scene.send(b"refused");
        scene.wait_for_events(sim, 1);
        let receive = scene.socket.receive_from(buffer(&[0; 16]));
        let (received, filled) = receive.wait(passive());
        assert_eq!(
            received.expect("there").remote,
            Some(scene.peer.local_addr())
        );
        assert_eq!(filled[..], *b"refused");
        scene.end();
    });
}

/// [wsk 8.6]
#[test]
fn retained_datagrams_can_be_read_until_the_socket_is_closed() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = Scene::enabled(sim, Plan::Retain);
        for data in numbers(4) {
            scene.send(&data);
        }
        scene.wait_for(sim, 4);
        until(sim, || {
            let events = scene.recorder.with(|log| log.events.len());
            let kept = scene.recorder.with(|log| log.retained.len());
            (events == kept).then_some(())
        });
        let retained = scene.recorder.with(|log| std::mem::take(&mut log.retained));
        let cost = 4 * OWN + 1 + 2 + 3;
        assert_eq!(scene.recorder.budget.left(), (1 << 20) - cost);
        let remote = scene.peer.local_addr();
        let mut read = Vec::new();
        for kept in &retained {
            let data = kept.with(|list| {
                assert!(
                    list.iter()
                        .all(|datagram| datagram.remote() == Some(remote))
                );
                list.into_iter().map(copy).collect::<Vec<_>>()
            });
            read.extend(data.expect("open"));
        }
        read.sort_unstable();
        assert_eq!(read, numbers(4));
        scene.socket.close().wait(passive()).expect("closed");
        for kept in &retained {
            let error = kept.with(|_| ()).expect_err("closed");
            assert_eq!(error.kind(), ErrorKind::Closed);
        }
        drop(retained);
        assert_eq!(scene.recorder.budget.left(), 1 << 20);
        drop(scene.peer);
        scene.client.end();
    });
}

/// Also datagrams without data cost something.
#[test]
fn exhausted_budget_gives_the_indication_back() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let recorder = Recorder::new(Plan::Retain, OWN);
        let scene = Scene::new(sim, &recorder);
        scene.socket.enable_receive_events().expect("bound");
        scene.send(b"");
        scene.wait_for(sim, 1);
        scene.send(b"");
        scene.wait_for(sim, 2);
        sim.sleep(LONG);
        assert_eq!(recorder.with(|log| log.retained.len()), 1);
        assert_eq!(recorder.budget.left(), 0);
        recorder.with(|log| log.retained.clear());
        assert_eq!(recorder.budget.left(), OWN);
        scene.end();
    });
}

/// [wsk 8.6, 10.4]
#[test]
fn retained_datagrams_forgotten_do_not_keep_the_socket_open() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = Scene::enabled(sim, Plan::Retain);
        scene.send(b"forgotten");
        scene.wait_for(sim, 1);
        scene.socket.close().wait(passive()).expect("closed");
        // Only now are they dropped: closing did not wait for that.
        scene.recorder.with(|log| log.retained.clear());
        drop(scene.peer);
        scene.client.end();
    });
}

#[test]
fn close_races_with_events_and_retention() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = Scene::enabled(sim, Plan::Retain);
        let releaser = scene.recorder.clone();
        let task_sim = sim.clone();
        let task = sim.spawn(move || {
            for _ in 0..20 {
                let one = releaser.with(|log| log.retained.pop());
                drop(one);
                task_sim.sleep(Duration::from_micros(500));
            }
        });
        for data in numbers(8) {
            scene.send(&data);
        }
        scene.socket.close().wait(passive()).expect("closed");
        task.join();
        scene.recorder.with(|log| log.retained.clear());
        drop(scene.peer);
        scene.client.end();
    });
}

/// [wsk 6.4]
#[test]
fn disabled_event_does_not_come_any_more() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = Scene::enabled(sim, Plan::Consume);
        scene.send(b"before");
        block_on(sim, scene.socket.disable_receive_events()).expect("enabled");
        let before = scene.recorder.with(|log| log.data.len());
        scene.send(b"after");
        sim.sleep(LONG);
        assert_eq!(scene.recorder.with(|log| log.data.len()), before);
        let mut all = scene.recorder.with(|log| log.data.clone());
        while all.len() < 2 {
            let receive = scene.socket.receive_from(buffer(&[0; 16]));
            let (received, filled) = receive.wait(passive());
            received.expect("there");
            all.push(filled.to_vec());
        }
        all.sort_unstable();
        assert_eq!(all, [b"after".to_vec(), b"before".to_vec()]);
        scene.end();
    });
}

#[test]
fn control_data_of_an_event_can_be_read() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let recorder = Recorder::new(Plan::Retain, 1 << 20);
        let scene = Scene::new(sim, &recorder);
        let wanted = scene
            .socket
            .set_option(&option::ipv4::RECEIVE_PACKET_INFO, true);
        wanted.wait(passive()).expect("supported");
        scene.socket.enable_receive_events().expect("bound");
        scene.send(b"x");
        scene.wait_for(sim, 1);
        let retained = until(sim, || recorder.with(|log| log.retained.pop()));
        let local = retained.with(|list| {
            let datagram = list.iter().next().expect("one");
            assert_eq!(datagram.control().count(), 1);
            datagram.ancillary().packet_info.map(|info| info.address)
        });
        let address = scene.socket.local_address().wait(passive()).expect("bound");
        assert_eq!(local.expect("open"), Some(address.ip()));
        drop(retained);
        scene.end();
    });
}

#[test]
fn socket_without_a_handler_has_no_events() {
    wsk_sim::run(|sim| {
        let scene = crate::datagram::Scene::new(sim, AddressFamily::Inet);
        let enabled = scene.socket.enable_receive_events();
        let disabled = scene.socket.disable_receive_events().wait(passive());
        for error in [enabled, disabled].map(|result| result.expect_err("no handler")) {
            assert_eq!(error.kind(), ErrorKind::InvalidState);
        }
        scene.end();
    });
}

/// [wsk 10.6] A handler that owns its socket, in effect: it closes it from within the event.
#[test]
fn handler_may_close_its_socket() {
    #[derive(Clone)]
    struct Once(Arc<Mutex<Option<wsk::Closer>>>);

    impl DatagramEvents for Once {
        fn receive_from<'call>(&self, indication: DatagramIndication<'call>) -> Received<'call> {
            let closer = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(closer) = closer {
                closer.close();
            }
            let budget = RetainBudget::new(1 << 10).expect("memory");
            match indication.retain(&budget) {
                // Dropped at once: it was never retained, or is released by the close.
                Ok((received, retained)) => {
                    drop(retained);
                    received
                }
                Err(indication) => indication.consume(),
            }
        }
    }

    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let inet = AddressFamily::Inet;
        let once = Once(Arc::default());
        let socket = DatagramSocket::open_with(&client.provider, inet, once.clone());
        let socket = socket.wait(passive()).expect("opened");
        socket.bind(any(inet)).wait(passive()).expect("bound");
        let address = socket.local_address().wait(passive()).expect("bound");
        *once.0.lock().expect("not poisoned") = Some(socket.closer());
        socket.enable_receive_events().expect("bound");
        let peer = sim.datagram_peer(any(inet)).expect("an address");
        peer.send_to(b"x", address).expect("sent");
        until(sim, || {
            let closed = socket.enable_receive_events().err();
            closed.filter(|error| error.kind() == ErrorKind::Closed)
        });
        block_on(sim, socket.close()).expect("closed");
        drop(peer);
        client.end();
    });
}
