//! Data in memory of the provider's own, described by MDLs: what receive events indicate [wsk 8.9].

use wsk_sys::WSK_BUF;

use crate::kernel::lent::Lent;
use crate::kernel::mdl::OwnMdl;
use crate::sim::Shared;

/// At most so many MDLs describe the data of one indication.
const MOST_PIECES: usize = 3;
/// Fewer bytes than this lie before the data in the first MDL.
const MOST_OFFSET: usize = 16;
/// What those bytes are.
const NO_DATA: u8 = 0xDD;

/// Data that the seed has spread over some MDLs.
pub(super) struct Chain {
    mdls: Vec<OwnMdl>,
    offset: usize,
    length: usize,
}

impl Chain {
    pub(super) fn new(sim: &Shared, data: &[u8]) -> Self {
        let offset = sim.sched.choose_below(MOST_OFFSET);
        let mut mdls: Vec<OwnMdl> = Vec::new();
        let mut rest = data;
        let mut left = 1 + sim.sched.choose_below(MOST_PIECES);
        while !rest.is_empty() {
            let count = if left == 1 {
                rest.len()
            } else {
                1 + sim.sched.choose_below(rest.len())
            };
            let (piece, later) = rest.split_at(count);
            let before = if mdls.is_empty() { offset } else { 0 };
            let memory = Lent::of(sim, &[&vec![NO_DATA; before], piece].concat());
            mdls.push(OwnMdl::describing(sim, memory));
            rest = later;
            left -= 1;
        }
        for pair in mdls.windows(2) {
            pair[0].link(&pair[1]);
        }
        Self {
            offset: if mdls.is_empty() { 0 } else { offset },
            mdls,
            length: data.len(),
        }
    }

    /// The description that an indication contains.
    pub(super) fn describe(&self) -> WSK_BUF {
        let first = self.mdls.first();
        WSK_BUF {
            Mdl: first.map_or(core::ptr::null_mut(), OwnMdl::pointer),
            Offset: u32::try_from(self.offset).unwrap_or(0),
            Length: self.length as u64,
        }
    }

    /// The addresses of its MDLs.
    pub(super) fn mdls(&self) -> impl Iterator<Item = usize> {
        self.mdls.iter().map(|mdl| mdl.pointer().addr())
    }

    /// Takes the memory back from the client.
    pub(super) fn give_up(self) {
        self.mdls.into_iter().for_each(OwnMdl::take_back);
    }
}
