//! The order of a socket's receives: that of a stream, or none. It is settled when the socket is
//! made; `receive` need not know which it is.

use super::{
    datagrams::{DatagramReceives, Datagrams},
    entry::{Step, Taken},
    stream::{Stream, StreamReceives},
};

/// Who gets what has been received.
pub(super) enum Order<I> {
    Stream(Stream<I>),
    Datagrams(Datagrams<I>),
}

impl<I: Copy + PartialEq> Order<I> {
    pub(super) const fn stream() -> Self {
        Self::Stream(Stream::new())
    }

    pub(super) const fn datagrams() -> Self {
        Self::Datagrams(Datagrams::new())
    }

    /// Appends a receive: see [`Stream::start`] and [`Datagrams::start`].
    pub(super) fn start<R>(&mut self, receives: &mut R, id: I, first: usize, base: usize) -> bool
    where
        R: StreamReceives<Id = I> + DatagramReceives<Id = I>,
    {
        match self {
            Self::Stream(stream) => stream.start(receives, id, first, base),
            Self::Datagrams(datagrams) => datagrams.start(receives, id),
        }
    }

    /// WSK has completed it, with a count of bytes, or not successfully.
    pub(super) fn complete<R>(&mut self, receives: &mut R, id: I, count: Option<usize>)
    where
        R: StreamReceives<Id = I> + DatagramReceives<Id = I>,
    {
        match self {
            Self::Stream(_) => receives.entry(id).complete(count),
            Self::Datagrams(datagrams) => datagrams.complete(receives, id, count),
        }
    }

    /// Nobody wants its result any more. Its handle side is the list's from now on.
    pub(super) fn abandon<R>(&mut self, receives: &mut R, id: I)
    where
        R: StreamReceives<Id = I> + DatagramReceives<Id = I>,
    {
        match self {
            Self::Stream(_) => receives.entry(id).abandon(),
            Self::Datagrams(datagrams) => datagrams.abandon(receives, id),
        }
    }

    /// The result of a published receive; `None`: not yet.
    pub(super) fn take<R>(&mut self, receives: &mut R, id: I) -> Option<Taken>
    where
        R: StreamReceives<Id = I> + DatagramReceives<Id = I>,
    {
        match self {
            Self::Stream(stream) => stream.take(receives, id),
            Self::Datagrams(datagrams) => Some(datagrams.take(receives, id)),
        }
    }

    /// Keeps nothing for receives that are yet to start.
    pub(super) fn discard(&mut self) {
        match self {
            Self::Stream(stream) => stream.discard(),
            Self::Datagrams(datagrams) => datagrams.discard(),
        }
    }

    /// Whether there is no receive in it.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Stream(stream) => stream.is_empty(),
            Self::Datagrams(datagrams) => datagrams.is_empty(),
        }
    }

    /// Whether bytes were lost in the middle of a stream.
    pub(super) fn is_broken(&self) -> bool {
        match self {
            Self::Stream(stream) => stream.is_broken(),
            Self::Datagrams(_) => false,
        }
    }

    /// The next thing to do outside of the lock, and whether there may be more.
    pub(super) fn next_step<R>(&mut self, receives: &mut R) -> Option<(Step<I>, bool)>
    where
        R: StreamReceives<Id = I> + DatagramReceives<Id = I>,
    {
        match self {
            Self::Stream(stream) => stream.next_step(receives),
            Self::Datagrams(datagrams) => datagrams.next_step(receives),
        }
    }
}
