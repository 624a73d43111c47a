//! Lists of received data that a driver keeps beyond the event that brought them.
//!
//! All of them go back to WSK before the socket is closed, which does not do it [wsk 8.6]: whoever
//! closes releases what is left. So the data is reached only inside a call on the socket, and a
//! driver that forgets what it retains, or closes the socket first, reads nothing that is gone.
//!
//! A list that is given up before the event has returned was never retained: the event then says
//! that the data was consumed. `retention` decides the races.

// UNSAFETY: an intrusive list, and lists of WSK's reached by address.
#![expect(unsafe_code, reason = "memory of WSK's, and an intrusive list")]

use core::{
    cell::UnsafeCell,
    ffi::c_void,
    ptr::NonNull,
    sync::atomic::{AtomicUsize, Ordering},
};

use wsk_sys::WSK_SOCKET;

use super::{core::CoreRef, retention::RetentionState};
use crate::{mem::arc::PoolArc, status::Result, sync::spin::SpinLock};

/// A list as an event brought it: `WSK_DATA_INDICATION` or `WSK_DATAGRAM_INDICATION`.
pub(crate) type List = NonNull<c_void>;

/// `WskRelease` of the socket's table.
///
/// # Safety
///
/// An open socket, and a list that it gave, which was retained and not released.
pub(crate) type Release = unsafe fn(*mut WSK_SOCKET, List);

/// How many bytes may be retained at the same time.
pub(crate) struct Budget {
    left: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            left: AtomicUsize::new(bytes),
        }
    }

    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            })
            .is_ok()
    }
}

/// One retained list.
///
/// # Invariants
///
/// `next` is touched under the lock of the core's list only. `list` may be used inside a call on
/// the socket until `state` says that it was given up.
pub(crate) struct Retention {
    core: CoreRef,
    list: List,
    length: usize,
    budget: PoolArc<Budget>,
    release: Release,
    state: RetentionState,
    next: UnsafeCell<Option<PoolArc<Retention>>>,
}

// SAFETY: `next` is guarded by the lock; WSK's lists may be read and released on any thread.
unsafe impl Sync for Retention {}
// SAFETY: as for `Sync`.
unsafe impl Send for Retention {}

/// The retained lists of a socket.
pub(crate) struct RetainedLists(SpinLock<Option<PoolArc<Retention>>>);

impl RetainedLists {
    pub(crate) const fn new() -> Self {
        Self(SpinLock::new(None))
    }

    fn insert(&self, retention: &PoolArc<Retention>) {
        self.0.with(|first| {
            // SAFETY: the lock is held.
            unsafe { *retention.next.get() = first.take() };
            *first = Some(retention.clone());
        });
    }

    fn remove(&self, retention: &PoolArc<Retention>) {
        let target = retention.as_raw();
        let removed = self.0.with(|first| {
            let mut place: *mut Option<PoolArc<Retention>> = first;
            loop {
                // SAFETY: the list's head or a member's `next`; the lock is held.
                let here = unsafe { &mut *place };
                let member = here.as_ref()?;
                let next = member.next.get();
                if member.as_raw() == target {
                    // SAFETY: as above; the member is still in the list.
                    let rest = unsafe { (*next).take() };
                    return core::mem::replace(here, rest);
                }
                place = next;
            }
        });
        drop(removed);
    }

    fn pop(&self) -> Option<PoolArc<Retention>> {
        self.0.with(|first| {
            let retention = first.take()?;
            // SAFETY: the lock is held.
            *first = unsafe { (*retention.next.get()).take() };
            Some(retention)
        })
    }

    /// Gives everything back that is left.
    ///
    /// # Safety
    ///
    /// `socket` is the socket of this core; no call runs on it, and it is about to be closed.
    pub(super) unsafe fn release_all(&self, socket: *mut WSK_SOCKET) {
        while let Some(retention) = self.pop() {
            if retention.state.give_up() {
                // SAFETY: an open socket (the caller's promise), and a list of its own that was
                // retained and not released.
                unsafe { (retention.release)(socket, retention.list) }
            }
        }
    }
}

impl Retention {
    /// Retains a list within the budget; none if that is exhausted.
    ///
    /// # Safety
    ///
    /// Called in the event that brought the list, during which the socket is [held](CoreRef::hold);
    /// `release` is the function of the socket's table.
    pub(crate) unsafe fn new(
        core: &CoreRef,
        list: List,
        length: usize,
        budget: &PoolArc<Budget>,
        release: Release,
    ) -> Result<Option<PoolArc<Self>>> {
        if !budget.take(length) {
            return Ok(None);
        }
        let retention = PoolArc::new(Self {
            core: core.clone(),
            list,
            length,
            budget: budget.clone(),
            release,
            state: RetentionState::new(),
            next: UnsafeCell::new(None),
        })?;
        core.retained.insert(&retention);
        Ok(Some(retention))
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    pub(crate) fn state(&self) -> &RetentionState {
        &self.state
    }

    /// Lets `read` see the list, unless the socket is being closed.
    pub(crate) fn read<R>(&self, read: impl FnOnce(List) -> R) -> Result<R> {
        // The list is released by its owner, who is here, or after all calls have left.
        let _call = self.core.enter("WskRelease")?;
        Ok(read(self.list))
    }

    /// The driver is done with the list.
    pub(crate) fn release(this: &PoolArc<Self>) {
        // If the socket is being closed, whoever closes it finds the list and releases it.
        let Ok(call) = this.core.enter("WskRelease") else {
            return;
        };
        this.core.retained.remove(this);
        if this.state.give_up() {
            // SAFETY: open while `call` lives; retained, and released by nobody else.
            unsafe { (this.release)(call.socket(), this.list) }
        }
    }
}

impl Drop for Retention {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.length, Ordering::Relaxed);
    }
}
