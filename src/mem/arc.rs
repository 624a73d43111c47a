//! A reference-counted value in nonpaged pool: `Arc` with an allocation that may fail, for use up
//! to DISPATCH_LEVEL.

// UNSAFETY: counts references to raw memory.
#![expect(unsafe_code, reason = "reference counting")]

use core::{
    fmt,
    ops::Deref,
    ptr::NonNull,
    sync::atomic::{AtomicUsize, Ordering, fence},
};

use super::pool;
use crate::status::Result;

struct Counted<T> {
    references: AtomicUsize,
    value: T,
}

/// A shared reference to a value that does not move.
pub(crate) struct PoolArc<T>(NonNull<Counted<T>>);

// SAFETY: as `Arc`: the value may be shared between threads, and dropped on any of them.
unsafe impl<T: Send + Sync> Send for PoolArc<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: Send + Sync> Sync for PoolArc<T> {}

impl<T> PoolArc<T> {
    /// Moves `value` into the pool, where it stays.
    pub(crate) fn new(value: T) -> Result<Self> {
        pool::allocate(Counted {
            references: AtomicUsize::new(1),
            value,
        })
        .map(Self)
    }

    /// Gives up the reference for a pointer that stands for it.
    pub(crate) fn into_raw(self) -> *mut T {
        let raw = self.as_raw();
        core::mem::forget(self);
        raw
    }

    /// A pointer to the value, which keeps nothing.
    pub(crate) fn as_raw(&self) -> *mut T {
        // SAFETY: in bounds of the allocation; only the address is computed.
        unsafe { &raw mut (*self.0.as_ptr()).value }
    }

    /// Takes the reference back.
    ///
    /// # Safety
    ///
    /// `raw` came from [`into_raw`](Self::into_raw), and this is called once for it.
    pub(crate) unsafe fn from_raw(raw: *mut T) -> Self {
        let offset = core::mem::offset_of!(Counted<T>, value);
        // SAFETY: the value lies at this offset of the allocation (the caller's promise).
        let counted = unsafe { raw.byte_sub(offset) }.cast();
        // SAFETY: derived from a live allocation.
        Self(unsafe { NonNull::new_unchecked(counted) })
    }
}

impl<T> Deref for PoolArc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: counted, so it is not freed.
        &unsafe { self.0.as_ref() }.value
    }
}

impl<T> Clone for PoolArc<T> {
    fn clone(&self) -> Self {
        // SAFETY: counted, so it is not freed.
        let before = unsafe { self.0.as_ref() }
            .references
            .fetch_add(1, Ordering::Relaxed);
        assert!(before < usize::MAX / 2, "far too many references");
        Self(self.0)
    }
}

impl<T> Drop for PoolArc<T> {
    fn drop(&mut self) {
        // SAFETY: counted, so it is not freed.
        let references = &unsafe { self.0.as_ref() }.references;
        // ORDERING: as `Arc`: Release publishes our accesses, the fence sees everybody's before the
        // value is dropped.
        if references.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            // SAFETY: from `pool::allocate`, and this was the last reference.
            unsafe { pool::free(self.0) }
        }
    }
}

impl<T> fmt::Debug for PoolArc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PoolArc").field(&self.0).finish()
    }
}
