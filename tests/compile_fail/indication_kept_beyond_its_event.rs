//! Data lives as long as its event, unless it is retained.
//!
//! error: E0521

use std::cell::RefCell;

pub struct Kept {
    pub bytes: RefCell<Vec<u8>>,
    pub indications: RefCell<Vec<wsk::Indication<'static>>>,
}

pub fn keep(kept: &Kept, indication: wsk::Indication<'_>) {
    for chunk in indication.data().chunks().flatten() {
        kept.bytes.borrow_mut().extend_from_slice(chunk);
    }
    #[cfg(misuse)]
    kept.indications.borrow_mut().push(indication);
}
