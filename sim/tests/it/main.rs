//! The tests of the simulator from outside: drivers in the manner of C on its exports.
//!
//! - `kernel`, `tcp`, `nmr`, `nmr_wsk` use it as it is meant; `exhaustive` in every schedule
//! - `offences`, `wsk_offences`, `nmr_offences`, `control_offences` break one rule each
//! - the files about one part of the kernel do both, and so do those about control operations:
//!   `options`, `event_option`, `ioctls`, `receive_ex`, `addresses`, `client_control`, `sharing`,
//!   `transports`, `extensions`; `control_faults` has them fail
//! - `links` is about the network
//! - `common` is a WSK client, `control` its control operations, `descriptors` its security
//!   descriptors, `facts` what the file of facts says; `modules` are network modules, `driver` is
//!   what the tests of the kernel share

mod accept_events;
mod addresses;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod c_driver;
mod client_control;
mod closing;
mod common;
mod connect;
mod control;
mod control_data;
mod control_faults;
mod control_offences;
mod csq;
mod datagram;
mod datagram_client;
mod datagram_events;
mod datagram_offences;
mod descriptors;
mod device_access;
mod device_requests;
mod driver;
mod enabling;
mod event_offences;
mod event_option;
mod exhaustive;
mod extensions;
mod facts;
mod handlers;
mod host;
mod indications;
mod inspect;
mod ioctls;
mod irps;
mod kernel;
mod links;
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
mod older_windows;
mod options;
mod queues;
mod receive_ex;
mod registered;
mod requests;
mod resources;
mod sharing;
mod stream;
mod tcp;
mod transports;
mod unload;
mod wsk_offences;
