//! What points to the event's memory ends with the event [wsk 7.9].
//!
//! error: E0521

use std::sync::Mutex;

pub fn keep(kept: &Mutex<Option<wsk::InspectId>>, request: wsk::InspectRequest<'_>) {
    *kept.lock().unwrap() = Some(request.id());
    #[cfg(misuse)]
    std::thread::spawn(move || drop(request));
}
