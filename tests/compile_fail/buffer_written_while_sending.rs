//! A buffer belongs to the request that uses it [wsk 3.11].
//!
//! error: E0382

pub async fn write(connection: wsk::ConnectionSocket, mut buffer: wsk::Buffer) {
    buffer.clear();
    let sending = connection.send(buffer);
    #[cfg(misuse)]
    buffer.clear();
    let _ = sending.await;
}
