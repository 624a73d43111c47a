//! The peer's functions are there for who has entered the binding, and until he leaves.
//!
//! error: E0505

use wsk::nmr::{AsClient, Binding, Npi};

pub fn call<N: Npi>(binding: &Binding<N, AsClient>) -> wsk::Result<()> {
    let entered = binding.enter()?;
    let dispatch = entered.dispatch();
    let _ = dispatch;
    drop(entered);
    #[cfg(misuse)]
    let _again = core::ptr::from_ref(dispatch);
    Ok(())
}
