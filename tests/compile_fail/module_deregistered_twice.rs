//! A network module is deregistered once: that consumes it.
//!
//! error: E0382

use wsk::nmr::{Client, ClientModule, Npi};

pub fn deregister<N: Npi, H: ClientModule<N>>(client: Client<N, H>, passive: wsk::Passive) {
    client.deregister(passive);
    #[cfg(misuse)]
    client.deregister(passive);
}
