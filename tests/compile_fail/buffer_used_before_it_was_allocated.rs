//! Allocation may fail, and its result says so: there is no buffer before a look.
//!
//! error: E0599

pub fn grow() -> usize {
    let buffer = wsk::Buffer::with_capacity(8);
    #[cfg(misuse)]
    return buffer.capacity();
    buffer.map_or(0, |buffer| buffer.capacity())
}
