//! The lock-free modules in every interleaving: loom runs each scenario in all the ways that the
//! memory model allows, and checks that no cell is accessed by two sides at once.
//!
//! The files are compiled a second time here, with loom's atomics and cells under the name that
//! they use for `core`'s.

mod gate_scenarios;
mod inspection;
mod retained;
mod scenarios;
mod socket;
mod wait;

mod sync {
    pub mod primitive {
        pub use loom::cell::UnsafeCell;
        pub use loom::sync::atomic::{AtomicU32, Ordering};
    }
}

#[path = "../../src/sync/rundown.rs"]
mod rundown;

#[path = "../../src/op/handshake.rs"]
mod handshake;

#[path = "../../src/nmr/gate.rs"]
mod gate;
#[path = "../../src/event/ticket.rs"]
mod ticket;

#[path = "../../src/op/retention.rs"]
mod retention;
