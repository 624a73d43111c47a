//! The thread of the host on which a simulation runs.
//!
//! The test's own thread only waits, so that it can give a simulation up in which a thread never
//! calls the kernel again. It keeps its worker for its next simulation, with the stacks that are
//! there already. Every test has workers of its own: what a body prints is the test's output.

use std::cell::Cell;
use std::sync::mpsc::{Sender, channel};

use crate::sched::Stacks;

type Simulation = Box<dyn FnOnce(&mut Stacks) + Send>;

thread_local! {
    static IDLE: Cell<Option<Worker>> = const { Cell::new(None) };
}

/// A thread that runs one simulation after the other.
pub(crate) struct Worker(Sender<Simulation>);

impl Worker {
    /// The one that this test's thread has kept, or a new one.
    pub(crate) fn get() -> Self {
        IDLE.take().unwrap_or_else(Self::start)
    }

    fn start() -> Self {
        let (sender, receiver) = channel::<Simulation>();
        let work = move || {
            let mut stacks = Stacks::default();
            for simulation in receiver {
                simulation(&mut stacks);
            }
        };
        let name = "wsk-sim".to_owned();
        std::thread::Builder::new()
            .name(name)
            .spawn(work)
            .expect("the host can start another thread: lower the number of parallel tests");
        Self(sender)
    }

    /// Runs a simulation as soon as the one before has ended.
    pub(crate) fn run(&self, simulation: Simulation) {
        self.0
            .send(simulation)
            .expect("a worker lives as long as somebody can send to it");
    }

    /// Keeps the worker for the next simulation. One that was not kept ends with its simulation.
    pub(crate) fn keep(self) {
        IDLE.set(Some(self));
    }
}
