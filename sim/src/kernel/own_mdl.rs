//! What an MDL says, and MDLs of the simulator's own.
//!
//! It knows the layout, not where a driver's MDLs come from.

// UNSAFETY: an MDL is a structure that kernel and driver share.
#![expect(unsafe_code, reason = "views of MDLs")]

use wdk_sys::{MDL, PMDL};

use super::layout::{Mdl, view};
use super::lent::Lent;
use crate::sim::Shared;

const PAGE: usize = 4096;
pub(super) const MAPPED_TO_SYSTEM_VA: i16 = 1;
pub(super) const PAGES_LOCKED: i16 = 2;
pub(super) const SOURCE_IS_NONPAGED_POOL: i16 = 4;
pub(super) const PARTIAL: i16 = 16;
const WRITE_OPERATION: i16 = 0x80;

/// An MDL of the simulator's own, which a driver sees but must not free, and the memory that it
/// describes.
pub(crate) struct OwnMdl {
    mdl: Lent,
    memory: Lent,
}

impl OwnMdl {
    pub(crate) fn describing(sim: &Shared, memory: Lent) -> Self {
        let own = Self::new(sim, memory);
        own.view().mapped.set(own.memory.pointer());
        own.view().set_flags(SOURCE_IS_NONPAGED_POOL);
        own
    }

    /// Describes memory of a program's, whose pages are locked.
    pub(crate) fn locking(sim: &Shared, memory: Lent, to_write: bool) -> Self {
        let own = Self::new(sim, memory);
        let write = if to_write { WRITE_OPERATION } else { 0 };
        own.view().set_flags(PAGES_LOCKED | write);
        own
    }

    fn new(sim: &Shared, memory: Lent) -> Self {
        let (address, length) = (memory.pointer::<u8>(), memory.bytes().len());
        let size = size_for(address.addr(), length);
        let mdl = Lent::new(sim, size);
        let own = Self { mdl, memory };
        let mdl = own.view();
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        mdl.describe(address, length, i16::try_from(size).unwrap_or(i16::MAX));
        own
    }

    pub(crate) fn pointer(&self) -> PMDL {
        self.mdl.pointer()
    }

    /// What it describes.
    pub(crate) fn memory(&self) -> &Lent {
        &self.memory
    }

    /// Makes `next` follow in the chain.
    pub(crate) fn link(&self, next: &Self) {
        self.view().next.set(next.pointer());
    }

    /// Takes it and its memory back from the driver.
    pub(crate) fn take_back(self) {
        self.mdl.take_back();
        self.memory.take_back();
    }

    fn view(&self) -> &Mdl {
        // SAFETY: the block has room for an MDL, which only this and the driver look at.
        unsafe { view(self.pointer()) }
    }
}

impl Mdl {
    /// The first byte that it describes.
    pub(crate) fn address(&self) -> *mut u8 {
        self.start
            .get()
            .wrapping_add(self.byte_offset.get() as usize)
    }

    pub(super) fn set_flags(&self, flags: i16) {
        self.flags.set(self.flags.get() | flags);
    }

    /// The pages are not there any more; the MDL stays, as memory.
    pub(super) fn forget_pages(&self) {
        self.flags.set(0);
        self.byte_count.set(0);
    }

    pub(super) fn describe(&self, address: *mut u8, length: u32, size: i16) {
        let offset = address.addr() % PAGE;
        self.next.set(core::ptr::null_mut());
        self.size.set(size);
        self.flags.set(0);
        self.process.set(0);
        self.mapped.set(core::ptr::null_mut());
        self.start.set(address.wrapping_sub(offset));
        self.byte_offset.set(u32::try_from(offset).unwrap_or(0));
        self.byte_count.set(length);
    }
}

/// The bytes of an MDL for `length` bytes at `address`: the header and one page frame number for
/// each page.
pub(super) fn size_for(address: usize, length: usize) -> usize {
    let pages = (address % PAGE + length).div_ceil(PAGE);
    size_of::<MDL>() + pages * size_of::<usize>()
}
