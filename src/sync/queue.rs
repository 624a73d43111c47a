//! A bounded queue from callbacks, at up to DISPATCH_LEVEL, to one reader, which awaits or waits.
//!
//! All memory is there from the beginning. Values and wakers are dropped, and tasks woken, after
//! the lock has been released.

// UNSAFETY: makes a kernel event in place.
#![expect(unsafe_code, reason = "a kernel object made in place")]

use core::{
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    irql::Passive,
    mem::{arc::PoolArc, slice::PoolSlice},
    status::Result,
    sync::{event::Event, spin::SpinLock},
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    ring: SpinLock<Ring<T>>,
    /// Set while there is something to read, or the end.
    readable: Event,
}

#[derive(Debug)]
struct Ring<T> {
    slots: PoolSlice<Option<T>>,
    first: usize,
    length: usize,
    reader: Option<Waker>,
    ended: bool,
}

impl<T> Ring<T> {
    fn pop(&mut self) -> Option<T> {
        let capacity = self.slots.len();
        let value = self.slots[self.first].take()?;
        self.first = (self.first + 1) % capacity;
        self.length -= 1;
        Some(value)
    }

    /// Adds a value if there is room.
    fn push(&mut self, value: T) -> core::result::Result<(), T> {
        let capacity = self.slots.len();
        if self.length == capacity || self.ended {
            return Err(value);
        }
        let end = (self.first + self.length) % capacity;
        self.slots[end] = Some(value);
        self.length += 1;
        Ok(())
    }
}

impl<T: Send> Queue<T> {
    /// An empty queue of this capacity.
    pub(crate) fn new(capacity: usize) -> Result<PoolArc<Self>> {
        let queue = PoolArc::new(Self {
            ring: SpinLock::new(Ring {
                slots: PoolSlice::new(capacity)?,
                first: 0,
                length: 0,
                reader: None,
                ended: false,
            }),
            // SAFETY: settled below.
            readable: unsafe { Event::unsettled() },
        })?;
        // SAFETY: nonpaged, in place for good, not shared yet.
        unsafe { queue.readable.settle() };
        Ok(queue)
    }

    /// Adds a value; gives it back if the queue is full or has ended.
    pub(crate) fn push(&self, value: T) -> core::result::Result<(), T> {
        let (result, reader) = self.ring.with(|ring| {
            let result = ring.push(value);
            (result, self.tell(ring))
        });
        wake(reader);
        result
    }

    /// Adds a value, in place of the oldest if the queue is full; gives that.
    pub(crate) fn push_over(&self, value: T) -> Option<T> {
        let (displaced, reader) = self.ring.with(|ring| {
            let full = ring.length == ring.slots.len();
            let oldest = if full { ring.pop() } else { None };
            let displaced = ring.push(value).err().or(oldest);
            (displaced, self.tell(ring))
        });
        wake(reader);
        displaced
    }

    /// Nothing comes any more; what is there can still be read.
    pub(crate) fn end(&self) {
        let reader = self.ring.with(|ring| {
            ring.ended = true;
            self.tell(ring)
        });
        wake(reader);
    }

    /// With the lock held: there is something to read. Gives the task to wake.
    fn tell(&self, ring: &mut Ring<T>) -> Option<Waker> {
        self.readable.set();
        ring.reader.take()
    }

    /// The next value; `Ready(None)` at the end.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<Option<T>> {
        let mut waker = Some(context.waker().clone());
        let (polled, _old) = self.ring.with(|ring| {
            let polled = self.take(ring);
            let old = if polled.is_pending() {
                core::mem::replace(&mut ring.reader, waker.take())
            } else {
                None
            };
            (polled, old)
        });
        polled
    }

    /// The next value if there is one; `Ready(None)` at the end.
    pub(crate) fn try_next(&self) -> Poll<Option<T>> {
        self.ring.with(|ring| self.take(ring))
    }

    /// Waits for the next value; `Pending` if `timeout` passed first.
    pub(crate) fn wait(&self, timeout: Option<Duration>, passive: Passive) -> Poll<Option<T>> {
        loop {
            let polled = self.try_next();
            if polled.is_ready() || !self.readable.wait(timeout, passive) {
                return polled;
            }
        }
    }

    /// With the lock held: the event is set exactly while there is something to read.
    fn take(&self, ring: &mut Ring<T>) -> Poll<Option<T>> {
        match ring.pop() {
            Some(value) => Poll::Ready(Some(value)),
            None if ring.ended => Poll::Ready(None),
            None => {
                self.readable.clear();
                Poll::Pending
            }
        }
    }
}

fn wake(reader: Option<Waker>) {
    if let Some(reader) = reader {
        reader.wake();
    }
}
