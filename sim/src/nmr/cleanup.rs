//! The end of a binding: both cleanup callbacks, where there are any, in no particular order; then
//! the deregistrations that waited for it [wsk 12.10, 12.14].

// UNSAFETY: the cleanup callbacks are the driver's.
#![expect(unsafe_code, reason = "calls the driver's callbacks")]

use std::sync::Arc;

use super::callback;
use super::characteristics::Side;
use crate::sched::Thread;
use crate::sim::lock;

/// Has both sides of a binding called that have detached.
pub(super) fn start(me: &Arc<Thread>, number: usize) {
    callback::in_any_order(me, Side::BOTH.to_vec(), |side| {
        let module = me
            .sim
            .nmr
            .change(number, |binding| Ok(binding.module(side)));
        if module.callbacks.cleanup.is_some() {
            callback::place(me, move |me| clean_up(me, number, side));
        } else {
            clean_up(me, number, side);
        }
    });
}

fn clean_up(me: &Arc<Thread>, number: usize, side: Side) {
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
