//! The functions of a table are pointers of C's: safe code calls the methods that stand for them.
//!
//! error: E0133

use wsk::nmr::{AsClient, Binding};

wsk::npi! {
    pub interface Counter = 1;
    pub provider trait Count, table CountDispatch { fn add(&self, by: u32) -> u32; }
    pub client trait Listen, table ListenDispatch { fn hundred(&self, sum: u32); }
}

pub fn call(binding: &Binding<Counter, AsClient>) -> wsk::Result<u32> {
    let entered = binding.enter()?;
    #[cfg(misuse)]
    let _sum = (entered.dispatch().add)(entered.context(), 1);
    Ok(entered.add(1))
}
