//! Fault injection: the Nth allocation or the Nth provider call fails, or the Nth IRP completes
//! with a given status.
//!
//! The exports ask `Faults::strikes` at each place that can fail; a test says which one does
//! (`Builder::fail`), or lets `every_fault` try them all.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use wdk_sys::{NTSTATUS, STATUS_UNSUCCESSFUL};

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Allocations: pool, IRPs, MDLs, work items, system threads, devices, and the registrar's for
    /// network modules and their bindings.
    Allocation,
    /// Requests to the WSK provider: they fail at their beginning, with
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    ProviderCall,
    /// IRPs that the WSK provider gets: when its turn comes, at once or later, the request
    /// completes with this status instead of doing anything. Not the IRPs of `WskCloseSocket`.
    Completion(NTSTATUS),
    /// IRPs of `WskCloseSocket`: they complete with this status. The socket is closed nevertheless.
    /// The documentation allows it, but nobody has seen it [wsk 10.7]: `every_fault` leaves it out.
    Close(NTSTATUS),
}

/// The kinds in the order in which `every_fault` tries them.
pub(crate) const KINDS: [Fault; 3] = [
    Fault::Allocation,
    Fault::ProviderCall,
    Fault::Completion(STATUS_UNSUCCESSFUL),
];

impl Fault {
    /// Where its occasions are counted.
    const fn kind(self) -> usize {
        match self {
            Self::Allocation => 0,
            Self::ProviderCall => 1,
            Self::Completion(_) => 2,
            Self::Close(_) => 3,
        }
    }
}

/// Counts what could fail, and fails what was asked for.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    counts: [AtomicU64; KINDS.len() + 1],
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
        let number = self.counts[fault.kind()].fetch_add(1, Relaxed) + 1;
        self.target
            .is_some_and(|(target, at)| target.kind() == fault.kind() && at == number)
    }

    /// Counts an IRP that the provider gets; the status with which it shall complete.
    pub(crate) fn completion(&self) -> Option<NTSTATUS> {
        let strikes = self.strikes(Fault::Completion(STATUS_UNSUCCESSFUL));
        match self.target {
            Some((Fault::Completion(status), _)) if strikes => Some(status),
            _ => None,
        }
    }

    /// As `completion`, for the IRP of a `WskCloseSocket`.
    pub(crate) fn close(&self) -> Option<NTSTATUS> {
        let strikes = self.strikes(Fault::Close(STATUS_UNSUCCESSFUL));
        match self.target {
            Some((Fault::Close(status), _)) if strikes => Some(status),
            _ => None,
        }
    }

    /// The one that was asked for.
    pub(crate) fn target(&self) -> Option<(Fault, u64)> {
        self.target
    }

    /// How many occasions there were.
    pub(crate) fn count(&self, fault: Fault) -> u64 {
        self.counts[fault.kind()].load(Relaxed)
    }
}
