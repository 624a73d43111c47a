//! A socket has the calls of its category [wsk 4.1].
//!
//! error: E0599

pub fn send(listener: wsk::ListenSocket, buffer: wsk::Buffer) {
    #[cfg(misuse)]
    let _sending = listener.send(buffer);
    #[cfg(not(misuse))]
    drop((listener, buffer));
}
