//! A socket is closed once: closing consumes it.
//!
//! error: E0382

pub fn close(connection: wsk::ConnectionSocket) {
    let _first = connection.close();
    #[cfg(misuse)]
    let _second = connection.close();
}
