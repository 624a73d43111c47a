//! `wsk_npi_client.sys`: a network module that has another one count.
//!
//! It is loaded beside `wsk_npi_provider.sys`, before or after it: see there. `entry` is what the
//! I/O manager calls, `user` is the module, `visits` calls the provider for as long as there is
//! one, `pause` waits between the calls, `statistics` counts what it did. The interface is the
//! package `wsk-npi`. Nothing here knows the provider's driver.
#![no_std]

extern crate alloc;
// In a process of the host, where the simulator is the kernel, std has the allocator and the panic
// handler.
#[cfg(not(windows))]
extern crate std;
#[cfg(windows)]
extern crate wdk_panic;

mod entry;
mod pause;
mod statistics;
mod user;
mod visits;

pub use entry::driver_entry;

#[cfg(windows)]
#[global_allocator]
static ALLOCATOR: wdk_alloc::WdkAllocator = wdk_alloc::WdkAllocator;
