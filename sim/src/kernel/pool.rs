//! Pool memory.
//!
//! Each block has a red zone on either side; freed blocks are filled with a pattern and kept for a
//! while, so that a late write is seen. The kernel's own objects in driver hands (IRPs, MDLs,
//! devices) come from here too, and are reported by their own books.

// UNSAFETY: this is the allocator.
#![expect(unsafe_code, reason = "an allocator, and exports of the kernel")]

use std::alloc::{Layout, alloc, dealloc};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock};

use wdk_sys::{POOL_FLAGS, POOL_TYPE, PVOID, SIZE_T, ULONG};

use super::irql::{APC, DISPATCH, require};
use crate::current::current;
use crate::faults::Fault;
use crate::sched::Thread;
use crate::sim::{Shared, lock, offence};
use crate::verifier::{DriverNumber, Rule, Site};

const FLAG_UNINITIALIZED: POOL_FLAGS = 0x2;
const FLAG_PAGED: POOL_FLAGS = 0x100;
/// `PagedPool` of the older functions, which take a `POOL_TYPE`: the lowest bit.
const TYPE_PAGED: POOL_TYPE = 1;
const PAGE: usize = 4096;
const RED_ZONE: usize = 32;
const RED: u8 = 0xFD;
const FRESH: u8 = 0xBE;
const FREED: u8 = 0xDD;
/// How many freed blocks, and bytes in them, are kept to find late writes.
const KEPT_BLOCKS: usize = 512;
const KEPT_BYTES: usize = 4 << 20;

/// How many freed blocks are kept: none if `WSK_SIM_KEEP_FREED` is 0, so that a sanitizer, to which
/// the host's allocator tells what is freed, sees late reads as well.
fn kept_blocks() -> usize {
    static KEPT: LazyLock<usize> = LazyLock::new(|| {
        let kept = std::env::var("WSK_SIM_KEEP_FREED");
        if kept.is_ok_and(|kept| kept == "0") {
            0
        } else {
            KEPT_BLOCKS
        }
    });
    *KEPT
}

/// Whose books an allocation is in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Driver,
    Kernel,
}

struct Block {
    size: usize,
    tag: u32,
    paged: bool,
    owner: Owner,
    serial: u64,
    base: usize,
    layout: Layout,
    site: Site,
}

/// The pool of one simulation.
#[derive(Default)]
pub(crate) struct Pool {
    live: BTreeMap<usize, Block>,
    freed: BTreeMap<usize, Block>,
    /// The freed blocks in the order in which they were freed.
    freed_order: VecDeque<usize>,
    freed_bytes: usize,
    last: u64,
}

impl Pool {
    /// Allocates; the content is `fill`.
    pub(crate) fn allocate(
        &mut self,
        sim: &Shared,
        size: usize,
        tag: u32,
        paged: bool,
        owner: Owner,
    ) -> usize {
        let align = if size >= PAGE { PAGE } else { 16 };
        let front = RED_ZONE.max(align);
        let total = front + size + RED_ZONE;
        let layout = Layout::from_size_align(total, align).expect("a size that fits into memory");
        // SAFETY: the layout's size is not zero.
        let base = unsafe { alloc(layout) };
        assert!(!base.is_null(), "the host is out of memory");
        fill(base.expose_provenance(), front, RED);
        let address = base.addr() + front;
        fill(address, size, FRESH);
        fill(address + size, RED_ZONE, RED);
        self.last += 1;
        let (serial, created) = (self.last, Site::here(sim));
        let block = Block {
            size,
            tag,
            paged,
            owner,
            serial,
            base: base.addr(),
            layout,
            site: created,
        };
        self.live.insert(address, block);
        address
    }

    /// Takes a block out of use; the reports of what is wrong with it are the error.
    pub(crate) fn free(
        &mut self,
        address: usize,
        tag: Option<u32>,
        owner: Owner,
    ) -> Result<(), (Rule, String)> {
        let Some(block) = self.live.get(&address).filter(|block| block.owner == owner) else {
            return Err(self.explain_bad_free(address));
        };
        if let Some(tag) = tag.filter(|tag| *tag != 0 && *tag != block.tag) {
            let details = format!(
                "freed with tag {}: {}",
                show_tag(tag),
                block.describe(address)
            );
            return Err((Rule::BadFree, details));
        }
        block.check_red_zones(address)?;
        let Some(block) = self.live.remove(&address) else {
            return Ok(());
        };
        fill(address, block.size, FREED);
        self.freed_bytes += block.size;
        self.freed.insert(address, block);
        self.freed_order.push_back(address);
        while self.freed.len() > kept_blocks() || self.freed_bytes > KEPT_BYTES {
            self.forget_oldest()?;
        }
        Ok(())
    }

    fn forget_oldest(&mut self) -> Result<(), (Rule, String)> {
        let oldest = self.freed_order.pop_front();
        let Some((address, block)) = oldest.and_then(|address| self.freed.remove_entry(&address))
        else {
            return Ok(());
        };
        self.freed_bytes -= block.size;
        block.check_untouched(address)?;
        block.give_back();
        Ok(())
    }

    fn explain_bad_free(&self, address: usize) -> (Rule, String) {
        if let Some(block) = self.freed.get(&address) {
            return (Rule::DoubleFree, block.describe(address));
        }
        let inside = self.find(address).map_or(String::new(), |(start, block)| {
            format!(", which lies within {}", block.describe(start))
        });
        (Rule::BadFree, format!("free of {address:#x}{inside}"))
    }

    fn find(&self, address: usize) -> Option<(usize, &Block)> {
        let (start, block) = self.live.range(..=address).next_back()?;
        (address < start + block.size).then_some((*start, block))
    }

    /// The size of the driver's live block at `address`.
    pub(crate) fn size_of(&self, address: usize) -> Option<usize> {
        self.live.get(&address).map(|block| block.size)
    }

    /// Is `address` in paged pool?
    pub(crate) fn is_paged(&self, address: usize) -> bool {
        self.find(address).is_some_and(|(_, block)| block.paged)
    }

    /// The freed block that holds `address`, in words.
    pub(crate) fn find_freed(&self, address: usize) -> Option<String> {
        let (start, block) = self.freed.range(..=address).next_back()?;
        (address < start + block.size).then(|| block.describe(*start))
    }

    /// The blocks that are left, of one driver or of all.
    pub(crate) fn leaks(&self, driver: Option<DriverNumber>) -> Vec<String> {
        let left = self
            .live
            .iter()
            .filter(|(_, block)| block.owner == Owner::Driver && block.site.is_of(driver));
        left.map(|(address, block)| block.describe(*address))
            .collect()
    }

    /// Looks at every red zone and every freed block; the first that was written to is the error.
    pub(crate) fn check(&self) -> Result<(), (Rule, String)> {
        self.live
            .iter()
            .try_for_each(|(address, block)| block.check_red_zones(*address))?;
        self.freed
            .iter()
            .try_for_each(|(address, block)| block.check_untouched(*address))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.live.values().for_each(Block::give_back);
        self.freed.values().for_each(Block::give_back);
    }
}

impl Block {
    fn describe(&self, address: usize) -> String {
        let kind = if self.paged { "paged" } else { "nonpaged" };
        let tag = show_tag(self.tag);
        format!(
            "{} bytes of {kind} pool at {address:#x}, tag {tag}, allocation {}{}",
            self.size, self.serial, self.site
        )
    }

    fn check_red_zones(&self, address: usize) -> Result<(), (Rule, String)> {
        let front = find_other(address - RED_ZONE, RED_ZONE, RED)
            .map(|at| format!("{} bytes before", RED_ZONE - at));
        let back = || {
            find_other(address + self.size, RED_ZONE, RED)
                .map(|at| format!("{at} bytes after the end of"))
        };
        match front.or_else(back) {
            Some(place) => Err((
                Rule::Overrun,
                format!("write {place} {}", self.describe(address)),
            )),
            None => Ok(()),
        }
    }

    fn check_untouched(&self, address: usize) -> Result<(), (Rule, String)> {
        match find_other(address, self.size, FREED) {
            Some(at) => Err((
                Rule::WriteAfterFree,
                format!("at offset {at} of {}", self.describe(address)),
            )),
            None => Ok(()),
        }
    }

    fn give_back(&self) {
        let base = core::ptr::with_exposed_provenance_mut::<u8>(self.base);
        // SAFETY: `base` was allocated with this layout and is given back once: by `forget_oldest`,
        // or when the pool goes.
        unsafe { dealloc(base, self.layout) };
    }
}

fn fill(address: usize, length: usize, value: u8) {
    let start = core::ptr::with_exposed_provenance_mut::<u8>(address);
    // SAFETY: the callers pass ranges inside of a block of this pool.
    unsafe { start.write_bytes(value, length) };
}

/// The offset of the first byte that is not `expected`.
fn find_other(address: usize, length: usize, expected: u8) -> Option<usize> {
    let start = core::ptr::with_exposed_provenance::<u8>(address);
    // SAFETY: the callers pass ranges inside of a block of this pool, which were filled.
    let bytes = unsafe { core::slice::from_raw_parts(start, length) };
    bytes.iter().position(|byte| *byte != expected)
}

fn show_tag(tag: u32) -> String {
    format!("'{}'", tag.to_le_bytes().escape_ascii())
}

/// Reports pool memory that must not be used at the IRQL of `me`.
pub(crate) fn check_not_paged(me: &Thread, address: usize, what: &str) {
    if me.irql() > APC && lock(&me.sim.kernel.pool).is_paged(address) {
        offence(
            Rule::PagedAtDispatch,
            &format!("{what} at {address:#x} used at IRQL {}", me.irql()),
        );
    }
}

/// Does this kind of pool of the older functions mean paged pool?
pub(super) fn is_paged_type(pool: POOL_TYPE) -> bool {
    pool & TYPE_PAGED != 0
}

/// Allocates for the driver; null if that is to fail.
pub(super) fn allocate(
    me: &Arc<Thread>,
    size: usize,
    tag: u32,
    paged: bool,
    zero: bool,
    function: &str,
) -> PVOID {
    require(me, if paged { APC } else { DISPATCH }, function);
    if me.sim.faults.strikes(Fault::Allocation) {
        return core::ptr::null_mut();
    }
    let address = lock(&me.sim.kernel.pool).allocate(&me.sim, size, tag, paged, Owner::Driver);
    if zero {
        fill(address, size, 0);
    }
    core::ptr::with_exposed_provenance_mut(address)
}

/// Frees for the driver, or reports what is wrong with that.
pub(super) fn free(me: &Arc<Thread>, address: usize, tag: Option<u32>) {
    require(me, DISPATCH, "ExFreePool");
    let size = lock(&me.sim.kernel.pool).size_of(address).unwrap_or(0);
    if lock(&me.sim.kernel.pool).is_paged(address) {
        require(me, APC, "ExFreePool of paged pool");
    }
    check_unused(me, address, size);
    let result = lock(&me.sim.kernel.pool).free(address, tag, Owner::Driver);
    if let Err((rule, details)) = result {
        offence(rule, &details);
    }
}

/// Reports memory that the kernel still uses.
fn check_unused(me: &Arc<Thread>, address: usize, size: usize) {
    if let Some(object) = me.sim.sched.object_in_use(address, size) {
        offence(
            Rule::FreedInUse,
            &format!("freed memory holds the {object}"),
        );
    }
    check_no_lookaside(me, address, size);
    if let Some(item) = lock(&me.sim.kernel.work_items).find_in(address, size) {
        offence(Rule::FreedInUse, &format!("freed memory holds the {item}"));
    }
    if let Some(resource) = lock(&me.sim.kernel.resources).find_in(address, size) {
        offence(
            Rule::FreedInUse,
            &format!("freed memory holds the {resource}"),
        );
    }
    if let Some(irp) = lock(&me.sim.kernel.irps).free_range(address, size) {
        offence(
            Rule::IrpFreedInFlight,
            &format!("freed memory holds the {irp}"),
        );
    }
    if let Some((rule, what)) = me.sim.nmr.uses_memory(address, size) {
        offence(rule, &format!("freed memory holds {what}"));
    }
    if let Some(request) = me.sim.wsk.uses_memory(address, size) {
        offence(
            Rule::BufferFreed,
            &format!("freed memory is the buffer of {request}"),
        );
    }
    if let Some(user) = me.sim.wsk.keeps_memory(address, size) {
        offence(Rule::FreedInUse, &format!("freed memory is used by {user}"));
    }
}

/// Reports a lookaside list in freed memory, and a list's entry that is not freed to it.
fn check_no_lookaside(me: &Arc<Thread>, address: usize, size: usize) {
    let lists = lock(&me.sim.kernel.lookasides);
    let (list, owner) = (lists.find_in(address, size), lists.find_entry(address));
    drop(lists);
    if let Some(list) = list {
        offence(Rule::FreedInUse, &format!("freed memory holds the {list}"));
    }
    if let Some(owner) = owner {
        let details = format!("free of {address:#x}, an entry of the {owner}");
        offence(Rule::BadFree, &details);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExAllocatePool2(flags: POOL_FLAGS, size: SIZE_T, tag: ULONG) -> PVOID {
    let size = usize::try_from(size).unwrap_or(0);
    if size == 0 || tag == 0 {
        return core::ptr::null_mut();
    }
    let (paged, zero) = (flags & FLAG_PAGED != 0, flags & FLAG_UNINITIALIZED == 0);
    allocate(&current(), size, tag, paged, zero, "ExAllocatePool2")
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExAllocatePoolWithTag(pool: POOL_TYPE, size: SIZE_T, tag: ULONG) -> PVOID {
    let size = usize::try_from(size).unwrap_or(0);
    let paged = is_paged_type(pool);
    allocate(&current(), size, tag, paged, false, "ExAllocatePoolWithTag")
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExFreePoolWithTag(memory: PVOID, tag: ULONG) {
    free(&current(), memory.addr(), Some(tag));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ExFreePool(memory: PVOID) {
    free(&current(), memory.addr(), None);
}
