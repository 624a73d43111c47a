//! Dispatcher objects: what can be waited for, and what a wait does to it.
//!
//! The state lives in the driver's memory, in the members where Windows keeps it; who waits is kept
//! by the scheduler. Called by the scheduler under its lock; it never blocks and calls nothing.

// UNSAFETY: an object is an address that a driver passed.
#![expect(
    unsafe_code,
    reason = "views of dispatcher objects in the driver's memory"
)]

use core::ptr::NonNull;
use core::sync::atomic::Ordering::SeqCst;

use super::layout::{Header, Mutant, view};

pub(crate) const NOTIFICATION_EVENT: u8 = 0;
pub(crate) const SYNCHRONIZATION_EVENT: u8 = 1;
pub(crate) const MUTANT: u8 = 2;
pub(crate) const PROCESS: u8 = 3;
pub(crate) const QUEUE: u8 = 4;
pub(crate) const SEMAPHORE: u8 = 5;
pub(crate) const THREAD: u8 = 6;
pub(crate) const GATE: u8 = 7;
pub(crate) const NOTIFICATION_TIMER: u8 = 8;
pub(crate) const SYNCHRONIZATION_TIMER: u8 = 9;

/// The address of a dispatcher object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Object(NonNull<Header>);

// SAFETY: the header consists of atomics, so any thread may look at it; that it is alive is the
// promise of `Object::at`.
unsafe impl Send for Object {}
// SAFETY: as above.
unsafe impl Sync for Object {}

impl Object {
    /// Names the object at `address`; `None` for null.
    ///
    /// # Safety
    ///
    /// A dispatcher object of the driver or of the kernel lives at `address` for as long as the
    /// value is used: a driver keeps an object alive while a thread waits for it or a timer is set.
    pub(crate) unsafe fn at(address: *mut impl Sized) -> Option<Self> {
        NonNull::new(address.cast::<Header>()).map(Self)
    }

    /// Names an object of the kernel's own.
    pub(crate) fn of(header: &Header) -> Self {
        Self(NonNull::from(header))
    }

    pub(crate) fn address(self) -> usize {
        self.0.as_ptr().addr()
    }

    pub(crate) fn header(&self) -> &Header {
        // SAFETY: `Object::at` and `Object::of` were promised a live object.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn kind(self) -> u8 {
        self.header().kind.load(SeqCst) & 0x7f
    }

    fn mutant(&self) -> &Mutant {
        // SAFETY: the kind says that this is a mutant, the promise of `Object::at` that it is
        // alive.
        unsafe { view(self.0.as_ptr()) }
    }

    /// True if the header looks like one that a `KeInitialize` function wrote.
    pub(crate) fn is_initialised(self) -> bool {
        let known = matches!(
            self.kind(),
            NOTIFICATION_EVENT
                | SYNCHRONIZATION_EVENT
                | MUTANT
                | QUEUE
                | SEMAPHORE
                | THREAD
                | GATE
                | NOTIFICATION_TIMER
                | SYNCHRONIZATION_TIMER
        );
        known && self.header().size.load(SeqCst) != 0
    }

    /// Would a wait by the thread with object address `thread` end at once?
    pub(crate) fn is_signalled(self, thread: usize) -> bool {
        self.header().state.load(SeqCst) > 0
            || (self.kind() == MUTANT && self.mutant().owner.load(SeqCst) == thread)
    }

    /// What ending a wait does to the object. True if a mutant was found abandoned.
    pub(crate) fn acquire(self, thread: usize) -> bool {
        match self.kind() {
            SYNCHRONIZATION_EVENT | SYNCHRONIZATION_TIMER | GATE => {
                self.header().state.store(0, SeqCst);
            }
            SEMAPHORE | QUEUE => {
                self.header().state.fetch_sub(1, SeqCst);
            }
            MUTANT => {
                self.header().state.fetch_sub(1, SeqCst);
                self.mutant().owner.store(thread, SeqCst);
                return self.mutant().abandoned.swap(0, SeqCst) != 0;
            }
            _ => {}
        }
        false
    }

    /// The object in words, for reports.
    pub(crate) fn describe(self) -> String {
        let kind = match self.kind() {
            NOTIFICATION_EVENT => "notification event",
            SYNCHRONIZATION_EVENT => "synchronization event",
            MUTANT => "mutex",
            QUEUE => "queue",
            SEMAPHORE => "semaphore",
            THREAD => "thread",
            GATE => "gate of a guarded mutex",
            NOTIFICATION_TIMER | SYNCHRONIZATION_TIMER => "timer",
            _ => "unknown object",
        };
        format!("{kind} at {:#x}", self.address())
    }
}
