//! Lessons of docs/SOUNDNESS.md that neither a type nor a test of another topic covers.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use crate::common::{Client, Wakes, address, buffer, passive, poll};
use wsk::{
    AddressFamily, ConnectionEventSet, ConnectionEvents, ConnectionSocket, DatagramEvents,
    DatagramSocket, ErrorKind, Indication, ListenEvents, ListenSocket, Offer, Received,
};
use wsk_sim::{Sim, Transport};

const SCHEDULES: u64 = 300;

/// Only the handle moves: what the provider points to stays [wsk 3.12].
#[test]
fn operation_moved_in_flight_completes_where_it_is_waited_for() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let first = connection.receive(buffer(&[0; 8]));
        let second = Box::new(connection.receive(buffer(&[0; 8])));
        let waiting = sim.spawn(move || {
            // From the thread's closure to the heap, and from the heap to this stack.
            let (first, second) = (Box::new(first), *second);
            let ((one, filled), (none, _)) = (first.wait(passive()), second.wait(passive()));
            assert_eq!((one, &filled[..], none), (Ok(1), &b"x"[..], Ok(0)));
        });
        peer.write_all(b"x").expect("connected");
        peer.shut_down();
        waiting.join();
        drop((connection, peer));
        client.end();
    });
}

/// Readiness is what the request's state says, however often a task is polled.
#[test]
fn poll_without_a_completion_is_pending_every_time() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = client.connect(sim);
        let mut receive = connection.receive(buffer(&[0; 8]));
        for _ in 0..10 {
            assert!(poll(&mut receive, &Arc::default()).is_pending());
            sim.sleep(Duration::from_millis(1));
        }
        peer.write_all(b"x").expect("connected");
        let wakes = Arc::new(Wakes::default());
        loop {
            if let Poll::Ready((received, filled)) = poll(&mut receive, &wakes) {
                assert_eq!((received, &filled[..]), (Ok(1), &b"x"[..]));
                break;
            }
            sim.sleep(Duration::from_millis(1));
        }
        drop((connection, peer));
        client.end();
    });
}

/// Requests that the provider refuses at once have completed as well, once [wsk 3.5].
#[test]
fn request_refused_at_once_completes_once() {
    wsk_sim::builder().inline_only().seeds(SCHEDULES, |_| {
        let client = Client::new();
        let family = AddressFamily::Inet;
        let connection = ConnectionSocket::open(&client.provider, family);
        let connection = connection.wait(passive()).expect("opened");
        let wakes = Arc::new(Wakes::default());
        for _ in 0..3 {
            let mut sending = connection.send(buffer(b"to nobody"));
            let Poll::Ready((sent, same)) = poll(&mut sending, &wakes) else {
                panic!("completed within the call");
            };
            assert!(sent.is_err());
            assert_eq!(same[..], *b"to nobody");
        }
        assert_eq!(wakes.count(), 0);
        drop(connection);
        client.end();
    });
}

/// Remembers that its socket is dead, and that it was told once.
#[derive(Default)]
struct Death(Arc<AtomicBool>);

impl Death {
    fn note(&self) {
        assert!(!self.0.swap(true, SeqCst), "told twice");
    }
}

impl ConnectionEvents for Death {
    fn receive<'call>(&self, indication: Indication<'call>) -> Received<'call> {
        indication.consume()
    }

    fn dead(&self) {
        self.note();
    }
}

impl DatagramEvents for Death {
    fn dead(&self) {
        self.note();
    }
}

/// Accepts a connection, whose death it notes apart from its own.
struct Accepting {
    own: Death,
    connection: Arc<AtomicBool>,
    accepted: Arc<Mutex<Option<ConnectionSocket>>>,
}

impl ListenEvents for Accepting {
    fn accept(&self, offer: Offer<'_>) {
        let connection = offer.accept_with(Death(self.connection.clone()));
        *self.accepted.lock().expect("not poisoned") = connection.ok();
    }

    fn dead(&self) {
        self.own.note();
    }
}

fn until(sim: &Sim, condition: impl Fn() -> bool) {
    while !condition() {
        sim.sleep(Duration::from_millis(1));
    }
}

/// An indication without data is no data: it has a method of its own [wsk 7.2, 8.1].
#[test]
fn death_of_a_socket_is_told_once_and_by_its_own_method() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let [listening, connected, bound] = [(); 3].map(|()| Arc::<AtomicBool>::default());
        let accepted = Arc::<Mutex<Option<ConnectionSocket>>>::default();
        let handler = Accepting {
            own: Death(listening.clone()),
            connection: connected.clone(),
            accepted: accepted.clone(),
        };
        let family = AddressFamily::Inet;
        let listener = ListenSocket::open_with(&client.provider, family, handler);
        let listener = listener.wait(passive()).expect("opened");
        listener.bind(address()).wait(passive()).expect("bound");
        let enabled = listener.enable_accept_events(ConnectionEventSet::RECEIVE);
        enabled.expect("enabled");
        let peer = sim.connect(address()).expect("it listens");
        until(sim, || accepted.lock().expect("not poisoned").is_some());

        let datagrams = DatagramSocket::open_with(&client.provider, family, Death(bound.clone()));
        let datagrams = datagrams.wait(passive()).expect("opened");
        datagrams.bind(address()).wait(passive()).expect("bound");
        datagrams.enable_receive_events().expect("enabled");

        sim.remove_transport(Transport::TcpV4);
        sim.remove_transport(Transport::UdpV4);
        for death in [&listening, &connected, &bound] {
            until(sim, || death.load(SeqCst));
        }
        let late = datagrams
            .send_to(buffer(b"late"), address())
            .wait(passive())
            .0;
        assert_eq!(late.unwrap_err().kind(), ErrorKind::Dead);
        drop((listener, datagrams, peer));
        drop(accepted.lock().expect("not poisoned").take());
        client.end();
    });
}
