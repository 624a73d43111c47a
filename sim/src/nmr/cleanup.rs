//! The end of a binding: both cleanup callbacks, where there are any, in no particular order; then
//! the deregistrations that waited for it [wsk 12.10, 12.14].

// UNSAFETY: the cleanup callbacks are the driver's.
#![expect(unsafe_code, reason = "calls the driver's callbacks")]

use std::sync::Arc;

use super::binding::Binding;
use super::callback;
use super::characteristics::Side;
use crate::sched::Thread;
use crate::sim::lock;

/// Has both sides of a binding called that have detached.
pub(super) fn start(me: &Arc<Thread>, number: usize) {
    let ends = Side::BOTH.map(|side| (number, side));
    let (with, without): (Vec<_>, Vec<_>) = ends.into_iter().partition(|(number, side)| {
        let callbacks = |binding: &mut Binding| Ok(binding.module(*side).callbacks);
        me.sim.nmr.change(*number, callbacks).cleanup.is_some()
    });
    for end in without {
        clean_up(me, end);
    }
    callback::spread(me, with, callback::ANY, clean_up);
}

fn clean_up(me: &Arc<Thread>, (number, side): (usize, Side)) {
    let name = match side {
        Side::Client => "ClientCleanupBindingContext",
        Side::Provider => "ProviderCleanupBindingContext",
    };
    let (module, context) = me.sim.nmr.change(number, |binding| {
        binding.release_context(side);
        Ok((binding.module(side), binding.context(side)))
    });
    if let Some(cleanup) = module.callbacks.cleanup {
        module.check_unchanged();
        // SAFETY: the module registered this callback and attached with this context, which it
        // keeps until now [wsk 12.10].
        callback::call(me, &module, name, || unsafe { cleanup(context.get()) });
    }
    let mut books = lock(&me.sim.nmr.books);
    if books.binding(number).finish_cleanup(side) {
        books.release(&me.sim, number);
    }
}
