//! Waiting for dispatcher objects, and what a signal does to those who wait.
//!
//! As in Windows, whoever signals an object ends the waits that it satisfies at once, on behalf of
//! the waiters: after `signal` returns the object is not touched any more and may be freed by
//! whoever was woken.

use std::sync::Arc;

use super::state::{Sched, State, Status, Timed};
use super::thread::Thread;
use crate::kernel::object::Object;
use crate::verifier::Site;

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The object with this index was signalled (0 when all were waited for).
    Signalled(usize),
    /// As above, and it is a mutex whose owner ended without releasing it.
    Abandoned(usize),
    Timeout,
}

pub(super) struct Wait {
    objects: Vec<Object>,
    all: bool,
    pub(super) outcome: Option<Outcome>,
    timeout: Option<(u64, u64)>,
    function: &'static str,
    site: Site,
}

impl Wait {
    fn try_satisfy(&self, thread: usize) -> Option<Outcome> {
        if self.all {
            if !self
                .objects
                .iter()
                .all(|object| object.is_signalled(thread))
            {
                return None;
            }
            let abandoned = self
                .objects
                .iter()
                .filter(|object| object.acquire(thread))
                .count();
            return Some(if abandoned > 0 {
                Outcome::Abandoned(0)
            } else {
                Outcome::Signalled(0)
            });
        }
        let index = self
            .objects
            .iter()
            .position(|object| object.is_signalled(thread))?;
        let abandoned = self.objects[index].acquire(thread);
        Some(if abandoned {
            Outcome::Abandoned(index)
        } else {
            Outcome::Signalled(index)
        })
    }

    pub(super) fn describe(&self, now: u64) -> String {
        let objects: Vec<_> = self
            .objects
            .iter()
            .map(|object| object.describe())
            .collect();
        let until = match self.timeout {
            Some((due, _)) => format!("{} ms more", due.saturating_sub(now) / 10_000),
            None => "without limit".to_owned(),
        };
        let objects = if objects.is_empty() {
            "nothing but time".to_owned()
        } else {
            objects.join(if self.all { " and " } else { " or " })
        };
        format!(
            "waits {until} in {} for {objects}{}",
            self.function, self.site
        )
    }
}

impl Sched {
    /// Waits until one (or all) of `objects` is signalled, at most until `deadline`. With no
    /// objects it is a delay.
    pub(crate) fn wait(
        &self,
        me: &Arc<Thread>,
        function: &'static str,
        objects: Vec<Object>,
        all: bool,
        deadline: Option<u64>,
    ) -> Outcome {
        let site = Site::here(&me.sim);
        let address = me.object().address();
        let mut state = self.state();
        let mut wait = Wait {
            objects,
            all,
            outcome: None,
            timeout: None,
            function,
            site,
        };
        let satisfied = if wait.objects.is_empty() {
            None
        } else {
            wait.try_satisfy(address)
        };
        if let Some(outcome) = satisfied {
            drop(state);
            self.point(me);
            return outcome;
        }
        if deadline.is_some_and(|deadline| deadline <= state.now) {
            drop(state);
            self.point(me);
            return Outcome::Timeout;
        }
        wait.timeout = deadline.map(|due| state.add_timed(due, Timed::WaitTimeout(me.id)));
        for object in &wait.objects {
            state.waits.entry(object.address()).or_default().push(me.id);
        }
        state.slots[me.id].wait = Some(wait);
        state.make_waiting(me.id, Status::Waiting);
        self.block(me, state);
        let wait = self.state().slots[me.id].wait.take();
        wait.and_then(|wait| wait.outcome)
            .unwrap_or(Outcome::Timeout)
    }

    /// Changes an object's state and ends the waits that this satisfies, as one step.
    pub(crate) fn update<R>(&self, object: Object, change: impl FnOnce() -> R) -> R {
        let mut state = self.state();
        let result = change();
        state.signal(object);
        result
    }
}

impl State {
    pub(super) fn signal(&mut self, object: Object) {
        let Some(waiters) = self.waits.get(&object.address()) else {
            return;
        };
        for id in waiters.clone() {
            let Some(thread) = self.slots[id].thread.clone() else {
                continue;
            };
            let address = thread.object().address();
            let Some(wait) = self.slots[id].wait.as_ref() else {
                continue;
            };
            if let Some(outcome) = wait.try_satisfy(address) {
                self.end_wait(id, outcome);
            }
        }
    }

    pub(super) fn time_out(&mut self, id: usize) {
        if let Some(wait) = self.slots[id].wait.as_mut() {
            wait.timeout = None;
        }
        self.end_wait(id, Outcome::Timeout);
    }

    fn end_wait(&mut self, id: usize, outcome: Outcome) {
        let Some(wait) = self.slots[id].wait.as_mut() else {
            return;
        };
        wait.outcome = Some(outcome);
        let (objects, timeout) = (std::mem::take(&mut wait.objects), wait.timeout.take());
        for object in objects {
            if let Some(waiters) = self.waits.get_mut(&object.address()) {
                waiters.retain(|other| *other != id);
                if waiters.is_empty() {
                    self.waits.remove(&object.address());
                }
            }
        }
        if let Some(key) = timeout {
            self.timed.remove(&key);
        }
        self.make_ready(id);
    }
}
