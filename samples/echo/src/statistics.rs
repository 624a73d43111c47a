//! What the driver prints when it stops.

use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// Counters that the listener and the sessions share.
#[derive(Debug, Default)]
pub struct Statistics {
    served: AtomicU64,
    refused: AtomicU64,
    echoes: AtomicU64,
    bytes: AtomicU64,
    late_allocations: AtomicU64,
}

impl Statistics {
    /// A connection is going to be served; gives its number, from 1.
    pub fn serve(&self) -> u64 {
        self.served.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A connection was closed at once: there are too many.
    pub fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// `count` bytes were sent back.
    pub fn echo(&self, count: usize) {
        self.echoes.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Requests of one connection allocated memory this often after its first echo.
    pub fn allocated_late(&self, count: u32) {
        self.late_allocations
            .fetch_add(count.into(), Ordering::Relaxed);
    }

    /// The sum of [`allocated_late`](Self::allocated_late).
    pub fn late_allocations(&self) -> u64 {
        self.late_allocations.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "connections={} echoes={} bytes={} refused={}",
            self.served.load(Ordering::Relaxed),
            self.echoes.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
            self.refused.load(Ordering::Relaxed),
        )
    }
}
