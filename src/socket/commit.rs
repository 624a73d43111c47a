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
    request::{Connect, FromSocket, Listen, Silence},
    silent::SilentSocket,
    stream::StreamSocket,
};
use crate::{
    irql::Passive,
    op::operation::{Operation, Request},
    status::{Error, Result},
};

mod sealed {
    use super::{Request, Result};

    /// A request that makes something else of a socket.
    pub trait Commits: Request<Output = Result<()>> {
        /// What it is made of.
        type From;
        /// What it becomes.
        type Into;

        /// The request has succeeded.
        fn commit(from: Self::From) -> Self::Into;
    }
}

use sealed::Commits;

macro_rules! commits {
    ($($request:ident: $from:ident => $into:ident;)*) => {$(
        impl Commits for $request {
            type From = $from;
            type Into = $into;

            fn commit(from: $from) -> $into {
                $into::from_socket(from.socket)
            }
        }
    )*};
}

commits! {
    Listen: StreamSocket => ListenSocket;
    Connect: StreamSocket => ConnectionSocket;
    Silence: ConnectionSocket => SilentSocket;
}

/// A socket on its way to become another kind of socket: to be awaited or waited for.
///
/// It gives what the socket has become, or why not, and the socket as it was. Dropping it closes
/// the socket.
#[must_use = "dropping it closes the socket"]
pub struct Commit<R: Commits> {
    operation: Operation<R>,
    /// There until the result is.
    socket: Option<R::From>,
}

type Committed<R> = core::result::Result<<R as Commits>::Into, (Error, <R as Commits>::From)>;

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
    pub fn wait(self, passive: Passive) -> Committed<R> {
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
    pub fn wait_timeout(self, timeout: Duration, passive: Passive) -> Committed<R> {
        let Self { operation, socket } = self;
        conclude::<R>(operation.wait_timeout(timeout, passive), socket)
    }
}

impl<R: Commits> Future for Commit<R>
where
    R::From: Unpin,
{
    type Output = Committed<R>;

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

fn conclude<R: Commits>(result: Result<()>, socket: Option<R::From>) -> Committed<R> {
    let socket = socket.expect("there until the result is");
    match result {
        Ok(()) => Ok(R::commit(socket)),
        Err(error) => Err((error, socket)),
    }
}
