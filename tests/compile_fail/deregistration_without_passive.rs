//! Deregistration waits, so it takes a proof of PASSIVE_LEVEL.
//!
//! error: E0061

pub fn deregister(registration: &wsk::Registration, passive: wsk::Passive) {
    #[cfg(misuse)]
    registration.deregister();
    registration.deregister(passive);
}
