//! A proof of PASSIVE_LEVEL does not leave its thread.
//!
//! error: E0277

pub fn prove() {
    let passive = wsk::Passive::new();
    #[cfg(misuse)]
    std::thread::spawn(move || passive);
    #[cfg(not(misuse))]
    drop(passive);
}
