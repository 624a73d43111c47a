//! One simulation: everything that belongs to it, how a test runs in it, and how it ends.
//!
//! `Shared` is what the exports find through the current thread. `Sim` is the handle that a test's
//! body gets. The body runs on a simulated thread of its own, so that an offence, which can never
//! return to the code that committed it, still ends the simulation.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::current::current;
use crate::faults::{Fault, Faults};
use crate::kernel::{Kernel, exports};
use crate::leaks;
use crate::net::Net;
use crate::nmr::Nmr;
use crate::rng::Rng;
use crate::sched::{Role, Sched, Stacks};
use crate::verifier::{self, Report, Rule};
use crate::wsk::{self, Windows, Wsk};

/// How one simulation is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Config {
    pub(crate) seed: u64,
    pub(crate) preempt_one_in: usize,
    pub(crate) preemptions: u64,
    pub(crate) backtraces: bool,
    pub(crate) fault: Option<(Fault, u64)>,
    pub(crate) inline_only: bool,
    pub(crate) windows: Windows,
    pub(crate) host_network: bool,
    /// One datagram in so many is lost, or arrives twice; 0: none.
    pub(crate) lose_datagrams_one_in: usize,
    pub(crate) duplicate_datagrams_one_in: usize,
    /// Real time without a kernel call after which a simulation is given up.
    pub(crate) unresponsive_after: Duration,
    pub(crate) step_limit: u64,
    pub(crate) tolerated: Option<Rule>,
}

/// Why a simulation ended badly.
pub(crate) enum Failure {
    Offence(Report),
    Panic(Box<dyn Any + Send>),
}

type Outcome = Result<(), Failure>;

/// Everything that belongs to one simulation.
pub(crate) struct Shared {
    pub(crate) seed: u64,
    pub(crate) backtraces: bool,
    pub(crate) sched: Sched,
    pub(crate) faults: Faults,
    pub(crate) kernel: Kernel,
    pub(crate) net: Net,
    pub(crate) wsk: Wsk,
    pub(crate) nmr: Nmr,
    /// The rule that modules of the test's own may break.
    pub(crate) tolerated: Option<Rule>,
    outcome: Mutex<Option<Outcome>>,
}

/// A running simulation, as the body of a test sees it.
#[derive(Clone)]
pub struct Sim(pub(crate) Arc<Shared>);

impl Shared {
    fn new(config: Config, rng: Rng) -> Self {
        Self {
            seed: config.seed,
            backtraces: config.backtraces,
            sched: Sched::new(&config, rng),
            faults: Faults::new(config.fault),
            kernel: Kernel::default(),
            net: Net::new(&config),
            wsk: Wsk::new(config.inline_only, config.windows),
            nmr: Nmr::new(wsk::ON_DEMAND),
            tolerated: config.tolerated,
            outcome: Mutex::default(),
        }
    }

    /// Gives a simulation up in which nothing happens any more, and says why.
    pub(crate) fn give_up(&self) -> Report {
        let report = Report {
            rule: Rule::Unresponsive,
            details: self.sched.describe_unresponsive(),
            replay: self.sched.replay(),
        };
        self.finish(Err(Failure::Offence(report.clone())));
        self.net.end();
        report
    }

    /// Says how the simulation ended. Only the first word counts.
    pub(crate) fn finish(&self, outcome: Outcome) {
        self.sched.stop();
        lock(&self.outcome).get_or_insert(outcome);
    }
}

impl Sim {
    /// The seed of this simulation's schedule; 0 where all schedules are explored.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// How many allocations were asked for since the simulation began, granted or not: everything
    /// that [`Fault::Allocation`] can make fail.
    #[must_use]
    pub fn allocations(&self) -> u64 {
        self.0.faults.count(Fault::Allocation)
    }

    /// Time since the simulation began: virtual, or real with the host's network.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.0.sched.now() * 100)
    }

    /// Runs `body` on another simulated thread, at `PASSIVE_LEVEL`.
    ///
    /// The thread must end before the test does; wait for what it does by an event, or with
    /// [`Task::join`].
    pub fn spawn<T: Send + 'static>(&self, body: impl FnOnce() -> T + Send + 'static) -> Task<T> {
        let result = Arc::new(Mutex::new(None));
        let (slot, sim) = (Arc::clone(&result), Arc::clone(&self.0));
        let thread = self.0.sched.spawn(
            &self.0,
            Role::Test,
            "test task",
            Box::new(move || match catch_unwind(AssertUnwindSafe(body)) {
                Ok(value) => *lock(&slot) = Some(value),
                Err(payload) => sim.finish(Err(Failure::Panic(payload))),
            }),
        );
        Task { thread, result }
    }

    /// Runs `body` at `DISPATCH_LEVEL` on the calling simulated thread.
    pub fn at_dispatch<T>(&self, body: impl FnOnce() -> T) -> T {
        let me = current();
        let before = me.set_irql(crate::kernel::irql::DISPATCH);
        let value = body();
        crate::kernel::irql::check_unchanged(
            &me,
            crate::kernel::irql::DISPATCH,
            "the body of at_dispatch",
        );
        me.set_irql(before);
        self.0.sched.point(&me);
        value
    }

    /// Lets time pass on the calling simulated thread.
    pub fn sleep(&self, time: Duration) {
        let me = current();
        let units = u64::try_from(time.as_nanos() / 100).unwrap_or(u64::MAX / 2);
        let deadline = self.0.sched.now() + units;
        self.0
            .sched
            .wait(&me, "Sim::sleep", Vec::new(), false, Some(deadline));
    }

    /// Executes ordinary blocking code of the test, such as a client on `std::net`, on a thread of
    /// its own, and waits for it while the other simulated threads go on. The kernel cannot be
    /// called in it.
    ///
    /// # Panics
    ///
    /// Without [`Builder::host_network`](crate::Builder::host_network): virtual time would not wait
    /// for it. And if `body` panics.
    pub fn outside<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        assert!(
            self.0.sched.is_real_time(),
            "Sim::outside needs real time: use wsk_sim::builder().host_network()"
        );
        self.0.sched.outside(&current(), body)
    }
}

/// A simulated thread started with [`Sim::spawn`].
pub struct Task<T> {
    thread: Arc<crate::sched::Thread>,
    result: Arc<Mutex<Option<T>>>,
}

impl<T> Task<T> {
    /// Waits, in virtual time, for the thread's end and returns its result.
    ///
    /// # Panics
    ///
    /// Never in practice: a thread that panics ends the simulation.
    #[expect(
        clippy::must_use_candidate,
        reason = "a task is often joined for its end only"
    )]
    pub fn join(self) -> T {
        let me = current();
        me.sim
            .sched
            .wait(&me, "Task::join", vec![self.thread.object()], false, None);
        lock(&self.result)
            .take()
            .expect("a task that ended has left its result")
    }
}

/// Runs simulations one after the other, on the thread where it is: a worker.
#[derive(Default)]
pub(crate) struct Host {
    stacks: Stacks,
    /// The simulation that runs, for who watches.
    pub(crate) running: Arc<Mutex<Option<Arc<Shared>>>>,
}

impl Host {
    /// Runs one simulation to its end.
    pub(crate) fn simulate<T: Send + 'static>(
        &mut self,
        config: Config,
        rng: Rng,
        body: impl FnOnce(&Sim) -> T + Send + 'static,
    ) -> (Result<T, Failure>, Arc<Shared>) {
        assert!(exports::link(), "the exports are part of this program");
        let shared = Arc::new(Shared::new(config, rng));
        *lock(&self.running) = Some(Arc::clone(&shared));
        let value = Arc::new(Mutex::new(None));
        let (slot, sim) = (Arc::clone(&value), Sim(Arc::clone(&shared)));
        let job = move || match catch_unwind(AssertUnwindSafe(|| body(&sim))) {
            Ok(value) => {
                sim.0.sched.drain(&current());
                leaks::check(&sim.0);
                *lock(&slot) = Some(value);
                sim.0.finish(Ok(()));
            }
            Err(payload) => sim.0.finish(Err(Failure::Panic(payload))),
        };
        let sched = &shared.sched;
        sched.spawn(&shared, Role::Test, "test body", Box::new(job));
        shared.net.start(&shared);
        sched.run(&mut self.stacks);
        shared.net.end();
        *lock(&self.running) = None;
        let outcome = lock(&shared.outcome).take();
        let outcome = outcome.expect("a simulation says how it ended");
        let result = outcome.map(|()| lock(&value).take().expect("a body leaves its value"));
        (result, shared)
    }
}

/// Locks without caring for poison: a simulation in which a thread panicked is over anyway.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the simulation with a report about the calling thread's doing.
pub(crate) fn offence(rule: Rule, details: &str) -> ! {
    verifier::stop(&current().sim, rule, details)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use crate::run;

    #[test]
    fn simulation_that_has_ended_is_gone() {
        let simulation = run(|sim| {
            let (server, address) = (sim.clone(), "127.0.0.1:7".parse().expect("an address"));
            let listener = sim.listen(address).expect("the address is free");
            let client = sim.spawn(move || server.connect(address).expect("somebody listens"));
            let accepted = listener.accept();
            client.join().write_all(b"hello").expect("connected");
            sim.sleep(Duration::from_secs(1));
            drop(accepted);
            Arc::downgrade(&sim.0)
        });
        assert!(simulation.upgrade().is_none(), "something refers to it");
    }
}
