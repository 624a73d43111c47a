//! The backlog: events as something to await, bounded, with a policy for when it is full.

use std::time::Duration;

use wsk::{
    Backlog, ConnectionEventSet, Decision, ErrorKind, ListenSocket, WhenFull, WhenInspecting,
};
use wsk_sim::Sim;

use crate::common::{Client, address, block_on, passive};

const SCHEDULES: u64 = 300;

fn listen(client: &Client, backlog: Backlog, conditional: bool) -> ListenSocket {
    let listener = client.listen_with(backlog, conditional);
    let nothing = ConnectionEventSet::empty();
    listener.enable_accept_events(nothing).expect("bound");
    listener
}

/// How many of `count` peers are still connected after a while.
fn connected(sim: &Sim, count: usize) -> usize {
    let peers: Vec<_> = (0..count).map(|_| sim.connect(address())).collect();
    sim.sleep(Duration::from_secs(1));
    let peers = peers.into_iter().flatten();
    peers
        .filter(|peer| {
            peer.shut_down();
            peer.write_all(b"x")
                .is_err_and(|status| status == INVALID_DEVICE_STATE)
        })
        .count()
}

/// What writing after the end of one's own sending gives: the connection is there.
const INVALID_DEVICE_STATE: i32 = 0xC000_0184_u32.cast_signed();

#[test]
fn backlog_gives_each_connection_to_the_task() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (backlog, mut connections) = Backlog::new(4, WhenFull::Refuse).expect("memory");
        let listener = listen(&client, backlog, false);
        let peers: Vec<_> = (0..4)
            .map(|_| sim.connect(address()).expect("it listens"))
            .collect();
        for number in 0..4 {
            let accepted = if number % 2 == 0 {
                block_on(sim, connections.next())
            } else {
                connections.wait_next(passive())
            };
            let remote = accepted.expect("four have come").remote;
            assert!(peers.iter().any(|peer| Some(peer.addresses().0) == remote));
        }
        drop((peers, listener, connections));
        client.end();
    });
}

#[test]
fn full_backlog_refuses_or_drops_the_oldest() {
    for policy in [WhenFull::Refuse, WhenFull::DropOldest] {
        wsk_sim::seeds(SCHEDULES, move |sim| {
            let client = Client::new();
            let (backlog, connections) = Backlog::new(2, policy).expect("memory");
            let listener = listen(&client, backlog, false);
            assert_eq!(connected(sim, 5), 2);
            drop((listener, connections));
            client.end();
        });
    }
}

#[test]
fn backlog_ends_when_its_listener_is_closed() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let (backlog, mut connections) = Backlog::new(1, WhenFull::Refuse).expect("memory");
        let listener = listen(&client, backlog, false);
        let waited = connections.wait_next_timeout(Duration::from_secs(1), passive());
        assert_eq!(waited.expect_err("none").kind(), ErrorKind::TimedOut);
        listener.close().wait(passive()).expect("closed");
        assert!(connections.wait_next(passive()).is_none());
        client.end();
    });
}

#[test]
fn dropped_stream_refuses_what_comes() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (backlog, connections) = Backlog::new(2, WhenFull::Refuse).expect("memory");
        let listener = listen(&client, backlog, false);
        drop(connections);
        assert_eq!(connected(sim, 2), 0);
        drop(listener);
        client.end();
    });
}

#[test]
fn inspections_are_decided_by_the_task() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (backlog, mut connections) = Backlog::new(4, WhenFull::Refuse).expect("memory");
        let (backlog, mut inspections) = backlog
            .with_inspections(4, WhenInspecting::Reject)
            .expect("memory");
        let listener = listen(&client, backlog, true);
        let decider = sim.spawn(move || {
            let mut number = 0;
            while let Some(inspection) = inspections.wait_next(passive()) {
                number += 1;
                if number % 2 == 1 {
                    let accepted = inspection.accept().wait(passive());
                    accepted.expect("nobody gives up");
                }
            }
        });
        let outcomes: Vec<_> = (0..4).map(|_| sim.connect(address())).collect();
        let connected = outcomes.iter().filter(|peer| peer.is_ok()).count();
        assert_eq!(connected, 2);
        for _ in 0..connected {
            drop(connections.wait_next(passive()).expect("let in"));
        }
        listener.close().wait(passive()).expect("closed");
        decider.join();
        drop(outcomes);
        client.end();
    });
}

#[test]
fn full_inspections_follow_their_policy() {
    for (policy, lets_in) in [(WhenInspecting::Reject, 0), (WhenInspecting::Accept, 3)] {
        wsk_sim::seeds(SCHEDULES, move |sim| {
            let client = Client::new();
            let (backlog, connections) = Backlog::new(8, WhenFull::Refuse).expect("memory");
            let (backlog, inspections) = backlog.with_inspections(1, policy).expect("memory");
            let listener = listen(&client, backlog, true);
            let waiting = sim.begin_to_connect(address()).expect("an address");
            sim.sleep(Duration::from_secs(1));
            assert_eq!(connected(sim, 3), lets_in);
            drop((waiting, inspections, listener, connections));
            client.end();
        });
    }
}

#[test]
fn inspections_are_decided_by_an_async_function() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (backlog, connections) = Backlog::new(4, WhenFull::Refuse).expect("memory");
        let (backlog, inspections) = backlog
            .with_inspections(4, WhenInspecting::Reject)
            .expect("memory");
        let listener = listen(&client, backlog, true);
        let own = sim.clone();
        let decider = sim.spawn(move || {
            let mut number = 0;
            block_on(
                &own,
                inspections.decide_with(async |inspection| {
                    assert!(inspection.remote().is_some());
                    number += 1;
                    if number % 2 == 1 {
                        Decision::Accept
                    } else {
                        Decision::Reject
                    }
                }),
            );
        });
        let outcomes: Vec<_> = (0..4).map(|_| sim.connect(address())).collect();
        let connected = outcomes.iter().filter(|peer| peer.is_ok()).count();
        assert_eq!(connected, 2);
        listener.close().wait(passive()).expect("closed");
        decider.join();
        drop((outcomes, connections));
        client.end();
    });
}

/// Also those that have been taken and are not decided: a task that decides nothing is limited.
#[test]
fn pending_limit_counts_inspections_that_were_taken() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (backlog, connections) = Backlog::new(8, WhenFull::Refuse).expect("memory");
        let (backlog, mut inspections) = backlog
            .with_inspections(2, WhenInspecting::Reject)
            .expect("memory");
        let listener = listen(&client, backlog, true);
        let begin = || sim.begin_to_connect(address()).expect("an address");
        let waiting = [begin(), begin()];
        let mut kept = Vec::new();
        for _ in 0..2 {
            kept.extend(inspections.wait_next(passive()));
        }
        assert!(sim.connect(address()).is_err(), "two are pending");
        // One that is decided makes room for the next.
        let decided = kept.pop().map(|one| one.reject().wait(passive()));
        assert_eq!(decided, Some(Ok(())));
        let third = begin();
        kept.extend(inspections.wait_next(passive()));
        assert!(sim.connect(address()).is_err(), "two are pending");
        drop((waiting, third, kept, inspections, listener, connections));
        client.end();
    });
}
