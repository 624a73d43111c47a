//! Kernel timers on the virtual clock.
//!
//! Called by the exports `KeSetTimer` and `KeCancelTimer`, and by the clock when a timer is due. A
//! timer's state lives in the driver's memory; here is only when it is due.

// UNSAFETY: a set timer is looked at when it is due, long after the call that set it.
#![expect(unsafe_code, reason = "views of timers in the driver's memory")]

use core::sync::atomic::Ordering::SeqCst;

use super::state::{Delivery, Job, Sched, SetTimer, State, Timed, Work};
use crate::current;
use crate::kernel::dpc;
use crate::kernel::layout::{Timer, view};
use crate::kernel::object::Object;
use crate::verifier::DriverNumber;

impl Sched {
    /// Sets `timer`; true if it was set already.
    pub(crate) fn set_timer(&self, timer: Object, due: u64) -> bool {
        let mut state = self.state();
        let was_set = state.cancel_timer(timer);
        timer.header().state.store(0, SeqCst);
        state.arm(timer, due, current::driver());
        was_set
    }

    /// Cancels `timer`; true if it was set.
    pub(crate) fn cancel_timer(&self, timer: Object) -> bool {
        self.state().cancel_timer(timer)
    }
}

impl State {
    fn arm(&mut self, timer: Object, due: u64, driver: DriverNumber) {
        let key = self.add_timed(due, Timed::Timer(timer));
        let set = SetTimer { key, driver };
        self.timers.insert(timer.address(), set);
        timer.header().inserted.store(1, SeqCst);
    }

    fn cancel_timer(&mut self, timer: Object) -> bool {
        let Some(set) = self.timers.remove(&timer.address()) else {
            return false;
        };
        self.timed.remove(&set.key);
        timer.header().inserted.store(0, SeqCst);
        true
    }

    pub(super) fn expire(&mut self, object: Object) {
        let set = self.timers.remove(&object.address());
        let driver = set.map_or(0, |set| set.driver);
        object.header().inserted.store(0, SeqCst);
        object.header().state.store(1, SeqCst);
        // SAFETY: only set timers are here, and the verifier reports the freeing of one [ddi
        // KeSetTimer].
        let timer: &Timer = unsafe { view(core::ptr::from_ref(object.header()).cast_mut()) };
        let period = timer.period.load(SeqCst);
        if period != 0 {
            let due = self.now + u64::from(period) * 10_000;
            self.arm(object, due, driver);
        }
        let dpc = timer.dpc.load(SeqCst);
        if !dpc.is_null() && dpc::mark_queued(dpc) {
            let job = Job {
                irql: 2,
                work: Work::Dpc(dpc.addr()),
            };
            self.push(Delivery { job, driver });
        }
        self.signal(object);
    }
}
