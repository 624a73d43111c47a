//! Sockets, a type for each category: each has exactly the calls of its dispatch table.
//!
//! `handle` is what they have in common; `request` names the kinds of request that their operations
//! are; then one file for each category, and for what connections can do beyond one request:
//! `halves`, `exact`.

pub(crate) mod basic;
pub(crate) mod connection;
pub(crate) mod exact;
pub(crate) mod halves;
pub(crate) mod handle;
pub(crate) mod listen;
pub(crate) mod request;
pub(crate) mod stream;
