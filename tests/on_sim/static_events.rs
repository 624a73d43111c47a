//! Events that are enabled for all sockets [wsk 6.7].

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use wsk::{
    AddressFamily, ConnectionEventSet, ConnectionEvents, ConnectionSocket, DatagramSocket,
    ErrorKind, Indication, ListenEvents, ListenSocket, Offer, Received, StaticEventSet,
};
use wsk_sim::Sim;

use crate::common::{Client, accept, address, buffer, passive};

const SCHEDULES: u64 = 200;

#[derive(Default)]
struct Log {
    accepted: Vec<ConnectionSocket>,
    bytes: Vec<u8>,
    ends: Vec<bool>,
}

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Log>>);

impl Recorder {
    fn with<R>(&self, access: impl FnOnce(&mut Log) -> R) -> R {
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ListenEvents for Recorder {
    fn accept(&self, offer: Offer<'_>) {
        let connection = offer.accept_with(self.clone()).expect("memory");
        self.with(|log| log.accepted.push(connection));
    }
}

impl ConnectionEvents for Recorder {
    fn receive<'call>(&self, indication: Indication<'call>) -> Received<'call> {
        let data = indication.data();
        let mut bytes = vec![0; data.len()];
        data.copy_to_slice(&mut bytes).expect("mapped");
        self.with(|log| log.bytes.extend(bytes));
        indication.consume()
    }

    fn disconnected(&self, abortive: bool) {
        self.with(|log| log.ends.push(abortive));
    }
}

fn client(events: StaticEventSet) -> Client {
    let client = Client::new();
    let set = client.provider.set_static_events(events);
    set.expect("before the first socket");
    client
}

fn until<T>(sim: &Sim, mut done: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(value) = done() {
            return value;
        }
        sim.sleep(Duration::from_millis(1));
    }
}

#[test]
fn static_events_come_without_being_enabled() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = client(StaticEventSet::all());
        let recorder = Recorder::default();
        let opening =
            ListenSocket::open_with(&client.provider, AddressFamily::Inet, recorder.clone());
        let listener = opening.wait(passive()).expect("opened");
        listener.bind(address()).wait(passive()).expect("bound");
        let peer = sim.connect(address()).expect("it listens");
        let connection = until(sim, || recorder.with(|log| log.accepted.pop()));
        peer.write_all(b"heard").expect("connected");
        until(sim, || {
            recorder.with(|log| (log.bytes == b"heard").then_some(()))
        });
        peer.shut_down();
        assert!(!until(sim, || recorder.with(|log| log.ends.pop())));
        let disabled = listener.disable_accept_events().wait(passive());
        assert!(disabled.is_err(), "it cannot be disabled");
        let disabled = connection.disable_event(ConnectionEventSet::RECEIVE);
        assert!(disabled.wait(passive()).is_err(), "it cannot be disabled");
        drop((connection, peer, listener));
        client.end();
    });
}

#[test]
fn static_events_are_set_before_the_first_socket() {
    wsk_sim::run(|_| {
        let client = Client::new();
        let listener = client.listen();
        let late = client.provider.set_static_events(StaticEventSet::ACCEPT);
        assert_eq!(late.expect_err("late").kind(), ErrorKind::InvalidState);
        drop(listener);
        client.end();
        let client = Client::new();
        let disable = StaticEventSet::from_bits_retain(0x8000_0040);
        let wrong = client.provider.set_static_events(disable);
        let error = wrong.expect_err("not an event");
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
        client.end();
    });
}

#[test]
fn static_events_leave_sockets_without_handlers_to_calls() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let connected = StaticEventSet::all() - StaticEventSet::ACCEPT;
        let client = client(connected);
        let mut listener = client.listen();
        let (mut connection, peer) = accept(sim, &mut listener);
        peer.write_all(b"by call").expect("connected");
        let mut all = Vec::new();
        while all.len() < 7 {
            let (count, filled) = connection.receive(buffer(&[0; 16])).wait(passive());
            assert!(count.expect("connected") > 0);
            all.extend(filled.to_vec());
        }
        assert_eq!(all, b"by call");
        let recorder = Recorder::default();
        connection.set_events(recorder.clone()).expect("none yet");
        peer.write_all(b"by event").expect("connected");
        let resuming = connection.resume_receive_events();
        until(sim, || {
            recorder.with(|log| (log.bytes == b"by event").then_some(()))
        });
        drop(resuming);
        drop((connection, peer, listener));
        client.end();
    });
}

#[test]
fn static_receive_from_without_a_handler_loses_what_no_receive_takes() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = client(StaticEventSet::RECEIVE_FROM);
        let open = || {
            let opening = DatagramSocket::open(&client.provider, AddressFamily::Inet);
            opening.wait(passive()).expect("opened")
        };
        let (receiver, sender) = (open(), open());
        receiver.bind(address()).wait(passive()).expect("bound");
        let any = "127.0.0.1:0".parse().expect("an address");
        sender.bind(any).wait(passive()).expect("bound");
        let received = (0..100).any(|_| {
            let receiving = receiver.receive_from(buffer(&[0; 8]));
            let (sent, _) = sender.send_to(buffer(b"here"), address()).wait(passive());
            assert_eq!(sent.expect("sent"), 4);
            let moment = Duration::from_millis(10);
            let (received, filled) = receiving.wait_timeout(moment, passive());
            received.is_ok() && filled[..] == *b"here"
        });
        assert!(received, "a pending receive goes first, usually [wsk 7.1]");
        drop((receiver, sender));
        client.end();
    });
}

#[test]
fn static_accept_without_a_handler_refuses_what_no_accept_takes() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = client(StaticEventSet::ACCEPT);
        let listener = client.listen();
        let ended = sim.connect(address()).and_then(|peer| peer.read(1));
        assert!(ended.is_err(), "nobody takes it");
        drop(listener);
        client.end();
    });
}
