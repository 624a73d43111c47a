//! A writer that keeps as much outstanding as the connection can use.
//!
//! WSK does not buffer: a send completes when the transport has taken its bytes [wsk 9.1]. With one
//! send at a time the transport idles in between; with too many, memory waits. How much is right
//! changes with the connection, and WSK says so.

use core::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use super::{halves::WriteHalf, request::Send};
use crate::{
    flags::SendFlags,
    irql::Passive,
    mem::buffer::Buffer,
    op::operation::Operation,
    status::{Error, Result, Status},
};

/// Sends buffers one behind the other, with as many bytes outstanding as the connection can use,
/// in at most `N` sends.
///
/// Ask for [`room`](Self::room), fill the buffer that comes back, and [`send`](Self::send) it.
/// Dropping the writer cancels what is outstanding: [`finish`](Self::finish) first.
///
/// ```no_run
/// use wsk::{BacklogWriter, Buffer, WriteHalf};
///
/// /// Sends zeros, for ever.
/// async fn flood(half: WriteHalf) -> wsk::Result<()> {
///     let ideal = half.ideal_send_backlog().await?;
///     let mut writer = BacklogWriter::<8>::new(half, ideal);
///     loop {
///         let mut buffer = match writer.room().await {
///             Some((sent, buffer)) => sent.map(|_count| buffer)?,
///             None => Buffer::with_capacity(16 * 1024)?, // at most eight times
///         };
///         buffer.set_filled(buffer.capacity())?;
///         writer.send(buffer).map_err(|(error, _buffer)| error)?;
///     }
/// }
/// ```
#[derive(Debug)]
pub struct BacklogWriter<const N: usize = 8> {
    half: WriteHalf,
    ideal: usize,
    outstanding: usize,
    in_flight: usize,
    /// The sends, the oldest at `oldest`, and so many from there on, around the end.
    sends: [Option<Sending>; N],
    oldest: usize,
    count: usize,
}

#[derive(Debug)]
struct Sending {
    state: State,
    bytes: usize,
}

#[derive(Debug)]
enum State {
    InFlight(Operation<Send>),
    Over(Sent),
}

/// A send that has completed: the count of bytes sent, or why not, and its buffer.
pub type Sent = (Result<usize>, Buffer);

impl<const N: usize> BacklogWriter<N> {
    /// A writer that keeps `ideal` bytes outstanding: see
    /// [`ideal_send_backlog`](WriteHalf::ideal_send_backlog).
    #[must_use]
    pub fn new(half: WriteHalf, ideal: usize) -> Self {
        const { assert!(N > 0, "a writer needs room for a send") };
        Self {
            half,
            ideal,
            outstanding: 0,
            in_flight: 0,
            sends: [const { None }; N],
            oldest: 0,
            count: 0,
        }
    }

    /// The ideal has changed, as [`ConnectionEvents`](crate::ConnectionEvents) tell, for example.
    pub fn set_ideal(&mut self, bytes: usize) {
        self.ideal = bytes;
    }

    /// How many bytes are outstanding: those of sends that were not seen to complete.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Waits until another send is of use: then less than the ideal is outstanding. Gives the
    /// oldest send with its buffer, if that is over, or `None` if there is room without it.
    pub fn room(&mut self) -> Room<'_, N> {
        Room { writer: self }
    }

    /// Starts sending the filled part of `buffer`.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// The buffer, and [`InvalidState`](crate::ErrorKind::InvalidState) if there are `N` sends
    /// already: wait for [`room`](Self::room) first. What `WskSend` says comes with `room`.
    pub fn send(&mut self, buffer: Buffer) -> core::result::Result<(), (Error, Buffer)> {
        if self.count == N {
            let error = Error::new("BacklogWriter::send", Status::INVALID_DEVICE_STATE);
            return Err((error, buffer));
        }
        let bytes = buffer.len();
        let state = State::InFlight(self.half.send_with(buffer, SendFlags::NONE));
        self.sends[(self.oldest + self.count) % N] = Some(Sending { state, bytes });
        self.count += 1;
        self.in_flight += 1;
        self.outstanding += bytes;
        Ok(())
    }

    /// Waits for the oldest send; `None` if there is none.
    pub fn finish(&mut self) -> Finish<'_, N> {
        Finish { writer: self }
    }

    /// The half, if there is no send whose result was not fetched.
    ///
    /// # Errors
    ///
    /// The writer as it was.
    pub fn into_half(self) -> core::result::Result<WriteHalf, Self> {
        if self.count == 0 {
            Ok(self.half)
        } else {
            Err(self)
        }
    }

    /// Takes note of the sends that have completed, which they do in order.
    fn collect(&mut self, mut ask: impl FnMut(&mut Operation<Send>) -> Option<Sent>) {
        for index in 0..self.count {
            let place = &mut self.sends[(self.oldest + index) % N];
            let Some(Sending { state, bytes }) = place else {
                return;
            };
            if let State::InFlight(operation) = state {
                let Some(sent) = ask(operation) else { return };
                *state = State::Over(sent);
                self.outstanding -= *bytes;
                self.in_flight -= 1;
            }
        }
    }

    fn collect_polled(&mut self, context: &mut Context<'_>) {
        self.collect(|operation| match Pin::new(operation).poll(context) {
            Poll::Ready(sent) => Some(sent),
            Poll::Pending => None,
        });
    }

    /// Waits up to `timeout` for the oldest that is in flight.
    fn collect_waiting(&mut self, timeout: Duration, passive: Passive) {
        let mut patience = Some(timeout);
        self.collect(|operation| {
            let patience = patience.take().unwrap_or(Duration::ZERO);
            operation.wait_for(patience, passive)
        });
    }

    /// The oldest send, if it is over.
    fn take_oldest(&mut self) -> Option<Sent> {
        let oldest = self.sends.get_mut(self.oldest)?;
        match oldest.take()? {
            Sending {
                state: State::Over(sent),
                ..
            } => {
                self.oldest = (self.oldest + 1) % N;
                self.count -= 1;
                Some(sent)
            }
            sending => {
                *oldest = Some(sending);
                None
            }
        }
    }

    /// Whether another send is of use; and with it the oldest, if that is over.
    fn take_room(&mut self) -> Poll<Option<Sent>> {
        if self.in_flight > 0 && self.outstanding >= self.ideal {
            return Poll::Pending;
        }
        match self.take_oldest() {
            None if self.count == N => Poll::Pending,
            sent => Poll::Ready(sent),
        }
    }
}

/// Room for another send: to be awaited or waited for.
#[derive(Debug)]
#[must_use = "nothing is waited for"]
pub struct Room<'writer, const N: usize> {
    writer: &'writer mut BacklogWriter<N>,
}

impl<const N: usize> Room<'_, N> {
    /// Waits as long as sends complete: gives up when none has for `timeout`. Nothing is cancelled
    /// by that.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](crate::ErrorKind::TimedOut).
    pub fn wait_timeout(self, timeout: Duration, passive: Passive) -> Result<Option<Sent>> {
        let writer = self.writer;
        writer.collect_waiting(Duration::ZERO, passive);
        loop {
            if let Poll::Ready(room) = writer.take_room() {
                return Ok(room);
            }
            let before = writer.in_flight;
            writer.collect_waiting(timeout, passive);
            if writer.in_flight == before {
                return Err(Error::new("WskSend", Status::IO_TIMEOUT));
            }
        }
    }
}

impl<const N: usize> Future for Room<'_, N> {
    type Output = Option<Sent>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let writer = &mut *self.writer;
        writer.collect_polled(context);
        writer.take_room()
    }
}

/// The oldest send: to be awaited or waited for.
#[derive(Debug)]
#[must_use = "nothing is waited for"]
pub struct Finish<'writer, const N: usize> {
    writer: &'writer mut BacklogWriter<N>,
}

impl<const N: usize> Finish<'_, N> {
    /// Waits, but not longer than `timeout`. Nothing is cancelled by a time-out.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](crate::ErrorKind::TimedOut).
    pub fn wait_timeout(self, timeout: Duration, passive: Passive) -> Result<Option<Sent>> {
        let writer = self.writer;
        writer.collect_waiting(timeout, passive);
        match writer.take_oldest() {
            None if writer.count > 0 => Err(Error::new("WskSend", Status::IO_TIMEOUT)),
            sent => Ok(sent),
        }
    }
}

impl<const N: usize> Future for Finish<'_, N> {
    type Output = Option<Sent>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let writer = &mut *self.writer;
        writer.collect_polled(context);
        match writer.take_oldest() {
            None if writer.count > 0 => Poll::Pending,
            sent => Poll::Ready(sent),
        }
    }
}
