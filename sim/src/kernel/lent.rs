//! Memory of the kernel's own that a driver may use for a time: the arguments of its callbacks, and
//! data that it is shown.
//!
//! It lies in pool, so that a driver that writes beyond its ends, or later, is found.

// UNSAFETY: memory that a driver uses through pointers.
#![expect(unsafe_code, reason = "access to memory that a driver may write to")]

use super::pool::Owner;
use crate::current::current;
use crate::sim::{Shared, lock, offence};

const TAG: u32 = u32::from_le_bytes(*b"Lent");

/// Such memory, until it is taken back.
pub(crate) struct Lent {
    address: usize,
    length: usize,
}

impl Lent {
    /// At least one byte of memory, filled with zeros.
    pub(crate) fn new(sim: &Shared, length: usize) -> Self {
        let size = length.max(1);
        let address = lock(&sim.kernel.pool).allocate(sim, size, TAG, false, Owner::Kernel);
        let lent = Self { address, length };
        // SAFETY: the block was allocated with this size.
        unsafe { lent.pointer::<u8>().write_bytes(0, size) };
        lent
    }

    pub(crate) fn of(sim: &Shared, bytes: &[u8]) -> Self {
        let lent = Self::new(sim, bytes.len());
        let target = lent.pointer::<u8>();
        // SAFETY: the block was allocated with this length.
        unsafe { target.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        lent
    }

    /// A copy of a structure.
    pub(crate) fn holding<T: Copy>(sim: &Shared, value: T) -> Self {
        let lent = Self::new(sim, size_of::<T>());
        // SAFETY: the block has the size of a `T`, and pool memory is aligned for any.
        unsafe { lent.pointer::<T>().write(value) };
        lent
    }

    /// Where it begins.
    pub(crate) fn pointer<T>(&self) -> *mut T {
        core::ptr::with_exposed_provenance_mut(self.address)
    }

    /// What it holds now.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the block is allocated, and initialised; the driver that it is lent to only
        // reads it.
        unsafe { core::slice::from_raw_parts(self.pointer::<u8>(), self.length) }
    }

    /// Takes it back: whoever uses it from now on is wrong.
    pub(crate) fn take_back(self) {
        let sim = &current().sim;
        let freed = lock(&sim.kernel.pool).free(self.address, None, Owner::Kernel);
        if let Err((rule, details)) = freed {
            offence(rule, &details);
        }
    }
}
