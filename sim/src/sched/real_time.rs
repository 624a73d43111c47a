//! Real time: waiting for what the outside does.
//!
//! With the host's network a simulation in which nothing can run is not at its end: something may
//! arrive at any moment, or become due by the real clock. Whoever has the baton waits for that. The
//! test's own blocking code runs on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use super::state::{Choice, Sched, State, Status};
use super::thread::Thread;

impl Sched {
    /// Chooses what happens next; in real time, once something can happen.
    pub(super) fn choose<'a>(
        &'a self,
        me: &Arc<Thread>,
        mut state: MutexGuard<'a, State>,
        host: bool,
    ) -> (MutexGuard<'a, State>, Choice) {
        loop {
            match state.choose(&me.sim, host) {
                Choice::Wait(until) => state = self.wait_for_news(me, state, until),
                choice => return (state, choice),
            }
        }
    }

    fn wait_for_news<'a>(
        &'a self,
        me: &Thread,
        mut state: MutexGuard<'a, State>,
        until: Option<u64>,
    ) -> MutexGuard<'a, State> {
        // Who watches has given the simulation up.
        if self.stopped.load(SeqCst) {
            drop(state);
            self.abandon(me);
        }
        state.idle = true;
        let mut state = match until {
            None => self
                .news
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
            Some(due) => {
                let limit = Duration::from_nanos(due.saturating_sub(state.now).saturating_mul(100));
                let waited = self.news.wait_timeout(state, limit);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.idle = false;
        state.follow_clock();
        state
    }

    /// Executes `call` on a thread of the host while other simulated threads go on.
    pub(crate) fn outside<T: Send>(&self, me: &Arc<Thread>, call: impl FnOnce() -> T + Send) -> T {
        let mut state = self.state();
        state.outside += 1;
        state.make_waiting(me.id, Status::Outside);
        drop(state);
        let result = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("outside".to_owned())
                .spawn_scoped(scope, || {
                    let result = catch_unwind(AssertUnwindSafe(call));
                    self.come_back(me.id);
                    result
                })
                .expect("the host can start another thread: lower the number of parallel tests");
            self.give_way(me, self.state());
            thread.join()
        });
        result
            .and_then(|result| result)
            .unwrap_or_else(|payload| resume_unwind(payload))
    }

    fn come_back(&self, id: usize) {
        let mut state = self.state();
        state.outside -= 1;
        state.make_ready(id);
        drop(state);
        self.news.notify_one();
    }
}
