//! The scheduler's data: threads that can run, deliveries that can arrive, the clock; and the
//! choice among them.
//!
//! Everything here happens under one lock and calls no driver code. `baton` acts on the choice.

use std::collections::{BTreeMap, HashMap};
use std::mem::take;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use super::thread::Thread;
use super::wait::Wait;
use crate::current;
use crate::kernel::object::Object;
use crate::rng::{Path, Rng};
use crate::sim::{Config, Shared, lock};
use crate::verifier::DriverNumber;

/// The scheduler of one simulation.
pub(crate) struct Sched {
    /// Set when the simulation is over.
    pub(super) stopped: AtomicBool,
    /// Notified when a delivery or a thread arrives; matters in real time only.
    pub(super) news: Condvar,
    state: Mutex<State>,
}

/// What is delivered: a call of the simulator's, or a DPC of the driver's.
pub(crate) enum Work {
    Call(Box<dyn FnOnce() + Send>),
    Dpc(usize),
}

/// What is to be delivered, and the IRQL at which it runs.
pub(crate) struct Job {
    pub(crate) irql: u8,
    pub(crate) work: Work,
}

/// A delivery, for the driver that asked for it.
pub(crate) struct Delivery {
    pub(super) job: Job,
    pub(super) driver: DriverNumber,
}

/// When a timer that is set is due, and who has set it.
#[derive(Clone, Copy)]
pub(super) struct SetTimer {
    pub(super) key: (u64, u64),
    pub(super) driver: DriverNumber,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ready,
    Waiting,
    Spinning(usize),
    /// Waits for code of the test that is no part of the simulation.
    Outside,
    Exited,
}

/// What a simulated thread is for.
pub(super) enum Body {
    Call(Box<dyn FnOnce() + Send>),
    /// Carrying deliveries.
    Help,
}

pub(super) struct Slot {
    /// None once the thread has ended.
    pub(super) thread: Option<Arc<Thread>>,
    /// What it is to do, until it has begun.
    pub(super) body: Option<Body>,
    pub(super) status: Status,
    pub(super) wait: Option<Wait>,
    pub(super) delivery: Option<Delivery>,
}

pub(super) enum Timed {
    WaitTimeout(usize),
    Timer(Object),
    Delivery(Delivery),
}

pub(super) enum Choice {
    Thread(usize),
    /// Run it here, on top of the choosing thread.
    Host(Delivery),
    /// Nothing can run before news from outside, or before this time.
    Wait(Option<u64>),
    /// Nothing can ever run again.
    Hang,
    /// Too many choices.
    Livelock,
}

pub(crate) struct State {
    /// The thread that runs.
    pub(super) baton: usize,
    rng: Rng,
    pub(super) now: u64,
    /// When real time began; `None` if time is virtual.
    pub(super) began: Option<Instant>,
    pub(super) slots: Vec<Slot>,
    pub(super) ready: Vec<usize>,
    pub(super) dispatch: Vec<Delivery>,
    pub(super) passive: Vec<Delivery>,
    pub(super) timed: BTreeMap<(u64, u64), Timed>,
    pub(super) serial: u64,
    pub(super) waits: HashMap<usize, Vec<usize>>,
    pub(super) timers: HashMap<usize, SetTimer>,
    pub(super) idle_helpers: Vec<usize>,
    /// The body's thread once the body has returned: it goes on when nothing else can.
    pub(super) draining: Option<usize>,
    /// How many threads wait for code outside of the simulation.
    pub(super) outside: usize,
    /// Nothing can run: news is waited for.
    pub(super) idle: bool,
    pub(super) steps: u64,
    /// After so many steps without an end a simulation is taken to be in a live lock.
    pub(super) step_limit: u64,
    preempt_one_in: usize,
    /// How often a thread that could go on may still be made to wait.
    preemptions: u64,
}

impl Sched {
    pub(crate) fn new(config: &Config, rng: Rng) -> Self {
        Self {
            stopped: AtomicBool::new(false),
            news: Condvar::new(),
            state: Mutex::new(State {
                baton: 0,
                rng,
                now: 0,
                began: config.host_network.then(Instant::now),
                slots: Vec::new(),
                ready: Vec::new(),
                dispatch: Vec::new(),
                passive: Vec::new(),
                timed: BTreeMap::new(),
                serial: 0,
                waits: HashMap::new(),
                timers: HashMap::new(),
                idle_helpers: Vec::new(),
                draining: None,
                outside: 0,
                idle: false,
                steps: 0,
                step_limit: config.step_limit,
                preempt_one_in: config.preempt_one_in,
                preemptions: config.preemptions,
            }),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = lock(&self.state);
        state.follow_clock();
        state
    }

    /// A choice that is not about threads: how many bytes arrive, whether a request completes
    /// inline, ...
    pub(crate) fn choose_below(&self, bound: usize) -> usize {
        self.state().rng.below(bound)
    }

    /// Queues a delivery, after `delay` (100 ns units) if that is not zero.
    pub(crate) fn deliver(&self, delay: u64, job: Job) {
        let driver = current::driver();
        let delivery = Delivery { job, driver };
        let mut state = self.state();
        if delay == 0 {
            state.push(delivery);
        } else {
            let due = state.now + delay;
            state.add_timed(due, Timed::Delivery(delivery));
        }
        drop(state);
        self.news.notify_one();
    }

    /// Takes a DPC out of the queue again; false if it is not there.
    pub(crate) fn remove_dpc(&self, address: usize) -> bool {
        let mut state = self.state();
        let queued =
            |delivery: &Delivery| matches!(delivery.job.work, Work::Dpc(dpc) if dpc == address);
        let found = state.dispatch.iter().position(queued);
        found.map(|index| state.dispatch.remove(index)).is_some()
    }

    /// Takes all DPCs that wait for delivery.
    pub(crate) fn take_dpcs(&self) -> Vec<Delivery> {
        let mut state = self.state();
        let queue = std::mem::take(&mut state.dispatch);
        let (dpcs, rest) = queue
            .into_iter()
            .partition(|delivery| matches!(delivery.job.work, Work::Dpc(_)));
        state.dispatch = rest;
        dpcs
    }

    /// The threads that have not ended.
    pub(crate) fn live_threads(&self) -> Vec<Arc<Thread>> {
        self.state()
            .slots
            .iter()
            .filter_map(|slot| slot.thread.clone())
            .collect()
    }

    /// What replays the schedule so far.
    pub(crate) fn replay(&self) -> String {
        self.state().rng.replay()
    }

    /// The choices so far, if they are being explored.
    pub(crate) fn path(&self) -> Path {
        self.state().rng.path()
    }

    /// How many scheduling points and choices there were.
    pub(crate) fn steps(&self) -> u64 {
        self.state().steps
    }

    /// Who does not go on: the thread that runs, or all if none can.
    pub(crate) fn describe_unresponsive(&self) -> String {
        let state = self.state();
        if state.idle {
            let blocked = state.describe_blocked();
            return format!("nothing arrives from outside for threads that wait:\n{blocked}");
        }
        let id = state.baton;
        let thread = state.slots.get(id).and_then(|slot| slot.thread.as_ref());
        thread.map_or_else(|| format!("thread {id}"), |thread| thread.describe())
    }

    /// The timers that are set and the DPCs that wait for delivery.
    pub(crate) fn leaks(&self, driver: Option<DriverNumber>) -> Vec<String> {
        let state = self.state();
        let of = |other: DriverNumber| driver.is_none_or(|driver| driver == other);
        let set = state.timers.iter().filter(|(_, timer)| of(timer.driver));
        let mut timers: Vec<_> = set.map(|(address, _)| *address).collect();
        timers.sort_unstable();
        let queued = state.dispatch.iter().filter(|delivery| of(delivery.driver));
        let dpcs = queued.filter_map(|delivery| match delivery.job.work {
            Work::Dpc(address) => Some(format!("DPC at {address:#x} queued")),
            Work::Call(_) => None,
        });
        timers
            .iter()
            .map(|timer| format!("timer at {timer:#x} still set"))
            .chain(dpcs)
            .collect()
    }

    /// Does anyone wait for an object, or is a timer set, within the memory at `start`?
    pub(crate) fn object_in_use(&self, start: usize, length: usize) -> Option<String> {
        let state = self.state();
        let inside = |address: &&usize| (start..start + length).contains(*address);
        if let Some(address) = state.waits.keys().find(inside) {
            let waiters: Vec<_> = state.waits[address]
                .iter()
                .filter_map(|id| state.slots[*id].thread.as_ref())
                .map(|thread| thread.describe())
                .collect();
            return Some(format!(
                "object at {address:#x} for which {} waits",
                waiters.join(", ")
            ));
        }
        state
            .timers
            .keys()
            .find(inside)
            .map(|address| format!("timer at {address:#x} that is set"))
    }
}

impl State {
    /// Takes out what may refer to the simulation, at its end.
    pub(super) fn take_all(&mut self) -> impl Sized + use<> {
        let queues = [&mut self.dispatch, &mut self.passive].map(take);
        (take(&mut self.slots), queues, take(&mut self.timed))
    }

    pub(super) fn push(&mut self, delivery: Delivery) {
        if delivery.job.irql == 0 {
            &mut self.passive
        } else {
            &mut self.dispatch
        }
        .push(delivery);
    }

    pub(super) fn add_timed(&mut self, due: u64, timed: Timed) -> (u64, u64) {
        self.serial += 1;
        self.timed.insert((due, self.serial), timed);
        (due, self.serial)
    }

    pub(super) fn make_ready(&mut self, id: usize) {
        self.slots[id].status = Status::Ready;
        if !self.ready.contains(&id) {
            self.ready.push(id);
        }
    }

    pub(super) fn make_waiting(&mut self, id: usize, status: Status) {
        self.slots[id].status = status;
        self.ready.retain(|other| *other != id);
    }

    /// Counts a step; true if there were too many.
    pub(super) fn step(&mut self) -> bool {
        self.steps += 1;
        self.steps > self.step_limit
    }

    /// Shall the running thread be one of several to choose from?
    pub(super) fn may_preempt(&mut self) -> bool {
        let alone = self.ready.len() == 1 && self.dispatch.is_empty() && self.passive.is_empty();
        let one_in = self.preempt_one_in;
        !alone && self.preemptions > 0 && self.rng.one_in(one_in)
    }

    pub(super) fn count_preemption(&mut self) {
        self.preemptions -= 1;
    }

    /// Chooses what happens next. `host`: may the choosing thread carry a delivery itself?
    pub(super) fn choose(&mut self, sim: &Arc<Shared>, host: bool) -> Choice {
        loop {
            if self.step() {
                return Choice::Livelock;
            }
            self.catch_up();
            let (ready, dispatch) = (self.ready.len(), self.dispatch.len());
            let total = ready + dispatch + self.passive.len();
            if total == 0 {
                if let Some(id) = self.draining.filter(|_| self.outside == 0) {
                    return Choice::Thread(id);
                }
                if self.began.is_some() {
                    return Choice::Wait(self.next_due());
                }
                if !self.advance() {
                    return Choice::Hang;
                }
                continue;
            }
            let pick = if total == 1 { 0 } else { self.rng.below(total) };
            if pick < ready {
                return Choice::Thread(self.ready[pick]);
            }
            if pick < ready + dispatch {
                let delivery = self.dispatch.swap_remove(pick - ready);
                if host {
                    return Choice::Host(delivery);
                }
                return Choice::Thread(self.assign(sim, delivery));
            }
            let delivery = self.passive.swap_remove(pick - ready - dispatch);
            return Choice::Thread(self.assign(sim, delivery));
        }
    }

    /// The threads that cannot go on, and what each waits for.
    pub(super) fn describe_blocked(&self) -> String {
        let mut text = String::new();
        for slot in &self.slots {
            let Some(thread) = &slot.thread else { continue };
            let what = match (&slot.status, &slot.wait) {
                (Status::Waiting, Some(wait)) => wait.describe(self.now),
                (Status::Spinning(address), _) => {
                    format!("spins for the spin lock at {address:#x}")
                }
                (Status::Outside, _) => "waits in Sim::outside".to_owned(),
                _ => continue,
            };
            text.extend(["  ", &thread.describe(), " ", &what, "\n"]);
        }
        text
    }
}
