//! A connection that a stream socket has become: the functions of another table, in the same use
//! [wsk 4.10].

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::common::{Client, address, buffer, passive};
use wsk::{
    AddressFamily, Buffer, ConnectionEventSet, ConnectionEvents, ConnectionSocket, Indication,
    Received, RetainBudget, Retained, StreamSocket,
};
use wsk_sim::{Peer, Sim};

const SCHEDULES: u64 = 100;

fn connect(client: &Client, sim: &Sim) -> (ConnectionSocket, Peer) {
    let server = sim.listen(address()).expect("a free port");
    let opening = StreamSocket::open(&client.provider, AddressFamily::Inet);
    let socket = opening.wait(passive()).expect("opened");
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    socket.bind(any).wait(passive()).expect("bound");
    let connected = socket.connect(address()).wait(passive());
    (connected.expect("connected"), server.accept())
}

#[test]
fn stream_connection_sends_receives_and_disconnects() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (mut connection, peer) = connect(&client, sim);
        let remote = connection.remote_address().wait(passive());
        assert_eq!(remote, Ok(address()));
        let (sent, same) = connection.send(buffer(b"ping")).wait(passive());
        assert_eq!(sent, Ok(4));
        assert_eq!(peer.read_exact(4).expect("sent"), b"ping");
        peer.write_all(b"p").expect("connected");
        let (received, filled) = connection.receive(same).wait(passive());
        assert_eq!((received, &filled[..]), (Ok(1), &b"p"[..]));
        connection.disconnect().wait(passive()).expect("connected");
        assert_eq!(peer.read_to_end().expect("a graceful end"), b"");
        peer.shut_down();
        let empty = Buffer::with_capacity(1).expect("memory");
        let (received, _) = connection.receive(empty).wait(passive());
        assert_eq!(received, Ok(0));
        drop((connection, peer));
        client.end();
    });
}

/// Keeps what it can.
struct Keeper {
    kept: Arc<Mutex<Vec<Retained>>>,
    consumed: Arc<Mutex<usize>>,
    budget: RetainBudget,
}

impl ConnectionEvents for Keeper {
    fn receive<'call>(&self, indication: Indication<'call>) -> Received<'call> {
        let length = indication.data().len();
        match indication.retain(&self.budget) {
            Ok((received, retained)) => {
                self.kept.lock().expect("not poisoned").push(retained);
                received
            }
            Err(indication) => {
                *self.consumed.lock().expect("not poisoned") += length;
                indication.consume()
            }
        }
    }
}

/// [wsk 8.6]: else the simulator reports what was not given back.
#[test]
fn stream_connection_gives_back_what_was_retained() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = connect(&client, sim);
        let (kept, consumed) = (Arc::default(), Arc::default());
        let keeper = Keeper {
            kept: Arc::clone(&kept),
            consumed: Arc::clone(&consumed),
            budget: RetainBudget::new(1 << 16).expect("memory"),
        };
        connection.set_events(keeper).expect("memory");
        connection
            .enable_events(ConnectionEventSet::RECEIVE)
            .expect("connected");
        peer.write_all(b"kept").expect("connected");
        let arrived = || {
            let kept = kept.lock().expect("not poisoned");
            let lengths = kept.iter().map(|retained: &Retained| retained.len());
            lengths.sum::<usize>() + *consumed.lock().expect("not poisoned")
        };
        while arrived() < 4 {
            sim.sleep(Duration::from_millis(1));
        }
        let first = kept.lock().expect("not poisoned").pop();
        drop(first);
        connection.close().wait(passive()).expect("closed");
        for retained in kept.lock().expect("not poisoned").drain(..) {
            assert!(retained.with(|_| ()).is_err(), "the socket is closed");
        }
        drop(peer);
        client.end();
    });
}
