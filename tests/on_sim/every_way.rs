//! Each kind of operation, ended in each way in which a caller can end one.
//!
//! A test for each kind starts it on sockets made for it, once for each way and schedule. What is
//! checked: the result is one that the way allows, and nothing is left.

use std::{mem::forget, sync::Arc, task::Poll, time::Duration};

use crate::common::{Client, Wakes, address, block_on, buffer, passive, poll};
use wsk::{
    AddressFamily, Buffer, ConnectionSocket, ErrorKind, ListenSocket, Operation, Request, Result,
};
use wsk_sim::{Rule, Sim};

/// Schedules for each way.
pub const SCHEDULES: u64 = 60;
const SHORT: Duration = Duration::from_micros(50);
const LONG: Duration = Duration::from_secs(30);

/// How a caller ends an operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    Await,
    Wait,
    /// The deadline may pass first, or not.
    WaitShort,
    /// A deadline of zero.
    WaitNot,
    WaitLong,
    CancelAndWait,
    CancelAndAwait,
    CancelTwice,
    CancelAtDispatch,
    PollAndWait,
    PollAndWaitElsewhere,
    Drop,
    DropAtDispatch,
    PollAndDrop,
    CancelAndDrop,
    DropElsewhere,
}

pub const WAYS: [Way; 16] = [
    Way::Await,
    Way::Wait,
    Way::WaitShort,
    Way::WaitNot,
    Way::WaitLong,
    Way::CancelAndWait,
    Way::CancelAndAwait,
    Way::CancelTwice,
    Way::CancelAtDispatch,
    Way::PollAndWait,
    Way::PollAndWaitElsewhere,
    Way::Drop,
    Way::DropAtDispatch,
    Way::PollAndDrop,
    Way::CancelAndDrop,
    Way::DropElsewhere,
];

impl Way {
    /// Ends `operation` in this way. `None`: nobody wanted its result.
    pub fn end<R>(self, sim: &Sim, mut operation: Operation<R>) -> Option<R::Output>
    where
        R: Request + 'static,
        R::Output: Send + 'static,
    {
        let wakes = Arc::new(Wakes::default());
        match self {
            Self::Await => Some(block_on(sim, operation)),
            Self::Wait => Some(operation.wait(passive())),
            Self::WaitShort => Some(operation.wait_timeout(SHORT, passive())),
            Self::WaitNot => Some(operation.wait_timeout(Duration::ZERO, passive())),
            Self::WaitLong => Some(operation.wait_timeout(LONG, passive())),
            Self::CancelAndWait => {
                operation.cancel();
                Some(operation.wait(passive()))
            }
            Self::CancelAndAwait => {
                operation.cancel();
                Some(block_on(sim, operation))
            }
            Self::CancelTwice => {
                operation.cancel();
                operation.cancel();
                Some(operation.wait_timeout(LONG, passive()))
            }
            Self::CancelAtDispatch => {
                sim.at_dispatch(|| operation.cancel());
                Some(operation.wait(passive()))
            }
            Self::PollAndWait => match poll(&mut operation, &wakes) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => Some(operation.wait(passive())),
            },
            Self::PollAndWaitElsewhere => match poll(&mut operation, &wakes) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => Some(sim.spawn(move || operation.wait(passive())).join()),
            },
            Self::Drop => {
                drop(operation);
                None
            }
            Self::DropAtDispatch => {
                sim.at_dispatch(|| drop(operation));
                None
            }
            Self::PollAndDrop => match poll(&mut operation, &wakes) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            },
            Self::CancelAndDrop => {
                operation.cancel();
                None
            }
            Self::DropElsewhere => {
                sim.spawn(move || drop(operation)).join();
                None
            }
        }
    }

    /// Whether the request may end without having done what it was to do, and how.
    fn allows(self, kind: ErrorKind) -> bool {
        match self {
            Self::WaitShort | Self::WaitNot => kind == ErrorKind::TimedOut,
            Self::CancelAndWait
            | Self::CancelAndAwait
            | Self::CancelTwice
            | Self::CancelAtDispatch => kind == ErrorKind::Cancelled,
            _ => false,
        }
    }

    pub fn check<T>(self, result: Result<T>) -> Option<T> {
        result
            .map_err(|error| assert!(self.allows(error.kind()), "{self:?}: {error}"))
            .ok()
    }
}

/// Runs `body` for each way on many schedules.
fn in_every_way(body: fn(&Sim, &Client, Way)) {
    for way in WAYS {
        wsk_sim::seeds(SCHEDULES, move |sim| {
            let client = Client::new();
            body(sim, &client, way);
            client.end();
        });
    }
}

/// A connected socket, and a peer that has sent something and reads everything.
fn with_connection(body: fn(&Sim, Way, &mut ConnectionSocket)) {
    for way in WAYS {
        wsk_sim::seeds(SCHEDULES, move |sim| {
            let client = Client::new();
            let (mut connection, peer) = client.connect(sim);
            let reader = sim.spawn(move || {
                // Both end with the connection, in whichever way that ends.
                let _ = peer.write_all(b"hello");
                let _ = peer.read_to_end();
            });
            body(sim, way, &mut connection);
            drop(connection);
            reader.join();
            client.end();
        });
    }
}

/// What a transfer gives back: always the buffer that it was lent.
fn check_transfer(way: Way, (result, buffer): (Result<usize>, Buffer)) -> Option<(usize, Buffer)> {
    assert_eq!(buffer.capacity(), 5, "another buffer came back");
    way.check(result).map(|count| (count, buffer))
}

#[test]
fn open_ended_in_every_way() {
    in_every_way(|sim, client, way| {
        let opening = ListenSocket::open(&client.provider, AddressFamily::Inet);
        let opened = way.end(sim, opening).and_then(|result| way.check(result));
        if let Some(listener) = opened {
            // It is a socket that works.
            listener.bind(address()).wait(passive()).expect("bound");
        }
    });
}

#[test]
fn bind_ended_in_every_way() {
    in_every_way(|sim, client, way| {
        let opening = ListenSocket::open(&client.provider, AddressFamily::Inet);
        let listener = opening.wait(passive()).expect("opened");
        let bound = way.end(sim, listener.bind(address()));
        if let Some(Some(())) = bound.map(|result| way.check(result)) {
            let peer = sim.connect(address()).expect("it listens");
            drop(peer);
        }
    });
}

#[test]
fn local_address_ended_in_every_way() {
    in_every_way(|sim, client, way| {
        let listener = client.listen();
        let asked = way.end(sim, listener.local_address());
        let told = asked.and_then(|result| way.check(result));
        assert!(told.is_none_or(|told| told == address()), "{told:?}");
    });
}

#[test]
fn send_ended_in_every_way() {
    with_connection(|sim, way, connection| {
        if let Some(sent) = way.end(sim, connection.send(buffer(b"12345"))) {
            let sent = check_transfer(way, sent);
            if let Some((count, buffer)) = sent {
                assert_eq!((count, &buffer[..]), (5, &b"12345"[..]));
            }
        }
    });
}

#[test]
fn receive_ended_in_every_way() {
    with_connection(|sim, way, connection| {
        let mut all = Vec::new();
        if let Some(received) = way.end(sim, connection.receive(buffer(&[0; 5])))
            && let Some((count, filled)) = check_transfer(way, received)
        {
            assert_eq!(count, filled.len());
            all.extend_from_slice(&filled);
        }
        // Whatever the first one did, no byte is lost or doubled.
        while all.len() < 5 {
            let (received, filled) = connection.receive(buffer(&[0; 5])).wait(passive());
            received.expect("received");
            all.extend_from_slice(&filled);
        }
        assert_eq!(all, b"hello", "{way:?}");
    });
}

#[test]
fn disconnect_ended_in_every_way() {
    with_connection(|sim, way, connection| {
        if let Some(ended) = way.end(sim, connection.disconnect()) {
            way.check(ended);
        }
    });
}

#[test]
fn abort_ended_in_every_way() {
    with_connection(|sim, way, connection| {
        if let Some(ended) = way.end(sim, connection.abort()) {
            way.check(ended);
        }
    });
}

/// A close cannot be cancelled, and no deadline shortens it.
#[test]
fn close_ended_in_every_way() {
    in_every_way(|sim, client, way| {
        let listener = client.listen();
        if let Some(closed) = way.end(sim, listener.close()) {
            closed.unwrap_or_else(|error| panic!("{way:?}: {error}"));
            assert!(sim.connect(address()).is_err(), "closed, but listens");
        }
    });
}

#[test]
fn close_of_a_connection_ended_in_every_way() {
    in_every_way(|sim, client, way| {
        let (mut connection, peer) = client.connect(sim);
        let receive = connection.receive(buffer(&[0; 5]));
        if let Some(closed) = way.end(sim, connection.close()) {
            closed.unwrap_or_else(|error| panic!("{way:?}: {error}"));
        }
        let (received, _) = receive.wait(passive());
        assert_eq!(received.unwrap_err().kind(), ErrorKind::Cancelled);
        drop(peer);
    });
}

/// Forgets an operation that `start` gives, and says which rule the simulator finds broken: that
/// something is left, or that deregistration waits for it for ever. Memory stays sound.
fn forget_one<R: Request>(
    seed: u64,
    start: impl FnOnce(&Client, ConnectionSocket) -> Operation<R> + Send + 'static,
) -> Rule {
    let report = wsk_sim::builder().seed(seed).offence(|sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        forget(start(&client, connection));
        // The connection may be gone by now.
        let _ = peer.write_all(b"hello");
        drop(peer);
        client.end();
    });
    report.rule
}

#[test]
fn forgotten_requests_leak_and_no_more() {
    for seed in 0..SCHEDULES {
        let receive = forget_one(seed, |_, mut connection| {
            connection.receive(buffer(&[0; 5]))
        });
        let send = forget_one(seed, |_, connection| connection.send(buffer(b"12345")));
        let disconnect = forget_one(seed, |_, connection| connection.disconnect());
        let bind = forget_one(seed, |client, _| {
            let opening = ListenSocket::open(&client.provider, AddressFamily::Inet6);
            let listener = opening.wait(passive()).expect("opened");
            listener.bind("[::1]:9".parse().unwrap())
        });
        let found = [receive, send, disconnect, bind];
        assert_eq!(found, [Rule::Leak; 4], "seed {seed}");
    }
}

/// A socket that nobody has any more stays open, and deregistration waits for it.
#[test]
fn forgotten_open_keeps_the_registration() {
    for seed in 0..SCHEDULES {
        let open = forget_one(seed, |client, _| {
            ListenSocket::open(&client.provider, AddressFamily::Inet6)
        });
        assert_eq!(open, Rule::Hang, "seed {seed}");
    }
}

#[test]
fn forgotten_close_closes_and_leaks() {
    for seed in 0..SCHEDULES {
        let close = forget_one(seed, |_, connection| connection.close());
        assert_eq!(close, Rule::Leak, "seed {seed}");
    }
}
