//! Where, and at which IRQL, the registrar calls a module [wsk 12.13].
//!
//! Attach callbacks run at `PASSIVE_LEVEL`; all others may come at `DISPATCH_LEVEL` as well, on the
//! thread that caused them or on any other, and at the same time as others. The schedule chooses.

use std::sync::Arc;

use super::module::Module;
use crate::current::current;
use crate::kernel::irql::{DISPATCH, PASSIVE, check_unchanged};
use crate::sched::{Job, Thread, Work};

/// Runs `call` now or later, at `PASSIVE_LEVEL` or `DISPATCH_LEVEL`.
pub(super) fn place(me: &Arc<Thread>, call: impl FnOnce(&Arc<Thread>) + Send + 'static) {
    let before = me.irql();
    match me.sim.sched.choose_below(4) {
        0 => call(me),
        1 => {
            me.set_irql(DISPATCH);
            call(me);
            me.set_irql(before);
        }
        2 => deliver(me, PASSIVE, call),
        _ => deliver(me, DISPATCH, call),
    }
}

/// Runs `call` on the calling thread, or later on a system thread; at `PASSIVE_LEVEL`.
pub(super) fn place_passive(me: &Arc<Thread>, call: impl FnOnce(&Arc<Thread>) + Send + 'static) {
    if me.sim.sched.choose_below(2) == 0 {
        call(me);
    } else {
        deliver(me, PASSIVE, call);
    }
}

fn deliver(me: &Thread, irql: u8, call: impl FnOnce(&Arc<Thread>) + Send + 'static) {
    let work = Work::Call(Box::new(move || call(&current())));
    me.sim.sched.deliver(0, Job { irql, work });
}

/// Takes the items in an order that the schedule chooses.
pub(super) fn in_any_order<T>(me: &Thread, mut items: Vec<T>, mut take: impl FnMut(T)) {
    while !items.is_empty() {
        let index = me.sim.sched.choose_below(items.len());
        take(items.remove(index));
    }
}

/// Calls `module` by `run`, and checks that it returns at the IRQL at which it was called.
pub(super) fn call<R>(
    me: &Arc<Thread>,
    module: &Module,
    callback: &str,
    run: impl FnOnce() -> R,
) -> R {
    me.sim.sched.point(me);
    let irql = me.irql();
    let driver = if module.is_system() {
        me.driver()
    } else {
        module.site().driver()
    };
    let result = me.as_driver(driver, run);
    check_unchanged(me, irql, &format!("{callback} of the {module}"));
    me.sim.sched.point(me);
    result
}
