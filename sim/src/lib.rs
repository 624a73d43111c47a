//! The kernel side of a driver, in an ordinary process: ntoskrnl's exports, Winsock Kernel, a
//! network, and a verifier.
//!
//! A driver links with this crate instead of with the import libraries of Windows, and runs in a
//! test:
//!
//! ```no_run
//! wsk_sim::seeds(100, |sim| {
//!     let driver = sim.load("my_driver", my_driver::driver_entry).expect("it loads");
//!     let client = sim.connect("127.0.0.1:7".parse().unwrap()).expect("it listens");
//!     client.write_all(b"hello").expect("connected");
//!     assert_eq!(client.read_exact(5).expect("echoed"), b"hello");
//!     driver.unload(sim);
//! });
//! # mod my_driver {
//! #     use wdk_sys::{NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT};
//! #     pub unsafe extern "system" fn driver_entry(
//! #         _: PDRIVER_OBJECT,
//! #         _: PCUNICODE_STRING,
//! #     ) -> NTSTATUS {
//! #         0
//! #     }
//! # }
//! ```
//!
//! Each seed is one schedule: who runs when, which request completes inline and which pends, at
//! which IRQL, how data is cut into pieces. A seed replays exactly. What Windows would punish by a
//! crash, a hang or a leak ends the test with a report.
//!
//! It is written from the published rules of the kernel and of WSK (docs/CONTRACT.md has their
//! numbers), and knows no driver and no library above them. The modules, in the order in which they
//! build on each other:
//!
//! - `rng`, `current`, `faults`: choices, seeded or listed; the running thread; failures to inject
//! - `verifier`: rules, reports, where things were created
//! - `sched`: threads, deliveries, virtual time
//! - `kernel`: the exports of ntoskrnl
//! - `net`: the network between drivers and peers
//! - `nmr`: the registrar of network modules
//! - `wsk`: registration, provider, sockets
//! - `worker`: the thread of the host on which simulations run
//! - `sim`, `runner`, `leaks`: one simulation; many; what must be gone at the end
//!
//! On Windows, and in Wine, there is a kernel already, and it is not simulated: what remains is the
//! provider on the host's network, as the package `wsk-netio` makes a `netio.sys` of it. The
//! modules of `guest` take the place of `current`, `kernel`, `sched` and `sim` there.

#![cfg_attr(
    windows,
    expect(
        dead_code,
        reason = "much is for the simulated kernel or for tests only"
    )
)]

#[cfg_attr(windows, path = "guest/current.rs")]
mod current;
mod faults;
#[cfg_attr(windows, path = "guest/kernel/mod.rs")]
mod kernel;
#[cfg(not(windows))]
mod leaks;
mod net;
mod nmr;
mod reached;
mod rng;
#[cfg(not(windows))]
mod runner;
#[cfg_attr(windows, path = "guest/sched.rs")]
mod sched;
#[cfg_attr(windows, path = "guest/sim.rs")]
mod sim;
mod verifier;
#[cfg(not(windows))]
mod worker;
mod wsk;

pub use faults::Fault;
#[cfg(not(windows))]
pub use kernel::driver::{Driver, DriverEntry};
#[cfg(not(windows))]
pub use kernel::program::{DeviceHandle, DeviceRequest};
#[cfg(not(windows))]
pub use kernel::registry::RegistryValue;
#[cfg(not(windows))]
pub use net::{Connecting, Datagram, DatagramPeer, Listener, Peer};
#[cfg(not(windows))]
pub use runner::{Builder, Explored, builder, every_fault, run, seeds};
#[cfg(not(windows))]
pub use sim::{Sim, Task};
pub use verifier::{Report, Rule};
pub use wsk::{Extension, ExtensionCall, ExtensionClient, Transport, Windows};
