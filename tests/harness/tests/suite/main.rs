//! Tests of the harness against in-process servers with every fault that it must find: what it
//! says, and how it exits.

mod disruption;
mod echo;
mod exchange;
mod gate;
mod peer;
mod program;
