//! The IRQL that the provider tells its callbacks; the host's kernel does not know it, and may run
//! drivers without any.

use crate::sched::Thread;

pub(crate) const PASSIVE: u8 = 0;
pub(crate) const DISPATCH: u8 = 2;

/// The caller's IRQL is the host's affair.
pub(crate) fn require(_me: &Thread, _highest: u8, _function: &str) {}

/// A callback's IRQL is the host's affair.
pub(crate) fn check_unchanged(_me: &Thread, _expected: u8, _callback: &str) {}
