//! The receives of a connection, in the order of its stream: who gets which bytes when some of them
//! are abandoned. Pure: no IRP, no lock, no allocation; `receive` runs it.
//!
//! The list has every receive from its start until its result is taken, in the order of the calls,
//! in which WSK fills them. A receive that is abandoned after it took bytes stays and keeps them:
//! they belong to the next receive in the list, before what that one took itself.
//!
//! ```text
//!  start     last kept bytes wait for it? then it is filled from them, and WSK never sees it
//!  complete  its bytes are in its buffer
//!  abandon   what it has taken, or will have, is kept
//!  take      the handle has the result; the receive leaves the list
//!
//!  [kept ab][done cd, room for 3] -> fill -> [done abc][kept d]     the rest moves behind
//!  [kept ab][in flight]           -> recall: cancelled, so that it completes and can be filled
//!  [abandoned, in flight][done]   -> wait: the first one may have taken bytes
//! ```
//!
//! What the lock's holder has to do outside of the lock comes as [`Step`]s, one at a time.
//!
//! What always holds:
//!
//! - The bytes of all entries, from the first to the last, are the stream from where it was taken.
//! - A result is taken only when no abandoned receive is before it.
//! - A receive whose successor was taken is overtaken: if it is abandoned, its bytes are lost.

use core::ops::Range;

use super::entry::{Entry, List, Lost, Recall, Receives, Step, Taken};

/// Receives whose bytes are those of a stream.
pub(crate) trait StreamReceives: Receives {
    /// The whole buffers of two different receives which WSK does not have.
    fn buffers(&mut self, earlier: Self::Id, later: Self::Id) -> (&mut [u8], &mut [u8]);
}

/// The list.
#[derive(Debug)]
pub(crate) struct Stream<I> {
    list: List<I>,
    /// Nothing is kept any more, but for receives that have started.
    discarding: bool,
    /// Bytes were lost in the middle of the stream.
    broken: bool,
}

impl<I: Copy + PartialEq> Stream<I> {
    pub(crate) const fn new() -> Self {
        Self {
            list: List::new(),
            discarding: false,
            broken: false,
        }
    }

    /// Appends a receive into its buffer from `base` on. If it is abandoned, its buffer is kept
    /// from `first` on. True: it is to be passed to WSK; false: it is filled from what is kept.
    pub(crate) fn start<R>(&mut self, receives: &mut R, id: I, first: usize, base: usize) -> bool
    where
        R: StreamReceives<Id = I>,
    {
        let served = self.list.last.is_some_and(|last| {
            let last = receives.entry(last);
            last.abandoned && is_kept(last) && !self.discarding
        });
        *receives.entry(id) = Entry {
            first,
            base,
            end: base,
            done: served,
            ..Entry::new()
        };
        self.list.push(receives, id);
        !served
    }

    /// The result of a published receive, which leaves the list. `None`: not yet, since an earlier
    /// one has just been abandoned.
    pub(crate) fn take<R>(&mut self, receives: &mut R, id: I) -> Option<Taken>
    where
        R: StreamReceives<Id = I>,
    {
        if self.any_before(receives, id, |earlier| earlier.abandoned) {
            return None;
        }
        let entry = receives.entry(id);
        let taken = Taken {
            succeeded: entry.succeeded,
            bytes: entry.base..entry.end,
        };
        if taken.succeeded {
            self.any_before(receives, id, |earlier| {
                earlier.overtaken = true;
                false
            });
        }
        self.list.unlink(receives, id);
        Some(taken)
    }

    /// Keeps nothing for receives that are yet to start, and drops what is kept for them.
    pub(crate) fn discard(&mut self) {
        self.discarding = true;
    }

    /// Whether there is no receive in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.first.is_none()
    }

    /// Whether bytes were lost in the middle of the stream.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// The next thing to do, and whether there may be more.
    pub(crate) fn next_step<R>(&mut self, receives: &mut R) -> Option<(Step<I>, bool)>
    where
        R: StreamReceives<Id = I>,
    {
        let mut current = self.list.first;
        while let Some(id) = current {
            let entry = receives.entry(id);
            current = entry.next;
            if entry.abandoned {
                if !entry.is_settled() {
                    return None;
                }
                let kept = is_kept(entry);
                if !kept || self.discarding && !is_wanted_after(receives, id) {
                    return Some((self.dispose(receives, id), self.list.first.is_some()));
                }
            } else if entry.is_settled() {
                self.fill(receives, id);
                let entry = receives.entry(id);
                if !core::mem::replace(&mut entry.published, true) {
                    return Some((Step::Publish(id), entry.next.is_some()));
                }
                // Some may have moved behind it.
                current = entry.next;
            } else if let Some(earlier) = entry.previous
                && receives.entry(earlier).abandoned
            {
                let recall = &mut receives.entry(id).recall;
                if *recall == Recall::No {
                    *recall = Recall::Running;
                    return Some((Step::Recall(id), false));
                }
                return None;
            }
        }
        None
    }

    /// Fills a receive from what is kept directly before it; what remains is behind it then.
    fn fill<R>(&mut self, receives: &mut R, id: I)
    where
        R: StreamReceives<Id = I>,
    {
        let mut first_kept = None;
        let mut before = receives.entry(id).previous;
        while let Some(kept) = before
            && receives.entry(kept).abandoned
        {
            pour_entry(receives, kept, id);
            first_kept = Some(kept);
            before = receives.entry(kept).previous;
        }
        if let Some(first_kept) = first_kept {
            self.list.unlink(receives, id);
            self.list.insert_before(receives, first_kept, id);
        }
    }

    fn dispose<R>(&mut self, receives: &mut R, id: I) -> Step<I>
    where
        R: StreamReceives<Id = I>,
    {
        self.list.unlink(receives, id);
        let entry = receives.entry(id);
        let bytes = entry.end - entry.first;
        self.broken |= bytes > 0 && entry.overtaken;
        Step::Dispose {
            id,
            published: entry.published,
            lost: Lost {
                bytes,
                datagrams: 0,
            },
        }
    }

    /// Whether `test` holds for one of those before `id`.
    fn any_before<R>(
        &self,
        receives: &mut R,
        id: I,
        mut test: impl FnMut(&mut Entry<I>) -> bool,
    ) -> bool
    where
        R: StreamReceives<Id = I>,
    {
        let mut current = self.list.first;
        while let Some(earlier) = current
            && earlier != id
        {
            let entry = receives.entry(earlier);
            if test(entry) {
                return true;
            }
            current = entry.next;
        }
        false
    }
}

/// Whether it has bytes for the next one, if it is abandoned.
fn is_kept<I>(entry: &Entry<I>) -> bool {
    entry.is_settled() && entry.first < entry.end && !entry.overtaken
}

/// Whether a receive after `id` is still wanted.
fn is_wanted_after<R: StreamReceives>(receives: &mut R, id: R::Id) -> bool {
    let mut current = receives.entry(id).next;
    while let Some(later) = current {
        let entry = receives.entry(later);
        if !entry.abandoned {
            return true;
        }
        current = entry.next;
    }
    false
}

/// Moves what `kept` has to the front of what `later` has received.
fn pour_entry<R: StreamReceives>(receives: &mut R, kept: R::Id, later: R::Id) {
    let earlier = receives.entry(kept);
    let bytes = earlier.first..earlier.end;
    if bytes.is_empty() {
        return;
    }
    let entry = receives.entry(later);
    let (base, own) = (entry.base, entry.end - entry.base);
    let (from, to) = receives.buffers(kept, later);
    let (bytes, own) = pour(from, bytes, &mut to[base..], own);
    let earlier = receives.entry(kept);
    (earlier.first, earlier.end) = (bytes.start, bytes.end);
    let entry = receives.entry(later);
    entry.end = base + own;
    entry.succeeded = true;
}

/// `from[bytes]` and then `to[..own]` are a piece of the stream. Puts as much of its beginning as
/// fits into `to`, and the rest into `from`; says where both are then. The rest is never longer
/// than `bytes`, since `own` bytes were in `to` already.
fn pour(from: &mut [u8], bytes: Range<usize>, to: &mut [u8], own: usize) -> (Range<usize>, usize) {
    let (kept, room) = (bytes.len(), to.len());
    if own == 0 {
        let moved = kept.min(room);
        let (first, rest) = from[bytes.clone()].split_at(moved);
        to[..moved].copy_from_slice(first);
        return (bytes.end - rest.len()..bytes.end, moved);
    }
    let moved = kept.min(room - own);
    let rest = kept - moved;
    // The last of the kept bytes before those that `to` has: both together, `from` first, are the
    // piece in order.
    to.copy_within(..own, moved);
    to[..moved].copy_from_slice(&from[bytes.end - moved..bytes.end]);
    let filled = own + moved;
    let (from, to) = (&mut from[bytes.start..][..rest], &mut to[..filled]);
    // Now the first `filled` bytes of the piece into `to`, without a third place.
    if rest <= filled {
        to.rotate_right(rest);
        from.swap_with_slice(&mut to[..rest]);
    } else {
        from[..filled].swap_with_slice(to);
        from.rotate_left(filled);
    }
    (bytes.start..bytes.start + rest, filled)
}

#[cfg(test)]
mod tests;
