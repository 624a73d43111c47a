//! A result is taken once: waiting consumes the operation.
//!
//! error: E0382

pub fn wait(operation: wsk::Operation<wsk::request::Bind>, passive: wsk::Passive) {
    let _first = operation.wait(passive);
    #[cfg(misuse)]
    let _second = operation.wait(passive);
}
