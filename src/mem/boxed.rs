//! One value in nonpaged pool, that does not move when its owner does: for what WSK has the address
//! of.

// UNSAFETY: owns raw memory.
#![expect(unsafe_code, reason = "an owned allocation")]

use core::{
    fmt,
    ops::{Deref, DerefMut},
    ptr::NonNull,
};

use super::pool;
use crate::status::Result;

/// An owned value.
///
/// # Invariants
///
/// From `pool::allocate`, and ours.
pub(crate) struct PoolBox<T>(NonNull<T>);

// SAFETY: it owns its value.
unsafe impl<T: Send> Send for PoolBox<T> {}
// SAFETY: a shared reference gives a shared reference to the value.
unsafe impl<T: Sync> Sync for PoolBox<T> {}

impl<T> PoolBox<T> {
    /// Puts a value into memory of its own. IRQL <= DISPATCH_LEVEL.
    pub(crate) fn new(value: T) -> Result<Self> {
        pool::allocate(value).map(Self)
    }
}

impl<T> Deref for PoolBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: ours (invariant).
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for PoolBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: ours alone (invariant).
        unsafe { self.0.as_mut() }
    }
}

impl<T> Drop for PoolBox<T> {
    fn drop(&mut self) {
        // SAFETY: from `pool::allocate`, and ours alone (invariant).
        unsafe { pool::free(self.0) }
    }
}

impl<T> fmt::Debug for PoolBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PoolBox").field(&self.0).finish()
    }
}
