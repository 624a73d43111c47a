//! A handler is called on any thread, and may not wait: it has no proof that its thread may.
//!
//! error: E0277

#[derive(Default)]
pub struct Patient {
    #[cfg(misuse)]
    pub passive: Option<wsk::Passive>,
}

impl wsk::ListenEvents for Patient {}
