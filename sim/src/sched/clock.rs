//! What time it is, and what is due.
//!
//! Virtual time moves when nothing can run; real time moves by itself, and what is due happens when
//! somebody looks.

use super::state::{Sched, State, Timed};

impl Sched {
    /// Time since the simulation began, virtual or real, in units of 100 ns.
    pub(crate) fn now(&self) -> u64 {
        self.state().now
    }

    pub(crate) fn is_real_time(&self) -> bool {
        self.state().began.is_some()
    }

    /// Moves the clock a little: whoever asks for the time in a loop sees it pass.
    pub(crate) fn tick(&self) -> u64 {
        let mut state = self.state();
        state.now += 1;
        state.now
    }

    /// Nothing can run now, but something is due later.
    pub(crate) fn is_waiting_for_time(&self) -> bool {
        let state = self.state();
        state.idle && !state.timed.is_empty()
    }
}

impl State {
    pub(super) fn next_due(&self) -> Option<u64> {
        self.timed.first_key_value().map(|((due, _), _)| *due)
    }

    /// Moves the clock to the next thing that is due; false if there is none.
    pub(super) fn advance(&mut self) -> bool {
        let Some(due) = self.next_due() else {
            return false;
        };
        self.now = self.now.max(due);
        self.catch_up();
        true
    }

    /// Sets the clock, if it is to show real time.
    pub(super) fn follow_clock(&mut self) {
        if let Some(began) = self.began {
            let elapsed = u64::try_from(began.elapsed().as_nanos() / 100).unwrap_or(u64::MAX);
            self.now = self.now.max(elapsed);
        }
    }

    /// Lets happen what is due.
    pub(super) fn catch_up(&mut self) {
        while let Some(entry) = self.timed.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            match entry.remove() {
                Timed::WaitTimeout(id) => self.time_out(id),
                Timed::Timer(timer) => self.expire(timer),
                Timed::Delivery(delivery) => self.push(delivery),
            }
        }
    }
}
