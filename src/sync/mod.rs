//! What threads, DPCs and completion routines share safely.
//!
//! `primitive` and `rundown` know nothing but `core`, so that loom can explore them; the others
//! wrap one kernel object each. Nothing here knows IRPs or WSK.

pub(crate) mod event;
pub(crate) mod primitive;
pub(crate) mod queue;
pub(crate) mod rundown;
pub(crate) mod semaphore;
pub(crate) mod spin;
