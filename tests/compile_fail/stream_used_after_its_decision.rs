//! A stream socket that became a listener is no stream socket any more.
//!
//! error: E0382

pub fn decide(stream: wsk::StreamSocket, remote: std::net::SocketAddr) {
    let _listener = stream.listen();
    #[cfg(misuse)]
    let _connection = stream.connect(remote);
    let _ = remote;
}
