//! What the tests of the library on the simulator have in common: a driver's first steps, and a
//! task's polls by hand.

use std::{
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use wsk::{
    Accepted, AddressFamily, Buffer, ConnectionSocket, ListenEvents, ListenSocket, Passive,
    Provider, Registration, Version,
};
use wsk_sim::{Peer, Sim};

/// Where the tests listen. Each simulation has a network of its own.
pub const PORT: u16 = 7;

pub fn passive() -> Passive {
    Passive::new().expect("a test body runs at PASSIVE_LEVEL")
}

pub fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], PORT))
}

/// A registered driver with the provider captured, in the order in which a failing test drops them.
pub struct Client {
    pub provider: Provider,
    pub registration: Registration,
}

impl Client {
    pub fn new() -> Self {
        let registration = Registration::register(Version::V1_0, passive()).expect("registered");
        let provider = registration.try_capture().expect("ready");
        Self {
            provider,
            registration,
        }
    }

    /// A socket that listens at [`address`].
    pub fn listen(&self) -> ListenSocket {
        let listener = ListenSocket::open(&self.provider, AddressFamily::Inet);
        let listener = listener.wait(passive()).expect("opened");
        listener.bind(address()).wait(passive()).expect("bound");
        listener
    }

    /// A socket with a handler that listens at [`address`], and inspects who connects if it is
    /// `conditional`. No event is enabled yet.
    pub fn listen_with<H: ListenEvents>(&self, handler: H, conditional: bool) -> ListenSocket {
        let family = AddressFamily::Inet;
        let opened = if conditional {
            ListenSocket::open_conditional(&self.provider, family, handler).wait(passive())
        } else {
            ListenSocket::open_with(&self.provider, family, handler).wait(passive())
        };
        let listener = opened.expect("opened");
        listener.bind(address()).wait(passive()).expect("bound");
        listener
    }

    /// A connection, and its other end.
    pub fn connect(&self, sim: &Sim) -> (ConnectionSocket, Peer) {
        accept(sim, &mut self.listen())
    }

    /// What a driver does last. Fails by a hang, which the simulator reports, if anything is open.
    pub fn end(self) {
        drop(self.provider);
        self.registration.deregister(passive());
    }
}

/// A new connection to a listener, and its other end.
pub fn accept(sim: &Sim, listener: &mut ListenSocket) -> (ConnectionSocket, Peer) {
    let peer = sim.connect(address()).expect("it listens");
    let Accepted { socket, remote, .. } = listener.accept().wait(passive()).expect("accepted");
    assert_eq!(remote, Some(peer.addresses().0));
    (socket, peer)
}

pub fn buffer(bytes: &[u8]) -> Buffer {
    let mut buffer = Buffer::with_capacity(bytes.len().max(1)).expect("memory");
    buffer.extend_from_slice(bytes).expect("it fits");
    buffer
}

/// A waker that counts.
#[derive(Default)]
pub struct Wakes(AtomicU32);

impl Wakes {
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls until ready; virtual time passes meanwhile.
pub fn block_on<F: Future>(sim: &Sim, future: F) -> F::Output {
    let wakes = Arc::new(Wakes::default());
    let mut future = pin!(future);
    loop {
        let seen = wakes.count();
        if let Poll::Ready(output) = poll(&mut future, &wakes) {
            return output;
        }
        while wakes.count() == seen {
            sim.sleep(Duration::from_millis(1));
        }
    }
}

/// Polls once.
pub fn poll<F: Future + Unpin>(future: &mut F, counter: &Arc<Wakes>) -> Poll<F::Output> {
    let waker = Waker::from(counter.clone());
    pin!(future).poll(&mut Context::from_waker(&waker))
}
