//! Received data, as an event of a connection brings it, and what a handler makes of it: consumed,
//! refused, or retained within a budget.

// UNSAFETY: memory of WSK's, reached by address.
#![expect(unsafe_code, reason = "memory of WSK's")]

use core::{fmt, marker::PhantomData, ptr::NonNull};

use wsk_sys::{
    WSK_DATA_INDICATION, WSK_FLAG_ENTIRE_MESSAGE, WSK_FLAG_RELEASE_ASAP,
    wdk_sys::{NTSTATUS, STATUS_DATA_NOT_ACCEPTED, STATUS_PENDING, STATUS_SUCCESS, ULONG},
};

use super::data::Data;
use crate::{
    mem::arc::PoolArc,
    op::{
        core::CoreRef,
        event_calls,
        retained::{Budget, Retention},
    },
    status::Result,
};

/// What a handler answers to an [`Indication`], or a
/// [`DatagramIndication`](crate::DatagramIndication). Made by that indication only.
#[must_use = "it has to be returned to WSK"]
#[derive(Debug)]
pub struct Received<'call> {
    answer: Answer,
    call: PhantomData<fn(&'call ()) -> &'call ()>,
}

#[derive(Debug)]
pub(super) enum Answer {
    Consumed,
    Partly(usize),
    Refused,
    Retained(PoolArc<Retention>),
}

impl Received<'_> {
    pub(super) fn new(answer: Answer) -> Self {
        Self {
            answer,
            call: PhantomData,
        }
    }

    /// Ends the event, and the hold on its socket: the status, and how many bytes were accepted if
    /// it is a success and they are not all.
    pub(super) fn conclude(self, core: &CoreRef) -> (NTSTATUS, Option<usize>) {
        let (mut status, count) = match &self.answer {
            Answer::Partly(count) => (STATUS_SUCCESS, Some(*count)),
            Answer::Refused => (STATUS_DATA_NOT_ACCEPTED, None),
            Answer::Retained(retention) if retention.state().event_returns() => {
                (STATUS_PENDING, None)
            }
            Answer::Consumed | Answer::Retained(_) => (STATUS_SUCCESS, None),
        };
        core.let_go_before_closing(|| {
            // The socket is closed now, and the list must not outlive it.
            if let Answer::Retained(retention) = &self.answer
                && status == STATUS_PENDING
                && retention.state().take_back()
            {
                status = STATUS_SUCCESS;
            }
        });
        (status, count)
    }
}

/// Data that has arrived, valid during the call. Every way of answering gives the [`Received`] that
/// the handler returns.
///
/// Copying what is needed and [consuming](Self::consume) the rest is the default: data that is
/// retained keeps memory of the network adapter [wsk 8.10].
#[derive(Debug)]
pub struct Indication<'call> {
    core: &'call CoreRef,
    data: Data<'call>,
    list: NonNull<WSK_DATA_INDICATION>,
    flags: ULONG,
}

impl<'call> Indication<'call> {
    /// # Safety
    ///
    /// In a receive event of `core`, which is held; the list is what it brought.
    pub(super) unsafe fn new(
        core: &'call CoreRef,
        list: NonNull<WSK_DATA_INDICATION>,
        length: usize,
        flags: ULONG,
    ) -> Self {
        Self {
            core,
            // SAFETY: valid during the event [wsk 8.2].
            data: unsafe { Data::of_list(list, length) },
            list,
            flags,
        }
    }

    /// The bytes.
    #[must_use]
    pub fn data(&self) -> Data<'_> {
        self.data
    }

    /// Whether the sender marked the end of this data as the end of something: over TCP, it was
    /// pushed. A hint, since the stream has no messages.
    #[must_use]
    #[doc(alias = "WSK_FLAG_ENTIRE_MESSAGE")]
    pub fn is_entire_message(&self) -> bool {
        self.flags & WSK_FLAG_ENTIRE_MESSAGE != 0
    }

    /// Whether WSK asks to have the memory back soon; it is not retained then.
    #[must_use]
    #[doc(alias = "WSK_FLAG_RELEASE_ASAP")]
    pub fn is_wanted_back_soon(&self) -> bool {
        self.flags & WSK_FLAG_RELEASE_ASAP != 0
    }

    /// All bytes have been used.
    pub fn consume(self) -> Received<'call> {
        Received::new(Answer::Consumed)
    }

    /// The first `count` bytes have been used; the rest stays with WSK, for
    /// [`receive`](crate::ConnectionSocket::receive). No more events until
    /// [`resume_receive_events`](crate::ConnectionSocket::resume_receive_events) [wsk 8.2]. All
    /// bytes if there are no more than `count`.
    pub fn consume_first(self, count: usize) -> Received<'call> {
        Received::new(if count < self.data.len() {
            Answer::Partly(count)
        } else {
            Answer::Consumed
        })
    }

    /// Nothing was used: as [`consume_first`](Self::consume_first) with 0.
    pub fn refuse(self) -> Received<'call> {
        Received::new(Answer::Refused)
    }

    /// Keeps the data beyond the call, as far as `budget` goes.
    ///
    /// # Errors
    ///
    /// The indication comes back if the budget is exhausted, if there is no memory, or if WSK
    /// [wants it back soon](Self::is_wanted_back_soon): copy what is needed.
    #[doc(alias = "WskRelease")]
    pub fn retain(
        self,
        budget: &RetainBudget,
    ) -> core::result::Result<(Received<'call>, Retained), Self> {
        if self.is_wanted_back_soon() {
            return Err(self);
        }
        let (list, length) = (self.list.cast(), self.data.len());
        let release = event_calls::release_of_connection;
        // SAFETY: in the event that brought the list, and the socket is held (the promise of
        // `new`); the socket is a connection.
        let retention =
            unsafe { Retention::new(self.core, list, length, budget.shared(), release) };
        match retention {
            Ok(Some(retention)) => Ok((
                Received::new(Answer::Retained(retention.clone())),
                Retained(retention),
            )),
            _ => Err(self),
        }
    }
}

/// How many bytes a driver keeps of what it was sent. Clones share one budget.
#[derive(Clone)]
pub struct RetainBudget(PoolArc<Budget>);

impl RetainBudget {
    /// A budget of so many bytes.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory)
    pub fn new(bytes: usize) -> Result<Self> {
        PoolArc::new(Budget::new(bytes)).map(Self)
    }

    pub(super) fn shared(&self) -> &PoolArc<Budget> {
        &self.0
    }

    /// How many bytes can be retained at the moment.
    #[must_use]
    pub fn left(&self) -> usize {
        self.0.left()
    }
}

impl fmt::Debug for RetainBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetainBudget")
            .field("left", &self.left())
            .finish()
    }
}

/// Received data that was kept beyond its event. Dropping it gives the memory back to WSK; so does
/// closing the socket, after which the data cannot be read any more.
///
/// IRQL: every method, and dropping it, <= DISPATCH_LEVEL.
pub struct Retained(PoolArc<Retention>);

impl Retained {
    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.length()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets `read` see the data. The socket is not closed before it has returned.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed): the socket is being closed, and the data is gone.
    pub fn with<R>(&self, read: impl FnOnce(Data<'_>) -> R) -> Result<R> {
        // SAFETY: retained while `read` runs, and brought by an event of a connection.
        self.0
            .read(|list| read(unsafe { Data::of_list(list.cast(), self.0.length()) }))
    }
}

impl Drop for Retained {
    fn drop(&mut self) {
        Retention::release(&self.0);
    }
}

impl fmt::Debug for Retained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retained")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
