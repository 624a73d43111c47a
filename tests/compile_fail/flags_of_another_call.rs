//! Each function has flags of its own.
//!
//! error: E0308

pub fn send(connection: &wsk::ConnectionSocket, buffer: wsk::Buffer) {
    #[cfg(misuse)]
    let flags = wsk::DatagramFlags::NONE;
    #[cfg(not(misuse))]
    let flags = wsk::SendFlags::NONE;
    drop(connection.send_with(buffer, flags));
}
