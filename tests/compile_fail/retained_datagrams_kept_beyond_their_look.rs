//! Retained datagrams are looked at only while the socket is kept from being closed [wsk 8.6].
//!
//! error: lifetime may not live long enough

pub fn look(retained: &wsk::RetainedDatagrams) -> wsk::Result<usize> {
    #[cfg(misuse)]
    let _kept = retained.with(|datagrams| datagrams)?;
    retained.with(|datagrams| datagrams.iter().count())
}
