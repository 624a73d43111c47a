//! A driver in C: `driver.c` is its device, `server.c` its use of Winsock Kernel. Here is only its
//! entry point, for `Sim::load`.

mod entry;

pub use entry::driver_entry;
