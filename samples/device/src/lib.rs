//! A device that programs open by its name, as the sample drivers have one.
//!
//! It is created here, with what its dispatch routines work on; who may open it is said here; and
//! requests are completed here. What they ask for is not known here.
#![no_std]

extern crate alloc;

mod access;
mod device;
mod request;

pub use access::Rights;
pub use device::{Device, Names};
pub use request::{complete, context, succeed};
