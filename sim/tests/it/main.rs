//! The tests of the simulator from outside: drivers in the manner of C on its exports.
//!
//! `kernel` and `tcp` use it as it is meant; `offences` and `wsk_offences` break one rule each;
//! `common` is a WSK client.

mod common;
mod kernel;
mod offences;
mod tcp;
mod wsk_offences;
