//! What points to the event's memory ends with the event; addresses are copies.
//!
//! error: E0521

use std::net::SocketAddr;
use std::sync::Mutex;

pub struct Service {
    pub kept: Mutex<Option<wsk::Offer<'static>>>,
    pub remote: Mutex<Option<SocketAddr>>,
}

pub fn accept(service: &Service, offer: wsk::Offer<'_>) {
    *service.remote.lock().unwrap() = offer.remote();
    #[cfg(misuse)]
    service.kept.lock().unwrap().replace(offer);
}
