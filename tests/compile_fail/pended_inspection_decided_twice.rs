//! An inspection is decided once.
//!
//! error: E0382

pub fn decide(inspection: wsk::Inspection) {
    drop(inspection.accept());
    #[cfg(misuse)]
    drop(inspection.reject());
}
