//! What happened to some modules, in the order in which it happened.

use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::SeqCst;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use wdk_sys::KIRQL;

use super::{SIDES, Side, locked};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// The attach callback was entered; for a client, before the binding has a number.
    Asked,
    Attached,
    Detach,
    Detached,
    Cleanup,
    Registered,
    Gone,
}

/// One thing that happened to a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub side: Side,
    pub module: u32,
    pub what: What,
    /// The number of the binding; 0 for none.
    pub binding: usize,
    pub irql: KIRQL,
}

/// What happened to some modules, in order.
#[derive(Clone, Default)]
pub struct Log(Arc<(Mutex<Vec<Event>>, AtomicUsize)>);

impl Log {
    pub fn events(&self) -> Vec<Event> {
        locked(&self.0.0).clone()
    }

    pub fn count(&self, side: Side, what: What) -> usize {
        let events = self.events();
        let meant = events
            .iter()
            .filter(|event| event.side == side && event.what == what);
        meant.count()
    }

    /// Where in the log this happened first to a module of this side.
    pub fn first(&self, side: Side, what: What) -> Option<usize> {
        let events = self.events();
        let is_meant = |event: &Event| (event.side, event.what) == (side, what);
        events.iter().position(is_meant)
    }

    /// Where in the log this happened to a binding.
    pub fn position(&self, side: Side, what: What, binding: usize) -> Option<usize> {
        let is_meant =
            |event: &Event| (event.side, event.what, event.binding) == (side, what, binding);
        self.events().iter().position(is_meant)
    }

    pub fn write(&self, event: Event) {
        locked(&self.0.0).push(event);
    }

    /// A number for a new binding.
    pub fn next_binding(&self) -> usize {
        self.0.1.fetch_add(1, SeqCst) + 1
    }
}

/// What must hold of every log: see the rules.
pub fn check(log: &Log) {
    let events = log.events();
    let is_attach = |event: &&Event| matches!(event.what, What::Asked | What::Attached);
    assert!(
        events.iter().filter(is_attach).all(|event| event.irql == 0),
        "attach callbacks run at PASSIVE_LEVEL [wsk 12.2]"
    );
    let bindings: BTreeSet<_> = events.iter().map(|event| event.binding).collect();
    for binding in bindings.into_iter().filter(|binding| *binding != 0) {
        let at = |side, what| log.position(side, what, binding);
        for side in SIDES {
            let times = |what| {
                let is_meant = |event: &&Event| {
                    (event.side, event.what, event.binding) == (side, what, binding)
                };
                events.iter().filter(is_meant).count()
            };
            let attached = times(What::Attached);
            assert!(attached <= 1);
            // [wsk 12.10, 12.19]
            assert_eq!(
                times(What::Detach),
                attached,
                "detached as often as attached"
            );
            assert_eq!(
                times(What::Cleanup),
                attached,
                "cleaned up as often as attached"
            );
            // [wsk 12.10]
            let detached = SIDES.map(|side| at(side, What::Detached));
            if let Some(cleanup) = at(side, What::Cleanup) {
                assert!(
                    detached
                        .iter()
                        .flatten()
                        .all(|detached| *detached < cleanup),
                    "cleaned up when both had detached"
                );
            }
        }
    }
}
