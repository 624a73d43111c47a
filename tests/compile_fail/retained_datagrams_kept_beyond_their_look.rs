//! Retained datagrams are looked at while the library keeps their socket from closing [wsk 8.6].
//!
//! error: E0521

pub fn look(retained: &wsk::RetainedDatagrams) -> wsk::Result<usize> {
    #[cfg(misuse)]
    let mut kept = None;
    retained.with(|datagrams| {
        #[cfg(misuse)]
        kept.replace(datagrams);
        datagrams.iter().count()
    })
}
