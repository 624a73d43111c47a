//! `wsk_gate.sys`: a TCP server in the kernel that decides who may connect, before connections are
//! established.
//!
//! ```text
//! sc create wsk_gate type= kernel start= demand binPath= C:\path\wsk_gate.sys
//! reg add HKLM\SYSTEM\CurrentControlSet\Services\wsk_gate\Parameters /v Deny /d 127.0.0.3
//! sc start wsk_gate
//! wsk-harness gate --addr 127.0.0.1:40008 --admitted 127.0.0.1 --refused 127.0.0.3
//! sc stop wsk_gate
//! ```
//!
//! A connection passes `gate`, which is asked whether it may be established. It decides at once by
//! the `rules`, address prefixes that are allowed or denied; with a limit on how often a source may
//! connect it puts the decision off, and a task of `accounts` takes it. Then `session` serves it.
//! `driver` starts and stops all that, `parameters` are the registry's, `statistics` counts, and
//! `device` tells programs what was counted; `interface` is what such a program has to know.
#![no_std]

extern crate alloc;
// In a process of the host, where the simulator is the kernel, std has the allocator and the panic
// handler.
#[cfg(not(windows))]
extern crate std;
#[cfg(windows)]
extern crate wdk_panic;

mod accounts;
mod clock;
mod device;
mod driver;
mod entry;
mod gate;
pub mod interface;
mod parameters;
mod rules;
mod session;
mod statistics;

pub use entry::driver_entry;

#[cfg(windows)]
#[global_allocator]
static ALLOCATOR: wdk_alloc::WdkAllocator = wdk_alloc::WdkAllocator;
