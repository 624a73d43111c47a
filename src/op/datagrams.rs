//! The receives of a datagram socket: who gets a datagram whose receive was abandoned. Pure: no
//! IRP, no lock, no allocation; `receive` runs it.
//!
//! Datagrams have no order among each other, so that any receive may get any of them; but each is
//! received as a whole, once, or counted as lost.
//!
//! ```text
//!  start     a datagram is kept? then it is handed over, and WSK never sees the receive
//!  complete  it has a datagram, or failed
//!  abandon   the datagram that it has, or will have, is kept
//!  take      the handle has the result; the receive leaves the list
//!
//!  [kept][in flight] -> recall: cancelled, so that it completes and the datagram is handed over
//! ```
//!
//! What the lock's holder has to do outside of the lock comes as [`Step`]s, one at a time.
//!
//! What always holds, unless nothing is kept any more: for each receive that is recalled and has
//! not got a datagram there is one that is kept, so that no receive is cancelled in vain.

use super::entry::{Entry, List, Lost, Recall, Receives, Step, Taken};

/// Receives that have a datagram each.
pub(crate) trait DatagramReceives: Receives {
    /// Copies the datagram of `kept` to `later`, which WSK does not have; how many of its bytes
    /// there was room for.
    fn hand_over(&mut self, kept: Self::Id, later: Self::Id) -> usize;
}

/// The list.
#[derive(Debug)]
pub(crate) struct Datagrams<I> {
    list: List<I>,
    /// How many have a result that their handle was not told of.
    unpublished: usize,
    /// How many are abandoned: only then is there more to do than to publish.
    abandoned: usize,
    /// Nothing is kept any more.
    discarding: bool,
}

impl<I> Entry<I> {
    /// Abandoned, it has a datagram for another one.
    fn has_kept(&self) -> bool {
        self.abandoned && self.is_settled() && self.succeeded
    }

    /// A kept datagram is for it.
    fn is_promised(&self) -> bool {
        self.recall != Recall::No && !self.abandoned && !self.published && !self.succeeded
    }

    /// It would take a datagram.
    fn is_waiting(&self) -> bool {
        !self.done && !self.abandoned && self.recall == Recall::No
    }
}

/// What a walk through the list has found.
struct Found<I> {
    kept: usize,
    promised: usize,
    first_kept: Option<I>,
    first_waiting: Option<I>,
    recalling: bool,
}

impl<I: Copy + PartialEq> Datagrams<I> {
    pub(crate) const fn new() -> Self {
        Self {
            list: List::new(),
            unpublished: 0,
            abandoned: 0,
            discarding: false,
        }
    }

    /// Appends a receive. True: it is to be passed to WSK; false: it has got a datagram.
    pub(crate) fn start<R>(&mut self, receives: &mut R, id: I) -> bool
    where
        R: DatagramReceives<Id = I>,
    {
        *receives.entry(id) = Entry::new();
        self.list.push(receives, id);
        if self.abandoned == 0 || self.discarding {
            return true;
        }
        let found = self.look(receives);
        match found.first_kept {
            Some(kept) if found.kept > found.promised => {
                self.unpublished += 1;
                hand_over(receives, kept, id);
                false
            }
            _ => true,
        }
    }

    /// WSK has completed it, with a count of bytes, or not successfully.
    pub(crate) fn complete<R>(&mut self, receives: &mut R, id: I, count: Option<usize>)
    where
        R: DatagramReceives<Id = I>,
    {
        let entry = receives.entry(id);
        entry.complete(count);
        self.unpublished += usize::from(!entry.abandoned);
    }

    /// Nobody wants its result any more. Its handle side is the list's from now on.
    pub(crate) fn abandon<R>(&mut self, receives: &mut R, id: I)
    where
        R: DatagramReceives<Id = I>,
    {
        let entry = receives.entry(id);
        entry.abandon();
        self.abandoned += 1;
        self.unpublished -= usize::from(entry.done && !entry.published);
    }

    /// The result of a published receive, which leaves the list.
    pub(crate) fn take<R>(&mut self, receives: &mut R, id: I) -> Taken
    where
        R: DatagramReceives<Id = I>,
    {
        self.list.unlink(receives, id);
        let entry = receives.entry(id);
        Taken {
            succeeded: entry.succeeded,
            bytes: 0..entry.end,
        }
    }

    /// Keeps nothing any more.
    pub(crate) fn discard(&mut self) {
        self.discarding = true;
    }

    /// Whether there is no receive in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.first.is_none()
    }

    /// The next thing to do, and whether there may be more.
    pub(crate) fn next_step<R>(&mut self, receives: &mut R) -> Option<(Step<I>, bool)>
    where
        R: DatagramReceives<Id = I>,
    {
        if !self.has_work() {
            return None;
        }
        let mut current = self.list.first;
        while let Some(id) = current {
            let entry = receives.entry(id);
            current = entry.next;
            if !entry.is_settled() {
                continue;
            }
            if entry.abandoned && (!entry.succeeded || self.discarding) {
                return Some((self.dispose(receives, id), self.has_work()));
            }
            if !entry.abandoned && !entry.published {
                return Some((self.publish(receives, id), self.has_work()));
            }
        }
        self.recall(receives)
    }

    /// Whether there may be something to do.
    fn has_work(&self) -> bool {
        self.unpublished > 0 || self.abandoned > 0
    }

    fn publish<R>(&mut self, receives: &mut R, id: I) -> Step<I>
    where
        R: DatagramReceives<Id = I>,
    {
        self.unpublished -= 1;
        let entry = receives.entry(id);
        let promised = entry.is_promised();
        entry.published = true;
        if promised && let Some(kept) = self.look(receives).first_kept {
            hand_over(receives, kept, id);
        }
        Step::Publish(id)
    }

    /// Gets a receive back from WSK for a datagram that is kept for nobody in particular.
    fn recall<R>(&mut self, receives: &mut R) -> Option<(Step<I>, bool)>
    where
        R: DatagramReceives<Id = I>,
    {
        let found = self.look(receives);
        let id = found.first_waiting?;
        if found.recalling || found.kept <= found.promised {
            return None;
        }
        receives.entry(id).recall = Recall::Running;
        Some((Step::Recall(id), false))
    }

    fn look<R>(&self, receives: &mut R) -> Found<I>
    where
        R: DatagramReceives<Id = I>,
    {
        let mut found = Found {
            kept: 0,
            promised: 0,
            first_kept: None,
            first_waiting: None,
            recalling: false,
        };
        let mut current = self.list.first;
        while let Some(id) = current {
            let entry = receives.entry(id);
            if entry.has_kept() {
                found.kept += 1;
                found.first_kept = found.first_kept.or(Some(id));
            }
            if entry.is_waiting() {
                found.first_waiting = found.first_waiting.or(Some(id));
            }
            found.promised += usize::from(entry.is_promised());
            found.recalling |= entry.recall == Recall::Running;
            current = entry.next;
        }
        found
    }

    fn dispose<R>(&mut self, receives: &mut R, id: I) -> Step<I>
    where
        R: DatagramReceives<Id = I>,
    {
        self.list.unlink(receives, id);
        self.abandoned -= 1;
        let entry = receives.entry(id);
        Step::Dispose {
            id,
            published: entry.published,
            lost: Lost {
                bytes: entry.end,
                datagrams: entry.succeeded.into(),
            },
        }
    }
}

/// Gives the datagram of `kept` to `id`, which WSK does not have.
fn hand_over<R: DatagramReceives>(receives: &mut R, kept: R::Id, id: R::Id) {
    let length = receives.hand_over(kept, id);
    receives.entry(kept).complete(None);
    receives.entry(id).complete(Some(length));
}

#[cfg(test)]
mod tests;
