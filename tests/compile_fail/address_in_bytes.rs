//! Addresses are those of `core::net`: nobody writes families, ports or lengths as C has them.
//!
//! error: E0308

pub fn bind(listener: &wsk::ListenSocket, address: std::net::SocketAddr) {
    #[cfg(misuse)]
    drop(listener.bind([2, 0, 0, 80, 127, 0, 0, 1]));
    drop(listener.bind(address));
}
