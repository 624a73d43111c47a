//! A binding has no way to the peer's functions but through its gate.
//!
//! error: E0599

use wsk::nmr::{AsClient, Binding, Npi};

pub fn call<N: Npi>(binding: &Binding<N, AsClient>) -> wsk::Result<()> {
    #[cfg(misuse)]
    let _dispatch = binding.dispatch();
    let entered = binding.enter()?;
    let _dispatch = entered.dispatch();
    Ok(())
}
