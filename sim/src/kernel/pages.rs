//! Whole pages: contiguous memory, and pages that are known by an MDL only.
//!
//! Both come from the pool of the simulation, so that their leaks and overruns are found. Every
//! page can be reached by any device, whatever range of physical addresses is asked for.

// UNSAFETY: an MDL is a structure that kernel and driver share.
#![expect(unsafe_code, reason = "exports of the kernel over MDLs")]

use wdk_sys::{MEMORY_CACHING_TYPE, PHYSICAL_ADDRESS, PMDL, PMDLX, PVOID, SIZE_T, ULONG};

use super::irql::{APC, DISPATCH, require};
use super::layout::{Mdl, view};
use super::{mdl, pool};
use crate::current::current;

const PAGE: usize = 4096;
const CONTIGUOUS: u32 = u32::from_le_bytes(*b"MmCm");
const PAGES: u32 = u32::from_le_bytes(*b"MmPg");

#[unsafe(no_mangle)]
pub unsafe extern "C" fn MmAllocateContiguousMemory(
    size: SIZE_T,
    _highest: PHYSICAL_ADDRESS,
) -> PVOID {
    let me = current();
    let size = usize::try_from(size).unwrap_or(usize::MAX / 2);
    require(&me, DISPATCH, "MmAllocateContiguousMemory");
    let size = size.next_multiple_of(PAGE);
    pool::allocate(
        &me,
        size,
        CONTIGUOUS,
        false,
        false,
        "MmAllocateContiguousMemory",
    )
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn MmFreeContiguousMemory(memory: PVOID) {
    let me = current();
    require(&me, DISPATCH, "MmFreeContiguousMemory");
    pool::free(&me, memory.addr(), Some(CONTIGUOUS));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn MmAllocatePagesForMdlEx(
    _low: PHYSICAL_ADDRESS,
    _high: PHYSICAL_ADDRESS,
    _skip: PHYSICAL_ADDRESS,
    size: SIZE_T,
    _cache: MEMORY_CACHING_TYPE,
    _flags: ULONG,
) -> PMDL {
    let me = current();
    require(&me, APC, "MmAllocatePagesForMdlEx");
    let size = usize::try_from(size)
        .unwrap_or(usize::MAX / 2)
        .next_multiple_of(PAGE);
    let memory = pool::allocate(&me, size, PAGES, false, true, "MmAllocatePagesForMdlEx");
    if memory.is_null() {
        return core::ptr::null_mut();
    }
    mdl::for_pages(&me, memory, size)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn MmAllocatePagesForMdl(
    low: PHYSICAL_ADDRESS,
    high: PHYSICAL_ADDRESS,
    skip: PHYSICAL_ADDRESS,
    size: SIZE_T,
) -> PMDL {
    // SAFETY: the caller's promise is the same; cached memory without flags.
    unsafe { MmAllocatePagesForMdlEx(low, high, skip, size, 1, 0) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn MmFreePagesFromMdl(pages: PMDLX) {
    let me = current();
    require(&me, APC, "MmFreePagesFromMdl");
    // SAFETY: the driver passes an MDL that MmAllocatePagesForMdl made.
    let view: &Mdl = unsafe { view(pages) };
    pool::free(&me, view.address().addr(), Some(PAGES));
    view.forget_pages();
}
