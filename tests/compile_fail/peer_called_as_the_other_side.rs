//! A client calls what providers offer, and not what clients do.
//!
//! error: E0599

use wsk::nmr::{AsClient, AsProvider, Binding};

wsk::npi! {
    pub interface Counter = 1;
    pub provider trait Count, table CountDispatch { fn add(&self, by: u32) -> u32; }
    pub client trait Listen, table ListenDispatch { fn hundred(&self, sum: u32); }
}

pub fn call(binding: &Binding<Counter, AsClient>) -> wsk::Result<()> {
    let entered = binding.enter()?;
    #[cfg(misuse)]
    entered.hundred(1);
    let _sum = entered.add(1);
    Ok(())
}

pub fn call_back(binding: &Binding<Counter, AsProvider>) -> wsk::Result<()> {
    binding.enter()?.hundred(1);
    Ok(())
}
