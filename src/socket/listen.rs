//! Listening sockets.
//!
//! Two `WskAccept` requests at once have hung Windows, so a listener has at most one in flight:
//! accepting takes the listener exclusively, and the request stays with the listener when the
//! caller loses interest. A dropped or timed-out accept therefore loses no connection: the next
//! accept gets it.

use core::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use wsk_sys::WSK_EVENT_ACCEPT;

use super::{
    conditional::OpenConditional,
    handle::{Closer, Socket, no_handler},
    open::OpenOptions,
    request::{
        AcceptConnection, Accepted, Bind, Close, DisableEvent, FromSocket, LocalAddress, Open,
    },
};
use crate::{
    addr::AddressFamily,
    event::{connection::ConnectionEventSet, listen::ListenEvents},
    irql::Passive,
    op::{
        calls::{address, make},
        event_calls,
        operation::Operation,
    },
    registration::Provider,
    status::{Error, Result, Status},
};

/// A TCP socket that accepts connections.
///
/// Dropping it closes it, without waiting for that; connections that it has accepted live on.
///
/// ```no_run
/// use core::net::SocketAddr;
/// use wsk::{AddressFamily, ListenSocket, Provider};
///
/// async fn serve(provider: &Provider, address: SocketAddr) -> wsk::Result<()> {
///     let mut listener = ListenSocket::open(provider, AddressFamily::of(&address)).await?;
///     listener.bind(address).await?;
///     loop {
///         let accepted = listener.accept().await?;
///         // ... spawn a task that talks to `accepted.socket` ...
/// #       drop(accepted);
///     }
/// }
/// ```
///
/// [Listening sockets](https://learn.microsoft.com/windows-hardware/drivers/network/winsock-kernel-socket-categories)
#[derive(Debug)]
pub struct ListenSocket {
    pub(super) socket: Socket,
    /// The one `WskAccept` in flight, or completed and not fetched.
    accepting: Option<Operation<AcceptConnection>>,
}

impl FromSocket for ListenSocket {
    fn from_socket(socket: Socket) -> Self {
        Self {
            socket,
            accepting: None,
        }
    }
}

impl ListenSocket {
    /// Opens a listening TCP socket.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory);
    /// [`NotSupported`](crate::ErrorKind::NotSupported) for a family that is not installed; or what
    /// `WskSocket` says.
    ///
    /// [PFN_WSK_SOCKET](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket)
    #[doc(alias = "WskSocket")]
    #[doc(alias = "WSK_FLAG_LISTEN_SOCKET")]
    pub fn open(provider: &Provider, family: AddressFamily) -> Operation<Open<Self>> {
        OpenOptions::new().listen(provider, family)
    }

    /// Opens a listening TCP socket with a handler for its events. None is enabled yet: see
    /// [`enable_accept_events`](Self::enable_accept_events). Who wants to connect is not inspected:
    /// see [`open_conditional`](Self::open_conditional).
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); the handler is dropped.
    pub fn open_with<H: ListenEvents>(
        provider: &Provider,
        family: AddressFamily,
        handler: H,
    ) -> Operation<Open<Self>> {
        OpenOptions::new().listen_with(provider, family, handler)
    }

    /// Opens a listening TCP socket that has connections inspected before they are established:
    /// [`ListenEvents::inspect`] decides, from [`bind`](Self::bind) on. There is no other moment
    /// for this, and no way back while the socket lives [wsk 6.1, 7.6].
    ///
    /// ```no_run
    /// # use core::net::SocketAddr;
    /// # use wsk::{AddressFamily, ListenEvents, ListenSocket, Provider};
    /// # async fn f(
    /// #     provider: &Provider, address: SocketAddr, guard: impl ListenEvents,
    /// # ) -> wsk::Result<()> {
    /// let family = AddressFamily::of(&address);
    /// let mut listener = ListenSocket::open_conditional(provider, family, guard).await?;
    /// listener.bind(address).await?;
    /// let accepted = listener.accept().await?; // somebody whom `guard` has let in
    /// # drop(accepted);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`open_with`](Self::open_with); or what `WskControlSocket` says, as
    /// [`NotSupported`](crate::ErrorKind::NotSupported) for a transport that cannot. There is no
    /// socket then.
    ///
    /// [SO_CONDITIONAL_ACCEPT](https://learn.microsoft.com/windows-hardware/drivers/network/so-conditional-accept)
    #[doc(alias = "SO_CONDITIONAL_ACCEPT")]
    pub fn open_conditional<H: ListenEvents>(
        provider: &Provider,
        family: AddressFamily,
        handler: H,
    ) -> OpenConditional {
        OpenOptions::new().listen_conditional(provider, family, handler)
    }

    /// Has connections delivered to [`ListenEvents::accept`], after [`bind`](Self::bind). A pending
    /// [`accept`](Self::accept) goes first, usually: a connection may come by either way, and comes
    /// by one [wsk 7.1].
    ///
    /// `inherited` events are enabled for each connection that is accepted by event with a handler;
    /// on this listener they cannot be taken back [wsk 6.6].
    ///
    /// IRQL: <= DISPATCH_LEVEL. The first call of the handler may come before this returns.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState): not bound yet, or opened without a
    /// handler; or what `WskControlSocket` says.
    ///
    /// [SO_WSK_EVENT_CALLBACK](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback)
    #[doc(alias = "SO_WSK_EVENT_CALLBACK")]
    #[doc(alias = "WSK_EVENT_ACCEPT")]
    pub fn enable_accept_events(&self, inherited: ConnectionEventSet) -> Result<()> {
        let core = self.socket.core();
        if !core.has_handler() {
            return Err(no_handler());
        }
        event_calls::enable_events(core, WSK_EVENT_ACCEPT | inherited.bits())
    }

    /// Ends accepting by event. Completes when no accept callback runs any more: from then on
    /// connections come by [`accept`](Self::accept) only. None is lost meanwhile.
    ///
    /// IRQL: <= DISPATCH_LEVEL. In a callback it may be started, for a task to await, but not
    /// waited for, which would be to wait for itself [wsk 6.5]: there is no [`Passive`] for it.
    ///
    /// # Errors
    ///
    /// As [`enable_accept_events`](Self::enable_accept_events).
    ///
    /// [SO_WSK_EVENT_CALLBACK](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback)
    #[doc(alias = "WSK_EVENT_DISABLE")]
    pub fn disable_accept_events(&self) -> Operation<DisableEvent> {
        Operation::new(event_calls::disable_event(
            self.socket.core(),
            WSK_EVENT_ACCEPT,
        ))
    }

    /// Binds it to a local address, of the family it was opened for. It listens from then on [wsk
    /// 4.8]. Port 0 lets the transport choose: see [`local_address`](Self::local_address).
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`AddressInUse`](crate::ErrorKind::AddressInUse),
    /// [`AccessDenied`](crate::ErrorKind::AccessDenied) if another socket has the address
    /// exclusively, or what `WskBind` says.
    ///
    /// [PFN_WSK_BIND](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_bind)
    #[doc(alias = "WskBind")]
    pub fn bind(&self, address: SocketAddr) -> Operation<Bind> {
        Operation::new(address::bind(self.socket.core(), address))
    }

    /// The address it is bound to.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState) if it is not bound [wsk 9.8].
    ///
    /// [PFN_WSK_GET_LOCAL_ADDRESS](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_local_address)
    #[doc(alias = "WskGetLocalAddress")]
    pub fn local_address(&self) -> Operation<LocalAddress> {
        Operation::new(address::local_address(self.socket.core()))
    }

    /// Accepts the next connection.
    ///
    /// Dropping the future, or a time-out, leaves the request with the listener: the next `accept`
    /// goes on with it.
    ///
    /// IRQL: <= DISPATCH_LEVEL to call and to poll.
    ///
    /// # Errors
    ///
    /// [`Cancelled`](crate::ErrorKind::Cancelled) or [`Closed`](crate::ErrorKind::Closed) when the
    /// listener is closed elsewhere; [`OutOfMemory`](crate::ErrorKind::OutOfMemory); or what
    /// `WskAccept` says.
    ///
    /// [PFN_WSK_ACCEPT](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_accept)
    #[doc(alias = "WskAccept")]
    pub fn accept(&mut self) -> Accept<'_> {
        Accept { listener: self }
    }

    /// What closes it from elsewhere.
    #[must_use]
    pub fn closer(&self) -> Closer {
        self.socket.closer()
    }

    /// Closes it, and gives what completes when it is closed. Drops a connection that was accepted
    /// but not fetched.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    #[doc(alias = "WskCloseSocket")]
    pub fn close(self) -> Operation<Close> {
        self.socket.close()
    }

    fn start_accepting(&self) -> Operation<AcceptConnection> {
        Operation::new(make::accept(self.socket.core()))
    }

    /// The request that accepts, started if there is none.
    fn accepting(&mut self) -> &mut Operation<AcceptConnection> {
        let pending = self
            .accepting
            .take()
            .unwrap_or_else(|| self.start_accepting());
        self.accepting.insert(pending)
    }
}

/// The next connection of a listener: to be awaited or waited for.
#[derive(Debug)]
#[must_use = "nothing is accepted for a future that is not polled or waited for"]
pub struct Accept<'listener> {
    listener: &'listener mut ListenSocket,
}

impl Accept<'_> {
    /// Waits for the next connection without limit.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`ListenSocket::accept`].
    pub fn wait(self, passive: Passive) -> Result<Accepted> {
        let Self { listener } = self;
        let pending = listener.accepting.take();
        pending
            .unwrap_or_else(|| listener.start_accepting())
            .wait(passive)
    }

    /// Waits for the next connection, not longer than `timeout`. Nothing is cancelled by a
    /// time-out: the request stays with the listener.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](crate::ErrorKind::TimedOut), or as [`ListenSocket::accept`].
    pub fn wait_timeout(self, timeout: Duration, passive: Passive) -> Result<Accepted> {
        let accepted = self.listener.accepting().wait_for(timeout, passive);
        match accepted {
            Some(result) => {
                self.listener.accepting = None;
                result
            }
            None => Err(Error::new("WskAccept", Status::IO_TIMEOUT)),
        }
    }
}

impl Future for Accept<'_> {
    type Output = Result<Accepted>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let result = Pin::new(self.listener.accepting()).poll(context);
        if result.is_ready() {
            self.listener.accepting = None;
        }
        result
    }
}
