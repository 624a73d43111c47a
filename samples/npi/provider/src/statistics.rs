//! What the module did, for the line that is printed at unload.

use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// The counters, which all clients share.
#[derive(Debug, Default)]
pub struct Statistics {
    /// Clients that this module has agreed to.
    pub clients: AtomicU64,
    /// Calls of `add`.
    pub adds: AtomicU64,
    /// How often a client was called back.
    pub told: AtomicU64,
    /// Contexts of bindings that are alive.
    pub contexts: AtomicU64,
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "clients={} adds={} told={} contexts={}",
            self.clients.load(Relaxed),
            self.adds.load(Relaxed),
            self.told.load(Relaxed),
            self.contexts.load(Relaxed),
        )
    }
}
