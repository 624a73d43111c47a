//! Requests that make something else of a socket: they take it by value.

use core::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    connection::ConnectionSocket,
    listen::ListenSocket,
    request::{Connect, ConnectWithData, FromSocket, Listen, Silence},
    silent::SilentSocket,
    stream::StreamSocket,
};
use crate::{
    irql::Passive,
    mem::buffer::Buffer,
    op::operation::{Operation, Request},
    status::{Error, Result},
};

mod sealed {
    use super::Request;

    /// A request that makes something else of a socket.
    pub trait Commits: Request {
        /// What it is made of.
        type From;
        /// What comes of both.
        type Committed;

        /// The request has ended.
        fn commit(output: Self::Output, from: Self::From) -> Self::Committed;
    }
}

use sealed::Commits;

macro_rules! commits {
    ($($request:ident: $from:ident => $into:ident;)*) => {$(
        impl Commits for $request {
            type From = $from;
            type Committed = Committed<$into, $from>;

            fn commit(result: Result<()>, from: $from) -> Committed<$into, $from> {
                match result {
                    Ok(()) => Ok($into::from_socket(from.socket)),
                    Err(error) => Err((error, from)),
                }
            }
        }
    )*};
}

commits! {
    Listen: StreamSocket => ListenSocket;
    Connect: StreamSocket => ConnectionSocket;
    Silence: ConnectionSocket => SilentSocket;
}

impl Commits for ConnectWithData {
    type From = StreamSocket;
    type Committed = (Committed<ConnectionSocket, StreamSocket>, Buffer);

    fn commit(output: (Result<()>, Buffer), from: StreamSocket) -> Self::Committed {
        let (result, data) = output;
        (Connect::commit(result, from), data)
    }
}

/// A socket on its way to become another kind of socket: to be awaited or waited for.
///
/// It gives what the socket has become, or why not, and the socket as it was; and the buffer, if
/// one was sent. Dropping it closes the socket.
#[must_use = "dropping it closes the socket"]
pub struct Commit<R: Commits> {
    operation: Operation<R>,
    /// There until the result is.
    socket: Option<R::From>,
}

type Committed<Into, From> = core::result::Result<Into, (Error, From)>;

impl<R: Commits> Commit<R> {
    pub(super) fn new(operation: Operation<R>, socket: R::From) -> Self {
        Self {
            operation,
            socket: Some(socket),
        }
    }

    /// Asks the provider to end the request early: see [`Operation::cancel`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    pub fn cancel(&mut self) {
        self.operation.cancel();
    }

    /// Waits without limit.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// Those of the request, and the socket.
    ///
    /// # Panics
    ///
    /// If the result was taken by polling before.
    pub fn wait(self, passive: Passive) -> R::Committed {
        let Self { operation, socket } = self;
        conclude::<R>(operation.wait(passive), socket)
    }

    /// Waits; when `timeout` passes first, the request is cancelled: see
    /// [`Operation::wait_timeout`].
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](crate::ErrorKind::TimedOut), or those of the request, and the socket.
    ///
    /// # Panics
    ///
    /// If the result was taken by polling before.
    pub fn wait_timeout(self, timeout: Duration, passive: Passive) -> R::Committed {
        let Self { operation, socket } = self;
        conclude::<R>(operation.wait_timeout(timeout, passive), socket)
    }
}

impl<R: Commits> Future for Commit<R>
where
    R::From: Unpin,
{
    type Output = R::Committed;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        Pin::new(&mut this.operation)
            .poll(context)
            .map(|result| conclude::<R>(result, this.socket.take()))
    }
}

impl<R: Commits> fmt::Debug for Commit<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Commit").field(&self.operation).finish()
    }
}

fn conclude<R: Commits>(output: R::Output, socket: Option<R::From>) -> R::Committed {
    R::commit(output, socket.expect("there until the result is"))
}
