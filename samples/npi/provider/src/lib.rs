//! `wsk_npi_provider.sys`: a network module that counts for others.
//!
//! ```text
//! sc create wsk_npi_provider type= kernel start= demand binPath= C:\path\wsk_npi_provider.sys
//! sc create wsk_npi_client   type= kernel start= demand binPath= C:\path\wsk_npi_client.sys
//! sc start wsk_npi_provider
//! sc start wsk_npi_client
//! sc stop wsk_npi_provider
//! sc stop wsk_npi_client
//! ```
//!
//! `entry` is what the I/O manager calls, `service` is the module, `statistics` counts what it did.
//! The interface is the package `wsk-npi`. Nothing here knows the client's driver.
#![no_std]

extern crate alloc;
// In a process of the host, where the simulator is the kernel, std has the allocator and the panic
// handler.
#[cfg(not(windows))]
extern crate std;
#[cfg(windows)]
extern crate wdk_panic;

mod entry;
mod service;
mod statistics;

pub use entry::driver_entry;

#[cfg(windows)]
#[global_allocator]
static ALLOCATOR: wdk_alloc::WdkAllocator = wdk_alloc::WdkAllocator;
