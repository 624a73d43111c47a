//! Opening a listener that accepts conditionally: two requests that are one for whoever waits.

use std::{future::Future, pin::pin, sync::Arc, task::Poll, time::Duration};

use wsk::{
    AddressFamily, Error, ErrorKind, InspectRequest, ListenEvents, ListenSocket, Registration,
    Result, Verdict, Version, option,
};
use wsk_sim::Sim;
use wsk_sys::{SO_CONDITIONAL_ACCEPT, SOL_SOCKET};

use crate::common::{Client, Wakes, address, block_on, buffer, passive};
use crate::faults::check_every_fault;

const SCHEDULES: u64 = 100;

struct Closed;

impl ListenEvents for Closed {
    fn inspect<'call>(&self, request: InspectRequest<'call>) -> Verdict<'call> {
        request.reject()
    }
}

/// How the opening ends; `None`: nobody wants it.
type Way = fn(&Sim, wsk::OpenConditional) -> Option<Result<ListenSocket>>;

const WAYS: [Way; 8] = [
    |_, opening| Some(opening.wait(passive())),
    |_, opening| Some(opening.wait_timeout(Duration::from_mins(1), passive())),
    |_, opening| Some(opening.wait_timeout(Duration::from_micros(50), passive())),
    |_, opening| Some(opening.wait_timeout(Duration::ZERO, passive())),
    |sim, opening| Some(block_on(sim, opening)),
    |sim, opening| poll_some(sim, opening, |opening| Some(opening.wait(passive()))),
    |sim, opening| poll_some(sim, opening, |_| None),
    |_, opening| {
        drop(opening);
        None
    },
];

/// Polls as often as the seed says, and ends it otherwise if it is still pending.
fn poll_some(
    sim: &Sim,
    mut opening: wsk::OpenConditional,
    end: fn(wsk::OpenConditional) -> Option<Result<ListenSocket>>,
) -> Option<Result<ListenSocket>> {
    let waker = Arc::new(Wakes::default()).into();
    let mut context = std::task::Context::from_waker(&waker);
    for _ in 0..sim.seed() % 4 {
        if let Poll::Ready(opened) = pin!(&mut opening).poll(&mut context) {
            return Some(opened);
        }
        sim.sleep(Duration::from_micros(50));
    }
    end(opening)
}

// [wsk 7.6]
#[test]
fn conditional_listener_opened_in_any_way_inspects_or_is_not_there() {
    for way in WAYS {
        wsk_sim::seeds(SCHEDULES, move |sim| {
            let client = Client::new();
            let family = AddressFamily::Inet;
            let opening = ListenSocket::open_conditional(&client.provider, family, Closed);
            match way(sim, opening) {
                Some(Ok(listener)) => {
                    listener.bind(address()).wait(passive()).expect("bound");
                    assert!(sim.connect(address()).is_err(), "rejected");
                }
                Some(Err(error)) => assert_eq!(error.kind(), ErrorKind::TimedOut),
                None => {}
            }
            client.end();
        });
    }
}

fn live(sim: &Sim) -> Result<()> {
    let registration = Registration::register(Version::V1_0, passive())?;
    let provider = registration.try_capture()?;
    let opening = ListenSocket::open_conditional(&provider, AddressFamily::Inet, Closed);
    let listener = opening.wait(passive())?;
    listener.bind(address()).wait(passive())?;
    assert!(sim.connect(address()).is_err(), "rejected");
    listener.close().wait(passive())
}

#[test]
fn fault_anywhere_in_the_life_of_a_conditional_listener_is_an_error_that_says_so() {
    check_every_fault(live);
}

// [wsk 6.1, 7.6]
#[test]
fn conditional_accept_is_set_by_opening_only() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let listener = client.listen_with(Closed, true);
        let is_conditional = listener.option(&option::CONDITIONAL_ACCEPT).wait(passive());
        assert_eq!(is_conditional.map_err(Error::kind), Ok(true));
        drop(listener);
        client.end();
        let client = Client::new();
        let listener = client.listen_with(Closed, false);
        let is_conditional = listener.option(&option::CONDITIONAL_ACCEPT).wait(passive());
        assert_eq!(is_conditional.map_err(Error::kind), Ok(false));
        let on = buffer(&1_u32.to_le_bytes());
        let set = listener.set_raw_option(SOL_SOCKET, SO_CONDITIONAL_ACCEPT, on);
        let (refused, _) = set.wait(passive());
        let error = refused.expect_err("it is bound");
        assert_eq!(error.kind(), ErrorKind::InvalidState);
        drop(listener);
        client.end();
    });
}
