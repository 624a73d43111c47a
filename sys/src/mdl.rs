//! MDLs: the inline functions of wdm.h, which bindgen does not generate.

// UNSAFETY: an MDL is shared memory with a layout of the kernel's, reached by pointer.
#![expect(unsafe_code, reason = "pointer access to kernel structures")]
#![expect(non_snake_case, reason = "the names of the C headers")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "flags that fit, and sizes that C stores modulo the width of the member"
)]

use core::ptr;

use wdk_sys::{
    _MEMORY_CACHING_TYPE, _MODE, CSHORT, KPROCESSOR_MODE, MDL, MDL_MAPPED_TO_SYSTEM_VA,
    MDL_SOURCE_IS_NONPAGED_POOL, MEMORY_CACHING_TYPE, PAGE_SIZE, PFN_NUMBER, PMDL, PVOID, SIZE_T,
    ULONG,
};

unsafe extern "C" {
    // Declared here because the type of the last parameter depends on the age of the headers.
    fn MmMapLockedPagesSpecifyCache(
        MemoryDescriptorList: PMDL,
        AccessMode: KPROCESSOR_MODE,
        CacheType: MEMORY_CACHING_TYPE,
        RequestedAddress: PVOID,
        BugCheckOnFailure: ULONG,
        Priority: ULONG,
    ) -> PVOID;
}

const MAPPED: CSHORT = (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL) as CSHORT;

/// The address at which the kernel sees the described memory; null if it cannot be mapped.
///
/// `Priority` is one of `MM_PAGE_PRIORITY`, with `MdlMappingNoExecute` for memory that holds no
/// code.
///
/// # Safety
/// `Mdl` points to an MDL whose pages are locked, and which no one frees or unmaps meanwhile. At up
/// to `DISPATCH_LEVEL`.
#[must_use]
pub unsafe fn MmGetSystemAddressForMdlSafe(Mdl: PMDL, Priority: ULONG) -> PVOID {
    // SAFETY: the caller's promise.
    let flags = unsafe { (*Mdl).MdlFlags };
    if flags & MAPPED != 0 {
        // SAFETY: as above.
        return unsafe { (*Mdl).MappedSystemVa };
    }
    // SAFETY: the pages are locked; for the kernel, with no address asked for, a failure gives
    // null.
    unsafe {
        MmMapLockedPagesSpecifyCache(
            Mdl,
            _MODE::KernelMode as KPROCESSOR_MODE,
            _MEMORY_CACHING_TYPE::MmCached,
            ptr::null_mut(),
            0,
            Priority,
        )
    }
}

/// Bytes that the MDL describes.
///
/// # Safety
/// `Mdl` points to an initialised MDL.
#[must_use]
pub const unsafe fn MmGetMdlByteCount(Mdl: PMDL) -> ULONG {
    // SAFETY: the caller's promise.
    unsafe { (*Mdl).ByteCount }
}

/// Where in its first page the described memory starts.
///
/// # Safety
/// `Mdl` points to an initialised MDL.
#[must_use]
pub const unsafe fn MmGetMdlByteOffset(Mdl: PMDL) -> ULONG {
    // SAFETY: the caller's promise.
    unsafe { (*Mdl).ByteOffset }
}

/// The address of the described memory in the process that owns it.
///
/// # Safety
/// `Mdl` points to an initialised MDL.
#[must_use]
pub const unsafe fn MmGetMdlVirtualAddress(Mdl: PMDL) -> PVOID {
    // SAFETY: the caller's promise.
    let page = unsafe { (*Mdl).StartVa };
    // SAFETY: the caller's promise.
    let offset = unsafe { MmGetMdlByteOffset(Mdl) };
    page.wrapping_byte_add(offset as usize)
}

/// Prepares the header of an MDL for memory at `BaseVa`; the page numbers behind it are left alone.
///
/// # Safety
/// `MemoryDescriptorList` points to writable memory for an MDL and a page number for each page that
/// the bytes touch.
pub unsafe fn MmInitializeMdl(MemoryDescriptorList: PMDL, BaseVa: PVOID, Length: ULONG) {
    let pages = ADDRESS_AND_SIZE_TO_SPAN_PAGES(BaseVa, SIZE_T::from(Length)) as usize;
    let offset = byte_offset(BaseVa);
    // SAFETY: writable by the caller's promise.
    unsafe { (*MemoryDescriptorList).Next = ptr::null_mut() };
    let size = size_of::<MDL>() + size_of::<PFN_NUMBER>() * pages;
    // SAFETY: as above. The size is stored modulo 2^16, as the C macro does.
    unsafe { (*MemoryDescriptorList).Size = size as CSHORT };
    // SAFETY: as above.
    unsafe { (*MemoryDescriptorList).MdlFlags = 0 };
    let page = BaseVa.wrapping_byte_sub(offset as usize);
    // SAFETY: as above.
    unsafe { (*MemoryDescriptorList).StartVa = page };
    // SAFETY: as above.
    unsafe { (*MemoryDescriptorList).ByteOffset = offset };
    // SAFETY: as above.
    unsafe { (*MemoryDescriptorList).ByteCount = Length };
}

/// How many pages the `Size` bytes at `Va` touch.
#[must_use]
pub fn ADDRESS_AND_SIZE_TO_SPAN_PAGES(Va: PVOID, Size: SIZE_T) -> ULONG {
    let page = SIZE_T::from(PAGE_SIZE);
    (SIZE_T::from(byte_offset(Va)) + Size).div_ceil(page) as ULONG
}

/// Where in its page an address lies.
fn byte_offset(address: PVOID) -> ULONG {
    address.addr() as ULONG & (PAGE_SIZE - 1)
}
