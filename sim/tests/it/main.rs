//! The tests of the simulator from outside: drivers in the manner of C on its exports.
//!
//! - `kernel`, `tcp`, `nmr`, `nmr_wsk` use it as it is meant; `exhaustive` in every schedule
//! - `offences`, `wsk_offences`, `nmr_offences` break one rule each
//! - the files about one part of the kernel do both
//! - `common` is a WSK client, `modules` are network modules, `driver` is what the tests of the
//!   kernel share

mod accept_events;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod c_driver;
mod closing;
mod common;
mod connect;
mod control_data;
mod csq;
mod datagram;
mod datagram_client;
mod datagram_events;
mod datagram_offences;
mod driver;
mod event_offences;
mod exhaustive;
mod handlers;
mod host;
mod indications;
mod inspect;
mod irps;
mod kernel;
mod locks;
mod lookaside;
mod modules;
mod multicast;
mod names;
mod names_client;
mod names_offences;
mod nmr;
mod nmr_offences;
mod nmr_wsk;
mod objects;
mod offences;
mod queues;
mod requests;
mod resources;
mod stream;
mod tcp;
mod unload;
mod wsk_offences;
