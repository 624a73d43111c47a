//! Memory of the provider's own; pool is the host's, and there are no books about it.

use std::collections::BTreeMap;

use crate::sched::Thread;
use crate::sim::Shared;
use crate::verifier::Rule;

/// Whose memory it is.
#[derive(Clone, Copy)]
pub(crate) enum Owner {
    Kernel,
}

/// What was allocated here, by address.
#[derive(Default)]
pub(crate) struct Pool(BTreeMap<usize, Box<[u128]>>);

impl Pool {
    pub(crate) fn allocate(
        &mut self,
        _sim: &Shared,
        size: usize,
        _tag: u32,
        _paged: bool,
        _owner: Owner,
    ) -> usize {
        let mut memory = vec![0; size.div_ceil(size_of::<u128>())].into_boxed_slice();
        let address = memory.as_mut_ptr().expose_provenance();
        self.0.insert(address, memory);
        address
    }

    pub(crate) fn free(
        &mut self,
        address: usize,
        _tag: Option<u32>,
        _owner: Owner,
    ) -> Result<(), (Rule, String)> {
        let freed = self.0.remove(&address).map(drop);
        freed.ok_or_else(|| (Rule::BadFree, format!("{address:#x} was not allocated")))
    }

    /// What of the driver's memory is paged is not known.
    pub(crate) fn is_paged(&self, _address: usize) -> bool {
        false
    }

    /// What the driver has freed is not known.
    pub(crate) fn find_freed(&self, _address: usize) -> Option<String> {
        None
    }
}

/// As the simulated kernel's.
pub(crate) fn check_not_paged(_me: &Thread, _address: usize, _what: &str) {}
