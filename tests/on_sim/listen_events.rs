//! Accepting by event, and inspecting: no connection is lost or doubled, whatever the schedule.

use std::{
    collections::{HashSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use wsk::{
    AddressFamily, ConnectionEventSet, ConnectionSocket, ErrorKind, InspectId, InspectRequest,
    Inspection, ListenEvents, ListenSocket, Offer, Verdict,
};
use wsk_sim::{Peer, Sim};

use crate::common::{Client, address, block_on, buffer, passive};

const SCHEDULES: u64 = 300;

/// What the handler of a test does with requests, in turn.
#[derive(Clone, Copy)]
enum Plan {
    Accept,
    Reject,
    Pend,
}

#[derive(Default)]
struct Log {
    accepted: Vec<ConnectionSocket>,
    inspections: Vec<Inspection>,
    inspected: Vec<(InspectId, Option<SocketAddr>)>,
    aborted: Vec<InspectId>,
    let_in: Vec<InspectId>,
    plan: VecDeque<Plan>,
    refuse: bool,
}

/// A handler that does as planned, and remembers. Its lock is held for moments only, in which no
/// kernel function is called.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Log>>);

impl Recorder {
    fn with<R>(&self, access: impl FnOnce(&mut Log) -> R) -> R {
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn planning(plan: &[Plan]) -> Self {
        let recorder = Self::default();
        recorder.with(|log| log.plan = plan.iter().copied().collect());
        recorder
    }
}

impl ListenEvents for Recorder {
    fn accept(&self, offer: Offer<'_>) {
        if self.with(|log| log.refuse) {
            return offer.refuse();
        }
        let connection = offer.accept().expect("there is memory");
        self.with(|log| log.accepted.push(connection));
    }

    fn inspect<'call>(&self, request: InspectRequest<'call>) -> Verdict<'call> {
        let (id, remote) = (request.id(), request.remote());
        let plan = self.with(|log| {
            log.inspected.push((id, remote));
            log.plan.pop_front().unwrap_or(Plan::Accept)
        });
        match plan {
            Plan::Accept => {
                self.with(|log| log.let_in.push(id));
                request.accept()
            }
            Plan::Reject => request.reject(),
            Plan::Pend => {
                let (verdict, inspection) = request.pend().expect("there is memory");
                self.with(|log| log.inspections.push(inspection));
                verdict
            }
        }
    }

    fn aborted(&self, id: InspectId) {
        self.with(|log| log.aborted.push(id));
    }
}

fn listen(client: &Client, recorder: &Recorder, conditional: bool) -> ListenSocket {
    let listener = client.listen_with(recorder.clone(), conditional);
    let nothing = ConnectionEventSet::empty();
    listener.enable_accept_events(nothing).expect("bound");
    listener
}

/// Lets time pass until `done` gives something.
fn until<T>(sim: &Sim, mut done: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(value) = done() {
            return value;
        }
        sim.sleep(Duration::from_millis(1));
    }
}

fn accepted(sim: &Sim, recorder: &Recorder) -> ConnectionSocket {
    until(sim, || recorder.with(|log| log.accepted.pop()))
}

fn exchange(sim: &Sim, connection: &mut ConnectionSocket, peer: &Peer) {
    peer.write_all(b"ping").expect("connected");
    let (received, filled) = block_on(sim, connection.receive(buffer(&[0; 8])));
    assert!(received.expect("connected") > 0);
    assert!(b"ping".starts_with(&filled));
}

#[test]
fn accept_event_hands_over_each_connection_once() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let recorder = Recorder::default();
        let listener = listen(&client, &recorder, false);
        let peers: Vec<_> = (0..3)
            .map(|_| sim.connect(address()).expect("it listens"))
            .collect();
        let connections: Vec<_> = (0..3).map(|_| accepted(sim, &recorder)).collect();
        assert!(recorder.with(|log| log.accepted.is_empty()));
        for peer in &peers {
            peer.shut_down();
        }
        drop((connections, peers));
        drop(listener);
        client.end();
    });
}

#[test]
fn accept_event_connection_works() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let recorder = Recorder::default();
        let listener = listen(&client, &recorder, false);
        let peer = sim.connect(address()).expect("it listens");
        let mut connection = accepted(sim, &recorder);
        exchange(sim, &mut connection, &peer);
        drop((connection, listener, peer));
        client.end();
    });
}

#[test]
fn refused_offer_resets_the_peer() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let recorder = Recorder::default();
        recorder.with(|log| log.refuse = true);
        let listener = listen(&client, &recorder, false);
        let ended = sim.connect(address()).and_then(|peer| peer.read(1));
        assert!(ended.is_err());
        drop(listener);
        client.end();
    });
}

/// A handler that drops what it accepts before it returns.
struct Dropper;

impl ListenEvents for Dropper {
    fn accept(&self, offer: Offer<'_>) {
        drop(offer.accept());
    }
}

#[test]
fn connection_dropped_in_its_accept_event_is_refused() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let listener = ListenSocket::open_with(&client.provider, AddressFamily::Inet, Dropper);
        let listener = listener.wait(passive()).expect("opened");
        listener.bind(address()).wait(passive()).expect("bound");
        let nothing = ConnectionEventSet::empty();
        listener.enable_accept_events(nothing).expect("bound");
        let ended = sim.connect(address()).and_then(|peer| peer.read(1));
        assert!(ended.is_err());
        drop(listener);
        client.end();
    });
}

#[test]
fn switching_between_event_and_call_loses_no_connection() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let recorder = Recorder::default();
        let mut listener = listen(&client, &recorder, false);
        let first = sim.connect(address()).expect("it listens");
        listener
            .disable_accept_events()
            .wait(passive())
            .expect("it was enabled");
        let second = sim.connect(address()).expect("it listens");
        let by_event = recorder.with(|log| std::mem::take(&mut log.accepted));
        assert!(by_event.len() <= 1);
        let mut by_call = Vec::new();
        while by_event.len() + by_call.len() < 2 {
            by_call.push(listener.accept().wait(passive()).expect("one is there"));
        }
        assert!(recorder.with(|log| log.accepted.is_empty()));
        drop((by_event, by_call, first, second, listener));
        client.end();
    });
}

#[test]
fn events_without_a_handler_are_refused() {
    wsk_sim::run(|_| {
        let client = Client::new();
        let listener = client.listen();
        let nothing = ConnectionEventSet::empty();
        let error = listener.enable_accept_events(nothing).expect_err("none");
        assert_eq!(error.kind(), ErrorKind::InvalidState);
        drop(listener);
        client.end();
    });
}

#[test]
fn inspection_accepts_and_rejects_as_the_handler_says() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let recorder = Recorder::planning(&[Plan::Reject, Plan::Accept]);
        let listener = listen(&client, &recorder, true);
        let refused = sim.connect(address());
        assert!(refused.is_err());
        let peer = sim.connect(address()).expect("let in");
        let mut connection = accepted(sim, &recorder);
        exchange(sim, &mut connection, &peer);
        assert_eq!(recorder.with(|log| log.inspected.len()), 2);
        assert_eq!(
            recorder.with(|log| log.inspected[1].1),
            Some(peer.addresses().0)
        );
        drop((connection, peer, listener));
        client.end();
    });
}

#[test]
fn pended_inspection_is_decided_by_its_owner() {
    for accept in [true, false] {
        wsk_sim::seeds(SCHEDULES, move |sim| {
            let client = Client::new();
            let recorder = Recorder::planning(&[Plan::Pend]);
            let listener = listen(&client, &recorder, true);
            let owner = recorder.clone();
            let (task_sim, decider) = (sim.clone(), sim.clone());
            let task = sim.spawn(move || {
                let inspection = until(&task_sim, || owner.with(|log| log.inspections.pop()));
                let decided = if accept {
                    inspection.accept()
                } else {
                    inspection.reject()
                };
                block_on(&decider, decided).expect("nobody gave up");
            });
            let peer = sim.connect(address());
            assert_eq!(peer.is_ok(), accept);
            task.join();
            if accept {
                drop(accepted(sim, &recorder));
            }
            drop((peer, listener));
            client.end();
        });
    }
}

#[test]
fn dropped_inspection_rejects() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let recorder = Recorder::planning(&[Plan::Pend]);
        let listener = listen(&client, &recorder, true);
        let owner = recorder.clone();
        let task_sim = sim.clone();
        let task = sim.spawn(move || {
            drop(until(&task_sim, || owner.with(|log| log.inspections.pop())));
        });
        assert!(sim.connect(address()).is_err());
        task.join();
        drop(listener);
        client.end();
    });
}

#[test]
fn inspection_that_is_pending_when_the_listener_closes_leaves_nothing() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let recorder = Recorder::planning(&[Plan::Pend]);
        let listener = listen(&client, &recorder, true);
        let connecting = sim.clone();
        let task = sim.spawn(move || connecting.connect(address()).is_err());
        let inspection = until(sim, || recorder.with(|log| log.inspections.pop()));
        listener.close().wait(passive()).expect("closed");
        assert!(task.join());
        let error = inspection.accept().wait(passive()).expect_err("closed");
        assert_eq!(error.kind(), ErrorKind::Closed);
        client.end();
    });
}

#[test]
fn peer_that_gives_up_aborts_its_inspection() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let recorder = Recorder::planning(&[Plan::Pend]);
        let listener = listen(&client, &recorder, true);
        let attempt = sim.begin_to_connect(address()).expect("an address");
        let inspection = until(sim, || recorder.with(|log| log.inspections.pop()));
        drop(attempt);
        until(sim, || inspection.is_aborted().then_some(()));
        let id = inspection.id();
        let error = block_on(sim, inspection.accept()).expect_err("nobody is there");
        assert_eq!(error.kind(), ErrorKind::ConnectionLost);
        until(sim, || {
            recorder.with(|log| log.aborted.contains(&id)).then_some(())
        });
        drop(listener);
        client.end();
    });
}

/// Requests, decisions and aborts in any order: each connection that is let in is accepted or
/// aborted, once; each that is refused is neither.
#[test]
fn inspections_in_any_order_are_neither_lost_nor_doubled() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let plan = [
            Plan::Pend,
            Plan::Accept,
            Plan::Pend,
            Plan::Reject,
            Plan::Pend,
        ];
        let recorder = Recorder::planning(&plan);
        let listener = listen(&client, &recorder, true);
        let peers = (0..plan.len()).map(|number| {
            let task_sim = sim.clone();
            sim.spawn(move || {
                let attempt = task_sim.begin_to_connect(address()).expect("an address");
                if number % 2 == 0 {
                    drop(attempt.finish());
                }
            })
        });
        let peers: Vec<_> = peers.collect();
        let mut let_in = HashSet::new();
        for decided in 0.. {
            if sim.now() > Duration::from_secs(1) {
                break;
            }
            match recorder.with(|log| log.inspections.pop()) {
                Some(inspection) if decided % 3 == 0 => drop(inspection),
                Some(inspection) => {
                    let id = inspection.id();
                    if block_on(sim, inspection.accept()).is_ok() {
                        let_in.insert(id);
                    }
                }
                None => sim.sleep(Duration::from_millis(5)),
            }
        }
        peers.into_iter().for_each(wsk_sim::Task::join);
        recorder.with(|log| {
            let ids: HashSet<_> = log.inspected.iter().map(|(id, _)| *id).collect();
            assert_eq!(ids.len(), log.inspected.len(), "inspected twice");
            let aborted: HashSet<_> = log.aborted.iter().copied().collect();
            assert_eq!(aborted.len(), log.aborted.len(), "aborted twice");
            let_in.extend(&log.let_in);
            let ended = log.accepted.len() + let_in.intersection(&aborted).count();
            assert_eq!(ended, let_in.len(), "lost or doubled: {:?}", log.aborted);
        });
        drop(recorder.with(|log| std::mem::take(&mut log.accepted)));
        drop(listener);
        client.end();
    });
}

#[test]
fn handler_is_dropped_when_the_close_has_completed() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let recorder = Recorder::default();
        let listener = listen(&client, &recorder, false);
        assert_eq!(Arc::strong_count(&recorder.0), 2);
        listener.close().wait(passive()).expect("closed");
        assert_eq!(Arc::strong_count(&recorder.0), 1);
        client.end();
    });
}
