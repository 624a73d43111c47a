//! Handing the baton from thread to thread, and carrying deliveries.
//!
//! A thread of the host parks unless it holds the baton. Switching costs microseconds, so a
//! delivery at `DISPATCH_LEVEL` normally interrupts the thread at hand, as a DPC interrupts
//! whatever a processor runs; helpers take it when that thread is itself at `DISPATCH_LEVEL` (a
//! second processor), and always at `PASSIVE_LEVEL` (a system worker thread), where code may block.

use std::sync::atomic::Ordering::{Acquire, Release, SeqCst};
use std::sync::{Arc, MutexGuard};

use super::state::{Choice, Delivery, Sched, Slot, State, Status, Work};
use super::thread::{Role, Thread};
use crate::current::set_current;
use crate::kernel::{dpc, irql, region, thread as exports};
use crate::sim::Shared;
use crate::verifier::{self, Rule, Site};

impl Sched {
    /// A scheduling point: someone else may run, or a delivery arrive, before this returns.
    pub(crate) fn point(&self, me: &Arc<Thread>) {
        let mut state = self.state();
        if state.step() {
            stuck(me, state, &Choice::Livelock);
        }
        if !state.may_preempt() {
            return;
        }
        match state.choose(&me.sim, me.irql() < irql::DISPATCH) {
            Choice::Thread(id) if id == me.id => {}
            Choice::Thread(id) => {
                state.count_preemption();
                self.switch(me, state, id);
            }
            Choice::Host(delivery) => {
                state.count_preemption();
                drop(state);
                carry(me, delivery);
            }
            why @ (Choice::Hang | Choice::Livelock) => stuck(me, state, &why),
        }
    }

    /// Runs others until the caller, which is not ready, is ready again and chosen.
    pub(super) fn block<'a>(&'a self, me: &Arc<Thread>, mut state: MutexGuard<'a, State>) {
        loop {
            match state.choose(&me.sim, me.irql() < irql::DISPATCH) {
                Choice::Thread(id) if id == me.id => return,
                Choice::Thread(id) => return self.switch(me, state, id),
                Choice::Host(delivery) => {
                    state.slots[me.id].hosting = true;
                    let status = state.slots[me.id].status;
                    state.make_ready(me.id);
                    drop(state);
                    carry(me, delivery);
                    state = self.state();
                    state.end_hosting(me.id, status);
                }
                why @ (Choice::Hang | Choice::Livelock) => stuck(me, state, &why),
            }
        }
    }

    /// Blocks until the spin lock at `address` may be free.
    pub(crate) fn spin(&self, me: &Arc<Thread>, address: usize) {
        let mut state = self.state();
        state.make_waiting(me.id, Status::Spinning(address));
        self.block(me, state);
    }

    /// Lets those try again who spin for the lock at `address`.
    pub(crate) fn stop_spinning(&self, address: usize) {
        let mut state = self.state();
        let spinning: Vec<_> = (0..state.slots.len())
            .filter(|id| state.slots[*id].status == Status::Spinning(address))
            .collect();
        for id in spinning {
            state.make_ready(id);
        }
    }

    /// Lets everything run that can, without moving the clock.
    pub(crate) fn drain(&self, me: &Arc<Thread>) {
        let mut state = self.state();
        state.draining = Some(me.id);
        state.make_waiting(me.id, Status::Waiting);
        self.block(me, state);
        let mut state = self.state();
        state.draining = None;
        state.make_ready(me.id);
    }

    /// Starts a simulated thread. It runs when it is chosen.
    pub(crate) fn spawn(
        &self,
        sim: &Arc<Shared>,
        role: Role,
        name: &str,
        body: Box<dyn FnOnce() + Send>,
    ) -> Arc<Thread> {
        let site = Site::here(sim);
        let mut state = self.state();
        let thread = state.add_thread(sim, role, name, site);
        state.make_ready(thread.id);
        start(&thread, move |me| {
            me.sim.sched.park_until_chosen(me);
            exports::run(body);
            exit(me);
        });
        thread
    }

    /// Ends helpers that have nothing to do.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, SeqCst);
        let state = self.state();
        for thread in state.slots.iter().filter_map(|slot| slot.thread.as_ref()) {
            if thread.role == Role::Helper {
                thread.unpark();
            }
        }
    }

    fn switch(&self, me: &Thread, state: MutexGuard<'_, State>, to: usize) {
        self.hand_over(state, to);
        self.park_until_chosen(me);
    }

    fn hand_over(&self, state: MutexGuard<'_, State>, to: usize) {
        // ORDERING: Release publishes what this thread did to the one that sees the baton in
        // `park_until_chosen`.
        self.current.store(to, Release);
        let next = state.slots[to].thread.clone();
        drop(state);
        if let Some(next) = next {
            next.unpark();
        }
    }

    fn park_until_chosen(&self, me: &Thread) {
        // ORDERING: Acquire sees what the giver of the baton did before `hand_over`.
        while self.current.load(Acquire) != me.id {
            std::thread::park();
        }
    }
}

impl State {
    fn add_thread(&mut self, sim: &Arc<Shared>, role: Role, name: &str, site: Site) -> Arc<Thread> {
        let id = self.slots.len();
        let thread = Arc::new(Thread::new(
            Arc::clone(sim),
            id,
            role,
            name.to_owned(),
            site,
        ));
        self.slots.push(Slot {
            thread: Some(Arc::clone(&thread)),
            status: Status::Waiting,
            hosting: false,
            wait: None,
            delivery: None,
        });
        thread
    }

    /// Gives `delivery` to a helper and makes that ready.
    pub(super) fn assign(&mut self, sim: &Arc<Shared>, delivery: Delivery) -> usize {
        let id = self.idle_helpers.pop().unwrap_or_else(|| {
            let name = format!("helper {}", self.slots.len());
            let thread = self.add_thread(sim, Role::Helper, &name, Site::unknown());
            start(&thread, help);
            thread.id
        });
        self.slots[id].delivery = Some(delivery);
        self.make_ready(id);
        id
    }

    fn end_hosting(&mut self, id: usize, status: Status) {
        let slot = &mut self.slots[id];
        slot.hosting = false;
        let satisfied = slot
            .wait
            .as_ref()
            .is_some_and(|wait| wait.outcome.is_some());
        if status != Status::Ready && !satisfied {
            self.make_waiting(id, status);
        }
    }
}

/// Starts the thread of the host that carries `thread`.
fn start(thread: &Arc<Thread>, body: impl FnOnce(&Arc<Thread>) + Send + 'static) {
    let me = Arc::clone(thread);
    let spawned = std::thread::Builder::new()
        .name(thread.name.clone())
        .spawn(move || {
            set_current(Some(Arc::clone(&me)));
            body(&me);
            me.sim.sched.state().slots[me.id].thread = None;
            set_current(None);
        });
    let handle =
        spawned.expect("the host can start another thread: lower the number of parallel tests");
    let _ = thread.host.set(handle.thread().clone());
}

/// A helper's life: take a delivery, carry it, wait for the next.
fn help(me: &Arc<Thread>) {
    let sched = &me.sim.sched;
    loop {
        while sched.current.load(Acquire) != me.id {
            if sched.stopped.load(SeqCst) {
                return;
            }
            std::thread::park();
        }
        let delivery = sched.state().slots[me.id].delivery.take();
        if let Some(delivery) = delivery {
            carry(me, delivery);
        }
        let mut state = sched.state();
        state.make_waiting(me.id, Status::Waiting);
        state.idle_helpers.push(me.id);
        match state.choose(&me.sim, false) {
            Choice::Thread(id) => sched.hand_over(state, id),
            why => stuck(me, state, &why),
        }
    }
}

/// Ends a simulated thread and passes the baton on.
fn exit(me: &Arc<Thread>) {
    let sched = &me.sim.sched;
    if sched.stopped.load(SeqCst) {
        return;
    }
    exports::check_end(me);
    let mut state = sched.state();
    state.make_waiting(me.id, Status::Exited);
    state.slots[me.id].thread = None;
    me.object().header().state.store(1, SeqCst);
    state.signal(me.object());
    match state.choose(&me.sim, false) {
        Choice::Thread(id) => sched.hand_over(state, id),
        why => stuck(me, state, &why),
    }
}

/// What reports call a delivery.
const DELIVERY: &str = "a deferred routine, work item or completion";

/// Carries a delivery at its IRQL, on top of whatever `me` was doing.
pub(crate) fn carry(me: &Arc<Thread>, delivery: Delivery) {
    let Delivery { job, driver } = delivery;
    let before = me.set_irql(job.irql);
    let completions = me.completions.swap(0, SeqCst);
    let regions = region::depth(me);
    me.as_driver(driver, || match job.work {
        Work::Call(call) => call(),
        Work::Dpc(address) => dpc::run(address),
    });
    irql::check_unchanged(me, job.irql, DELIVERY);
    region::check_unchanged(me, regions, DELIVERY);
    me.completions.store(completions, SeqCst);
    me.set_irql(before);
}

/// Ends a simulation in which nothing can go on.
fn stuck(me: &Arc<Thread>, state: MutexGuard<'_, State>, why: &Choice) -> ! {
    let blocked = state.describe_blocked();
    drop(state);
    let rule = if matches!(why, Choice::Livelock) {
        Rule::Livelock
    } else {
        Rule::Hang
    };
    let mut open = me.sim.wsk.leaks(None);
    open.extend(me.sim.nmr.leaks(None));
    let open = open.join("\n  ");
    let details = format!("threads that cannot go on:\n{blocked}open in WSK and NMR:\n  {open}");
    verifier::stop(&me.sim, rule, &details)
}
