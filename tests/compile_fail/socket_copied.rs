//! A socket has one owner: no number or pointer that may name another one later.
//!
//! error: E0599

pub fn copy(connection: wsk::ConnectionSocket) -> wsk::Operation<wsk::request::Close> {
    #[cfg(misuse)]
    let _same = connection.clone();
    connection.close()
}
