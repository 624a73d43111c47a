//! Critical and guarded regions: where APCs are not delivered to a thread.
//!
//! There are no APCs here. What is kept is how deep in regions each thread is, because functions
//! ask for it, and because a region that is never left disturbs whoever runs on the thread next.

// UNSAFETY: the exports have the kernel's names, which the linker must see.
#![expect(unsafe_code, reason = "exports of the kernel")]

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;

use wdk_sys::BOOLEAN;

use super::irql::{APC, require};
use crate::current::current;
use crate::sched::Thread;
use crate::sim::offence;
use crate::verifier::Rule;

/// How deep a thread is in regions of each kind.
#[derive(Debug, Default)]
pub(crate) struct Regions {
    /// Normal kernel APCs are held back.
    critical: AtomicU32,
    /// All APCs are held back.
    guarded: AtomicU32,
}

/// Are normal kernel APCs held back from `me`?
pub(super) fn holds_back_apcs(me: &Thread) -> bool {
    me.regions.critical.load(SeqCst) > 0 || holds_back_all_apcs(me)
}

fn holds_back_all_apcs(me: &Thread) -> bool {
    me.regions.guarded.load(SeqCst) > 0 || me.irql() >= APC
}

/// Enters a guarded region.
pub(super) fn enter_guarded(me: &Thread) {
    me.regions.guarded.fetch_add(1, SeqCst);
}

/// Leaves a guarded region.
pub(super) fn leave_guarded(me: &Thread, function: &str) {
    leave(me, &me.regions.guarded, function);
}

fn leave(me: &Thread, depth: &AtomicU32, function: &str) {
    if depth.load(SeqCst) == 0 {
        let details = format!("{function} by {}, which is in none", me.describe());
        offence(Rule::Region, &details);
    }
    depth.fetch_sub(1, SeqCst);
}

/// How deep `me` is in critical and in guarded regions.
pub(crate) fn depth(me: &Thread) -> (u32, u32) {
    let regions = &me.regions;
    (regions.critical.load(SeqCst), regions.guarded.load(SeqCst))
}

/// Reports a thread, or a callback on it, that ends in more or fewer regions than it began in.
pub(crate) fn check_unchanged(me: &Thread, before: (u32, u32), what: &str) {
    let after = depth(me);
    if after != before {
        let details = format!(
            "{what} began within {} critical and {} guarded regions and ended within {} and {}",
            before.0, before.1, after.0, after.1
        );
        offence(Rule::Region, &details);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeEnterCriticalRegion() {
    let me = current();
    require(&me, APC, "KeEnterCriticalRegion");
    me.regions.critical.fetch_add(1, SeqCst);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeLeaveCriticalRegion() {
    let me = current();
    require(&me, APC, "KeLeaveCriticalRegion");
    leave(&me, &me.regions.critical, "KeLeaveCriticalRegion");
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeEnterGuardedRegion() {
    let me = current();
    require(&me, APC, "KeEnterGuardedRegion");
    enter_guarded(&me);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeLeaveGuardedRegion() {
    let me = current();
    require(&me, APC, "KeLeaveGuardedRegion");
    leave_guarded(&me, "KeLeaveGuardedRegion");
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeAreApcsDisabled() -> BOOLEAN {
    BOOLEAN::from(holds_back_apcs(&current()))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeAreAllApcsDisabled() -> BOOLEAN {
    BOOLEAN::from(holds_back_all_apcs(&current()))
}
