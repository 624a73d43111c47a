//! An extension's functions are there for who has entered it, and until he leaves: the socket may
//! be closed then.
//!
//! error: E0505

use wsk::{Extension, nmr::Npi};

pub fn call<N: Npi>(extension: &Extension<N>) -> wsk::Result<()> {
    let entered = extension.enter()?;
    let dispatch = entered.dispatch();
    let _ = dispatch;
    drop(entered);
    #[cfg(misuse)]
    let _again = core::ptr::from_ref(dispatch);
    Ok(())
}
