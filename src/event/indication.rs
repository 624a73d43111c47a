//! Received data, as an event brings it: a list of descriptions, each of bytes in several pieces of
//! memory [wsk 8.9].

// UNSAFETY: memory of WSK's, reached by address.
#![expect(unsafe_code, reason = "memory of WSK's")]

use core::{fmt, marker::PhantomData, ptr::NonNull};

use wsk_sys::{
    MmGetSystemAddressForMdlSafe, WSK_BUF, WSK_DATA_INDICATION, WSK_FLAG_RELEASE_ASAP,
    wdk_sys::{MDL, NTSTATUS, STATUS_DATA_NOT_ACCEPTED, STATUS_PENDING, STATUS_SUCCESS, ULONG},
};

use crate::{
    mem::arc::PoolArc,
    op::{
        core::CoreRef,
        event_calls,
        retained::{Budget, Retention},
    },
    status::{Error, Result, Status},
};

/// `NormalPagePriority`, for memory that holds no code.
const PRIORITY: ULONG = 16 | 0x4000_0000;

/// Bytes in memory of WSK's.
///
/// # Invariants
///
/// While it lives, the list and what it describes stay as they are.
#[derive(Clone, Copy)]
pub struct Data<'a> {
    list: NonNull<WSK_DATA_INDICATION>,
    length: usize,
    valid: PhantomData<&'a [u8]>,
}

impl<'a> Data<'a> {
    /// # Safety
    ///
    /// The list, with `length` bytes in all, stays for `'a`.
    unsafe fn new(list: NonNull<WSK_DATA_INDICATION>, length: usize) -> Self {
        Self {
            list,
            length,
            valid: PhantomData,
        }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes, piece by piece, in the order of the stream. A piece that cannot be mapped gives
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory), and is the last.
    #[must_use]
    pub fn chunks(&self) -> Chunks<'a> {
        Chunks {
            next: Some(self.list),
            current: None,
            valid: PhantomData,
        }
    }

    /// Copies as many bytes as fit, from the front; gives how many.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory) if memory cannot be mapped.
    pub fn copy_to_slice(&self, target: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        for chunk in self.chunks() {
            let chunk = chunk?;
            let count = chunk.len().min(target.len() - filled);
            target[filled..filled + count].copy_from_slice(&chunk[..count]);
            filled += count;
        }
        Ok(filled)
    }
}

impl fmt::Debug for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Data")
            .field("len", &self.length)
            .finish_non_exhaustive()
    }
}

/// The pieces of [`Data`].
pub struct Chunks<'a> {
    next: Option<NonNull<WSK_DATA_INDICATION>>,
    current: Option<Position>,
    valid: PhantomData<&'a [u8]>,
}

/// Where in a description the next piece begins.
struct Position {
    mdl: *mut MDL,
    offset: usize,
    left: usize,
}

impl Position {
    fn start(description: &WSK_BUF) -> Self {
        Self {
            mdl: description.Mdl,
            offset: description.Offset as usize,
            left: usize::try_from(description.Length).unwrap_or(0),
        }
    }

    /// The next piece; none at the end, or if there is less memory than was said.
    fn advance<'a>(&mut self) -> Option<Result<&'a [u8]>> {
        while self.left > 0 && !self.mdl.is_null() {
            let mdl = self.mdl;
            // SAFETY: a member of the chain, which stays (the invariant of `Data`).
            let count = unsafe { (*mdl).ByteCount } as usize;
            // SAFETY: as above.
            self.mdl = unsafe { (*mdl).Next };
            let offset = core::mem::take(&mut self.offset);
            let length = count.saturating_sub(offset).min(self.left);
            self.left -= length;
            if length == 0 {
                continue;
            }
            // SAFETY: locked by WSK, and nobody unmaps it meanwhile.
            let address = unsafe { MmGetSystemAddressForMdlSafe(mdl, PRIORITY) };
            if address.is_null() {
                self.left = 0;
                let call = "MmGetSystemAddressForMdlSafe";
                return Some(Err(Error::new(call, Status::INSUFFICIENT_RESOURCES)));
            }
            // SAFETY: within the described memory.
            let start = unsafe { address.cast::<u8>().add(offset) };
            // SAFETY: described by the MDL; WSK does not change it while it is indicated or
            // retained.
            return Some(Ok(unsafe { core::slice::from_raw_parts(start, length) }));
        }
        None
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(chunk) = self.current.as_mut().and_then(Position::advance) {
                if chunk.is_err() {
                    self.next = None;
                }
                return Some(chunk);
            }
            let list = self.next?;
            // SAFETY: a member of the list, which stays (the invariant of `Data`).
            let indication = unsafe { list.as_ref() };
            self.next = NonNull::new(indication.Next);
            self.current = Some(Position::start(&indication.Buffer));
        }
    }
}

impl fmt::Debug for Chunks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").finish_non_exhaustive()
    }
}

/// What a handler answers to an [`Indication`]. Made by that indication only.
#[must_use = "it has to be returned to WSK"]
#[derive(Debug)]
pub struct Received<'call> {
    answer: Answer,
    call: PhantomData<fn(&'call ()) -> &'call ()>,
}

#[derive(Debug)]
enum Answer {
    Consumed,
    Partly(usize),
    Refused,
    Retained(PoolArc<Retention>),
}

impl Received<'_> {
    fn new(answer: Answer) -> Self {
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
            Answer::Retained(retention) if retention.event_returns() => (STATUS_PENDING, None),
            Answer::Consumed | Answer::Retained(_) => (STATUS_SUCCESS, None),
        };
        core.let_go_before_closing(|| {
            // The socket is closed now, and the list must not outlive it.
            if let Answer::Retained(retention) = &self.answer
                && status == STATUS_PENDING
                && retention.take_back()
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
            data: unsafe { Data::new(list, length) },
            flags,
        }
    }

    /// The bytes.
    #[must_use]
    pub fn data(&self) -> Data<'_> {
        self.data
    }

    /// Whether WSK asks to have the memory back soon; it is not retained then.
    #[must_use]
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
    pub fn retain(
        self,
        budget: &RetainBudget,
    ) -> core::result::Result<(Received<'call>, Retained), Self> {
        if self.is_wanted_back_soon() {
            return Err(self);
        }
        let (list, length) = (self.data.list, self.data.len());
        let release = event_calls::release_of_connection;
        // SAFETY: in the event that brought the list, and the socket is held (the promise of
        // `new`); the socket is a connection.
        let retention = unsafe { Retention::new(self.core, list, length, &budget.0, release) };
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
        // SAFETY: retained while `read` runs.
        self.0
            .read(|list| read(unsafe { Data::new(list, self.0.length()) }))
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
