//! `KeWaitForSingleObject`, `KeWaitForMultipleObjects`, `ZwWaitForSingleObject`,
//! `KeDelayExecutionThread`.

// UNSAFETY: objects, lists of them and time-outs are addresses that a driver passes.
#![expect(
    unsafe_code,
    reason = "exports of the kernel over objects in the driver's memory"
)]

use std::sync::Arc;

use wdk_sys::{
    _WAIT_TYPE, BOOLEAN, HANDLE, KPROCESSOR_MODE, KWAIT_REASON, NTSTATUS, PKWAIT_BLOCK,
    PLARGE_INTEGER, PVOID, STATUS_ABANDONED, STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS, STATUS_TIMEOUT, ULONG, WAIT_TYPE,
};

use super::irql::{APC, DISPATCH, PASSIVE, require};
use super::object::Object;
use super::time::deadline;
use crate::current::current;
use crate::sched::{Outcome, Thread};
use crate::sim::{lock, offence};
use crate::verifier::Rule;

/// `MAXIMUM_WAIT_OBJECTS` and `THREAD_WAIT_OBJECTS` of the kernel.
const MAXIMUM: usize = 64;
const WITHOUT_BLOCKS: usize = 3;

/// Checks that `me` may wait, then waits.
fn wait(
    me: &Arc<Thread>,
    function: &'static str,
    objects: Vec<Object>,
    all: bool,
    timeout: Option<i64>,
) -> NTSTATUS {
    check_may_wait(me, timeout, function);
    if let Some(object) = objects.iter().find(|object| !object.is_initialised()) {
        offence(
            Rule::UninitialisedObject,
            &format!("{function} for {}", object.describe()),
        );
    }
    let until = timeout.map(|timeout| deadline(&me.sim, timeout));
    match me.sim.sched.wait(me, function, objects, all, until) {
        Outcome::Signalled(index) => STATUS_SUCCESS + status_index(index),
        Outcome::Abandoned(index) => STATUS_ABANDONED + status_index(index),
        Outcome::Timeout => STATUS_TIMEOUT,
    }
}

/// Reports a wait with this time-out where it is forbidden.
pub(super) fn check_may_wait(me: &Thread, timeout: Option<i64>, function: &str) {
    if timeout == Some(0) {
        require(me, DISPATCH, function);
    } else {
        check_may_block(me, function);
    }
}

/// Reports a wait where blocking is forbidden.
pub(crate) fn check_may_block(me: &Thread, function: &str) {
    if me.irql() > APC {
        let details = format!("{function} would block at IRQL {}", me.irql());
        offence(Rule::BlockingAboveApc, &details);
    }
}

fn status_index(index: usize) -> NTSTATUS {
    NTSTATUS::try_from(index).unwrap_or(0)
}

/// Reads an optional time-out.
///
/// # Safety
///
/// `timeout` is null or points to a `LARGE_INTEGER`.
pub(super) unsafe fn read_timeout(timeout: PLARGE_INTEGER) -> Option<i64> {
    if timeout.is_null() {
        return None;
    }
    // SAFETY: promised by the caller; all members of the union are its 8 bytes.
    Some(unsafe { timeout.cast::<i64>().read() })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeWaitForSingleObject(
    object: PVOID,
    _reason: KWAIT_REASON,
    _mode: KPROCESSOR_MODE,
    _alertable: BOOLEAN,
    timeout: PLARGE_INTEGER,
) -> NTSTATUS {
    let me = current();
    // SAFETY: the driver keeps what it waits for alive [ddi KeWaitForSingleObject].
    let object = unsafe { Object::at(object) };
    // SAFETY: the driver passes null or a time-out.
    let timeout = unsafe { read_timeout(timeout) };
    wait(
        &me,
        "KeWaitForSingleObject",
        object.into_iter().collect(),
        false,
        timeout,
    )
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ZwWaitForSingleObject(
    handle: HANDLE,
    _alertable: BOOLEAN,
    timeout: PLARGE_INTEGER,
) -> NTSTATUS {
    let me = current();
    require(&me, PASSIVE, "ZwWaitForSingleObject");
    let found = lock(&me.sim.kernel.handles).get(handle);
    let Some(found) = found else {
        return STATUS_INVALID_HANDLE;
    };
    // `found` keeps the object alive while this waits, even if the handle is closed meanwhile.
    let Some(object) = found.waitable() else {
        return STATUS_OBJECT_TYPE_MISMATCH;
    };
    // SAFETY: the driver passes null or a time-out.
    let timeout = unsafe { read_timeout(timeout) };
    wait(&me, "ZwWaitForSingleObject", vec![object], false, timeout)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeWaitForMultipleObjects(
    count: ULONG,
    objects: *mut PVOID,
    wait_type: WAIT_TYPE,
    _reason: KWAIT_REASON,
    _mode: KPROCESSOR_MODE,
    _alertable: BOOLEAN,
    timeout: PLARGE_INTEGER,
    blocks: PKWAIT_BLOCK,
) -> NTSTATUS {
    let me = current();
    let count = count as usize;
    if count == 0 || count > MAXIMUM || (count > WITHOUT_BLOCKS && blocks.is_null()) {
        let details =
            format!("KeWaitForMultipleObjects for {count} objects, wait blocks {blocks:p}");
        offence(
            Rule::BugCheck,
            &format!("MAXIMUM_WAIT_OBJECTS_EXCEEDED: {details}"),
        );
    }
    // SAFETY: the driver passes `count` objects.
    let addresses = unsafe { core::slice::from_raw_parts(objects, count) };
    // SAFETY: the driver keeps what it waits for alive [ddi KeWaitForMultipleObjects].
    let name = |address: &PVOID| unsafe { Object::at(*address) };
    let objects = addresses.iter().filter_map(name).collect();
    // SAFETY: the driver passes null or a time-out.
    let timeout = unsafe { read_timeout(timeout) };
    let all = wait_type == _WAIT_TYPE::WaitAll;
    wait(&me, "KeWaitForMultipleObjects", objects, all, timeout)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeDelayExecutionThread(
    _mode: KPROCESSOR_MODE,
    _alertable: BOOLEAN,
    interval: PLARGE_INTEGER,
) -> NTSTATUS {
    let me = current();
    check_may_block(&me, "KeDelayExecutionThread");
    // SAFETY: the driver passes an interval.
    let interval = unsafe { read_timeout(interval) }.unwrap_or(0);
    let until = deadline(&me.sim, interval);
    me.sim.sched.wait(
        &me,
        "KeDelayExecutionThread",
        Vec::new(),
        false,
        Some(until),
    );
    STATUS_SUCCESS
}
