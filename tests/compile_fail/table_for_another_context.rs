//! The functions of a table work on the context that is offered with it.
//!
//! error: E0308

use wsk::nmr::ProviderOffer;

wsk::npi! {
    pub interface Counter = 1;
    pub provider trait Count, table CountDispatch { fn add(&self, by: u32) -> u32; }
    pub client trait Listen, table ListenDispatch { fn hundred(&self, sum: u32); }
}

pub struct One(pub u32);
pub struct Other(pub u64);

impl Count for One {
    fn add(&self, by: u32) -> u32 {
        self.0 + by
    }
}

impl Count for Other {
    fn add(&self, by: u32) -> u32 {
        by
    }
}

pub fn offer() -> ProviderOffer<Counter, One> {
    #[cfg(misuse)]
    let table = CountDispatch::of::<Other>();
    #[cfg(not(misuse))]
    let table = CountDispatch::of::<One>();
    let context = One(0);
    ProviderOffer { context, table }
}
