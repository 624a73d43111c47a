//! Two clients, two providers and the registrar: every interleaving of registering, attaching,
//! declining, calling, detaching from either side, completing, cleaning up and deregistering.
//!
//! The registrar is modelled after [wsk 12]; what the library does in its callbacks is modelled by
//! the library's own transitions, `nmr::gate::State`. A search keeps all states that it has
//! met, those that differ only in who is called which being one, and checks each step:
//!
//! - a detach is completed exactly once, by whoever leaves last [wsk 12.10];
//! - while a call is in flight, both sides' contexts are there, and neither side is detached
//!   [wsk 12.11];
//! - a context is freed exactly once, by the cleanup or by the attach that failed [wsk 12.6];
//! - a deregistration is complete only when nothing of the module's is left, and in every state
//!   that is not the end something can still happen: nothing hangs.
//!
//! - `binding`: one binding, with both sides
//! - `search`: modules, their bindings, and the search

mod binding;
mod search;

#[expect(dead_code, reason = "the atomic part is explored by loom")]
#[path = "../../src/nmr/gate.rs"]
mod gate;

#[path = "../../src/sync/primitive.rs"]
mod primitive;

mod sync {
    pub(crate) use crate::primitive;
}

use binding::Registrar;
use search::{Bounds, explore};

#[test]
fn one_client_and_one_provider_with_three_calls_at_once() {
    let found = explore(&Bounds {
        clients: 1,
        providers: 1,
        calls: 3,
        registrar: Registrar::Hasty,
    });
    println!("1 x 1, 3 calls at once: {found:?}");
    assert!(found.attached > 0 && found.completed_by_callers > 0);
}

#[test]
fn two_clients_and_two_providers_with_a_call_at_once() {
    let found = explore(&Bounds {
        clients: 2,
        providers: 2,
        calls: 1,
        registrar: Registrar::Orderly,
    });
    println!("2 x 2, 1 call at once: {found:?}");
    assert!(found.attached > 0 && found.completed_by_callers > 0);
}
