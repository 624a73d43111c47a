//! Fast mutexes, guarded mutexes, regions, in-stack queued spin locks.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "calls the exports of the kernel")]

use core::time::Duration;

use wdk_sys::ntddk::{
    ExAcquireFastMutex, ExAcquireFastMutexUnsafe, ExReleaseFastMutex, ExReleaseFastMutexUnsafe,
    ExTryToAcquireFastMutex, KeAcquireGuardedMutex, KeAcquireInStackQueuedSpinLock,
    KeAreAllApcsDisabled, KeAreApcsDisabled, KeEnterCriticalRegion, KeGetCurrentIrql,
    KeInitializeEvent, KeInitializeGuardedMutex, KeLeaveCriticalRegion, KeLeaveGuardedRegion,
    KeReleaseGuardedMutex, KeReleaseInStackQueuedSpinLock, KeTryToAcquireGuardedMutex,
};
use wdk_sys::{FAST_MUTEX, KGUARDED_MUTEX, KLOCK_QUEUE_HANDLE, KSPIN_LOCK, PVOID};
use wsk_sim::{Rule, run, seeds};

use crate::driver::{Shared, check_excludes, event, expect, point, start_thread, wait, zeroed};

/// `ExInitializeFastMutex`, which is inline in the headers.
fn initialise(mutex: &mut FAST_MUTEX) {
    mutex.Count = 1;
    // SAFETY: the mutex has its place.
    unsafe { KeInitializeEvent(&raw mut mutex.Event, 1, 0) };
}

#[expect(clippy::unnecessary_box_returns, reason = "a mutex does not move")]
fn fast_mutex() -> Box<FAST_MUTEX> {
    let mut mutex = zeroed();
    initialise(&mut mutex);
    mutex
}

fn irql() -> u8 {
    // SAFETY: there are no conditions.
    unsafe { KeGetCurrentIrql() }
}

#[test]
fn fast_mutex_contended_excludes_under_any_schedule() {
    seeds(50, |sim| {
        let mut mutex = fast_mutex();
        let shared = Shared(&raw mut *mutex);
        check_excludes(sim, move |body| {
            // SAFETY: the mutex lives until the threads have ended.
            unsafe { ExAcquireFastMutex(shared.get()) };
            assert_eq!(irql(), 1);
            body();
            // SAFETY: acquired above.
            unsafe { ExReleaseFastMutex(shared.get()) };
            assert_eq!(irql(), 0);
        });
    });
}

#[test]
fn fast_mutex_held_cannot_be_taken_by_trying() {
    seeds(20, |sim| {
        let mut mutex = fast_mutex();
        let shared = Shared(&raw mut *mutex);
        // SAFETY: initialised above.
        let take = move || unsafe { ExTryToAcquireFastMutex(shared.get()) };
        assert_eq!((take(), irql()), (1, 1));
        // SAFETY: acquired by whoever calls it.
        let release = move || unsafe { ExReleaseFastMutex(shared.get()) };
        let other = sim.spawn(move || {
            let taken = take();
            assert_eq!(taken, irql(), "APC_LEVEL exactly if it was acquired");
            if taken == 1 {
                release();
            }
        });
        point();
        release();
        other.join();
        assert_eq!(take(), 1);
        // SAFETY: acquired above.
        unsafe { ExReleaseFastMutex(shared.get()) };
    });
}

#[test]
fn fast_mutex_unsafe_within_critical_region_leaves_irql_alone() {
    run(|_| {
        let mut mutex = fast_mutex();
        // SAFETY: there are no conditions.
        unsafe { KeEnterCriticalRegion() };
        // SAFETY: initialised above.
        unsafe { ExAcquireFastMutexUnsafe(&raw mut *mutex) };
        assert_eq!(irql(), 0);
        // SAFETY: acquired above.
        unsafe { ExReleaseFastMutexUnsafe(&raw mut *mutex) };
        // SAFETY: entered above.
        unsafe { KeLeaveCriticalRegion() };
    });
}

#[test]
fn fast_mutex_acquired_twice_is_reported() {
    expect(Rule::FastMutex, "owns already", |_| {
        let mut mutex = fast_mutex();
        // SAFETY: initialised above.
        unsafe { ExAcquireFastMutex(&raw mut *mutex) };
        // SAFETY: breaks the rule: held already.
        unsafe { ExAcquireFastMutex(&raw mut *mutex) };
    });
}

#[test]
fn fast_mutex_acquired_at_dispatch_is_reported() {
    expect(Rule::Irql, "ExAcquireFastMutex", |sim| {
        let mut mutex = fast_mutex();
        // SAFETY: breaks the rule: the IRQL.
        sim.at_dispatch(|| unsafe { ExAcquireFastMutex(&raw mut *mutex) });
    });
}

#[test]
fn fast_mutex_not_initialised_is_reported() {
    expect(Rule::UninitialisedObject, "ExAcquireFastMutex", |_| {
        let mut mutex: Box<FAST_MUTEX> = zeroed();
        // SAFETY: breaks the rule: zeroes are no mutex.
        unsafe { ExAcquireFastMutex(&raw mut *mutex) };
    });
}

#[test]
fn fast_mutex_released_by_another_thread_is_reported() {
    expect(Rule::FastMutex, "does not own", |sim| {
        let mut two: Box<[FAST_MUTEX; 2]> = zeroed();
        two.iter_mut().for_each(initialise);
        let [first, second] = two.each_mut().map(|mutex| Shared(&raw mut *mutex));
        sim.spawn(move || {
            // SAFETY: initialised above.
            unsafe { ExAcquireFastMutex(first.get()) };
            wait(&raw mut *event(), None);
        });
        sim.sleep(Duration::from_secs(1));
        // SAFETY: initialised above.
        unsafe { ExAcquireFastMutex(second.get()) };
        // SAFETY: breaks the rule: the other thread holds it.
        unsafe { ExReleaseFastMutex(first.get()) };
    });
}

#[test]
fn fast_mutex_released_at_other_irql_is_reported() {
    expect(Rule::FastMutex, "called at IRQL 2", |sim| {
        let mut mutex = fast_mutex();
        // SAFETY: initialised above.
        unsafe { ExAcquireFastMutex(&raw mut *mutex) };
        // SAFETY: breaks the rule: the IRQL.
        sim.at_dispatch(|| unsafe { ExReleaseFastMutex(&raw mut *mutex) });
    });
}

#[test]
fn fast_mutex_unsafe_with_apcs_delivered_is_reported() {
    expect(Rule::FastMutex, "outside of any region", |_| {
        let mut mutex = fast_mutex();
        // SAFETY: breaks the rule: in no region, at PASSIVE_LEVEL.
        unsafe { ExAcquireFastMutexUnsafe(&raw mut *mutex) };
    });
}

#[expect(clippy::unnecessary_box_returns, reason = "a mutex does not move")]
fn guarded_mutex() -> Box<KGUARDED_MUTEX> {
    let mut mutex = zeroed();
    // SAFETY: the mutex has its place.
    unsafe { KeInitializeGuardedMutex(&raw mut *mutex) };
    mutex
}

#[test]
fn guarded_mutex_contended_excludes_and_holds_back_apcs() {
    seeds(50, |sim| {
        let mut mutex = guarded_mutex();
        let shared = Shared(&raw mut *mutex);
        check_excludes(sim, move |body| {
            // SAFETY: the mutex lives until the threads have ended.
            unsafe { KeAcquireGuardedMutex(shared.get()) };
            // SAFETY: there are no conditions.
            let (irql, held_back) = (irql(), unsafe { KeAreAllApcsDisabled() });
            assert_eq!((irql, held_back), (0, 1));
            body();
            // SAFETY: acquired above.
            unsafe { KeReleaseGuardedMutex(shared.get()) };
            // SAFETY: there are no conditions.
            assert_eq!(unsafe { KeAreApcsDisabled() }, 0);
        });
    });
}

#[test]
fn guarded_mutex_free_is_taken_by_trying() {
    run(|_| {
        let mut mutex = guarded_mutex();
        // SAFETY: initialised above.
        assert_eq!(unsafe { KeTryToAcquireGuardedMutex(&raw mut *mutex) }, 1);
        // SAFETY: acquired above.
        unsafe { KeReleaseGuardedMutex(&raw mut *mutex) };
    });
}

#[test]
fn guarded_mutex_released_without_holding_is_reported() {
    expect(Rule::FastMutex, "does not own", |_| {
        let mut mutex = guarded_mutex();
        // SAFETY: breaks the rule: not held.
        unsafe { KeReleaseGuardedMutex(&raw mut *mutex) };
    });
}

#[test]
fn region_left_without_entering_is_reported() {
    // SAFETY: breaks the rule: not entered.
    expect(Rule::Region, "KeLeaveGuardedRegion", |_| unsafe {
        KeLeaveGuardedRegion();
    });
}

#[test]
fn region_not_left_at_end_of_thread_is_reported() {
    expect(Rule::Region, "ended within 1 and 0", |_| {
        unsafe extern "C" fn start(_: PVOID) {
            // SAFETY: breaks the rule: never left.
            unsafe { KeEnterCriticalRegion() };
        }
        start_thread(start, core::ptr::null_mut());
        wait(&raw mut *event(), None);
    });
}

#[test]
fn queued_spin_lock_contended_excludes_under_any_schedule() {
    seeds(50, |sim| {
        let mut lock: Box<KSPIN_LOCK> = Box::new(0);
        let shared = Shared(&raw mut *lock);
        check_excludes(sim, move |body| {
            let mut handle: Box<KLOCK_QUEUE_HANDLE> = zeroed();
            // SAFETY: the lock lives until the threads have ended.
            unsafe { KeAcquireInStackQueuedSpinLock(shared.get(), &raw mut *handle) };
            assert_eq!(irql(), 2);
            body();
            // SAFETY: acquired above.
            unsafe { KeReleaseInStackQueuedSpinLock(&raw mut *handle) };
            assert_eq!(irql(), 0);
        });
    });
}
