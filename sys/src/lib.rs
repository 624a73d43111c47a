//! placeholder
#![no_std]
pub use wdk_sys::PIRP;
