//! What entering a binding gives does not outlive the binding.
//!
//! error: E0505

use wsk::nmr::{AsClient, Binding};

wsk::npi! {
    pub interface Counter = 1;
    pub provider trait Count, table CountDispatch { fn add(&self, by: u32) -> u32; }
    pub client trait Listen, table ListenDispatch { fn hundred(&self, sum: u32); }
}

pub fn call(binding: Binding<Counter, AsClient>) -> wsk::Result<u32> {
    let entered = binding.enter()?;
    #[cfg(misuse)]
    drop(binding);
    Ok(entered.add(1))
}
