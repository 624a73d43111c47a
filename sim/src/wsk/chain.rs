//! Data in memory of the provider's own, described by MDLs: what receive events indicate [wsk 8.9].

use wdk_sys::MDL;
use wsk_sys::WSK_BUF;

use crate::kernel::mdl::OwnMdl;
use crate::sim::Shared;

/// What is left in memory that the client has given back.
const STALE: u8 = 0xDD;
/// At most so many MDLs describe the data of one indication.
const MOST_PIECES: usize = 3;
/// At most so many bytes lie before the data in the first MDL.
const MOST_OFFSET: usize = 16;

/// Data that the seed has spread over some MDLs.
pub(super) struct Chain {
    memory: Vec<Vec<u8>>,
    mdls: Vec<OwnMdl>,
    offset: usize,
    length: usize,
}

impl Chain {
    pub(super) fn new(sim: &Shared, data: &[u8]) -> Self {
        let offset = sim.sched.choose_below(MOST_OFFSET);
        let mut memory = Vec::new();
        let mut rest = data;
        for left in (1..=MOST_PIECES).rev() {
            let count = if left == 1 {
                rest.len()
            } else {
                sim.sched.choose_below(rest.len() + 1)
            };
            let (piece, later) = rest.split_at(count);
            let before = if memory.is_empty() { offset } else { 0 };
            if before + count > 0 {
                memory.push([vec![STALE; before], piece.to_vec()].concat());
            }
            rest = later;
        }
        let mdls: Vec<_> = memory
            .iter_mut()
            .map(|piece| OwnMdl::describing(piece))
            .collect();
        for pair in mdls.windows(2) {
            pair[0].link(&pair[1]);
        }
        let offset = if memory.is_empty() { 0 } else { offset };
        Self {
            memory,
            mdls,
            offset,
            length: data.len(),
        }
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The description that an indication contains.
    pub(super) fn describe(&self) -> WSK_BUF {
        let first: *mut MDL = self
            .mdls
            .first()
            .map_or(core::ptr::null_mut(), OwnMdl::pointer);
        let mut description = WSK_BUF::default();
        description.Mdl = first;
        description.Offset = u32::try_from(self.offset).unwrap_or(0);
        description.Length = self.length as u64;
        description
    }

    /// The data.
    pub(super) fn data(&self) -> Vec<u8> {
        self.memory.concat().split_off(self.offset)
    }

    /// Makes the data unrecognisable.
    pub(super) fn spoil(&mut self) {
        for piece in &mut self.memory {
            piece.fill(STALE);
        }
    }
}
