//! A request in flight has one handle, which says whose its result is.
//!
//! error: E0599

pub fn copy(operation: wsk::Operation<wsk::request::Bind>) {
    #[cfg(misuse)]
    let _same = operation.clone();
    drop(operation);
}
