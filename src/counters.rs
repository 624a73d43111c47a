//! What the library holds at the moment, so that a driver can show at unload that nothing is left.
//!
//! One set for the image: several registrations share it. Counting is all this module does.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::op::entry::Lost;

static OPERATIONS: AtomicUsize = AtomicUsize::new(0);
static BUFFERS: AtomicUsize = AtomicUsize::new(0);
static SOCKETS: AtomicUsize = AtomicUsize::new(0);
static LOST_BYTES: AtomicUsize = AtomicUsize::new(0);
static LOST_DATAGRAMS: AtomicUsize = AtomicUsize::new(0);

/// Objects alive in this image, and what was given up.
///
/// Each number is exact; together they are a snapshot only while nothing runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests that are in flight, or completed with the handle not dropped yet; and receives that
    /// were dropped, and keep what they have received for the next one.
    pub operations: usize,
    /// [`Buffer`](crate::Buffer)s.
    pub buffers: usize,
    /// Sockets that WSK has made and not yet finished closing.
    pub sockets: usize,
    /// Bytes that receives took which were dropped then, and that no later receive got before the
    /// socket was closed. Never goes down.
    pub lost_bytes: usize,
    /// Datagrams, empty ones included, of which the same is true. Never goes down.
    pub lost_datagrams: usize,
}

/// Reads the counters.
///
/// IRQL: any.
///
/// ```
/// let left = wsk::counters();
/// assert_eq!((left.operations, left.buffers, left.sockets), (0, 0, 0));
/// ```
#[must_use]
pub fn counters() -> Counters {
    Counters {
        operations: OPERATIONS.load(Ordering::Relaxed),
        buffers: BUFFERS.load(Ordering::Relaxed),
        sockets: SOCKETS.load(Ordering::Relaxed),
        lost_bytes: LOST_BYTES.load(Ordering::Relaxed),
        lost_datagrams: LOST_DATAGRAMS.load(Ordering::Relaxed),
    }
}

/// One object that [`counters`] counts, for as long as it is kept.
#[derive(Debug)]
pub(crate) struct Counted(Option<&'static AtomicUsize>);

impl Counted {
    pub(crate) fn operation() -> Self {
        Self::new(&OPERATIONS)
    }

    pub(crate) fn buffer() -> Self {
        Self::new(&BUFFERS)
    }

    pub(crate) fn socket() -> Self {
        Self::new(&SOCKETS)
    }

    /// Something that is part of what is counted already.
    pub(crate) fn nothing() -> Self {
        Self(None)
    }

    fn new(counter: &'static AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Some(counter))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(counter) = self.0 {
            counter.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Counts what arrived and nobody can have any more.
pub(crate) fn lose(lost: Lost) {
    LOST_BYTES.fetch_add(lost.bytes, Ordering::Relaxed);
    LOST_DATAGRAMS.fetch_add(lost.datagrams, Ordering::Relaxed);
}
