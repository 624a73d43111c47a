//! Threads that run freely: the host decides who goes on, and time is the host's.
//!
//! Takes the place of `crate::sched`. Deliveries go to worker threads of the provider's own, of
//! which there are as many as deliveries block at the same time. Only objects of the provider's own
//! are waited for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::current::{self, current};
use crate::kernel::object::Object;
use crate::rng::Rng;
use crate::sim::{Shared, global, lock};
use crate::verifier::DriverNumber;

/// A thread of the process that has called the provider, or carries its deliveries.
pub(crate) struct Thread {
    pub(crate) sim: Arc<Shared>,
    pub(crate) id: usize,
    irql: AtomicU8,
    /// How many completion routines are on this thread's stack.
    pub(crate) completions: AtomicU32,
}

/// What is delivered.
pub(crate) enum Work {
    Call(Box<dyn FnOnce() + Send>),
}

/// What is to be delivered, and the IRQL that callbacks are told.
pub(crate) struct Job {
    pub(crate) irql: u8,
    pub(crate) work: Work,
}

/// The scheduler of the process.
pub(crate) struct Sched {
    began: Instant,
    rng: Mutex<Rng>,
    deliveries: Mutex<Deliveries>,
    /// A delivery has come.
    pushed: Condvar,
    /// Held while the state of an object that somebody may wait for changes, or is looked at.
    objects: Mutex<()>,
    changed: Condvar,
}

#[derive(Default)]
struct Deliveries {
    due: VecDeque<Job>,
    /// By time and serial number.
    later: BTreeMap<(u64, u64), Job>,
    serial: u64,
    idle: usize,
}

impl Thread {
    pub(crate) fn new(sim: Arc<Shared>) -> Self {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        Self {
            sim,
            id: THREADS.fetch_add(1, Relaxed),
            irql: AtomicU8::new(0),
            completions: AtomicU32::new(0),
        }
    }

    pub(crate) fn irql(&self) -> u8 {
        self.irql.load(Relaxed)
    }

    pub(crate) fn set_irql(&self, irql: u8) -> u8 {
        self.irql.swap(irql, Relaxed)
    }

    /// Whose code runs is not known.
    pub(crate) fn driver(&self) -> DriverNumber {
        current::driver()
    }

    /// Makes a call into the code of a driver.
    pub(crate) fn as_driver<T>(&self, _driver: DriverNumber, call: impl FnOnce() -> T) -> T {
        call()
    }
}

impl Sched {
    pub(crate) fn new() -> Self {
        let seed = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self {
            began: Instant::now(),
            rng: Mutex::new(Rng::seeded(seed.as_secs() ^ u64::from(seed.subsec_nanos()))),
            deliveries: Mutex::default(),
            pushed: Condvar::new(),
            objects: Mutex::new(()),
            changed: Condvar::new(),
        }
    }

    /// Time since the provider began, in units of 100 ns.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos() / 100).unwrap_or(u64::MAX)
    }

    /// What happens when cannot be replayed.
    pub(crate) fn replay(&self) -> String {
        "the same driver and clients".to_owned()
    }

    /// The process ends before this is called.
    pub(crate) fn abandon(&self, _me: &Thread) -> ! {
        std::process::abort();
    }

    /// Others run anyway.
    pub(crate) fn point(&self, _me: &Arc<Thread>) {}

    /// A choice: whether a request completes inline, ...
    pub(crate) fn choose_below(&self, bound: usize) -> usize {
        lock(&self.rng).below(bound)
    }

    /// Queues a delivery, after `delay` (100 ns units) if that is not zero.
    pub(crate) fn deliver(&self, delay: u64, job: Job) {
        let mut deliveries = lock(&self.deliveries);
        if delay == 0 {
            deliveries.due.push_back(job);
        } else {
            deliveries.serial += 1;
            let key = (self.now() + delay, deliveries.serial);
            deliveries.later.insert(key, job);
        }
        if deliveries.idle >= deliveries.due.len().max(1) {
            self.pushed.notify_one();
            return;
        }
        drop(deliveries);
        std::thread::Builder::new()
            .name("wsk-sim worker".to_owned())
            .spawn(|| global().sched.work())
            .expect("the host can start another thread");
    }

    /// A worker's life.
    fn work(&self) -> ! {
        let me = current();
        let mut deliveries = lock(&self.deliveries);
        loop {
            deliveries.make_due(self.now());
            let Some(Job { irql, work }) = deliveries.due.pop_front() else {
                deliveries = self.wait_for_delivery(deliveries);
                continue;
            };
            drop(deliveries);
            me.set_irql(irql);
            let Work::Call(call) = work;
            call();
            me.set_irql(0);
            deliveries = lock(&self.deliveries);
        }
    }

    fn wait_for_delivery<'a>(
        &'a self,
        mut deliveries: MutexGuard<'a, Deliveries>,
    ) -> MutexGuard<'a, Deliveries> {
        deliveries.idle += 1;
        let next = deliveries.later.first_key_value();
        let limit = next.map(|((due, _), _)| self.until(*due));
        let mut deliveries = wait_for(&self.pushed, deliveries, limit);
        deliveries.idle -= 1;
        deliveries
    }

    fn until(&self, due: u64) -> Duration {
        Duration::from_nanos(due.saturating_sub(self.now()).saturating_mul(100))
    }

    /// Waits until one of `objects` is signalled, at most until `deadline`.
    pub(crate) fn wait(
        &self,
        _me: &Arc<Thread>,
        _function: &'static str,
        objects: Vec<Object>,
        _all: bool,
        deadline: Option<u64>,
    ) {
        let mut guard = lock(&self.objects);
        loop {
            if let Some(object) = objects.iter().find(|object| object.is_signalled(0)) {
                object.acquire(0);
                return;
            }
            if deadline.is_some_and(|deadline| deadline <= self.now()) {
                return;
            }
            let limit = deadline.map(|deadline| self.until(deadline));
            guard = wait_for(&self.changed, guard, limit);
        }
    }

    /// Changes an object's state and ends the waits that this satisfies.
    pub(crate) fn update<R>(&self, _object: Object, change: impl FnOnce() -> R) -> R {
        let guard = lock(&self.objects);
        let result = change();
        drop(guard);
        self.changed.notify_all();
        result
    }
}

impl Deliveries {
    fn make_due(&mut self, now: u64) {
        while let Some(entry) = self.later.first_entry() {
            if entry.key().0 > now {
                break;
            }
            self.due.push_back(entry.remove());
        }
    }
}

fn wait_for<'a, T>(
    condition: &Condvar,
    guard: MutexGuard<'a, T>,
    limit: Option<Duration>,
) -> MutexGuard<'a, T> {
    match limit {
        None => condition
            .wait(guard)
            .unwrap_or_else(PoisonError::into_inner),
        Some(limit) => {
            let waited = condition.wait_timeout(guard, limit);
            waited.unwrap_or_else(PoisonError::into_inner).0
        }
    }
}
