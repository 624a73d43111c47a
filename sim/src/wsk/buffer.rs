//! The memory that a request uses: what a `WSK_BUF` describes, and other arguments.
//!
//! The `WSK_BUF` itself is read during the call; the MDLs and what they describe are used until the
//! request completes.

// UNSAFETY: walks MDL chains and copies from and to the driver's memory.
#![expect(unsafe_code, reason = "access to buffers in the driver's memory")]

use wdk_sys::{MDL, PVOID};
use wsk_sys::PWSK_BUF;

use crate::kernel::layout::{Mdl, view};
use crate::kernel::pool::check_not_paged;
use crate::sched::Thread;
use crate::sim::{lock, offence};
use crate::verifier::Rule;

/// A gathered buffer: pieces of memory, as addresses.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) pieces: Vec<(usize, usize)>,
    pub(super) mdls: Vec<usize>,
    pub(super) length: usize,
    /// Other memory that must stay until completion: addresses and lengths.
    other: Vec<(usize, usize)>,
}

impl Buffer {
    /// All memory that must stay until completion: addresses and lengths.
    pub(super) fn memory(&self) -> impl Iterator<Item = (usize, usize)> {
        self.pieces.iter().chain(&self.other).copied()
    }

    /// Adds memory that is used besides what the `WSK_BUF` describes; null is nothing.
    pub(super) fn also_uses(&mut self, me: &Thread, start: usize, length: usize, function: &str) {
        if start == 0 || length == 0 {
            return;
        }
        check_not_freed(me, start, function);
        self.other.push((start, length));
    }

    /// Adds another buffer behind this one.
    pub(super) fn append(&mut self, other: Self) {
        self.pieces.extend(other.pieces);
        self.mdls.extend(other.mdls);
        self.length += other.length;
        self.other.extend(other.other);
    }

    /// Reads a `WSK_BUF` and its chain, and checks them.
    ///
    /// # Safety
    ///
    /// `buffer` points to a `WSK_BUF` whose MDL is null or the start of a chain of live MDLs.
    pub(super) unsafe fn read(me: &Thread, buffer: PWSK_BUF, function: &str) -> Self {
        if buffer.is_null() {
            offence(
                Rule::BufferBeyondMdl,
                &format!("{function} without a WSK_BUF"),
            );
        }
        check_not_paged(me, buffer.addr(), "a WSK_BUF");
        // SAFETY: promised by the caller.
        let described = unsafe { buffer.read() };
        let mut result = Self {
            length: usize::try_from(described.Length).unwrap_or(0),
            ..Self::default()
        };
        let (mut left, mut offset, mut next) =
            (result.length, described.Offset as usize, described.Mdl);
        while left > 0 && !next.is_null() {
            // SAFETY: promised by the caller.
            let mdl: &Mdl = unsafe { view::<Mdl>(next) };
            check_mdl(me, mdl, next, function);
            let count = mdl.byte_count.get() as usize;
            if offset > 0 && offset >= count {
                break;
            }
            let piece = left.min(count - offset);
            result
                .pieces
                .push((mdl.address().expose_provenance() + offset, piece));
            result.mdls.push(next.addr());
            left -= piece;
            offset = 0;
            next = mdl.next.get();
        }
        if left > 0 {
            let details = format!(
                "{function}: offset {}, length {}: {left} bytes lie beyond the MDL chain at {:p}",
                described.Offset, result.length, described.Mdl
            );
            offence(Rule::BufferBeyondMdl, &details);
        }
        result
    }

    /// As `read`; null describes nothing.
    ///
    /// # Safety
    ///
    /// As for `read`, or null.
    pub(super) unsafe fn read_optional(me: &Thread, buffer: PWSK_BUF, function: &str) -> Self {
        if buffer.is_null() {
            return Self::default();
        }
        // SAFETY: promised by the caller.
        unsafe { Self::read(me, buffer, function) }
    }

    /// Memory that no MDL describes: pieces by start and length.
    pub(super) fn of(pieces: &[(PVOID, usize)]) -> Self {
        let used = pieces
            .iter()
            .filter(|(start, length)| !start.is_null() && *length > 0);
        let pieces: Vec<_> = used
            .map(|(start, length)| (start.expose_provenance(), *length))
            .collect();
        Self {
            length: pieces.iter().map(|(_, length)| length).sum(),
            pieces,
            mdls: Vec::new(),
            other: Vec::new(),
        }
    }

    /// The pieces from `start` on.
    fn from(&self, start: usize) -> impl Iterator<Item = (usize, usize)> {
        let mut skip = start;
        self.pieces.iter().filter_map(move |&(address, length)| {
            let here = skip.min(length);
            skip -= here;
            (here < length).then_some((address + here, length - here))
        })
    }

    /// The memory from `start` on, piece by piece.
    pub(super) fn read_from(&self, start: usize) -> impl Iterator<Item = &[u8]> {
        self.from(start).map(|(address, length)| {
            let pointer = core::ptr::with_exposed_provenance::<u8>(address);
            // SAFETY: the client keeps the memory of a pending request [wsk 3.12], and does not
            // write to it while it is being sent.
            unsafe { core::slice::from_raw_parts(pointer, length) }
        })
    }

    /// Copies `data` to the memory at `start`.
    pub(super) fn write_at(&self, start: usize, data: &[u8]) {
        let mut rest = data;
        for (address, length) in self.from(start) {
            let (now, later) = rest.split_at(rest.len().min(length));
            let pointer = core::ptr::with_exposed_provenance_mut::<u8>(address);
            // SAFETY: the client keeps the memory of a pending request and leaves it to the
            // provider [wsk 3.12].
            unsafe { pointer.copy_from_nonoverlapping(now.as_ptr(), now.len()) };
            rest = later;
        }
    }
}

fn check_mdl(me: &Thread, mdl: &Mdl, address: *mut MDL, function: &str) {
    check_not_paged(me, address.addr(), "an MDL");
    if let Some(freed) = lock(&me.sim.kernel.pool).find_freed(address.addr()) {
        offence(
            Rule::MdlUnknown,
            &format!("{function} with MDL {address:p}, freed with {freed}"),
        );
    }
    if !mdl.is_usable() {
        let details = format!("{function} with MDL {address:p}, which was not built or locked");
        offence(Rule::MdlUnknown, &details);
    }
    check_not_freed(me, mdl.address().addr(), function);
}

fn check_not_freed(me: &Thread, address: usize, function: &str) {
    if let Some(freed) = lock(&me.sim.kernel.pool).find_freed(address) {
        offence(
            Rule::BufferFreed,
            &format!("{function} with a buffer in {freed}"),
        );
    }
}
