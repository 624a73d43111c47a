//! A borrow of a buffer's bytes ends before the buffer is lent.
//!
//! error: E0505

pub fn look(connection: &wsk::ConnectionSocket, buffer: wsk::Buffer) -> u8 {
    let bytes = &buffer[..];
    let first = bytes[0];
    let _sending = connection.send(buffer);
    #[cfg(misuse)]
    let first = bytes[0];
    first
}
