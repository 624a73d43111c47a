//! The tests of the simulator from outside: drivers in the manner of C on its exports.
//!
//! `kernel` and `tcp` use it as it is meant, `offences` and `wsk_offences` break one rule each; the
//! files about one part of the kernel do both. `common` is a WSK client, `driver` what the tests of
//! the kernel share.

mod accept_events;
mod common;
mod csq;
mod driver;
mod handlers;
mod indications;
mod inspect;
mod irps;
mod kernel;
mod locks;
mod lookaside;
mod objects;
mod offences;
mod queues;
mod requests;
mod resources;
mod tcp;
mod unload;
mod wsk_offences;
