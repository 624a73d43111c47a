//! Listeners that switch between accepting by call and by event while connections arrive, and what
//! is bad for them: death, floods, and handlers that decide nothing.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use wsk::{
    Backlog, ConnectionEventSet, ErrorKind, InspectRequest, Inspection, ListenEvents, ListenSocket,
    Offer, Verdict, WhenFull, WhenInspecting,
};
use wsk_sim::{Sim, Task, builder};

use crate::{
    common::{Client, Wakes, address, passive, poll},
    random::Random,
};

const SCHEDULES: u64 = 300;

#[derive(Default)]
struct Log {
    taken: Vec<wsk::ConnectionSocket>,
    remotes: Vec<Option<SocketAddr>>,
    pended: Vec<Inspection>,
    inspected: usize,
    deaths: usize,
}

/// Takes every connection, and pends every request.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Log>>);

impl Recorder {
    fn with<R>(&self, access: impl FnOnce(&mut Log) -> R) -> R {
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ListenEvents for Recorder {
    fn accept(&self, offer: Offer<'_>) {
        let remote = offer.remote();
        let connection = offer.accept().expect("memory");
        self.with(|log| {
            log.taken.push(connection);
            log.remotes.push(remote);
        });
    }

    fn inspect<'call>(&self, request: InspectRequest<'call>) -> Verdict<'call> {
        let (verdict, inspection) = request.pend().expect("memory");
        self.with(|log| {
            log.inspected += 1;
            log.pended.push(inspection);
        });
        verdict
    }

    fn dead(&self) {
        self.with(|log| log.deaths += 1);
    }
}

fn by_event(listener: &ListenSocket) {
    let nothing = ConnectionEventSet::empty();
    listener.enable_accept_events(nothing).expect("bound");
}

// [wsk 7.1]: an accept is pending while the event is switched on and off, and peers connect.
#[test]
fn live_listener_switched_at_random_takes_each_connection_once() {
    const PEERS: usize = 8;
    builder().preempt_one_in(2).seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let recorder = Recorder::default();
        let mut listener = client.listen_with(recorder.clone(), false);
        let connecting = sim.clone();
        let peers = sim.spawn(move || {
            let peers = (0..PEERS).map(|_| {
                connecting.sleep(Duration::from_micros(100));
                connecting.connect(address()).expect("it listens")
            });
            peers.collect::<Vec<_>>()
        });
        let mut random = Random::new(sim.seed());
        let wakes = Arc::new(Wakes::default());
        let mut by_call = Vec::new();
        while by_call.len() + recorder.with(|log| log.taken.len()) < PEERS {
            if let std::task::Poll::Ready(accepted) = poll(&mut listener.accept(), &wakes) {
                by_call.push(accepted.expect("accepted"));
            }
            match random.below(4) {
                0 => by_event(&listener),
                1 => {
                    let off = listener.disable_accept_events().wait(passive());
                    off.expect("it can be disabled");
                    let before = recorder.with(|log| log.taken.len());
                    sim.sleep(Duration::from_micros(100));
                    let after = recorder.with(|log| log.taken.len());
                    assert_eq!(before, after, "an event that is off");
                }
                _ => sim.sleep(Duration::from_micros(50)),
            }
        }
        let peers = peers.join();
        let mut remotes = recorder.with(|log| std::mem::take(&mut log.remotes));
        remotes.extend(by_call.iter().map(|accepted| accepted.remote));
        assert_eq!(remotes.len(), PEERS, "doubled");
        let remotes: HashSet<_> = remotes.into_iter().collect();
        let expected = peers.iter().map(|peer| Some(peer.addresses().0));
        assert_eq!(remotes, expected.collect(), "lost");
        drop((recorder.with(std::mem::take), by_call, peers, listener));
        client.end();
    });
}

// [wsk 7.5]
#[test]
fn dead_listener_is_reported_once_and_accepts_nothing() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let recorder = Recorder::default();
        let mut listener = client.listen_with(recorder.clone(), false);
        by_event(&listener);
        sim.break_sockets();
        sim.sleep(Duration::from_secs(1));
        assert_eq!(recorder.with(|log| log.deaths), 1);
        let error = listener.accept().wait(passive()).expect_err("dead");
        assert_eq!(error.status(), wsk::Status::FILE_FORCED_CLOSED);
        drop(listener);
        client.end();
        assert_eq!(recorder.with(|log| log.deaths), 1);
    });
}

#[test]
fn dead_listener_ends_its_backlog() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (backlog, mut connections) = Backlog::new(2, WhenFull::Refuse).expect("memory");
        let listener = client.listen_with(backlog, false);
        by_event(&listener);
        sim.break_sockets();
        assert!(connections.wait_next(passive()).is_none());
        drop((listener, connections));
        client.end();
    });
}

fn dial(sim: &Sim, count: usize) -> Vec<Task<bool>> {
    let dialing = (0..count).map(|_| {
        let own = sim.clone();
        sim.spawn(move || own.connect(address()).is_ok())
    });
    dialing.collect()
}

/// A handler that keeps everything pended: nobody gets in, and the close ends it.
#[test]
fn handler_that_decides_nothing_lets_nobody_in_and_the_close_ends_it() {
    const PEERS: usize = 20;
    for forgotten in [false, true] {
        wsk_sim::seeds(100, move |sim| {
            let client = Client::new();
            let recorder = Recorder::default();
            let listener = client.listen_with(recorder.clone(), true);
            by_event(&listener);
            let dialing = dial(sim, PEERS);
            while recorder.with(|log| log.inspected) < PEERS {
                sim.sleep(Duration::from_millis(1));
            }
            sim.sleep(Duration::from_secs(1));
            assert!(recorder.with(|log| log.taken.is_empty()));
            listener.close().wait(passive()).expect("closed");
            let let_in = dialing.into_iter().map(Task::join);
            assert!(!let_in.fold(false, |any, one| any | one), "somebody got in");
            let mut pended = recorder.with(|log| std::mem::take(&mut log.pended));
            if forgotten {
                // Two thirds are decided too late, the others dropped.
                for (number, inspection) in pended.drain(..).enumerate() {
                    let decided = match number % 3 {
                        0 => inspection.accept(),
                        1 => inspection.reject(),
                        _ => continue,
                    };
                    let error = decided.wait(passive()).expect_err("closed");
                    assert_eq!(error.kind(), ErrorKind::Closed);
                }
            }
            client.end();
            drop(pended);
        });
    }
}

/// The close comes while the handler pends, owners decide, and more arrive.
#[test]
fn close_among_pending_inspections_ends_all_of_them() {
    builder().preempt_one_in(2).seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let recorder = Recorder::default();
        let listener = client.listen_with(recorder.clone(), true);
        by_event(&listener);
        let dialing = dial(sim, 6);
        let (owner, own) = (recorder.clone(), sim.clone());
        let deciding = sim.spawn(move || {
            for _ in 0..100 {
                match owner.with(|log| log.pended.pop()) {
                    Some(inspection) => drop(inspection.accept().wait(passive())),
                    None => own.sleep(Duration::from_micros(20)),
                }
            }
        });
        sim.sleep(Duration::from_micros(sim.seed() % 400));
        listener.close().wait(passive()).expect("closed");
        deciding.join();
        for dialed in dialing {
            dialed.join();
        }
        drop(recorder.with(std::mem::take));
        client.end();
    });
}

/// A flood above both limits: never more than so many wait, and the policies hold.
#[test]
fn flood_above_the_limits_is_met_by_the_policies() {
    const PEERS: usize = 60;
    for (when_full, when_inspecting) in [
        (WhenFull::Refuse, WhenInspecting::Reject),
        (WhenFull::DropOldest, WhenInspecting::Accept),
    ] {
        wsk_sim::seeds(50, move |sim| {
            let client = Client::new();
            let (backlog, mut connections) = Backlog::new(3, when_full).expect("memory");
            let (backlog, inspections) = backlog
                .with_inspections(5, when_inspecting)
                .expect("memory");
            let listener = client.listen_with(backlog, true);
            by_event(&listener);
            let dialing = dial(sim, PEERS);
            sim.sleep(Duration::from_secs(1));
            // Five wait to be inspected, for ever; the policy has decided about the others.
            drop(inspections);
            let outcomes = dialing.into_iter().map(Task::join);
            let let_in = outcomes.filter(|connected| *connected).count();
            let expected = match when_inspecting {
                WhenInspecting::Reject => 0,
                WhenInspecting::Accept => PEERS - 5,
            };
            assert_eq!(let_in, expected);
            let mut waiting = 0;
            let moment = Duration::from_millis(1);
            while let Ok(Some(_)) = connections.wait_next_timeout(moment, passive()) {
                waiting += 1;
            }
            assert_eq!(waiting, expected.min(3));
            drop((listener, connections));
            client.end();
        });
    }
}

struct Panics;

impl ListenEvents for Panics {
    fn accept(&self, _offer: Offer<'_>) {
        panic!("a mistake of the driver's");
    }
}

/// A panic does not unwind into WSK: everything ends where it happens, as by the bugcheck of a
/// driver's panic handler. The test runs itself again, as a process that comes to its end.
#[test]
fn handler_that_panics_ends_everything_at_once() {
    const AGAIN: &str = "WSK_TEST_HANDLER_PANICS";
    if std::env::var_os(AGAIN).is_some() {
        return wsk_sim::run(|sim| {
            let client = Client::new();
            let listener = client.listen_with(Panics, false);
            by_event(&listener);
            drop(sim.connect(address()).map(|peer| peer.read(1)));
            println!("the handler has returned");
        });
    }
    let program = std::env::current_exe().expect("this program has a path");
    let name = "listen_races::handler_that_panics_ends_everything_at_once";
    let child = std::process::Command::new(program)
        .args(["--exact", name, "--nocapture"])
        .env(AGAIN, "")
        .output()
        .expect("this program can be started again");
    let output =
        [child.stdout, child.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let [stdout, stderr] = output;
    assert!(!child.status.success());
    assert!(stderr.contains("a mistake of the driver's"), "{stderr}");
    assert!(stderr.contains("cannot unwind"), "{stderr}");
    assert!(!stdout.contains("the handler has returned"), "{stdout}");
}
