//! No buffer is made of memory that somebody else owns: nothing is probed, locked or unlocked.
//!
//! error: E0277

pub fn buffer(bytes: &'static mut [u8]) -> wsk::Result<wsk::Buffer> {
    #[cfg(misuse)]
    let _foreign: wsk::Buffer = bytes.into();
    let mut buffer = wsk::Buffer::with_capacity(8)?;
    buffer.extend_from_slice(b"copied")?;
    Ok(buffer)
}
