//! What is ready to run: a list through the tasks themselves, so that waking allocates nothing.

// UNSAFETY: links runnables through their metadata, by raw pointer.
#![expect(unsafe_code, reason = "an intrusive list")]

use core::{cell::UnsafeCell, mem::ManuallyDrop, ptr::NonNull};

use crate::{
    irql::Passive,
    sync::{semaphore::Semaphore, spin::SpinLock},
};

/// A task that is to be polled.
pub(super) type Runnable = async_task::Runnable<Link>;

/// The part of a task that the list goes through.
#[derive(Debug)]
pub(super) struct Link(UnsafeCell<Option<Raw>>);

/// A runnable as a pointer, from `Runnable::into_raw`.
type Raw = NonNull<()>;

// SAFETY: the cell is only touched under the queue's lock.
unsafe impl Sync for Link {}
// SAFETY: what it points to, a runnable of a future that is `Send`, may be run on any thread.
unsafe impl Send for Link {}

impl Link {
    pub(super) fn new() -> Self {
        Self(UnsafeCell::new(None))
    }
}

#[derive(Default)]
struct List {
    first: Option<Raw>,
    last: Option<Raw>,
}

// SAFETY: the runnables it points to may be run on any thread.
unsafe impl Send for List {}

/// First in, first out.
///
/// # Invariants
///
/// Every pointer in the list stands for a runnable that the list owns.
pub(super) struct ReadyQueue {
    list: SpinLock<List>,
    /// Counts the list, and the calls of `wake`.
    ready: Semaphore,
}

impl ReadyQueue {
    /// # Safety
    ///
    /// [`settle`](Self::settle) comes before everything else.
    pub(super) unsafe fn unsettled() -> Self {
        // SAFETY: the caller's promise is the same.
        let ready = unsafe { Semaphore::unsettled() };
        Self {
            list: SpinLock::new(List::default()),
            ready,
        }
    }

    /// # Safety
    ///
    /// It lies in nonpaged memory for good, and nobody else reaches it yet.
    pub(super) unsafe fn settle(&self) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.ready.settle() }
    }

    /// Appends. IRQL <= DISPATCH_LEVEL.
    pub(super) fn push(&self, runnable: Runnable) {
        let raw = runnable.into_raw();
        self.list.with(|list| {
            match list.last.replace(raw) {
                None => list.first = Some(raw),
                // SAFETY: in the list, so the list owns its runnable; the lock is held.
                Some(last) => unsafe { set_next(last, Some(raw)) },
            }
        });
        self.ready.release();
    }

    /// Waits until there is something, and takes it; `None` after [`wake`](Self::wake).
    pub(super) fn pop(&self, passive: Passive) -> Option<Runnable> {
        self.ready.wait(passive);
        let raw = self.list.with(|list| {
            let first = list.first?;
            // SAFETY: as in `push`.
            list.first = unsafe { take_next(first) };
            if list.first.is_none() {
                list.last = None;
            }
            Some(first)
        })?;
        // SAFETY: from `into_raw` in `push`, and out of the list: this is its one owner.
        Some(unsafe { Runnable::from_raw(raw) })
    }

    /// Lets one call of [`pop`](Self::pop) through, whether there is something or not.
    pub(super) fn wake(&self) {
        self.ready.release();
    }
}

/// # Safety
///
/// `raw` stands for a runnable that the list owns, and the lock is held.
unsafe fn set_next(raw: Raw, next: Option<Raw>) {
    // SAFETY: from `into_raw`; not dropped here, so the list goes on owning it.
    let runnable = ManuallyDrop::new(unsafe { Runnable::from_raw(raw) });
    // SAFETY: links are only touched under the lock.
    unsafe { *runnable.metadata().0.get() = next }
}

/// # Safety
///
/// As [`set_next`].
unsafe fn take_next(raw: Raw) -> Option<Raw> {
    // SAFETY: as in `set_next`.
    let runnable = ManuallyDrop::new(unsafe { Runnable::from_raw(raw) });
    // SAFETY: as in `set_next`.
    unsafe { (*runnable.metadata().0.get()).take() }
}
