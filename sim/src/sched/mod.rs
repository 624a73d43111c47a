//! The scheduler: who runs next, when deliveries arrive, and what time it is.
//!
//! Only the simulated thread that holds the baton runs. At scheduling points (a wait, an event set,
//! an IRP completed, a spin lock taken, ...) a generator seeded by the test chooses who goes on,
//! and which DPC or I/O completion is delivered where. Time is virtual: it moves only when nothing
//! can run. With the host's network it is real instead.
//!
//! - `thread`: a simulated thread and what the verifier wants to know about it
//! - `state`: the queues, the choice, the clock; plain data under one lock
//! - `clock`: what time it is, and what is due
//! - `fiber`: a stack for each simulated thread
//! - `baton`: handing over; helpers that carry deliveries
//! - `real_time`: waiting for what the outside does
//! - `wait`: who waits for which object, and what a signal does
//! - `timer`: kernel timers on the virtual clock

pub(crate) mod baton;
mod clock;
mod fiber;
mod real_time;
mod state;
mod thread;
mod timer;
mod wait;

pub(crate) use fiber::Stacks;
pub(crate) use state::{Job, Sched, Work};
pub(crate) use thread::{Role, Thread};
pub(crate) use wait::Outcome;
