//! Readiness: one thread of the host for each simulation waits for all its sockets, and has what
//! happens told on a simulated thread.

use std::io::{self, ErrorKind};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;

use mio::event::Source;
use mio::{Events, Interest, Poll, Registry, Token, Waker};

use crate::current::current;
use crate::kernel::irql::DISPATCH;
use crate::sched::{Job, Work};
use crate::sim::{Shared, lock};

/// The token by which the thread is woken to end; no socket has it.
const END: Token = Token(usize::MAX);
/// How many sockets' news are taken at a time.
const EVENTS: usize = 1024;

/// The thread that waits for readiness.
pub(super) struct Poller {
    waker: Waker,
    ended: Arc<AtomicBool>,
    /// Until it is started.
    poll: Mutex<Option<Poll>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Poller {
    pub(super) fn new() -> io::Result<(Self, Registry)> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let poller = Self {
            waker: Waker::new(poll.registry(), END)?,
            ended: Arc::default(),
            poll: Mutex::new(Some(poll)),
            thread: Mutex::default(),
        };
        Ok((poller, registry))
    }

    pub(super) fn start(&self, sim: &Arc<Shared>) {
        let Some(poll) = lock(&self.poll).take() else {
            return;
        };
        let (sim, ended) = (Arc::downgrade(sim), Arc::clone(&self.ended));
        let thread = std::thread::Builder::new()
            .name("poller".to_owned())
            .spawn(move || run(poll, &sim, &ended))
            .expect("the host can start another thread: lower the number of parallel tests");
        *lock(&self.thread) = Some(thread);
    }

    /// Ends the thread, and waits for that.
    pub(super) fn end(&self) {
        self.ended.store(true, SeqCst);
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread
            && self.waker.wake().is_ok()
        {
            // It reports its own panic.
            let _ = thread.join();
        }
    }
}

fn run(mut poll: Poll, sim: &Weak<Shared>, ended: &AtomicBool) {
    let mut events = Events::with_capacity(EVENTS);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result.expect("the host tells which sockets are ready"),
        }
        let Some(sim) = sim.upgrade().filter(|_| !ended.load(SeqCst)) else {
            return;
        };
        for event in &events {
            if event.token() != END {
                tell_later(&sim, event.token().0);
            }
        }
    }
}

/// Has the watcher of a binding or endpoint called on a simulated thread.
pub(super) fn tell_later(sim: &Shared, id: usize) {
    let tell = move || {
        if let Some(net) = current().sim.net.host() {
            net.tell(id);
        }
    };
    let job = Job {
        irql: DISPATCH,
        work: Work::Call(Box::new(tell)),
    };
    sim.sched.deliver(0, job);
}

/// A socket whose readiness is waited for: always for what arrives, for room only after a send has
/// found none, because there is nearly always room.
pub(super) struct Watched<S> {
    pub(super) socket: S,
    id: usize,
    wants_room: bool,
}

impl<S: Source> Watched<S> {
    pub(super) fn new(registry: &Registry, id: usize, socket: S) -> io::Result<Self> {
        let mut socket = socket;
        registry.register(&mut socket, Token(id), Interest::READABLE)?;
        Ok(Self {
            socket,
            id,
            wants_room: false,
        })
    }

    /// From now on, or no more, room is news as well.
    pub(super) fn want_room(&mut self, registry: &Registry, wanted: bool) {
        if !wanted && !self.wants_room {
            return;
        }
        self.wants_room = wanted;
        let interest = if wanted {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        registry
            .reregister(&mut self.socket, Token(self.id), interest)
            .expect("a socket that is registered can be registered anew");
    }
}
