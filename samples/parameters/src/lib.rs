//! What the sample drivers read their parameters with: values of the `Parameters` key below a
//! service's key in the registry.
//!
//! A value that is missing is told as such, and its default is the driver's; one that makes no
//! sense is an error that names it. `key` has the registry calls, `data` what values mean. What a
//! driver needs which values for is not known here.
#![no_std]

extern crate alloc;

mod data;
mod key;

pub use data::Data;
pub use key::Parameters;
