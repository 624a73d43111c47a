//! A connection that was refused in its event is not there any more.
//!
//! error: E0382

pub struct Service;

impl wsk::ListenEvents for Service {
    fn accept(&self, offer: wsk::Offer<'_>) {
        offer.refuse();
        #[cfg(misuse)]
        let _connection = offer.accept();
    }
}
