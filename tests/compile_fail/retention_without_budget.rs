//! Nothing is retained but against a budget.
//!
//! error: E0061

pub struct Reader(pub wsk::RetainBudget);

impl wsk::ConnectionEvents for Reader {
    fn receive<'call>(&self, indication: wsk::Indication<'call>) -> wsk::Received<'call> {
        #[cfg(misuse)]
        let retained = indication.retain();
        #[cfg(not(misuse))]
        let retained = indication.retain(&self.0);
        match retained {
            Ok((received, _kept)) => received,
            Err(indication) => indication.refuse(),
        }
    }
}
