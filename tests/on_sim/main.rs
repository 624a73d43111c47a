//! The library on the simulator: one file for each topic, each over many schedules.
//!
//! The simulator's verifier and its count of what is left at the end check soundness: whatever a
//! test asserts itself comes on top of that.

mod backlog;
mod by_number;
mod callbacks;
mod chain;
mod close;
mod common;
mod conditional;
mod connect;
mod connection;
mod connection_events;
mod datagram;
mod datagram_control;
mod datagram_events;
mod datagram_every_way;
mod datagram_receives;
mod every_way;
mod executor;
mod extension;
mod failed_close;
mod faults;
mod halves;
mod indication_flags;
mod inspections;
mod ioctl;
mod listen;
mod listen_events;
mod listen_races;
mod names;
mod nmr;
mod older_windows;
mod operation;
mod option;
mod option_values;
mod pass;
mod provider;
mod random;
mod registration;
mod soundness;
mod static_events;
mod stream_connection;
mod stream_order;
mod unload;
mod writer;
