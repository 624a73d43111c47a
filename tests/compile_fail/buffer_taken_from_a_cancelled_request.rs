//! To cancel is to ask: the buffer comes back with the completion, not before [wsk 3.11].
//!
//! error: E0308

pub fn take(mut sending: wsk::Operation<wsk::request::Send>) -> Option<wsk::Buffer> {
    #[cfg(misuse)]
    let buffer: wsk::Buffer = sending.cancel();
    #[cfg(misuse)]
    return Some(buffer);
    #[cfg(not(misuse))]
    sending.cancel();
    #[cfg(not(misuse))]
    None
}
