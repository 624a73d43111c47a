//! Handlers answer with values that mean something: no status that WSK does not expect.
//!
//! error: E0053

pub struct Reader;

impl wsk::ConnectionEvents for Reader {
    #[cfg(misuse)]
    fn receive<'call>(&self, _: wsk::Indication<'call>) -> wsk::Status {
        wsk::Status::UNSUCCESSFUL
    }
}
