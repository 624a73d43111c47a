//! Ending a binding: both detach callbacks, once each, and what completes them [wsk 12.10].
//!
//! They come in either order or at the same time. A completion may come while the callback that
//! will return `STATUS_PENDING` is still running.

// UNSAFETY: the detach callbacks are the driver's.
#![expect(unsafe_code, reason = "calls the driver's callbacks")]

use std::sync::Arc;

use wdk_sys::HANDLE;

use super::characteristics::Side;
use super::{callback, cleanup};
use crate::current::current;
use crate::kernel::irql::{DISPATCH, require};
use crate::sched::Thread;
use crate::sim::{lock, offence};
use crate::verifier::Rule;

/// Has both sides of these bindings called, which are marked as detaching.
pub(super) fn start(me: &Arc<Thread>, bindings: Vec<usize>) {
    let both = |number| Side::BOTH.map(|side| (number, side));
    let ends = bindings.into_iter().flat_map(both).collect();
    callback::spread(me, ends, callback::ANY, detach);
}

fn detach(me: &Arc<Thread>, (number, side): (usize, Side)) {
    let name = match side {
        Side::Client => "ClientDetachProvider",
        Side::Provider => "ProviderDetachClient",
    };
    let (module, context) = me.sim.nmr.change(number, |binding| {
        binding.call_detach(side);
        Ok((binding.module(side), binding.context(side)))
    });
    module.check_unchanged();
    let status = callback::call(me, &module, name, || {
        // SAFETY: the module registered this callback and attached with this context, which it
        // keeps until the cleanup [wsk 12.10].
        unsafe { (module.callbacks.detach)(context.get()) }
    });
    let detached = me
        .sim
        .nmr
        .change(number, |binding| binding.detach_returned(side, status));
    if detached {
        settle(me, number, side);
    }
}

/// `side` has detached: tells a provider of the system, and starts the cleanup if both have.
fn settle(me: &Arc<Thread>, number: usize, side: Side) {
    let (over, provider, handle) = me.sim.nmr.change(number, |binding| {
        let over = binding.begin_cleanup();
        Ok((
            over,
            binding.module(Side::Provider),
            binding.handle(Side::Provider),
        ))
    });
    if let Some(client_detached) = provider.client_detached.filter(|_| side == Side::Client) {
        client_detached(&me.sim, handle.addr());
    }
    if over {
        cleanup::start(me, number);
    }
}

/// `NmrClientDetachProviderComplete` and `NmrProviderDetachClientComplete`.
fn complete(handle: HANDLE, side: Side, function: &str) {
    let me = current();
    require(&me, DISPATCH, function);
    let found = lock(&me.sim.nmr.books).find(handle.addr());
    let Some((number, _)) = found.filter(|(_, owner)| *owner == side) else {
        let details = format!("{function} with {handle:p}, no {}'s handle", side.name());
        offence(Rule::NmrDetachComplete, &details);
    };
    let returned = me
        .sim
        .nmr
        .change(number, |binding| binding.complete_detach(side));
    if returned {
        settle(&me, number, side);
    }
    me.sim.sched.point(&me);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn NmrClientDetachProviderComplete(handle: HANDLE) {
    complete(handle, Side::Client, "NmrClientDetachProviderComplete");
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn NmrProviderDetachClientComplete(handle: HANDLE) {
    complete(handle, Side::Provider, "NmrProviderDetachClientComplete");
}
