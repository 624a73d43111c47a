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

/// A receive in the list.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct Entry<I> {
    previous: Option<I>,
    next: Option<I>,
    /// Where in its buffer the bytes begin that are kept if it is abandoned.
    first: usize,
    /// Where in its buffer it receives.
    base: usize,
    /// Behind its last byte.
    end: usize,
    /// WSK does not have it: it has completed, or was never passed on.
    done: bool,
    /// It has bytes, or the end of the stream; not a failure.
    succeeded: bool,
    recall: Recall,
    /// The handle side was told.
    published: bool,
    abandoned: bool,
    /// A later one was taken.
    overtaken: bool,
}

/// Getting a receive back from WSK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recall {
    No,
    /// Somebody cancels it; it must not go away meanwhile.
    Running,
    Over,
}

/// What a receive has for its handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) succeeded: bool,
    /// Where in its buffer the bytes are.
    pub(crate) bytes: Range<usize>,
}

/// What is to be done outside of the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<I> {
    /// Tell its handle that there is a result.
    Publish(I),
    /// Cancel it at WSK, then say [`Entry::recalled`].
    Recall(I),
    /// It has left the list, and nobody has it any more. So many bytes are lost with it.
    Dispose { id: I, published: bool, lost: usize },
}

/// Where the receives are.
pub(crate) trait Receives {
    type Id: Copy + PartialEq;

    fn entry(&mut self, id: Self::Id) -> &mut Entry<Self::Id>;

    /// The whole buffers of two different receives which WSK does not have.
    fn buffers(&mut self, earlier: Self::Id, later: Self::Id) -> (&mut [u8], &mut [u8]);
}

/// The list.
#[derive(Debug)]
pub(crate) struct Stream<I> {
    first: Option<I>,
    last: Option<I>,
    /// Nothing is kept any more, but for receives that have started.
    discarding: bool,
    /// Bytes were lost in the middle of the stream.
    broken: bool,
}

impl<I> Entry<I> {
    /// In no list.
    pub(crate) const fn new() -> Self {
        Self {
            previous: None,
            next: None,
            first: 0,
            base: 0,
            end: 0,
            done: false,
            succeeded: false,
            recall: Recall::No,
            published: false,
            abandoned: false,
            overtaken: false,
        }
    }

    /// WSK has completed it, with a count of bytes, or not successfully.
    pub(crate) fn complete(&mut self, count: Option<usize>) {
        self.done = true;
        self.succeeded = count.is_some();
        self.end = self.base + count.unwrap_or(0);
    }

    /// Nobody wants its result any more. Its handle side is the list's from now on.
    pub(crate) fn abandon(&mut self) {
        self.abandoned = true;
    }

    /// The cancelling that [`Step::Recall`] asked for is over.
    pub(crate) fn recalled(&mut self) {
        self.recall = Recall::Over;
    }

    /// WSK does not have it any more.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// Its bytes do not change by themselves any more, and it may go away.
    fn is_settled(&self) -> bool {
        self.done && self.recall != Recall::Running
    }

    /// Abandoned, it has bytes for the next one.
    fn is_kept(&self) -> bool {
        self.is_settled() && self.first < self.end && !self.overtaken
    }
}

impl<I: Copy + PartialEq> Stream<I> {
    pub(crate) const fn new() -> Self {
        Self {
            first: None,
            last: None,
            discarding: false,
            broken: false,
        }
    }

    /// Appends a receive into its buffer from `base` on. If it is abandoned, its buffer is kept
    /// from `first` on. True: it is to be passed to WSK; false: it is filled from what is kept.
    pub(crate) fn start<R>(&mut self, receives: &mut R, id: I, first: usize, base: usize) -> bool
    where
        R: Receives<Id = I>,
    {
        let served = self.last.is_some_and(|last| {
            let last = receives.entry(last);
            last.abandoned && last.is_kept() && !self.discarding
        });
        *receives.entry(id) = Entry {
            previous: self.last,
            first,
            base,
            end: base,
            done: served,
            ..Entry::new()
        };
        match self.last.replace(id) {
            Some(last) => receives.entry(last).next = Some(id),
            None => self.first = Some(id),
        }
        !served
    }

    /// The result of a published receive, which leaves the list. `None`: not yet, since an earlier
    /// one has just been abandoned.
    pub(crate) fn take<R>(&mut self, receives: &mut R, id: I) -> Option<Taken>
    where
        R: Receives<Id = I>,
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
        self.unlink(receives, id);
        Some(taken)
    }

    /// Keeps nothing for receives that are yet to start, and drops what is kept for them.
    pub(crate) fn discard(&mut self) {
        self.discarding = true;
    }

    /// Whether there is no receive in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Whether bytes were lost in the middle of the stream.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// The next thing to do, and whether there may be more.
    pub(crate) fn next_step<R>(&mut self, receives: &mut R) -> Option<(Step<I>, bool)>
    where
        R: Receives<Id = I>,
    {
        let mut current = self.first;
        while let Some(id) = current {
            let entry = receives.entry(id);
            current = entry.next;
            if entry.abandoned {
                if !entry.is_settled() {
                    return None;
                }
                let kept = entry.is_kept();
                if !kept || self.discarding && !is_wanted_after(receives, id) {
                    return Some((self.dispose(receives, id), self.first.is_some()));
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
        R: Receives<Id = I>,
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
            self.unlink(receives, id);
            self.insert_before(receives, first_kept, id);
        }
    }

    fn dispose<R>(&mut self, receives: &mut R, id: I) -> Step<I>
    where
        R: Receives<Id = I>,
    {
        self.unlink(receives, id);
        let entry = receives.entry(id);
        let lost = entry.end - entry.first;
        self.broken |= lost > 0 && entry.overtaken;
        Step::Dispose {
            id,
            published: entry.published,
            lost,
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
        R: Receives<Id = I>,
    {
        let mut current = self.first;
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

    fn unlink<R>(&mut self, receives: &mut R, id: I)
    where
        R: Receives<Id = I>,
    {
        let entry = receives.entry(id);
        let (previous, next) = (entry.previous.take(), entry.next.take());
        match previous {
            Some(previous) => receives.entry(previous).next = next,
            None => self.first = next,
        }
        match next {
            Some(next) => receives.entry(next).previous = previous,
            None => self.last = previous,
        }
    }

    fn insert_before<R>(&mut self, receives: &mut R, next: I, id: I)
    where
        R: Receives<Id = I>,
    {
        let previous = receives.entry(next).previous.replace(id);
        let entry = receives.entry(id);
        (entry.previous, entry.next) = (previous, Some(next));
        match previous {
            Some(previous) => receives.entry(previous).next = Some(id),
            None => self.first = Some(id),
        }
    }
}

/// Whether a receive after `id` is still wanted.
fn is_wanted_after<R: Receives>(receives: &mut R, id: R::Id) -> bool {
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
fn pour_entry<R: Receives>(receives: &mut R, kept: R::Id, later: R::Id) {
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
