//! Completion routines, and what they return, are the library's [wsk 3.2].
//!
//! error: E0603

#[cfg(misuse)]
pub use wsk::op::completion::completed;
