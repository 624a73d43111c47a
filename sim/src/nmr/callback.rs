//! Where, and at which IRQL, the registrar calls a module [wsk 12.13].
//!
//! Attach callbacks run at `PASSIVE_LEVEL`; all others may come at `DISPATCH_LEVEL` as well, on the
//! thread that caused them or on any other, and at the same time as others. The schedule chooses.

use std::sync::Arc;

use super::module::Module;
use crate::current::current;
use crate::kernel::irql::{DISPATCH, PASSIVE, check_unchanged};
use crate::reached;
use crate::sched::{Job, Thread, Work};

/// The IRQLs of attach callbacks, and of all others.
pub(super) const ATTACH: &[u8] = &[PASSIVE];
pub(super) const ANY: &[u8] = &[PASSIVE, DISPATCH];

/// Runs `call` for each of the items: here, in any order, or on another occasion; at one of these
/// IRQLs, lowest first.
pub(super) fn spread<T: Send + 'static>(
    me: &Arc<Thread>,
    items: Vec<T>,
    irqls: &[u8],
    call: fn(&Arc<Thread>, T),
) {
    let possible: Vec<_> = irqls
        .iter()
        .copied()
        .filter(|irql| *irql >= me.irql())
        .collect();
    let mut here = Vec::new();
    for item in items {
        let choice = me.sim.sched.choose_below(possible.len() + irqls.len());
        match possible.get(choice) {
            Some(irql) => here.push((item, *irql)),
            None => deliver(me, irqls[choice - possible.len()], item, call),
        }
    }
    let before = me.irql();
    while !here.is_empty() {
        let (item, irql) = here.remove(me.sim.sched.choose_below(here.len()));
        me.set_irql(irql);
        call(me, item);
        me.set_irql(before);
    }
}

fn deliver<T: Send + 'static>(me: &Thread, irql: u8, item: T, call: fn(&Arc<Thread>, T)) {
    let work = Work::Call(Box::new(move || call(&current(), item)));
    me.sim.sched.deliver(0, Job { irql, work });
}

/// Calls `module` by `run`, and checks that it returns at the IRQL at which it was called.
pub(super) fn call<R>(
    me: &Arc<Thread>,
    module: &Module,
    callback: &str,
    run: impl FnOnce() -> R,
) -> R {
    reached::function(callback);
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
