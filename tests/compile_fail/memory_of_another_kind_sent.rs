//! Only nonpaged memory that is described by an MDL is sent: a `Buffer`.
//!
//! error: E0308

pub fn send(connection: &wsk::ConnectionSocket, buffer: wsk::Buffer) {
    #[cfg(misuse)]
    drop(connection.send(vec![0; 8]));
    drop(connection.send(buffer));
}
