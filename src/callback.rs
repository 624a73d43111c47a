//! Which threads are inside a callback of WSK's, so that nothing waits there.
//!
//! A callback must not wait for any request, at whatever IRQL it runs [wsk 1.3]: it might wait for
//! its own end, as closing its socket and disabling its event do [wsk 6.5, 10.2]. Above
//! PASSIVE_LEVEL nobody can wait anyway. At PASSIVE_LEVEL, the thread stands here while the
//! callback runs, and there is no [`Passive`](crate::Passive) for it.
//!
//! A thread asks about nobody but itself, so that no lock is needed: whatever the others do, its
//! own marks are there. A DPC that interrupts the thread is above PASSIVE_LEVEL, and is not asked.

use core::{
    ptr::null_mut,
    sync::atomic::{AtomicPtr, Ordering},
};

use wsk_sys::{KeGetCurrentThread, wdk_sys::_KTHREAD};

/// How many callbacks can be marked at the same time. Each keeps a thread busy, and does not take
/// long; one more goes unmarked, and works as well.
const PLACES: usize = 256;

/// The threads inside callbacks, one place for each callback; null where there is none.
static THREADS: [AtomicPtr<_KTHREAD>; PLACES] = [const { AtomicPtr::new(null_mut()) }; PLACES];

/// The mark of a callback that runs.
#[derive(Debug)]
pub(crate) struct Mark(Option<&'static AtomicPtr<_KTHREAD>>);

impl Mark {
    /// Marks the current thread until this is dropped, on the same thread, if a callback could wait
    /// there.
    pub(crate) fn set(can_wait: bool) -> Self {
        Self(can_wait.then(take_place).flatten())
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if let Some(place) = self.0 {
            // ORDERING: Relaxed: nobody but this thread looks for the value; a place is nothing
            // else.
            place.store(null_mut(), Ordering::Relaxed);
        }
    }
}

/// A place, with the current thread in it; none if all are taken.
fn take_place() -> Option<&'static AtomicPtr<_KTHREAD>> {
    let thread = KeGetCurrentThread();
    // Threads are large: these bits differ.
    let first = (thread.addr() >> 8) % PLACES;
    let (later, sooner) = (THREADS[first..].iter(), THREADS[..first].iter());
    later.chain(sooner).find(|place| {
        // ORDERING: Relaxed: as above.
        let taken =
            place.compare_exchange(null_mut(), thread, Ordering::Relaxed, Ordering::Relaxed);
        taken.is_ok()
    })
}

/// Whether the current thread is inside a callback. IRQL: PASSIVE_LEVEL.
pub(crate) fn is_running_here() -> bool {
    let thread = KeGetCurrentThread();
    // ORDERING: Relaxed: a thread sees its own stores; what others store is never this value.
    let is_own = |place: &AtomicPtr<_KTHREAD>| place.load(Ordering::Relaxed) == thread;
    THREADS.iter().any(is_own)
}
