//! The interrupt request level of each thread, and the rules about it.

// UNSAFETY: the exports have the kernel's names, which the linker must see.
#![expect(unsafe_code, reason = "exports of the kernel")]

use std::sync::Arc;

use wdk_sys::KIRQL;

use crate::current::current;
use crate::reached;
use crate::sched::Thread;
use crate::sim::offence;
use crate::verifier::Rule;

pub(crate) const PASSIVE: u8 = 0;
pub(crate) const APC: u8 = 1;
pub(crate) const DISPATCH: u8 = 2;
const HIGH: u8 = 15;

/// Notes that `function` was called, and reports it if above `highest`.
pub(crate) fn require(me: &Thread, highest: u8, function: &str) {
    reached::function(function);
    let irql = me.irql();
    if irql > highest {
        offence(
            Rule::Irql,
            &format!("{function} called at IRQL {irql}, allowed up to {highest}"),
        );
    }
}

/// Reports a callback that returned at another IRQL than it was called at, or with a spin lock
/// held.
pub(crate) fn check_unchanged(me: &Arc<Thread>, expected: u8, callback: &str) {
    let irql = me.irql();
    if irql != expected {
        let details = format!("{callback} was called at IRQL {expected} and returned at {irql}");
        offence(Rule::IrqlChanged, &details);
    }
}

fn lower(me: &Arc<Thread>, irql: u8) {
    me.set_irql(irql);
    if irql < DISPATCH {
        me.sim.sched.point(me);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeGetCurrentIrql() -> KIRQL {
    current().irql()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KfRaiseIrql(new: KIRQL) -> KIRQL {
    let me = current();
    let old = me.irql();
    if new < old || new > HIGH {
        let details = format!("KfRaiseIrql to {new} at IRQL {old}: it can only raise");
        offence(Rule::Irql, &details);
    }
    me.set_irql(new)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeRaiseIrqlToDpcLevel() -> KIRQL {
    // SAFETY: there are no conditions; what is wrong is reported.
    unsafe { KfRaiseIrql(DISPATCH) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeLowerIrql(new: KIRQL) {
    let me = current();
    let old = me.irql();
    if new > old {
        let details = format!("KeLowerIrql to {new} at IRQL {old}: it can only lower");
        offence(Rule::Irql, &details);
    }
    let held = crate::sim::lock(&me.locks).len();
    if held > 0 && new < DISPATCH {
        offence(
            Rule::SpinLock,
            &format!("KeLowerIrql to {new} with {held} spin locks held"),
        );
    }
    lower(&me, new);
}
