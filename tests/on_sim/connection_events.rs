//! Receiving by event: every byte comes once and in order, whether it is consumed, consumed in
//! part, refused or retained, and what is retained goes back before the socket is closed.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use wsk::{
    AddressFamily, ConnectionEventSet, ConnectionEvents, ConnectionSocket, ErrorKind, Indication,
    ListenEvents, ListenSocket, Offer, Received, RetainBudget, Retained, StreamSocket,
};
use wsk_sim::{Peer, Sim};

use crate::common::{Client, address, block_on, buffer, passive};

const SCHEDULES: u64 = 300;

/// What a test does with data that arrives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plan {
    Consume,
    ConsumeHalf,
    Refuse,
    Retain,
}

#[derive(Default)]
struct Log {
    bytes: Vec<u8>,
    retained: Vec<Retained>,
    stopped: bool,
    ends: Vec<bool>,
    backlogs: usize,
    connection: Option<ConnectionSocket>,
}

#[derive(Clone)]
struct Recorder {
    log: Arc<Mutex<Log>>,
    plan: Plan,
    budget: RetainBudget,
}

impl Recorder {
    fn new(plan: Plan) -> Self {
        Self {
            log: Arc::default(),
            plan,
            budget: RetainBudget::new(1 << 20).expect("memory"),
        }
    }

    fn with<R>(&self, access: impl FnOnce(&mut Log) -> R) -> R {
        access(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn copy(&self, data: wsk::Data<'_>, count: usize) {
        let bytes = copy_of(data);
        self.with(|log| log.bytes.extend(&bytes[..count]));
    }
}

fn copy_of(data: wsk::Data<'_>) -> Vec<u8> {
    let mut bytes = vec![0; data.len()];
    assert_eq!(data.copy_to_slice(&mut bytes).expect("mapped"), data.len());
    let chunks: Vec<u8> = data
        .chunks()
        .flat_map(|chunk| chunk.expect("mapped").to_vec())
        .collect();
    assert_eq!(chunks, bytes);
    bytes
}

impl ConnectionEvents for Recorder {
    fn receive<'call>(&self, indication: Indication<'call>) -> Received<'call> {
        let data = indication.data();
        match self.plan {
            Plan::Consume => {
                self.copy(data, data.len());
                indication.consume()
            }
            Plan::ConsumeHalf => {
                let half = data.len() / 2;
                self.copy(data, half);
                self.with(|log| log.stopped = true);
                indication.consume_first(half)
            }
            Plan::Refuse => {
                self.with(|log| log.stopped = true);
                indication.refuse()
            }
            Plan::Retain => {
                let bytes = copy_of(data);
                let (received, retained) = match indication.retain(&self.budget) {
                    Ok((received, retained)) => (received, Some(retained)),
                    Err(indication) => (indication.consume(), None),
                };
                // At once: whoever has seen the bytes finds what was retained.
                self.with(|log| {
                    log.bytes.extend(bytes);
                    log.retained.extend(retained);
                });
                received
            }
        }
    }

    fn disconnected(&self, abortive: bool) {
        self.with(|log| log.ends.push(abortive));
    }

    fn ideal_backlog_changed(&self, bytes: usize) {
        assert!(bytes > 0);
        self.with(|log| log.backlogs += 1);
    }
}

struct Listening(Recorder);

impl ListenEvents for Listening {
    fn accept(&self, offer: Offer<'_>) {
        let connection = offer.accept_with(self.0.clone()).expect("memory");
        self.0.with(|log| log.connection = Some(connection));
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
    listener: ListenSocket,
    connection: ConnectionSocket,
    peer: Peer,
    recorder: Recorder,
}

fn connect(sim: &Sim, plan: Plan, events: ConnectionEventSet) -> Scene {
    let client = Client::new();
    let recorder = Recorder::new(plan);
    let handler = Listening(recorder.clone());
    let listener = ListenSocket::open_with(&client.provider, AddressFamily::Inet, handler);
    let listener = listener.wait(passive()).expect("opened");
    listener.bind(address()).wait(passive()).expect("bound");
    listener.enable_accept_events(events).expect("bound");
    let peer = sim.connect(address()).expect("it listens");
    let connection = until(sim, || recorder.with(|log| log.connection.take()));
    Scene {
        client,
        listener,
        connection,
        peer,
        recorder,
    }
}

impl Scene {
    fn end(self) {
        drop((self.connection, self.peer, self.listener));
        self.recorder.with(|log| log.retained.clear());
        self.client.end();
    }
}

fn message() -> Vec<u8> {
    (0..=255).cycle().take(3000).collect()
}

#[test]
fn consumed_events_bring_the_stream_once_and_in_order() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = connect(sim, Plan::Consume, ConnectionEventSet::RECEIVE);
        scene.peer.write_all(&message()).expect("connected");
        until(sim, || {
            scene
                .recorder
                .with(|log| (log.bytes.len() == 3000).then_some(()))
        });
        assert_eq!(scene.recorder.with(|log| log.bytes.clone()), message());
        scene.end();
    });
}

#[test]
fn partly_consumed_data_comes_again_after_resuming() {
    for plan in [Plan::ConsumeHalf, Plan::Refuse] {
        wsk_sim::seeds(SCHEDULES, move |sim| {
            let mut scene = connect(sim, plan, ConnectionEventSet::RECEIVE);
            scene.peer.write_all(&message()[..60]).expect("connected");
            let recorder = scene.recorder.clone();
            let received = || recorder.with(|log| log.bytes.len());
            while received() < 60 {
                until(sim, || {
                    let stopped = scene.recorder.with(|log| std::mem::take(&mut log.stopped));
                    stopped.then_some(())
                });
                // One byte by call, then events again.
                let receive = scene.connection.receive(buffer(&[0; 1]));
                let (count, filled) = block_on(sim, receive);
                count.expect("connected");
                scene.recorder.with(|log| log.bytes.extend(&filled[..]));
                let resume = scene.connection.resume_receive_events();
                if received() < 60 {
                    block_on(sim, resume).expect("connected");
                }
            }
            // The byte that came by call may be noted after those of the next event.
            let mut bytes = recorder.with(|log| log.bytes.clone());
            bytes.sort_unstable();
            assert_eq!(bytes, message()[..60]);
            scene.end();
        });
    }
}

#[test]
fn retained_data_can_be_read_until_the_socket_is_closed() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = connect(sim, Plan::Retain, ConnectionEventSet::RECEIVE);
        scene.peer.write_all(&message()).expect("connected");
        until(sim, || {
            scene
                .recorder
                .with(|log| (log.bytes.len() == 3000).then_some(()))
        });
        let retained = scene.recorder.with(|log| std::mem::take(&mut log.retained));
        let bytes: usize = retained.iter().map(Retained::len).sum();
        assert_eq!(scene.recorder.budget.left(), (1 << 20) - bytes);
        for kept in &retained {
            let read = kept.with(|data| {
                let mut bytes = vec![0; data.len()];
                data.copy_to_slice(&mut bytes).map(|_| bytes)
            });
            let read = read.expect("open").expect("mapped");
            let whole = message();
            assert!(whole.windows(read.len()).any(|window| window == read));
        }
        let connection = scene.connection;
        connection.close().wait(passive()).expect("closed");
        for kept in &retained {
            let error = kept.with(|_| ()).expect_err("closed");
            assert_eq!(error.kind(), ErrorKind::Closed);
        }
        drop(retained);
        assert_eq!(scene.recorder.budget.left(), 1 << 20);
        drop((scene.peer, scene.listener));
        scene.client.end();
    });
}

#[test]
fn exhausted_budget_gives_the_indication_back() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let mut recorder = Recorder::new(Plan::Retain);
        recorder.budget = RetainBudget::new(0).expect("memory");
        let handler = Listening(recorder.clone());
        let listener = ListenSocket::open_with(&client.provider, AddressFamily::Inet, handler);
        let listener = listener.wait(passive()).expect("opened");
        listener.bind(address()).wait(passive()).expect("bound");
        let receive = ConnectionEventSet::RECEIVE;
        listener.enable_accept_events(receive).expect("bound");
        let peer = sim.connect(address()).expect("it listens");
        peer.write_all(b"more than nothing").expect("connected");
        until(sim, || {
            recorder.with(|log| (log.bytes.len() == 17).then_some(()))
        });
        assert!(recorder.with(|log| log.retained.is_empty()));
        drop((recorder.with(|log| log.connection.take()), peer, listener));
        client.end();
    });
}

#[test]
fn retained_data_forgotten_does_not_keep_the_socket_open() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = connect(sim, Plan::Retain, ConnectionEventSet::RECEIVE);
        scene.peer.write_all(b"forgotten").expect("connected");
        until(sim, || {
            scene
                .recorder
                .with(|log| (log.bytes.len() == 9).then_some(()))
        });
        let retained = scene.recorder.with(|log| std::mem::take(&mut log.retained));
        let closing = scene.connection.close();
        closing.wait(passive()).expect("closed");
        // Only now is it dropped: closing did not wait for that.
        drop(retained);
        drop((scene.peer, scene.listener));
        scene.client.end();
    });
}

#[test]
fn close_races_with_events_and_retention() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = connect(sim, Plan::Retain, ConnectionEventSet::all());
        let releaser = scene.recorder.clone();
        let task_sim = sim.clone();
        let task = sim.spawn(move || {
            for _ in 0..20 {
                let one = releaser.with(|log| log.retained.pop());
                drop(one);
                task_sim.sleep(Duration::from_micros(500));
            }
        });
        scene.peer.write_all(&message()).expect("connected");
        let connection = scene.connection;
        connection.close().wait(passive()).expect("closed");
        task.join();
        scene.recorder.with(|log| log.retained.clear());
        drop((scene.peer, scene.listener));
        scene.client.end();
    });
}

#[test]
fn end_of_the_connection_is_reported_once() {
    for reset in [false, true] {
        wsk_sim::seeds(SCHEDULES, move |sim| {
            let events = ConnectionEventSet::RECEIVE | ConnectionEventSet::DISCONNECT;
            let scene = connect(sim, Plan::Consume, events);
            let Scene {
                client,
                listener,
                connection,
                peer,
                recorder,
            } = scene;
            if reset {
                peer.reset();
            } else {
                peer.write_all(b"last words").expect("connected");
                peer.shut_down();
                until(sim, || {
                    recorder.with(|log| (log.ends.len() == 1).then_some(()))
                });
                assert_eq!(recorder.with(|log| log.bytes.clone()), b"last words");
                drop(peer);
            }
            until(sim, || {
                recorder.with(|log| (!log.ends.is_empty()).then_some(()))
            });
            sim.sleep(Duration::from_secs(1));
            assert_eq!(recorder.with(|log| log.ends.clone()), [reset]);
            drop((connection, listener));
            client.end();
        });
    }
}

#[test]
fn disabled_event_does_not_come_any_more() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let mut scene = connect(sim, Plan::Consume, ConnectionEventSet::RECEIVE);
        scene.peer.write_all(b"before").expect("connected");
        let disable = scene.connection.disable_event(ConnectionEventSet::RECEIVE);
        block_on(sim, disable).expect("enabled");
        let before = scene.recorder.with(|log| log.bytes.len());
        scene.peer.write_all(b"after").expect("connected");
        sim.sleep(Duration::from_secs(1));
        assert_eq!(scene.recorder.with(|log| log.bytes.len()), before);
        let mut rest = Vec::new();
        while before + rest.len() < 11 {
            let receive = scene.connection.receive(buffer(&[0; 16]));
            let (count, filled) = receive.wait(passive());
            assert!(count.expect("connected") > 0);
            rest.extend(filled.to_vec());
        }
        let all = [scene.recorder.with(|log| log.bytes.clone()), rest].concat();
        assert_eq!(all, b"beforeafter");
        scene.end();
    });
}

#[test]
fn handler_without_events_hears_nothing() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let scene = connect(sim, Plan::Consume, ConnectionEventSet::empty());
        scene.peer.write_all(b"unheard").expect("connected");
        sim.sleep(Duration::from_secs(1));
        assert!(scene.recorder.with(|log| log.bytes.is_empty()));
        let enabled = scene.connection.enable_events(ConnectionEventSet::RECEIVE);
        enabled.expect("connected");
        until(sim, || {
            scene
                .recorder
                .with(|log| (log.bytes == b"unheard").then_some(()))
        });
        scene.end();
    });
}

#[test]
fn connection_accepted_by_call_has_no_events() {
    wsk_sim::run(|sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let error = connection
            .enable_events(ConnectionEventSet::RECEIVE)
            .expect_err("no handler");
        assert_eq!(error.kind(), ErrorKind::InvalidState);
        drop((connection, peer));
        client.end();
    });
}

// [wsk 7.4]
#[test]
fn connection_accepted_by_call_can_be_given_a_handler_once() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        peer.write_all(b"heard").expect("connected");
        let recorder = Recorder::new(Plan::Consume);
        connection.set_events(recorder.clone()).expect("none yet");
        let again = connection.set_events(Recorder::new(Plan::Refuse));
        let error = again.expect_err("once");
        assert_eq!(error.kind(), ErrorKind::InvalidState);
        sim.sleep(Duration::from_millis(10));
        assert!(recorder.with(|log| log.bytes.is_empty()), "begin disabled");
        let both = ConnectionEventSet::RECEIVE | ConnectionEventSet::DISCONNECT;
        connection.enable_events(both).expect("connected");
        until(sim, || {
            recorder.with(|log| (log.bytes == b"heard").then_some(()))
        });
        peer.shut_down();
        until(sim, || recorder.with(|log| log.ends.pop()));
        connection.close().wait(passive()).expect("closed");
        assert_eq!(Arc::strong_count(&recorder.log), 1, "dropped by the close");
        drop(peer);
        client.end();
    });
}

/// Of its own making, in each of the ways in which one connects.
#[test]
fn connection_that_was_opened_can_be_given_a_handler() {
    type Connect = fn(&Client) -> ConnectionSocket;
    const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    let ways: [Connect; 3] = [
        |client| {
            let opening = ConnectionSocket::open(&client.provider, AddressFamily::Inet);
            let socket = opening.wait(passive()).expect("opened");
            socket.bind(ANY).wait(passive()).expect("bound");
            let connecting = socket.connect(address());
            connecting.wait(passive()).expect("it listens");
            socket
        },
        |client| {
            let opening = ConnectionSocket::connect_from(&client.provider, ANY, address());
            opening.wait(passive()).expect("it listens")
        },
        |client| {
            let opening = StreamSocket::open(&client.provider, AddressFamily::Inet);
            let socket = opening.wait(passive()).expect("opened");
            socket.bind(ANY).wait(passive()).expect("bound");
            let connecting = socket.connect(address());
            connecting.wait(passive()).expect("it listens")
        },
    ];
    for connect in ways {
        wsk_sim::seeds(100, move |sim| {
            let client = Client::new();
            let server = sim.listen(address()).expect("a free port");
            let connection = connect(&client);
            let recorder = Recorder::new(Plan::Consume);
            connection.set_events(recorder.clone()).expect("none yet");
            let events = ConnectionEventSet::RECEIVE;
            connection.enable_events(events).expect("connected");
            let peer = server.accept();
            peer.write_all(b"heard").expect("connected");
            until(sim, || {
                recorder.with(|log| (log.bytes == b"heard").then_some(()))
            });
            drop((connection, peer, server));
            client.end();
        });
    }
}

// [wsk 6.6]: events that are inherited find a connection without a handler.
#[test]
fn connection_taken_without_a_handler_is_read_by_call() {
    struct Take(Recorder);
    impl ListenEvents for Take {
        fn accept(&self, offer: Offer<'_>) {
            let connection = offer.accept().expect("memory");
            self.0.with(|log| log.connection = Some(connection));
        }
    }
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let recorder = Recorder::new(Plan::Consume);
        let taker = Take(recorder.clone());
        let listener = ListenSocket::open_with(&client.provider, AddressFamily::Inet, taker);
        let listener = listener.wait(passive()).expect("opened");
        listener.bind(address()).wait(passive()).expect("bound");
        let events = ConnectionEventSet::all();
        listener.enable_accept_events(events).expect("bound");
        let peer = sim.connect(address()).expect("it listens");
        let mut connection = until(sim, || recorder.with(|log| log.connection.take()));
        peer.write_all(b"by call").expect("connected");
        let mut all = Vec::new();
        while all.len() < 7 {
            let (count, filled) = connection.receive(buffer(&[0; 16])).wait(passive());
            assert!(count.expect("connected") > 0);
            all.extend(filled.to_vec());
        }
        assert_eq!(all, b"by call");
        drop((connection, peer, listener));
        client.end();
    });
}

// [wsk 6.4]: without an IRP nobody would know when the event is off.
#[test]
fn events_are_not_disabled_by_enabling() {
    wsk_sim::run(|sim| {
        let scene = connect(sim, Plan::Consume, ConnectionEventSet::RECEIVE);
        let disable = ConnectionEventSet::from_bits_retain(0x8000_0040);
        let error = scene
            .connection
            .enable_events(disable)
            .expect_err("a trick");
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
        scene.end();
    });
}
