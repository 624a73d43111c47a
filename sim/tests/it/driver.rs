//! What the tests of the kernel share: calls of a driver in the manner of C, and expected reports.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "calls the exports of the kernel")]

use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;
use std::sync::Arc;

use wdk_sys::ntddk::{
    ExAllocatePool2, KeInitializeEvent, KeReadStateEvent, KeWaitForSingleObject,
    PsCreateSystemThread, RtlInitUnicodeString,
};
use wdk_sys::{HANDLE, KEVENT, LARGE_INTEGER, NTSTATUS, PVOID, STATUS_SUCCESS, UNICODE_STRING};
use wsk_sim::{Rule, Sim, builder};

use crate::common::TAG;

pub const NON_PAGED: u64 = 0x40;
pub const PAGED: u64 = 0x100;

/// Runs a body that breaks a rule, and checks that the report is about that rule and says `what`.
pub fn expect(rule: Rule, what: &str, body: impl FnOnce(&Sim) + Send + 'static) {
    let report = builder().offence(body);
    assert_eq!(report.rule, rule, "{report}");
    assert!(
        report.details.contains(what),
        "{what:?} is not in:\n{report}"
    );
}

/// Memory for a structure of the kernel's, which does not move.
#[expect(
    clippy::unnecessary_box_returns,
    reason = "the structure does not move"
)]
pub fn zeroed<T: Copy>() -> Box<T> {
    // SAFETY: the tests ask for plain structures of C, for which zeroes are a value.
    unsafe { Box::new(MaybeUninit::zeroed().assume_init()) }
}

pub fn allocate(flags: u64, size: usize) -> *mut u8 {
    // SAFETY: within a simulation.
    unsafe { ExAllocatePool2(flags, size as u64, TAG) }.cast()
}

/// A notification event that is not set.
#[expect(clippy::unnecessary_box_returns, reason = "an event does not move")]
pub fn event() -> Box<KEVENT> {
    let mut event = zeroed();
    // SAFETY: the event has its place.
    unsafe { KeInitializeEvent(&raw mut *event, 0, 0) };
    event
}

/// Waits for an object, at most for a time in units of -100 ns.
pub fn wait<T>(object: *mut T, timeout: Option<i64>) -> NTSTATUS {
    let mut timeout = timeout.map(|units| LARGE_INTEGER { QuadPart: units });
    let pointer = timeout.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
    // SAFETY: the tests pass live objects.
    unsafe { KeWaitForSingleObject(object.cast(), 0, 0, 0, pointer) }
}

/// Starts a system thread.
pub fn start_thread(start: unsafe extern "C" fn(PVOID), context: PVOID) -> HANDLE {
    let mut handle = ptr::null_mut();
    let (attributes, process, client) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: the start routine and its context fit.
    let status = unsafe {
        PsCreateSystemThread(
            &raw mut handle,
            0,
            attributes,
            process,
            client,
            Some(start),
            context,
        )
    };
    assert_eq!(status, STATUS_SUCCESS);
    handle
}

/// A counted string, and the text that it points to.
pub fn unicode(text: &str) -> (Vec<u16>, UNICODE_STRING) {
    let units: Vec<u16> = text.encode_utf16().chain([0]).collect();
    let mut string = UNICODE_STRING::default();
    // SAFETY: the text is zero-terminated, and moving the vector does not move it.
    unsafe { RtlInitUnicodeString(&raw mut string, units.as_ptr()) };
    (units, string)
}

/// An address that tasks of one test share.
#[derive(Clone, Copy)]
pub struct Shared<T>(pub *mut T);

// SAFETY: the simulated threads of a test run one at a time, and the test keeps the memory.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The address; a method, so that closures capture the whole.
    pub fn get(self) -> *mut T {
        self.0
    }
}

/// A scheduling point.
pub fn point() {
    // SAFETY: the event is initialised.
    unsafe { KeReadStateEvent(&raw mut *event()) };
}

/// Has three threads enter a section ten times each, and checks that only one is ever inside.
pub fn check_excludes(sim: &Sim, section: impl Fn(&dyn Fn()) + Send + Sync + 'static) {
    let (section, inside) = (Arc::new(section), Arc::new(AtomicU32::new(0)));
    let tasks = [(); 3].map(|()| {
        let (section, inside) = (Arc::clone(&section), Arc::clone(&inside));
        sim.spawn(move || {
            for _ in 0..10 {
                section(&|| {
                    assert_eq!(inside.fetch_add(1, SeqCst), 0);
                    point();
                    inside.fetch_sub(1, SeqCst);
                });
            }
        })
    });
    tasks.into_iter().for_each(wsk_sim::Task::join);
}
