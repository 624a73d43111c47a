//! System threads.
//!
//! A driver's thread may end by returning or by `PsTerminateSystemThread`, which leaves its frames
//! behind without running destructors, as on Windows; the C file does that jump.

// UNSAFETY: a start routine is a function of the driver's; ending a thread is a jump in C.
#![expect(
    unsafe_code,
    reason = "exports of the kernel that call the driver's routines, and C"
)]

use core::ffi::c_void;
use core::sync::atomic::Ordering::SeqCst;
use std::sync::Arc;

use wdk_sys::{
    HANDLE, KPRIORITY, NTSTATUS, PCLIENT_ID, PEPROCESS, PETHREAD, PHANDLE, PKSTART_ROUTINE,
    PKTHREAD, POBJECT_ATTRIBUTES, PVOID, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER,
    STATUS_SUCCESS, ULONG,
};

use super::handle::HandleObject;
use super::irql::{APC, PASSIVE, require};
use super::layout::Header;
use super::object::PROCESS;
use super::region;
use crate::current::current;
use crate::faults::Fault;
use crate::sched::{Role, Thread};
use crate::sim::{lock, offence};
use crate::verifier::Rule;

/// The process id of the system.
const SYSTEM_PROCESS: usize = 4;

unsafe extern "C" {
    fn wsk_sim_run_thread(
        base: *mut *mut c_void,
        start: extern "C" fn(*mut c_void),
        context: *mut c_void,
    );
    fn wsk_sim_leave_thread(base: *mut c_void);
}

type Body = Box<dyn FnOnce() + Send>;

/// An address that a driver hands from one thread to another.
#[derive(Clone, Copy)]
pub(crate) struct Context(pub(crate) PVOID);

// SAFETY: the kernel only carries the address; what may be done with it is the driver's affair.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// The address; a method, so that closures capture the whole.
    pub(crate) fn get(self) -> PVOID {
        self.0
    }
}

/// Runs `body` so that `PsTerminateSystemThread` can end it.
pub(crate) fn run(me: &Thread, body: Body) {
    extern "C" fn start(context: *mut c_void) {
        // SAFETY: `context` is the cell below, which is alive and used by this thread only.
        let body = unsafe { &mut *context.cast::<Option<Body>>() };
        if let Some(body) = body.take() {
            body();
        }
    }
    let mut cell = Some(body);
    // SAFETY: `start` and `cell` fit together. A jump out of `body` leaves frames of a driver's
    // thread behind, whose destructors Windows would not run either [ddi PsTerminateSystemThread].
    unsafe { wsk_sim_run_thread(me.base.as_ptr(), start, (&raw mut cell).cast()) };
}

/// What must hold when a thread ends.
pub(crate) fn check_end(me: &Arc<Thread>) {
    if me.irql() != PASSIVE {
        offence(
            Rule::IrqlChanged,
            &format!("{} ended at IRQL {}", me.describe(), me.irql()),
        );
    }
    region::check_unchanged(me, (0, 0), &me.describe());
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn PsCreateSystemThread(
    handle: PHANDLE,
    _access: ULONG,
    _attributes: POBJECT_ATTRIBUTES,
    _process: HANDLE,
    _client_id: PCLIENT_ID,
    start: PKSTART_ROUTINE,
    context: PVOID,
) -> NTSTATUS {
    let me = current();
    require(&me, PASSIVE, "PsCreateSystemThread");
    let Some(start) = start else {
        return STATUS_INVALID_PARAMETER;
    };
    if me.sim.faults.strikes(Fault::Allocation) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let context = Context(context);
    let body = move || {
        // SAFETY: the driver passes its start routine with the context that it expects.
        unsafe { start(context.get()) };
    };
    let thread = me
        .sim
        .sched
        .spawn(&me.sim, Role::Driver, "system thread", Box::new(body));
    let value = lock(&me.sim.kernel.handles).open(&me.sim, HandleObject::Thread(thread));
    // SAFETY: the driver passes a place for the handle.
    unsafe { handle.write(value) };
    me.sim.sched.point(&me);
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn PsTerminateSystemThread(_status: NTSTATUS) -> NTSTATUS {
    let me = current();
    require(&me, PASSIVE, "PsTerminateSystemThread");
    if me.role == Role::Driver {
        check_end(&me);
        let base = me.base.load(SeqCst);
        drop(me);
        // SAFETY: this thread was started by `run`, whose frame is where `base` points, and this
        // function holds nothing that needs dropping any more.
        unsafe { wsk_sim_leave_thread(base) };
    }
    // Windows refuses threads that PsCreateSystemThread did not make.
    STATUS_INVALID_PARAMETER
}

/// The system process. Drivers get its address; there is nothing to see in it.
pub(crate) struct Process(Header);

impl Default for Process {
    fn default() -> Self {
        Self(Header::new(PROCESS, size_of::<Header>(), 0))
    }
}

impl Process {
    pub(super) fn address(&self) -> usize {
        core::ptr::from_ref(&self.0).expose_provenance()
    }
}

/// The client id of the thread with the number `id`.
fn client_id(id: usize) -> HANDLE {
    core::ptr::without_provenance_mut((id + 2) * 4)
}

/// The address of a thread's object.
fn address(thread: &Thread) -> usize {
    core::ptr::from_ref(thread.object().header()).expose_provenance()
}

/// Whether this is the address of a process: there is only that of the system.
pub(crate) fn is_process(me: &Thread, address: usize) -> bool {
    me.sim.kernel.process.address() == address
}

/// Whether this is the address of a thread that has not ended.
pub(crate) fn is_thread(me: &Thread, object: usize) -> bool {
    let alive = me.sim.sched.live_threads();
    alive.iter().any(|thread| address(thread) == object)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeGetCurrentThread() -> PKTHREAD {
    core::ptr::with_exposed_provenance_mut(address(&current()))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn PsGetCurrentThread() -> PETHREAD {
    core::ptr::with_exposed_provenance_mut(address(&current()))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn PsGetCurrentThreadId() -> HANDLE {
    client_id(current().id)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn PsGetThreadId(thread: PETHREAD) -> HANDLE {
    let alive = current().sim.sched.live_threads();
    let found = alive.iter().find(|other| address(other) == thread.addr());
    found.map_or(core::ptr::null_mut(), |thread| client_id(thread.id))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn PsLookupThreadByThreadId(id: HANDLE, thread: *mut PETHREAD) -> NTSTATUS {
    let me = current();
    require(&me, APC, "PsLookupThreadByThreadId");
    let alive = me.sim.sched.live_threads();
    let Some(found) = alive.into_iter().find(|other| client_id(other.id) == id) else {
        return STATUS_INVALID_PARAMETER;
    };
    let address = address(&found);
    lock(&me.sim.kernel.handles).reference(&me.sim, address, HandleObject::Thread(found));
    // SAFETY: the driver passes a place for the pointer.
    unsafe { thread.write(core::ptr::with_exposed_provenance_mut(address)) };
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoGetCurrentProcess() -> PEPROCESS {
    core::ptr::with_exposed_provenance_mut(current().sim.kernel.process.address())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn PsGetCurrentProcess() -> PEPROCESS {
    // SAFETY: there are no conditions.
    unsafe { IoGetCurrentProcess() }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn PsGetCurrentProcessId() -> HANDLE {
    core::ptr::without_provenance_mut(SYSTEM_PROCESS)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn PsGetProcessId(_process: PEPROCESS) -> HANDLE {
    core::ptr::without_provenance_mut(SYSTEM_PROCESS)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn PsLookupProcessByProcessId(
    id: HANDLE,
    process: *mut PEPROCESS,
) -> NTSTATUS {
    let me = current();
    require(&me, APC, "PsLookupProcessByProcessId");
    if id.addr() != SYSTEM_PROCESS {
        return STATUS_INVALID_PARAMETER;
    }
    let address = me.sim.kernel.process.address();
    lock(&me.sim.kernel.handles).reference(&me.sim, address, HandleObject::Process);
    // SAFETY: the driver passes a place for the pointer.
    unsafe { process.write(core::ptr::with_exposed_provenance_mut(address)) };
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeSetPriorityThread(_thread: PKTHREAD, _priority: KPRIORITY) -> KPRIORITY {
    /// The priority of a system thread; a seeded schedule knows no other.
    const SYSTEM: KPRIORITY = 8;
    SYSTEM
}
