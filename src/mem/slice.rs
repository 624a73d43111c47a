//! A fixed number of values in nonpaged pool: `Box<[T]>` with an allocation that may fail.

// UNSAFETY: raw memory.
#![expect(unsafe_code, reason = "raw memory")]

use core::{
    fmt,
    ops::{Deref, DerefMut},
    ptr::NonNull,
};

use super::pool;
use crate::status::{Error, Result, Status};

/// Owned values in one block.
///
/// # Invariants
///
/// `values` is the start of `length` initialised values in a block of the pool.
pub(crate) struct PoolSlice<T> {
    values: NonNull<T>,
    length: usize,
}

// SAFETY: it owns its values.
unsafe impl<T: Send> Send for PoolSlice<T> {}
// SAFETY: sharing it shares its values.
unsafe impl<T: Sync> Sync for PoolSlice<T> {}

impl<T: Default> PoolSlice<T> {
    /// So many default values; at least one.
    pub(crate) fn new(length: usize) -> Result<Self> {
        const {
            assert!(align_of::<T>() <= 16, "the pool does not align to more");
        };
        let too_many = Error::new("ExAllocatePool2", Status::INVALID_PARAMETER);
        let size = size_of::<T>().checked_mul(length).ok_or(too_many)?;
        let values = pool::allocate_bytes(size)?.cast::<T>();
        for index in 0..length {
            // SAFETY: within the block.
            let place = unsafe { values.add(index) };
            // SAFETY: aligned, as the block is.
            unsafe { place.write(T::default()) };
        }
        Ok(Self { values, length })
    }
}

impl<T> Deref for PoolSlice<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: by the invariants; borrowed as `self` is.
        unsafe { core::slice::from_raw_parts(self.values.as_ptr(), self.length) }
    }
}

impl<T> DerefMut for PoolSlice<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: by the invariants; borrowed as `self` is.
        unsafe { core::slice::from_raw_parts_mut(self.values.as_ptr(), self.length) }
    }
}

impl<T> Drop for PoolSlice<T> {
    fn drop(&mut self) {
        let values: *mut [T] = &raw mut **self;
        // SAFETY: initialised, and dropped once.
        unsafe { values.drop_in_place() };
        // SAFETY: from `pool::allocate_bytes`, and nobody uses it any more.
        unsafe { pool::free_bytes(self.values.cast()) }
    }
}

impl<T> fmt::Debug for PoolSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolSlice")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}
