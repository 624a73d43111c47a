//! The interface between `wsk_npi_client.sys` and `wsk_npi_provider.sys`: all that the two drivers
//! know of each other.
//!
//! Whoever changes a method makes another interface, so that a driver that was built before does
//! not meet one that was built after.
#![no_std]

wsk::npi! {
    /// A service that counts.
    pub interface Counter = 0x5A0C4B1E_6F83_4D27_A1C9_3E7D90B2F468;

    /// What a provider does for its clients: it keeps a count for each of them.
    ///
    /// IRQL: <= DISPATCH_LEVEL for everything.
    pub provider trait Count, table CountDispatch {
        /// Adds `by`, and returns the count.
        fn add(&self, by: u64) -> u64;
        /// The count.
        fn count(&self) -> u64;
        /// From now on tells the client whenever the count passes a multiple of `step`; 0 is never.
        fn tell_every(&self, step: u64);
    }

    /// What a client hears from its providers.
    ///
    /// IRQL: <= DISPATCH_LEVEL for everything.
    pub client trait Listen, table ListenDispatch {
        /// The count has passed a multiple of the step. Called while the client adds.
        fn passed(&self, count: u64);
    }
}
