//! Who leaves last completes the detach: a module has nothing to complete it with.
//!
//! error: E0603

#[cfg(misuse)]
pub use wsk::nmr::gate::Gate;
