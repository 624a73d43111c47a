//! A closed socket is gone [wsk 10.3].
//!
//! error: E0382

pub fn send(connection: wsk::ConnectionSocket, buffer: wsk::Buffer) {
    let _closing = connection.close();
    #[cfg(misuse)]
    let _sending = connection.send(buffer);
    #[cfg(not(misuse))]
    drop(buffer);
}
