//! `wsk_echo.sys`: a TCP echo server in the kernel.
//!
//! ```text
//! sc create wsk_echo type= kernel start= demand binPath= C:\path\wsk_echo.sys
//! sc start wsk_echo
//! wsk-harness echo --addr 127.0.0.1:40007 --connections 8 --messages 1000 --size 1..16KiB
//! sc stop wsk_echo
//! ```
//!
//! `entry` is what the I/O manager calls, `driver` starts and stops the server, `listener` accepts,
//! `session` echoes; `parameters` reads the registry, `statistics` counts. `device` is what
//! programs open that want an echo without a socket of their own.
#![no_std]

extern crate alloc;
// In a process of the host, where the simulator is the kernel, std has the allocator and the panic
// handler.
#[cfg(not(windows))]
extern crate std;
#[cfg(windows)]
extern crate wdk_panic;

mod device;
mod driver;
mod entry;
mod listener;
mod parameters;
mod session;
mod statistics;

pub use entry::driver_entry;

#[cfg(windows)]
#[global_allocator]
static ALLOCATOR: wdk_alloc::WdkAllocator = wdk_alloc::WdkAllocator;
