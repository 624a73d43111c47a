//! Operations: the life of one request from the call to its result.
//!
//! ```text
//! socket -> calls -> Outstanding::start -> Slot::prepare -> WSK ...
//!     ... completion routine -> Handshake -> Handle -> Operation -> caller
//! ```
//!
//! `handshake` decides who may touch what; `slot` is the one nonpaged allocation that a request is,
//! `handle` and `completion` are its two sides; `core` is what all requests of a socket share, and
//! `list` the open sockets of a registration; `handler` is what event callbacks work on; `deferred`
//! is what completions leave to a DPC; `calls` and `event_calls` make each WSK call; `retained` is
//! data that events brought and the driver keeps; `operation` is what the caller holds. `stream` is
//! the order of received bytes, `datagrams` who gets which datagram, both made of what `entry` has;
//! `order` is one of the two, which `receive` runs for the receives of a socket. `client` is what
//! requests have in common that need no socket; `names` is what the resolution of names keeps.
//! `pass` passes requests of the driver's own clients down to WSK; but for those, nothing above
//! this folder sees an IRP.

pub(crate) mod calls;
pub(crate) mod client;
pub(crate) mod completion;
pub(crate) mod core;
mod datagrams;
mod deferred;
pub(crate) mod descriptor;
pub(crate) mod entry;
pub(crate) mod event_calls;
pub(crate) mod extension;
pub(crate) mod handle;
pub(crate) mod handler;
pub(crate) mod handshake;
pub(crate) mod list;
pub(crate) mod names;
pub(crate) mod operation;
mod order;
pub(crate) mod pass;
mod receive;
pub(crate) mod retained;
mod retention;
pub(crate) mod slot;
mod stream;
mod unattended;
