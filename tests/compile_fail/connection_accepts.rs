//! A socket has the calls of its category [wsk 4.1].
//!
//! error: E0599

pub fn accept(mut connection: wsk::ConnectionSocket) {
    #[cfg(misuse)]
    let _accepting = connection.accept();
    let _ = &mut connection;
}
