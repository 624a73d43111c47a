//! The answer to an indication is given in its event, and answers no other.
//!
//! error: E0521

use std::sync::Mutex;

pub struct Reader(pub Mutex<Option<wsk::Received<'static>>>);

impl wsk::ConnectionEvents for Reader {
    fn receive<'call>(&self, indication: wsk::Indication<'call>) -> wsk::Received<'call> {
        let received = indication.consume();
        #[cfg(misuse)]
        self.0.lock().unwrap().replace(received);
        #[cfg(not(misuse))]
        return received;
        #[cfg(misuse)]
        loop {}
    }
}
