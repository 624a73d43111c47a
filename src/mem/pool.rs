//! Tagged nonpaged pool, fallible.
//!
//! Everything a provider, a DPC or a completion routine may touch lies here. Nothing in the library
//! goes through the global allocator but the tasks of the executor.

// UNSAFETY: raw memory.
#![expect(unsafe_code, reason = "raw memory")]

use core::ptr::NonNull;

use wsk_sys::wdk_sys::{
    POOL_FLAG_NON_PAGED,
    ntddk::{ExAllocatePool2, ExFreePoolWithTag},
};

use crate::status::{Error, Result, Status};

/// "WskR" in a pool tag view.
const TAG: u32 = u32::from_le_bytes(*b"WskR");

/// What the pool aligns every block to on 64-bit Windows.
const ALIGNMENT: usize = 16;

/// Allocates `size` bytes, zeroed, aligned to 16 bytes. IRQL <= DISPATCH_LEVEL.
pub(crate) fn allocate_bytes(size: usize) -> Result<NonNull<u8>> {
    if size == 0 {
        return Err(Error::new("ExAllocatePool2", Status::INVALID_PARAMETER));
    }
    // SAFETY: a size above zero and a tag; nonpaged, so any IRQL up to DISPATCH_LEVEL is allowed.
    let memory = unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, size as u64, TAG) };
    NonNull::new(memory.cast()).ok_or(Error::new(
        "ExAllocatePool2",
        Status::INSUFFICIENT_RESOURCES,
    ))
}

/// Frees a block. IRQL <= DISPATCH_LEVEL.
///
/// # Safety
///
/// `memory` came from [`allocate_bytes`], and nobody uses it any more.
pub(crate) unsafe fn free_bytes(memory: NonNull<u8>) {
    // SAFETY: the caller's promise; the tag is the one it was allocated with.
    unsafe { ExFreePoolWithTag(memory.as_ptr().cast(), TAG) }
}

/// Puts `value` into a block of its own. IRQL <= DISPATCH_LEVEL.
pub(crate) fn allocate<T>(value: T) -> Result<NonNull<T>> {
    const {
        assert!(
            align_of::<T>() <= ALIGNMENT,
            "the pool does not align to more than 16 bytes"
        );
    };
    let memory = allocate_bytes(size_of::<T>())?.cast::<T>();
    // SAFETY: fresh memory of the size and alignment of a `T`.
    unsafe { memory.write(value) };
    Ok(memory)
}

/// Drops the value and frees its block. IRQL <= DISPATCH_LEVEL.
///
/// # Safety
///
/// `value` came from [`allocate`], and nobody uses it any more.
pub(crate) unsafe fn free<T>(value: NonNull<T>) {
    // SAFETY: a valid `T` that nobody else uses (the caller's promise).
    unsafe { value.drop_in_place() };
    // SAFETY: `allocate` got the block from `allocate_bytes`, and nobody uses it (the caller's
    // promise).
    unsafe { free_bytes(value.cast()) }
}
