//! Retained data is looked at while the library keeps its socket from closing, not after that.
//!
//! error: E0521

pub fn look(retained: &wsk::Retained) -> wsk::Result<usize> {
    #[cfg(misuse)]
    let mut kept = None;
    retained.with(|data| {
        #[cfg(misuse)]
        kept.replace(data);
        data.len()
    })
}
