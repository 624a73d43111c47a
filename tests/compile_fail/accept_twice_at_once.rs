//! Two accepts of one listener in flight at once have hung Windows [wsk 7.1].
//!
//! error: E0499

pub async fn accept_twice(mut listener: wsk::ListenSocket) {
    let first = listener.accept();
    #[cfg(misuse)]
    let second = listener.accept();
    let _ = first.await;
    #[cfg(misuse)]
    let _ = second.await;
}
