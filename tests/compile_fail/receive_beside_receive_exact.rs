//! What fills a buffer in several requests has the reading side for itself.
//!
//! error: E0499

pub async fn receive(mut connection: wsk::ConnectionSocket, one: wsk::Buffer, two: wsk::Buffer) {
    let all = connection.receive_exact(one);
    #[cfg(misuse)]
    let some = connection.receive(two);
    let _ = all.await;
    #[cfg(misuse)]
    let _ = some.await;
    #[cfg(not(misuse))]
    drop(two);
}
