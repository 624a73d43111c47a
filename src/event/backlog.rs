//! Accepting and inspecting by event, as something to await: bounded queues between the callbacks
//! and a task, with a policy for when they are full.

use core::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    inspect::{InspectRequest, Inspection, Verdict},
    listen::ListenEvents,
    offer::Offer,
    ticket::Decision,
};
use crate::{
    irql::Passive,
    mem::arc::PoolArc,
    socket::request::Accepted,
    status::{Error, Result, Status},
    sync::queue::Queue,
};

/// What becomes of a connection that arrives when as many wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhenFull {
    /// It is refused.
    Refuse,
    /// It takes the place of the one that has waited longest, which is closed.
    DropOldest,
}

/// What becomes of a request that arrives when as many inspections are pending as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhenInspecting {
    /// It is rejected.
    Reject,
    /// It is accepted without inspection.
    Accept,
}

/// A handler that queues accepted connections for [`Connections`], and, if asked to, requests for
/// [`Inspections`].
///
/// ```no_run
/// use core::net::SocketAddr;
/// use wsk::{AddressFamily, Backlog, ConnectionEventSet, ListenSocket, Provider, WhenFull};
///
/// async fn serve(provider: &Provider, address: SocketAddr) -> wsk::Result<()> {
///     let (backlog, mut connections) = Backlog::new(64, WhenFull::Refuse)?;
///     let family = AddressFamily::of(&address);
///     let listener = ListenSocket::open_with(provider, family, backlog).await?;
///     listener.bind(address).await?;
///     listener.enable_accept_events(ConnectionEventSet::empty())?;
///     while let Some(accepted) = connections.next().await {
///         // ... spawn a task that talks to `accepted.socket` ...
/// #       drop(accepted);
///     }
///     Ok(()) // the listener is dead, or was closed elsewhere
/// }
/// ```
pub struct Backlog {
    connections: PoolArc<Queue<Accepted>>,
    when_full: WhenFull,
    inspections: Option<(PoolArc<Queue<Inspection>>, WhenInspecting)>,
    pending_limit: usize,
}

impl Backlog {
    /// A backlog in which at most `capacity` connections wait.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) for a capacity of zero;
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
    pub fn new(capacity: usize, when_full: WhenFull) -> Result<(Self, Connections)> {
        let connections = Queue::new(capacity)?;
        let backlog = Self {
            connections: connections.clone(),
            when_full,
            inspections: None,
            pending_limit: 0,
        };
        Ok((backlog, Connections(connections)))
    }

    /// Pends every request for a task to decide, for a listener that accepts
    /// [conditionally](crate::ListenSocket::open_conditional). At most `capacity` are pending
    /// at the same time, whether they wait to be taken from [`Inspections`] or have been.
    ///
    /// ```no_run
    /// # async fn is_welcome(_: Option<core::net::SocketAddr>) -> bool { true }
    /// async fn inspect(inspection: &wsk::Inspection) -> wsk::Decision {
    ///     if is_welcome(inspection.remote()).await {
    ///         wsk::Decision::Accept
    ///     } else {
    ///         wsk::Decision::Reject
    ///     }
    /// }
    ///
    /// async fn guard(inspections: wsk::Inspections) {
    ///     inspections.decide_with(inspect).await // until the listener is closed
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_inspections(
        mut self,
        capacity: usize,
        when_full: WhenInspecting,
    ) -> Result<(Self, Inspections)> {
        let inspections = Queue::new(capacity)?;
        self.inspections = Some((inspections.clone(), when_full));
        self.pending_limit = capacity;
        Ok((self, Inspections(inspections)))
    }

    fn end(&self) {
        self.connections.end();
        if let Some((inspections, _)) = &self.inspections {
            inspections.end();
        }
    }
}

impl ListenEvents for Backlog {
    fn accept(&self, offer: Offer<'_>) {
        let (local, remote) = (offer.local(), offer.remote());
        let Ok(socket) = offer.accept() else { return };
        let accepted = Accepted {
            socket,
            local,
            remote,
        };
        // What does not fit is dropped: a connection that is dropped in its own event is refused.
        match self.when_full {
            WhenFull::Refuse => drop(self.connections.push(accepted)),
            WhenFull::DropOldest => drop(self.connections.push_over(accepted)),
        }
    }

    fn inspect<'call>(&self, request: InspectRequest<'call>) -> Verdict<'call> {
        let Some((inspections, when_full)) = &self.inspections else {
            return request.accept();
        };
        match request.pend() {
            Ok((verdict, inspection)) => {
                if let Err(inspection) = inspections.push(inspection) {
                    match when_full {
                        WhenInspecting::Reject => drop(inspection),
                        WhenInspecting::Accept => drop(inspection.accept()),
                    }
                }
                verdict
            }
            Err(request) => match when_full {
                WhenInspecting::Reject => request.reject(),
                WhenInspecting::Accept => request.accept(),
            },
        }
    }

    fn pending_limit(&self) -> usize {
        self.pending_limit
    }

    fn dead(&self) {
        self.end();
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backlog")
            .field("when_full", &self.when_full)
            .finish_non_exhaustive()
    }
}

macro_rules! stream {
    ($(#[$doc:meta])* $stream:ident of $item:ty, $next:ident, $what:literal) => {
        $(#[$doc])*
        pub struct $stream(PoolArc<Queue<$item>>);

        impl $stream {
            #[doc = concat!("The next ", $what, "; none once the listener is closed or dead,")]
            /// and all have been taken.
            ///
            /// Dropping the future loses nothing.
            #[expect(clippy::should_implement_trait, reason = "as streams of other crates have it")]
            pub fn next(&mut self) -> $next<'_> {
                $next(self)
            }

            /// As [`next`](Self::next), waiting without limit.
            ///
            /// IRQL: PASSIVE_LEVEL.
            #[must_use]
            pub fn wait_next(&mut self, passive: Passive) -> Option<$item> {
                loop {
                    if let Poll::Ready(next) = self.0.wait(None, passive) {
                        return next;
                    }
                }
            }

            /// As [`next`](Self::next), waiting not longer than `timeout`.
            ///
            /// IRQL: PASSIVE_LEVEL.
            ///
            /// # Errors
            ///
            /// [`TimedOut`](crate::ErrorKind::TimedOut)
            pub fn wait_next_timeout(
                &mut self,
                timeout: Duration,
                passive: Passive,
            ) -> Result<Option<$item>> {
                match self.0.wait(Some(timeout), passive) {
                    Poll::Ready(next) => Ok(next),
                    Poll::Pending => Err(Error::new(
                        concat!(stringify!($stream), "::wait_next_timeout"),
                        Status::IO_TIMEOUT,
                    )),
                }
            }
        }

        impl Drop for $stream {
            fn drop(&mut self) {
                self.0.end();
                while let Poll::Ready(Some(item)) = self.0.try_next() {
                    drop(item);
                }
            }
        }

        impl fmt::Debug for $stream {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($stream)).finish_non_exhaustive()
            }
        }

        #[doc = concat!("The next ", $what, ": to be awaited.")]
        #[derive(Debug)]
        #[must_use = "futures do nothing unless polled"]
        pub struct $next<'a>(&'a mut $stream);

        impl Future for $next<'_> {
            type Output = Option<$item>;

            fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
                self.0.0.poll(context)
            }
        }
    };
}

stream! {
    /// The connections that a [`Backlog`] has accepted. Dropping it closes those that wait, and
    /// refuses all that come.
    Connections of Accepted, NextConnection, "connection"
}

impl Inspections {
    /// Lets an async function decide about each, one after the other, until the listener is closed
    /// or dead, and all have been taken.
    ///
    /// Where a decision takes long, take the inspections by [`next`](Self::next) and spawn a task
    /// for each. Dropping the future rejects what is undecided.
    pub async fn decide_with(mut self, mut inspect: impl AsyncFnMut(&Inspection) -> Decision) {
        while let Some(inspection) = self.next().await {
            // An inspection that came to nothing concerns nobody any more.
            let _ = match inspect(&inspection).await {
                Decision::Accept => inspection.accept().await,
                Decision::Reject => inspection.reject().await,
            };
        }
    }
}

stream! {
    /// The inspections that a [`Backlog`] has pended. Dropping it rejects those that wait; the
    /// policy for a full queue decides about all that come.
    Inspections of Inspection, NextInspection, "inspection"
}
