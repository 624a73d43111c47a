//! Of the chain of MDLs there is nothing to see but the bytes that were indicated [wsk 8.9].
//!
//! error: E0616

pub fn count(data: wsk::Data<'_>) -> usize {
    #[cfg(misuse)]
    let _chain = data.descriptions;
    data.chunks().flatten().map(<[u8]>::len).sum()
}
