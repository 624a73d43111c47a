//! What the caller holds of a request: to be awaited, waited for, cancelled, or dropped.
//!
//! One type for all kinds; what a kind makes of the completion is its [`Request`]. Dropping it,
//! forgetting it or polling it anywhere is sound because nothing of the request lives in it: it is
//! the handle side of a slot.

use core::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    calls::Started,
    handle::{Finished, Handle},
    slot::Refusal,
};
use crate::{
    irql::Passive,
    status::{Error, Result, Status},
};

mod sealed {
    use super::{Ended, Refusal};

    /// How a kind of request turns what comes back into its output.
    pub trait Finish {
        /// The C name of the function.
        const CALL: &'static str;
        /// What the caller gets.
        type Output;
        /// The provider completed the request.
        fn finish(ended: Ended) -> Self::Output;
        /// The request could not be started.
        fn refuse(refusal: Refusal) -> Self::Output;
    }
}

pub(crate) use sealed::Finish;

/// A kind of request. Implemented by the library only.
pub trait Request: Finish {}

impl<R: Finish> Request for R {}

/// A completed request, before its kind looks at it.
pub struct Ended {
    pub(crate) result: Result<usize>,
    pub(crate) finished: Finished,
}

/// A request on its way.
///
/// - `.await` it; any executor will do, but the waker is woken at up to DISPATCH_LEVEL, in the
///   provider's completion of the request, and must do no more than schedule
///   ([`Executor`](crate::Executor)'s does that);
/// - or [`wait`](Self::wait) for it, or [`wait_timeout`](Self::wait_timeout);
/// - or [`cancel`](Self::cancel) it: it completes all the same, perhaps with success, and gives
///   back what it was lent;
/// - or drop it: it is cancelled, and what it was lent is freed when it completes.
///
/// The request was started when this was made, whether it is polled or not.
///
/// ```no_run
/// use core::time::Duration;
/// use wsk::{Buffer, ConnectionSocket, ErrorKind, Passive};
///
/// /// At most what arrives within a second; the stream goes on afterwards.
/// fn receive_soon(connection: &mut ConnectionSocket, buffer: Buffer, passive: Passive) -> Buffer {
///     let receive = connection.receive(buffer);
///     let (received, buffer) = receive.wait_timeout(Duration::from_secs(1), passive);
///     match received {
///         Ok(_count) => buffer,
///         Err(error) if error.kind() == ErrorKind::TimedOut => buffer,
///         Err(error) => panic!("{error}"),
///     }
/// }
/// ```
#[must_use = "dropping an operation cancels it"]
pub struct Operation<R: Request> {
    state: State,
    kind: PhantomData<fn() -> R>,
}

enum State {
    Started(Handle),
    Refused(Refusal),
    Over,
}

impl<R: Request> Operation<R> {
    pub(crate) fn new(started: Started) -> Self {
        let state = match started {
            Ok(handle) => State::Started(handle),
            Err(refusal) => State::Refused(refusal),
        };
        Self {
            state,
            kind: PhantomData,
        }
    }

    /// Asks the provider to end the request early. It still has to be awaited or waited for; it
    /// gives [`Cancelled`](crate::ErrorKind::Cancelled), or the real result if that was faster.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// [IoCancelIrp](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocancelirp)
    #[doc(alias = "IoCancelIrp")]
    pub fn cancel(&mut self) {
        self.state.cancel();
    }

    /// Waits for the result without limit.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Panics
    ///
    /// If the result was taken by polling before.
    #[must_use]
    pub fn wait(mut self, passive: Passive) -> R::Output {
        output::<R>(self.state.wait_end(passive), Status::CANCELLED)
    }

    /// Waits for the result. When `timeout` passes first, the request is cancelled and its
    /// completion waited for, so that nothing is in flight any more when this returns: with
    /// [`TimedOut`](crate::ErrorKind::TimedOut), or with the real result if that won the race.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Panics
    ///
    /// If the result was taken by polling before.
    #[must_use]
    pub fn wait_timeout(mut self, timeout: Duration, passive: Passive) -> R::Output {
        let (outcome, cancelled) = self.state.wait_timeout(timeout, passive);
        output::<R>(outcome, cancelled)
    }

    /// Waits up to `timeout` and leaves the request in flight if that passes first. Not to be used
    /// after `Some`.
    pub(crate) fn wait_for(&mut self, timeout: Duration, passive: Passive) -> Option<R::Output> {
        let outcome = self.state.wait(Some(timeout), passive)?;
        Some(output::<R>(outcome, Status::CANCELLED))
    }
}

// What does not depend on the kind is compiled once.
impl State {
    /// `None`: `timeout` passed.
    fn wait(&mut self, timeout: Option<Duration>, passive: Passive) -> Option<Outcome> {
        match self {
            Self::Started(handle) => {
                let finished = handle.wait(timeout, passive)?;
                *self = Self::Over;
                Some(Ok(finished))
            }
            Self::Refused(_) | Self::Over => Some(Err(self.refusal())),
        }
    }

    /// With the status that a cancelled request gives.
    fn wait_timeout(&mut self, timeout: Duration, passive: Passive) -> (Outcome, Status) {
        if let Some(outcome) = self.wait(Some(timeout), passive) {
            return (outcome, Status::CANCELLED);
        }
        self.cancel();
        (self.wait_end(passive), Status::IO_TIMEOUT)
    }

    fn cancel(&self) {
        if let Self::Started(handle) = self {
            handle.cancel();
        }
    }

    fn wait_end(&mut self, passive: Passive) -> Outcome {
        loop {
            if let Some(outcome) = self.wait(None, passive) {
                return outcome;
            }
        }
    }

    fn refusal(&mut self) -> Refusal {
        match core::mem::replace(self, Self::Over) {
            Self::Refused(refusal) => refusal,
            Self::Started(_) | Self::Over => panic!("an operation gives its result once"),
        }
    }
}

impl<R: Request> Future for Operation<R> {
    type Output = R::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R::Output> {
        match &mut self.state {
            State::Started(handle) => handle.poll(context).map(|finished| {
                self.state = State::Over;
                end::<R>(finished, Status::CANCELLED)
            }),
            State::Refused(_) | State::Over => Poll::Ready(R::refuse(self.state.refusal())),
        }
    }
}

impl<R: Request> fmt::Debug for Operation<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Started(_) => "started",
            State::Refused(_) => "refused",
            State::Over => "over",
        };
        f.debug_struct("Operation")
            .field("call", &R::CALL)
            .field("state", &state)
            .finish()
    }
}

/// What came back, or why nothing was started.
type Outcome = core::result::Result<Finished, Refusal>;

/// A cancelled request gives `cancelled`.
fn output<R: Request>(outcome: Outcome, cancelled: Status) -> R::Output {
    match outcome {
        Ok(finished) => end::<R>(finished, cancelled),
        Err(refusal) => R::refuse(refusal),
    }
}

fn end<R: Request>(finished: Finished, cancelled: Status) -> R::Output {
    let completion = finished.completion;
    let result = if completion.status.is_success() {
        Ok(completion.information)
    } else if completion.status == Status::CANCELLED {
        Err(Error::new(R::CALL, cancelled))
    } else {
        Err(Error::new(R::CALL, completion.status))
    };
    R::finish(Ended { result, finished })
}
