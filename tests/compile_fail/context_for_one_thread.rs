//! Peers call on any thread, also at the same time: a context can stand that.
//!
//! error: E0277

use core::sync::atomic::{AtomicU32, Ordering};

wsk::npi! {
    pub interface Counter = 1;
    pub provider trait Count, table CountDispatch { fn add(&self, by: u32) -> u32; }
    pub client trait Listen, table ListenDispatch { fn hundred(&self, sum: u32); }
}

#[cfg(misuse)]
pub struct Sum(core::cell::Cell<u32>);
#[cfg(not(misuse))]
pub struct Sum(AtomicU32);

impl Count for Sum {
    fn add(&self, by: u32) -> u32 {
        #[cfg(misuse)]
        return self.0.replace(by);
        #[cfg(not(misuse))]
        self.0.fetch_add(by, Ordering::Relaxed)
    }
}

pub fn table() -> wsk::nmr::Table<CountDispatch, Sum> {
    CountDispatch::of()
}
