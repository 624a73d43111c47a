//! Rundown protection.
//!
//! The word is the kernel's: bit 0 says that a rundown has begun, the rest counts holders in steps
//! of two.

// UNSAFETY: the word is in the driver's memory.
#![expect(
    unsafe_code,
    reason = "exports of the kernel over words in the driver's memory"
)]

use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::SeqCst;
use std::collections::HashMap;
use std::sync::Arc;

use wdk_sys::{BOOLEAN, PEX_RUNDOWN_REF, ULONG};

use super::irql::{DISPATCH, require};
use super::layout::{Header, view};
use super::object::{NOTIFICATION_EVENT, Object};
use super::wait::check_may_block;
use crate::current::current;
use crate::sched::Thread;
use crate::sim::{lock, offence};
use crate::verifier::Rule;

const ACTIVE: usize = 1;
const HOLDER: usize = 2;

/// Who waits for a rundown, by the address of the word.
#[derive(Default)]
pub(crate) struct Rundowns(HashMap<usize, Arc<Header>>);

fn acquire(me: &Arc<Thread>, word: &AtomicUsize, count: usize) -> bool {
    require(me, DISPATCH, "ExAcquireRundownProtection");
    me.sim.sched.point(me);
    let add = |value| (value & ACTIVE == 0).then_some(value + HOLDER * count);
    word.fetch_update(SeqCst, SeqCst, add).is_ok()
}

fn release(me: &Arc<Thread>, word: &AtomicUsize, count: usize) {
    require(me, DISPATCH, "ExReleaseRundownProtection");
    let address = core::ptr::from_ref(word).addr();
    let subtract = |value: usize| value.checked_sub(HOLDER * count);
    let Ok(before) = word.fetch_update(SeqCst, SeqCst, subtract) else {
        offence(
            Rule::Rundown,
            &format!("released more often than acquired, at {address:#x}"),
        );
    };
    if before - HOLDER * count == ACTIVE
        && let Some(event) = lock(&me.sim.kernel.rundowns).0.get(&address)
    {
        let object = Object::of(event);
        me.sim
            .sched
            .update(object, || object.header().state.store(1, SeqCst));
    }
    me.sim.sched.point(me);
}

fn wait(me: &Arc<Thread>, word: &AtomicUsize) {
    check_may_block(me, "ExWaitForRundownProtectionRelease");
    let address = core::ptr::from_ref(word).addr();
    let event = Arc::new(Header::new(NOTIFICATION_EVENT, size_of::<Header>(), 0));
    lock(&me.sim.kernel.rundowns)
        .0
        .insert(address, Arc::clone(&event));
    if word.fetch_or(ACTIVE, SeqCst) & !ACTIVE != 0 {
        let objects = vec![Object::of(&event)];
        me.sim.sched.wait(
            me,
            "ExWaitForRundownProtectionRelease",
            objects,
            false,
            None,
        );
    }
    lock(&me.sim.kernel.rundowns).0.remove(&address);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExInitializeRundownProtection(rundown: PEX_RUNDOWN_REF) {
    // SAFETY: the driver passes the word that is to become a rundown reference.
    let word: &AtomicUsize = unsafe { view(rundown) };
    word.store(0, SeqCst);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExReInitializeRundownProtection(rundown: PEX_RUNDOWN_REF) {
    // SAFETY: the driver passes a rundown reference that it keeps alive.
    let word: &AtomicUsize = unsafe { view(rundown) };
    if word.swap(0, SeqCst) != ACTIVE {
        offence(
            Rule::Rundown,
            &format!("initialised again before the rundown was complete, at {rundown:p}"),
        );
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExAcquireRundownProtection(rundown: PEX_RUNDOWN_REF) -> BOOLEAN {
    // SAFETY: the driver passes a rundown reference that it keeps alive.
    BOOLEAN::from(acquire(&current(), unsafe { view(rundown) }, 1))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExAcquireRundownProtectionEx(
    rundown: PEX_RUNDOWN_REF,
    count: ULONG,
) -> BOOLEAN {
    // SAFETY: the driver passes a rundown reference that it keeps alive.
    BOOLEAN::from(acquire(
        &current(),
        unsafe { view(rundown) },
        count as usize,
    ))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExReleaseRundownProtection(rundown: PEX_RUNDOWN_REF) {
    // SAFETY: the driver passes a rundown reference that it keeps alive.
    release(&current(), unsafe { view(rundown) }, 1);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExReleaseRundownProtectionEx(rundown: PEX_RUNDOWN_REF, count: ULONG) {
    // SAFETY: the driver passes a rundown reference that it keeps alive.
    release(&current(), unsafe { view(rundown) }, count as usize);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExWaitForRundownProtectionRelease(rundown: PEX_RUNDOWN_REF) {
    // SAFETY: the driver passes a rundown reference that it keeps alive.
    wait(&current(), unsafe { view(rundown) });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExRundownCompleted(rundown: PEX_RUNDOWN_REF) {
    // SAFETY: the driver passes a rundown reference that it keeps alive.
    let word: &AtomicUsize = unsafe { view(rundown) };
    word.store(ACTIVE, SeqCst);
}
