//! What a request in flight points to is made in its place, by the library only.
//!
//! error: E0603

#[cfg(misuse)]
pub use wsk::op::core::CoreRef;
