//! Handing the baton from thread to thread, and carrying deliveries.
//!
//! `run` lets the thread run that has the baton. A thread that gives it away suspends itself; the
//! loop then goes on with the one that has it. A delivery at `DISPATCH_LEVEL` normally interrupts
//! the thread at hand, as a DPC interrupts whatever a processor runs; helpers take it when that
//! thread is itself at `DISPATCH_LEVEL` (a second processor), and always at `PASSIVE_LEVEL` (a
//! system worker thread), where code may block.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, MutexGuard};

use super::fiber::{Fiber, Stacks};
use super::state::{Body, Choice, Delivery, Sched, Slot, State, Status, Work};
use super::thread::{Role, Thread};
use crate::current::set_current;
use crate::kernel::{dpc, irql, region, thread as exports};
use crate::sim::{Failure, Shared};
use crate::verifier::{self, Rule, Site};

impl Sched {
    /// A scheduling point: someone else may run, or a delivery arrive, before this returns.
    pub(crate) fn point(&self, me: &Arc<Thread>) {
        let mut state = self.state();
        if state.step() {
            stuck(me, state, &Choice::Livelock);
        }
        state.catch_up();
        if !state.may_preempt() {
            return;
        }
        match state.choose(&me.sim, me.irql() < irql::DISPATCH) {
            Choice::Thread(id) if id == me.id => {}
            Choice::Thread(id) => {
                state.count_preemption();
                switch(me, state, id);
            }
            Choice::Host(delivery) => {
                state.count_preemption();
                drop(state);
                carry(me, delivery);
            }
            why => stuck(me, state, &why),
        }
    }

    /// Runs others until the caller, which is not ready, is ready again and chosen.
    pub(super) fn block<'a>(&'a self, me: &Arc<Thread>, mut state: MutexGuard<'a, State>) {
        loop {
            let (now, choice) = self.choose(me, state, me.irql() < irql::DISPATCH);
            state = now;
            match choice {
                Choice::Thread(id) if id == me.id => return,
                Choice::Thread(id) => return switch(me, state, id),
                Choice::Host(delivery) => {
                    let status = state.slots[me.id].status;
                    state.make_ready(me.id);
                    drop(state);
                    carry(me, delivery);
                    state = self.state();
                    state.end_hosting(me.id, status);
                }
                why => stuck(me, state, &why),
            }
        }
    }

    /// Runs others until the caller is chosen. It carries no deliveries meanwhile.
    pub(super) fn give_way(&self, me: &Arc<Thread>, state: MutexGuard<'_, State>) {
        match self.choose(me, state, false) {
            (_, Choice::Thread(id)) if id == me.id => {}
            (state, Choice::Thread(id)) => switch(me, state, id),
            (state, why) => stuck(me, state, &why),
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
        let thread = state.add_thread(sim, role, name, site, Body::Call(body));
        state.make_ready(thread.id);
        thread
    }

    /// Runs a simulation to its end. The first thread that was spawned has the baton.
    pub(crate) fn run(&self, stacks: &mut Stacks) {
        let mut fibers = Vec::new();
        while !self.is_stopped() {
            let state = self.state();
            let next = state.baton;
            resume(state, next, &mut fibers, stacks);
        }
        // Helpers that wait for work have nothing on their stacks that anybody misses.
        let idle = std::mem::take(&mut self.state().idle_helpers);
        for helper in idle {
            resume(self.state(), helper, &mut fibers, stacks);
        }
        fibers.into_iter().flatten().for_each(Fiber::abandon);
        set_current(None);
        // Threads and deliveries keep the simulation that keeps them.
        let left = self.state().take_all();
        drop(left);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(SeqCst)
    }

    /// Ends the simulation: no thread runs on once it has given control back.
    pub(crate) fn stop(&self) {
        let state = self.state();
        self.stopped.store(true, SeqCst);
        drop(state);
        self.news.notify_one();
    }

    /// Ends the calling thread for good, in the middle of whatever it does.
    pub(crate) fn abandon(&self, me: &Thread) -> ! {
        self.stop();
        loop {
            me.exit.suspend();
        }
    }
}

/// Lets one thread run until it gives the baton away.
fn resume(
    mut state: MutexGuard<'_, State>,
    id: usize,
    fibers: &mut Vec<Option<Fiber>>,
    stacks: &mut Stacks,
) {
    let slot = &mut state.slots[id];
    let (thread, body) = (slot.thread.clone(), slot.body.take());
    drop(state);
    fibers.resize_with(fibers.len().max(id + 1), || None);
    if let (Some(thread), Some(body)) = (&thread, body) {
        let thread = Arc::clone(thread);
        fibers[id] = Some(Fiber::new(stacks, thread, |me| live(me, body)));
    }
    set_current(thread);
    let ended = fibers[id].as_mut().is_some_and(Fiber::resume);
    if ended && let Some(fiber) = fibers[id].take() {
        fiber.recycle(stacks);
    }
}

/// Gives the baton away until it comes back.
fn switch(me: &Thread, mut state: MutexGuard<'_, State>, to: usize) {
    state.baton = to;
    drop(state);
    me.exit.suspend();
}

impl State {
    fn add_thread(
        &mut self,
        sim: &Arc<Shared>,
        role: Role,
        name: &str,
        site: Site,
        body: Body,
    ) -> Arc<Thread> {
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
            body: Some(body),
            status: Status::Waiting,
            wait: None,
            delivery: None,
        });
        thread
    }

    /// Gives `delivery` to a helper and makes that ready.
    pub(super) fn assign(&mut self, sim: &Arc<Shared>, delivery: Delivery) -> usize {
        let id = self.idle_helpers.pop().unwrap_or_else(|| {
            let name = format!("helper {}", self.slots.len());
            let thread = self.add_thread(sim, Role::Helper, &name, Site::unknown(), Body::Help);
            thread.id
        });
        self.slots[id].delivery = Some(delivery);
        self.make_ready(id);
        id
    }

    fn end_hosting(&mut self, id: usize, status: Status) {
        let satisfied = self.slots[id]
            .wait
            .as_ref()
            .is_some_and(|wait| wait.outcome.is_some());
        if status != Status::Ready && !satisfied {
            self.make_waiting(id, status);
        }
    }
}

/// A simulated thread's life. Nothing may unwind out of it: below are frames of another kind.
fn live(me: &Arc<Thread>, body: Body) {
    let life = || match body {
        Body::Call(call) => {
            exports::run(me, call);
            exit(me);
        }
        Body::Help => help(me),
    };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(life)) {
        me.sim.finish(Err(Failure::Panic(payload)));
    }
}

/// A helper's life: take a delivery, carry it, wait for the next.
fn help(me: &Arc<Thread>) {
    let sched = &me.sim.sched;
    while !sched.is_stopped() {
        let delivery = sched.state().slots[me.id].delivery.take();
        if let Some(delivery) = delivery {
            carry(me, delivery);
        }
        let mut state = sched.state();
        state.make_waiting(me.id, Status::Waiting);
        state.idle_helpers.push(me.id);
        sched.give_way(me, state);
    }
}

/// Ends a simulated thread and passes the baton on.
fn exit(me: &Arc<Thread>) {
    let sched = &me.sim.sched;
    if sched.is_stopped() {
        return;
    }
    exports::check_end(me);
    let mut state = sched.state();
    state.make_waiting(me.id, Status::Exited);
    state.slots[me.id].thread = None;
    me.object().header().state.store(1, SeqCst);
    state.signal(me.object());
    match sched.choose(me, state, false) {
        (mut state, Choice::Thread(id)) => state.baton = id,
        (state, why) => stuck(me, state, &why),
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
