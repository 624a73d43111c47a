//! Sockets, a type for each category: each has exactly the calls of its dispatch table.
//!
//! `handle` is what they have in common; `open` opens them, and `conditional` those that inspect
//! who wants to connect; `request` names the kinds of request that their operations are; then one
//! file for each category, and for what connections can do beyond one request: `halves`, `exact`,
//! `writer`; `pass` has them carry out those of the driver's clients. `control` and `ioctl` are
//! options and control operations; `commit` is what makes another kind of socket of one.

pub(crate) mod basic;
pub(crate) mod commit;
pub(crate) mod conditional;
pub(crate) mod connection;
pub(crate) mod control;
pub(crate) mod datagram;
pub(crate) mod exact;
pub(crate) mod extension;
pub(crate) mod group;
pub(crate) mod halves;
pub(crate) mod handle;
pub(crate) mod ioctl;
pub(crate) mod listen;
pub(crate) mod open;
mod pass;
pub(crate) mod request;
pub(crate) mod silent;
pub(crate) mod stream;
pub(crate) mod writer;
