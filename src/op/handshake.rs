//! The handshake of one request between the side that started it (the handle) and the side that
//! completes it (the IRP): one atomic word, the result, and who waits for it.
//!
//! The provider owns an IRP until it completes it: before, while or after the call returns [wsk
//! 3.5], on any thread. So nothing but this word decides who may touch what, and exactly one side
//! is told that it was the last. Pure: only `core`, so that loom can explore every order
//! (tests/loom). It knows no IRP, no event, no waker.
//!
//! ```text
//!            begin (1)                   complete (2)
//!  Idle ----------------> InFlight ---------------------> Completed
//!   ^                      |   |  ^                        |      |
//!   |       request_cancel |   |  | cancelling is          |      | release_irp (4) and
//!   |                  (3) |   |  | only a request         |      | release_handle (5): the
//!   |                      v   |  |                        |      v second one is the last
//!   |              CancelRequested ------ complete (2) ----+    reset (6)
//!   |                      |   |                                  |
//!   |    release_handle (5) before complete (2)                   |
//!   |                      v                                      |
//!   |                  Abandoned ---- complete (2), release_irp (4): last
//!   +-------------------------------------------------------------+
//! ```
//!
//! | bit       | set by           | cleared by       | while set                              |
//! |-----------|------------------|------------------|----------------------------------------|
//! | HANDLE    | `begin`          | `release_handle` | the handle side may touch the slot     |
//! | IRP       | `begin`          | `release_irp`    | the IRP side may touch the slot        |
//! | COMPLETED | `complete`       | `reset`          | the result is there, for the handle    |
//! | WAITER    | `poll`           | the handle side  | the waiter cell is for `complete`      |
//! | CANCEL    | `request_cancel` | `reset`          | the IRP has been asked to end early    |
//! | HELD      | `hold`           | `release_hold`   | a third party may cancel the IRP       |
//!
//! While WAITER and COMPLETED are both clear, the waiter cell is the handle side's.
//!
//! Of HANDLE, IRP and HELD, whoever clears the last is the last: told so, and alone with the slot.
//!
//! There is no state "submitting": what the WSK call returns decides nothing, so the time before it
//! returns is like any other time in flight.

// UNSAFETY: the two cells are shared between threads under the protocol of the word above.
#![expect(unsafe_code, reason = "lock-free cells")]

use crate::sync::primitive::{AtomicU32, Ordering, UnsafeCell};

const HANDLE: u32 = 1;
const IRP: u32 = 1 << 1;
const COMPLETED: u32 = 1 << 2;
const WAITER: u32 = 1 << 3;
const CANCEL: u32 = 1 << 4;
const HELD: u32 = 1 << 5;

/// Those that may touch the slot.
const SIDES: u32 = HANDLE | IRP | HELD;

/// What the handle side finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    /// In flight.
    Pending,
    /// The result is there, but the IRP side is not through: a few instructions later it is.
    Completing,
    /// The result is there, and the slot is the handle side's alone.
    Completed,
}

/// The word and the two cells it guards. `R` is the result, `W` what is to be woken.
#[derive(Debug)]
pub(crate) struct Handshake<R, W> {
    word: AtomicU32,
    result: UnsafeCell<Option<R>>,
    waiter: UnsafeCell<Option<W>>,
}

// SAFETY: `result` is written by the IRP side before COMPLETED and read by the handle side after
// it; `waiter` belongs to one side at a time as the WAITER and COMPLETED bits say. Both values move
// between threads, hence `Send`; no reference to either is shared.
unsafe impl<R: Send, W: Send> Sync for Handshake<R, W> {}

impl<R, W> Handshake<R, W> {
    /// Idle: nobody holds it.
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU32::new(0),
            result: UnsafeCell::new(None),
            waiter: UnsafeCell::new(None),
        }
    }

    /// (1) Both sides hold it from now on. The caller owns the idle handshake alone.
    pub(crate) fn begin(&self) {
        debug_assert_eq!(self.word.load(Ordering::Relaxed), 0, "begun twice");
        // ORDERING: whatever hands the IRP to the provider publishes this; Release for readers of
        // the word itself.
        self.word.store(HANDLE | IRP, Ordering::Release);
    }

    /// (2) Records the result. Gives back the waiter, if one is to be woken: after
    /// [`release_irp`](Self::release_irp).
    ///
    /// # Safety
    ///
    /// Called by the IRP side, once for each `begin`.
    pub(crate) unsafe fn complete(&self, result: R) -> Option<W> {
        self.result.with_mut(|cell| {
            // SAFETY: COMPLETED is not set, so the handle side does not touch the result; the IRP
            // side is this one call.
            unsafe { *cell = Some(result) }
        });
        // ORDERING: Release publishes the result (read in `take_result`), Acquire sees the waiter
        // stored in `poll`.
        let before = self.word.fetch_or(COMPLETED, Ordering::AcqRel);
        debug_assert_eq!(
            before & (IRP | COMPLETED),
            IRP,
            "completed twice or never begun"
        );
        if before & WAITER == 0 {
            return None;
        }
        // SAFETY: WAITER was set when COMPLETED appeared: from then on the handle side leaves the
        // cell to us.
        self.waiter.with_mut(|cell| unsafe { (*cell).take() })
    }

    /// (4) The IRP side is done with the slot. `true`: it was the last, the slot and an unclaimed
    /// result are its own.
    #[must_use]
    pub(crate) fn release_irp(&self) -> bool {
        // ORDERING: AcqRel orders all of the other side's accesses before the last one's reuse.
        let before = self.word.fetch_and(!IRP, Ordering::AcqRel);
        debug_assert_eq!(
            before & (IRP | COMPLETED),
            IRP | COMPLETED,
            "released before completion"
        );
        before & SIDES == IRP
    }

    /// Stores what `update` puts into the waiter cell, to be given back by `complete`, unless the
    /// request has completed.
    ///
    /// Handle side. `update` sees what an earlier poll left there, so that it may keep it.
    pub(crate) fn poll(&self, update: impl FnOnce(&mut Option<W>)) -> Polled {
        match self.withdraw() {
            Polled::Pending => {}
            completed => return completed,
        }
        self.waiter.with_mut(|cell| {
            // SAFETY: `withdraw` left the cell to the handle side, which is this thread alone
            // (callers hold the handle exclusively).
            update(unsafe { &mut *cell });
        });
        // ORDERING: Release publishes the waiter to `complete`.
        let before = self.word.fetch_or(WAITER, Ordering::AcqRel);
        if before & COMPLETED == 0 {
            return Polled::Pending;
        }
        // Completed without having seen the waiter: nobody will take it but us.
        self.drop_waiter();
        self.withdraw()
    }

    /// Takes the waiter back. Pending: it is gone. Otherwise, if there was one, `complete` has
    /// taken it, and whoever completed will wake it.
    pub(crate) fn withdraw(&self) -> Polled {
        // ORDERING: Acquire sees the result when COMPLETED is seen, and the end of the IRP side's
        // accesses when IRP is not.
        let before = self.word.fetch_and(!WAITER, Ordering::AcqRel);
        match (before & COMPLETED, before & (IRP | HELD)) {
            (0, _) => Polled::Pending,
            (_, 0) => Polled::Completed,
            _ => Polled::Completing,
        }
    }

    /// Whether the provider still has it to complete: begun, and neither completed nor over. Also
    /// for somebody who only knows that the memory is still there.
    pub(crate) fn is_in_flight(&self) -> bool {
        self.word.load(Ordering::Acquire) & (IRP | COMPLETED) == IRP
    }

    /// Takes the result.
    ///
    /// # Safety
    ///
    /// The caller is the handle side and has seen [`Polled::Completed`]; or it was told to be the
    /// last.
    pub(crate) unsafe fn take_result(&self) -> Option<R> {
        // SAFETY: after COMPLETED the IRP side no longer touches the result, and the caller is the
        // only other side.
        self.result.with_mut(|cell| unsafe { (*cell).take() })
    }

    /// (3) `true`: the caller is to cancel the IRP. Later calls, and calls after completion, give
    /// `false`.
    ///
    /// Handle side: while it holds the slot the IRP cannot be reused, so cancelling late is
    /// harmless.
    #[must_use]
    pub(crate) fn request_cancel(&self) -> bool {
        let before = self.word.fetch_or(CANCEL, Ordering::AcqRel);
        before & (COMPLETED | CANCEL) == 0
    }

    /// Nobody on the handle side is to be woken any more.
    pub(crate) fn forget_waiter(&self) {
        if self.withdraw() == Polled::Pending {
            self.drop_waiter();
        }
    }

    /// (5) The handle side is done. `true`: it was the last, the slot and an untaken result are its
    /// own.
    #[must_use]
    pub(crate) fn release_handle(&self) -> bool {
        self.forget_waiter();
        // ORDERING: as in `release_irp`.
        let before = self.word.fetch_and(!HANDLE, Ordering::AcqRel);
        debug_assert_ne!(before & HANDLE, 0, "released twice");
        before & SIDES == HANDLE
    }

    /// A third party holds the slot too, if the request is in flight: until
    /// [`release_hold`](Self::release_hold) the IRP is not reused, so that it may be cancelled.
    ///
    /// One at a time, and it knows that the memory is still there.
    #[must_use]
    pub(crate) fn hold(&self) -> bool {
        // ORDERING: Acquire sees the IRP that was prepared before `begin`.
        self.word
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| {
                debug_assert_eq!(word & HELD, 0, "one at a time");
                (word & (IRP | COMPLETED) == IRP).then_some(word | HELD)
            })
            .is_ok()
    }

    /// Ends [`hold`](Self::hold). `true`: it was the last, the slot and an unclaimed result are its
    /// own.
    #[must_use]
    pub(crate) fn release_hold(&self) -> bool {
        // ORDERING: as in `release_irp`.
        let before = self.word.fetch_and(!HELD, Ordering::AcqRel);
        debug_assert_ne!(before & HELD, 0, "released twice");
        before & SIDES == HELD
    }

    /// (6) Back to idle.
    ///
    /// # Safety
    ///
    /// The caller was told to be the last.
    pub(crate) unsafe fn reset(&self) {
        debug_assert_eq!(self.word.load(Ordering::Relaxed) & SIDES, 0, "still held");
        self.word.store(0, Ordering::Relaxed);
    }

    /// Empties the waiter cell; the handle side owns it.
    fn drop_waiter(&self) {
        // SAFETY: callers have seen that WAITER was clear when `complete` looked, or will be when
        // it looks: the cell is the handle side's alone.
        drop(self.waiter.with_mut(|cell| unsafe { (*cell).take() }));
    }
}
