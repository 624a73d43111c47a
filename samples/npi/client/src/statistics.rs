//! What the module did, for the line that is printed at unload.

use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// The counters, which everything shares.
#[derive(Debug, Default)]
pub struct Statistics {
    /// Providers that this module was attached to.
    pub providers: AtomicU64,
    /// Calls of `add`.
    pub adds: AtomicU64,
    /// How often a provider called back.
    pub heard: AtomicU64,
    /// Visits that were cut short by a detach, which waited for them.
    pub interrupted: AtomicU64,
    /// Contexts of bindings that are alive.
    pub contexts: AtomicU64,
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "providers={} adds={} heard={} interrupted={} contexts={}",
            self.providers.load(Relaxed),
            self.adds.load(Relaxed),
            self.heard.load(Relaxed),
            self.interrupted.load(Relaxed),
            self.contexts.load(Relaxed),
        )
    }
}
