//! Closes that fail. Nobody has seen one, but the documentation allows it [wsk 10.7]: the close
//! says so, nothing that the provider might still use is freed, and nobody waits for more to come.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use wsk::{
    AddressFamily, Backlog, ConnectionEventSet, ConnectionEvents, DatagramEvents, DatagramSocket,
    ListenEvents, Operation, Status, WhenFull, WhenInspecting, request,
};
use wsk_sim::{Fault, Rule, Sim};

use crate::common::{Client, accept, address, passive};

const SCHEDULES: u64 = 50;

/// Simulations in which the first close fails. What it leaves for good is reported at their ends.
fn first_close_fails(body: impl Fn(&Sim) + Send + Sync + 'static) {
    let body = Arc::new(body);
    let failure = Fault::Close(Status::UNSUCCESSFUL.as_raw());
    for seed in 0..SCHEDULES {
        let (body, builder) = (body.clone(), wsk_sim::builder());
        let report = builder
            .seed(seed)
            .fail(failure, 1)
            .offence(move |sim| body(sim));
        assert_eq!(report.rule, Rule::Leak, "{report}");
    }
}

fn expect_failure(closing: Operation<request::Close>) {
    let error = closing.wait(passive()).expect_err("made to fail");
    assert_eq!(error.call(), "WskCloseSocket");
    assert_eq!(error.status(), Status::UNSUCCESSFUL);
}

#[test]
fn close_that_fails_is_an_error_and_ends_the_socket() {
    first_close_fails(|sim| {
        let client = Client::new();
        expect_failure(client.listen().close());
        assert!(sim.connect(address()).is_err());
        client.end();
    });
}

/// Counts how often it is told that its socket is dead, and how often it is dropped.
#[derive(Default)]
struct Counts {
    deaths: AtomicUsize,
    drops: AtomicUsize,
}

struct Mourner(Arc<Counts>);

impl Mourner {
    fn mourn(&self) {
        self.0.deaths.fetch_add(1, SeqCst);
    }
}

impl Drop for Mourner {
    fn drop(&mut self) {
        self.0.drops.fetch_add(1, SeqCst);
    }
}

macro_rules! mourns {
    ($($events:ident)*) => {$(
        impl $events for Mourner {
            fn dead(&self) {
                self.mourn();
            }
        }
    )*};
}

mourns!(ListenEvents ConnectionEvents DatagramEvents);

/// The handler of a socket whose close fails: each test opens one with it, and closes it.
fn mourning(close: impl Fn(&Sim, &Client, Mourner) + Send + Sync + 'static) {
    first_close_fails(move |sim| {
        let client = Client::new();
        let counts = Arc::new(Counts::default());
        close(sim, &client, Mourner(counts.clone()));
        client.end();
        let [deaths, drops] = [&counts.deaths, &counts.drops].map(|count| count.load(SeqCst));
        assert_eq!((deaths, drops), (1, 0));
    });
}

#[test]
fn failed_close_of_a_listener_is_its_death_and_keeps_the_handler() {
    mourning(|_, client, handler| expect_failure(client.listen_with(handler, false).close()));
}

#[test]
fn failed_close_of_a_connection_is_its_death_and_keeps_the_handler() {
    mourning(|sim, client, handler| {
        let mut listener = client.listen();
        let (connection, peer) = accept(sim, &mut listener);
        connection.set_events(handler).expect("it has none");
        expect_failure(connection.close());
        drop((peer, listener));
    });
}

#[test]
fn failed_close_of_a_datagram_socket_is_its_death_and_keeps_the_handler() {
    mourning(|_, client, handler| {
        let opening = DatagramSocket::open_with(&client.provider, AddressFamily::Inet, handler);
        expect_failure(opening.wait(passive()).expect("opened").close());
    });
}

/// A listener that was dead already has been mourned.
#[test]
fn failed_close_of_a_dead_listener_is_no_second_death() {
    mourning(|sim, client, handler| {
        let counts = handler.0.clone();
        let listener = client.listen_with(handler, false);
        let nothing = ConnectionEventSet::empty();
        listener.enable_accept_events(nothing).expect("bound");
        sim.break_sockets();
        while counts.deaths.load(SeqCst) == 0 {
            sim.sleep(Duration::from_millis(1));
        }
        expect_failure(listener.close());
    });
}

#[test]
fn failed_close_ends_the_backlog() {
    first_close_fails(|sim| {
        let client = Client::new();
        let (backlog, mut connections) = Backlog::new(2, WhenFull::Refuse).expect("memory");
        let (backlog, mut inspections) = backlog
            .with_inspections(2, WhenInspecting::Reject)
            .expect("memory");
        let listener = client.listen_with(backlog, true);
        let dialing = sim.begin_to_connect(address()).expect("it listens");
        let pended = inspections.wait_next(passive()).expect("it listens");
        expect_failure(listener.close());
        assert!(connections.wait_next(passive()).is_none());
        assert!(inspections.wait_next(passive()).is_none());
        drop((dialing, pended));
        client.end();
    });
}
