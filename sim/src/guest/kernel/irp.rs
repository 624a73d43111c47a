//! IRPs of the host's kernel.

// UNSAFETY: an IRP is a structure that kernel, provider and drivers share.
#![expect(unsafe_code, reason = "views of IRPs, and their completion")]

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use wdk_sys::{KIRQL, PIRP};

use super::layout::{Irp, view};
use super::ntoskrnl;
use crate::sched::Thread;
use crate::sim::offence;
use crate::verifier::Rule;

pub(crate) const SL_PENDING_RETURNED: u8 = 1;

/// Moves to the stack location that the client has prepared for the provider [wsk 3.2].
pub(crate) fn give_to_provider<'a>(_me: &Thread, irp: PIRP, function: &str) -> &'a Irp {
    // SAFETY: the client gives an IRP, which is the provider's until it completes it [wsk 3.5].
    let packet: &Irp = unsafe { view(irp) };
    let location = packet.current_location.get();
    if location <= 1 {
        let details = format!("{function} with IRP {irp:p}");
        offence(Rule::IrpStackLocation, &details);
    }
    packet.set_location(location - 1);
    packet
}

/// Completes an IRP of the provider's.
pub(crate) fn complete(me: &Arc<Thread>, irp: PIRP) {
    me.completions.fetch_add(1, SeqCst);
    // SAFETY: the callers complete each IRP once [wsk 3.5].
    unsafe { ntoskrnl::complete(irp) };
    me.completions.fetch_sub(1, SeqCst);
}

/// Releases the cancel lock, as a cancel routine must.
pub(crate) fn release_cancel_lock(_me: &Thread, irql: KIRQL) {
    // SAFETY: only the cancel routine calls this, which holds the lock.
    unsafe { ntoskrnl::release_cancel_lock(irql) };
}
