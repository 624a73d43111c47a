//! placeholder
#![no_std]
pub use wsk_sys as sys;
