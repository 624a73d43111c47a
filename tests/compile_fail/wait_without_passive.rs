//! What blocks takes a proof of PASSIVE_LEVEL.
//!
//! error: E0061

pub fn wait(
    operation: wsk::Operation<wsk::request::Bind>,
    passive: wsk::Passive,
) -> wsk::Result<()> {
    #[cfg(misuse)]
    return operation.wait();
    operation.wait(passive)
}
