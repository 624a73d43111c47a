//! What is not registered has no value that could be deregistered.
//!
//! error: E0277

pub fn register(passive: wsk::Passive) -> wsk::Result<wsk::Registration> {
    #[cfg(misuse)]
    drop::<wsk::Registration>(Default::default());
    wsk::Registration::register(wsk::Version::V1_0, passive)
}
