//! Fault injection: the Nth allocation, or the Nth provider call, fails.
//!
//! The exports ask `Faults::strikes` at each place that can fail; a test says which one does
//! (`Builder::fail`), or lets `every_fault` try them all.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Allocations: pool, IRPs, MDLs, work items, system threads, devices, and the registrar's for
    /// network modules and their bindings.
    Allocation,
    /// Requests to the WSK provider: they complete with `STATUS_INSUFFICIENT_RESOURCES`.
    ProviderCall,
}

/// The kinds in the order in which `every_fault` tries them.
pub(crate) const KINDS: [Fault; 2] = [Fault::Allocation, Fault::ProviderCall];

/// Counts what could fail, and fails what was asked for.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    counts: [AtomicU64; KINDS.len()],
    target: Option<(Fault, u64)>,
}

impl Faults {
    pub(crate) fn new(target: Option<(Fault, u64)>) -> Self {
        Self {
            counts: Default::default(),
            target,
        }
    }

    /// Counts one occasion; true if this is the one that fails.
    pub(crate) fn strikes(&self, fault: Fault) -> bool {
        let number = self.counts[fault as usize].fetch_add(1, Relaxed) + 1;
        self.target == Some((fault, number))
    }

    /// The one that was asked for.
    pub(crate) fn target(&self) -> Option<(Fault, u64)> {
        self.target
    }

    /// How many occasions there were.
    pub(crate) fn count(&self, fault: Fault) -> u64 {
        self.counts[fault as usize].load(Relaxed)
    }
}
