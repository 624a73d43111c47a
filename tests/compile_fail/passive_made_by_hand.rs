//! There is no proof of PASSIVE_LEVEL but the one that the library gives after a look.
//!
//! error: E0423

#[cfg(misuse)]
pub fn prove() -> wsk::Passive {
    wsk::Passive(core::marker::PhantomData)
}
