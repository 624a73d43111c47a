//! Data that was given back to WSK is not looked at any more [wsk 8.2].
//!
//! error: E0505

pub struct Reader;

impl wsk::ConnectionEvents for Reader {
    fn receive<'call>(&self, indication: wsk::Indication<'call>) -> wsk::Received<'call> {
        let data = indication.data();
        let _length = data.len();
        let received = indication.consume();
        #[cfg(misuse)]
        let _length = data.len();
        received
    }
}
