//! Receives in a list: what `stream` and `datagrams` have in common, which order the receives of a
//! connection and of a datagram socket. Pure: no IRP, no lock, no allocation; `receive` runs both.
//!
//! The list has every receive from its start until its result is taken. A receive that is abandoned
//! after it has received something stays, and keeps that for another one.

use core::ops::Range;

/// A receive in the list.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct Entry<I> {
    pub(super) previous: Option<I>,
    pub(super) next: Option<I>,
    /// Where in its buffer the bytes begin that are kept if it is abandoned.
    pub(super) first: usize,
    /// Where in its buffer it receives.
    pub(super) base: usize,
    /// Behind its last byte.
    pub(super) end: usize,
    /// WSK does not have it: it has completed, or was never passed on.
    pub(super) done: bool,
    /// It has bytes, or the end of the stream; not a failure.
    pub(super) succeeded: bool,
    pub(super) recall: Recall,
    /// The handle side was told.
    pub(super) published: bool,
    pub(super) abandoned: bool,
    /// A later one was taken.
    pub(super) overtaken: bool,
}

/// Getting a receive back from WSK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recall {
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
    /// It has left the list, and nobody has it any more.
    Dispose { id: I, published: bool, lost: Lost },
}

/// What nobody gets any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) bytes: usize,
    pub(crate) datagrams: usize,
}

/// Where the receives are.
pub(crate) trait Receives {
    type Id: Copy + PartialEq;

    fn entry(&mut self, id: Self::Id) -> &mut Entry<Self::Id>;
}

/// Receives in the order in which they were started.
#[derive(Debug)]
pub(super) struct List<I> {
    pub(super) first: Option<I>,
    pub(super) last: Option<I>,
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
    pub(super) fn is_settled(&self) -> bool {
        self.done && self.recall != Recall::Running
    }
}

impl<I: Copy + PartialEq> List<I> {
    pub(super) const fn new() -> Self {
        Self {
            first: None,
            last: None,
        }
    }

    /// Appends `id`, whose entry is in no list.
    pub(super) fn push<R>(&mut self, receives: &mut R, id: I)
    where
        R: Receives<Id = I>,
    {
        receives.entry(id).previous = self.last;
        match self.last.replace(id) {
            Some(last) => receives.entry(last).next = Some(id),
            None => self.first = Some(id),
        }
    }

    pub(super) fn unlink<R>(&mut self, receives: &mut R, id: I)
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

    pub(super) fn insert_before<R>(&mut self, receives: &mut R, next: I, id: I)
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
