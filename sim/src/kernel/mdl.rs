//! Memory descriptor lists.
//!
//! Process memory is always resident, so describing is all there is to do: addresses map to
//! themselves.

// UNSAFETY: an MDL is a structure that kernel and driver share.
#![expect(unsafe_code, reason = "exports of the kernel over MDLs")]

use std::collections::BTreeMap;

use wdk_sys::{
    BOOLEAN, KPROCESSOR_MODE, LOCK_OPERATION, MDL, MEMORY_CACHING_TYPE, MM_PAGE_PRIORITY, PIRP,
    PMDL, PMDLX, PVOID, ULONG,
};

use super::irql::{DISPATCH, require};
use super::layout::{Irp, Mdl, view};
pub(crate) use super::own_mdl::OwnMdl;
use super::own_mdl::{
    MAPPED_TO_SYSTEM_VA, PAGES_LOCKED, PARTIAL, SOURCE_IS_NONPAGED_POOL, size_for,
};
use super::pool::Owner;
use crate::current::current;
use crate::faults::Fault;
use crate::sched::Thread;
use crate::sim::{lock, offence};
use crate::verifier::{DriverNumber, Rule, Site};

/// Any of these: the MDL describes memory that may be used.
const USABLE: i16 = MAPPED_TO_SYSTEM_VA | PAGES_LOCKED | SOURCE_IS_NONPAGED_POOL | PARTIAL;
const TAG: u32 = u32::from_le_bytes(*b"Mdl ");

/// The MDLs that `IoAllocateMdl` made.
#[derive(Default)]
pub(crate) struct Mdls(BTreeMap<usize, Site>);

impl Mdls {
    pub(crate) fn leaks(&self, driver: Option<DriverNumber>) -> Vec<String> {
        let left = self.0.iter().filter(|(_, site)| site.is_of(driver));
        left.map(|(address, site)| format!("MDL {address:#x} allocated{site}"))
            .collect()
    }
}

impl Mdl {
    pub(crate) fn is_usable(&self) -> bool {
        self.flags.get() & USABLE != 0
    }
}

/// Describes locked pages; the MDL is pool memory that the driver frees with `ExFreePool`.
pub(super) fn for_pages(me: &Thread, pages: PVOID, length: usize) -> PMDL {
    let size = size_for(pages.addr(), length);
    let memory = lock(&me.sim.kernel.pool).allocate(&me.sim, size, TAG, false, Owner::Driver);
    let pointer = core::ptr::with_exposed_provenance_mut::<MDL>(memory);
    // SAFETY: the block above is large enough for an MDL.
    let mdl: &Mdl = unsafe { view(pointer) };
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let size = i16::try_from(size).unwrap_or(i16::MAX);
    mdl.describe(pages.cast(), length, size);
    mdl.set_flags(PAGES_LOCKED);
    pointer
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoAllocateMdl(
    address: PVOID,
    length: ULONG,
    secondary: BOOLEAN,
    _charge: BOOLEAN,
    irp: PIRP,
) -> PMDL {
    let me = current();
    require(&me, DISPATCH, "IoAllocateMdl");
    if me.sim.faults.strikes(Fault::Allocation) {
        return core::ptr::null_mut();
    }
    let size = size_for(address.addr(), length as usize);
    let memory = lock(&me.sim.kernel.pool).allocate(&me.sim, size, TAG, false, Owner::Kernel);
    lock(&me.sim.kernel.mdls)
        .0
        .insert(memory, Site::here(&me.sim));
    let pointer = core::ptr::with_exposed_provenance_mut::<MDL>(memory);
    // SAFETY: the block above is large enough for an MDL.
    let mdl: &Mdl = unsafe { view(pointer) };
    mdl.describe(
        address.cast(),
        length,
        i16::try_from(size).unwrap_or(i16::MAX),
    );
    if !irp.is_null() {
        // SAFETY: the driver passes null or an IRP of its own.
        let irp: &Irp = unsafe { view(irp) };
        if secondary == 0 {
            irp.mdl.set(pointer);
        } else {
            // SAFETY: the chain of the driver's IRP consists of its live MDLs.
            unsafe { append(irp.mdl.get(), pointer) };
        }
    }
    pointer
}

/// Appends `new` to the chain that starts with `chain`.
///
/// # Safety
///
/// `chain` is null or the start of a chain of live MDLs.
unsafe fn append(mut chain: PMDL, new: PMDL) {
    while !chain.is_null() {
        // SAFETY: promised by the caller.
        let mdl: &Mdl = unsafe { view(chain) };
        if mdl.next.get().is_null() {
            mdl.next.set(new);
            return;
        }
        chain = mdl.next.get();
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoFreeMdl(mdl: PMDL) {
    let me = current();
    require(&me, DISPATCH, "IoFreeMdl");
    if let Some(request) = me.sim.wsk.uses_mdl(mdl.addr()) {
        offence(
            Rule::MdlFreedInUse,
            &format!("MDL {mdl:p} is used by {request}"),
        );
    }
    if lock(&me.sim.kernel.mdls).0.remove(&mdl.addr()).is_none() {
        offence(
            Rule::MdlUnknown,
            &format!("IoFreeMdl of {mdl:p}, which is no MDL (any more)"),
        );
    }
    let result = lock(&me.sim.kernel.pool).free(mdl.addr(), None, Owner::Kernel);
    if let Err((rule, details)) = result {
        offence(rule, &details);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn MmBuildMdlForNonPagedPool(mdl: PMDLX) {
    let me = current();
    require(&me, DISPATCH, "MmBuildMdlForNonPagedPool");
    // SAFETY: the driver passes an MDL of its own.
    let mdl: &Mdl = unsafe { view(mdl) };
    let address = mdl.address();
    if lock(&me.sim.kernel.pool).is_paged(address.addr()) {
        let details = format!("MmBuildMdlForNonPagedPool for paged pool at {address:p}");
        offence(Rule::MdlUnknown, &details);
    }
    mdl.mapped.set(address);
    mdl.set_flags(SOURCE_IS_NONPAGED_POOL);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn MmProbeAndLockPages(
    mdl: PMDLX,
    _mode: KPROCESSOR_MODE,
    _operation: LOCK_OPERATION,
) {
    let me = current();
    require(&me, DISPATCH, "MmProbeAndLockPages");
    // SAFETY: the driver passes an MDL of its own.
    let mdl: &Mdl = unsafe { view(mdl) };
    mdl.set_flags(PAGES_LOCKED);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn MmUnlockPages(mdl: PMDLX) {
    let me = current();
    require(&me, DISPATCH, "MmUnlockPages");
    // SAFETY: the driver passes an MDL of its own.
    let view: &Mdl = unsafe { view(mdl) };
    if view.flags.get() & PAGES_LOCKED == 0 {
        offence(
            Rule::MdlUnknown,
            &format!("MmUnlockPages of {mdl:p}, whose pages are not locked"),
        );
    }
    view.flags
        .set(view.flags.get() & !(PAGES_LOCKED | MAPPED_TO_SYSTEM_VA));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn MmMapLockedPagesSpecifyCache(
    mdl: PMDLX,
    _mode: KPROCESSOR_MODE,
    _cache: MEMORY_CACHING_TYPE,
    _base: PVOID,
    _bug_check: ULONG,
    _priority: MM_PAGE_PRIORITY,
) -> PVOID {
    let me = current();
    require(&me, DISPATCH, "MmMapLockedPagesSpecifyCache");
    if me.sim.faults.strikes(Fault::Allocation) {
        return core::ptr::null_mut();
    }
    // SAFETY: the driver passes an MDL of its own or one that it was given.
    let mdl: &Mdl = unsafe { view(mdl) };
    mdl.mapped.set(mdl.address());
    mdl.set_flags(MAPPED_TO_SYSTEM_VA);
    mdl.address().cast()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn MmUnmapLockedPages(_base: PVOID, mdl: PMDLX) {
    // SAFETY: the driver passes an MDL that it has mapped.
    let mdl: &Mdl = unsafe { view(mdl) };
    mdl.flags.set(mdl.flags.get() & !MAPPED_TO_SYSTEM_VA);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn IoBuildPartialMdl(
    source: PMDL,
    target: PMDL,
    address: PVOID,
    length: ULONG,
) {
    let me = current();
    require(&me, DISPATCH, "IoBuildPartialMdl");
    // SAFETY: the driver passes MDLs of its own.
    let source: &Mdl = unsafe { view(source) };
    // SAFETY: as above.
    let target: &Mdl = unsafe { view(target) };
    let start = source.address().addr();
    let end = start + source.byte_count.get() as usize;
    let length = if length == 0 {
        end.saturating_sub(address.addr())
    } else {
        length as usize
    };
    if address.addr() < start || address.addr() + length > end {
        let details =
            format!("IoBuildPartialMdl for {length} bytes at {address:p} of {start:#x}..{end:#x}");
        offence(Rule::MdlUnknown, &details);
    }
    let size = target.size.get();
    target.describe(address.cast(), u32::try_from(length).unwrap_or(0), size);
    target.mapped.set(address.cast());
    target.set_flags(PARTIAL | MAPPED_TO_SYSTEM_VA);
}
