//! The elements of a resolved list lie in memory of the provider's, which the list frees
//! [wsk 11.1].
//!
//! error: E0505

pub fn read(list: wsk::AddressInfoList) -> bool {
    let mut infos = list.iter();
    let first = infos.next().is_some();
    drop(list);
    #[cfg(misuse)]
    let first = first || infos.next().is_some();
    first
}
