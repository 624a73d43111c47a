//! What the sample drivers start and stop with: it keeps what `DriverEntry` has started until
//! `DriverUnload` stops it. What that is, is not known here.
#![no_std]

extern crate alloc;

mod running;

pub use running::Running;
