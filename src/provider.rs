//! What can be asked of the provider itself: which transports there are, and settings of the
//! client.

use core::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bitflags::bitflags;
use wsk_sys::{
    WSK_EVENT_ACCEPT, WSK_EVENT_DISCONNECT, WSK_EVENT_RECEIVE, WSK_EVENT_RECEIVE_FROM,
    WSK_EVENT_SEND_BACKLOG, WSK_TDI_BEHAVIOR_BYPASS_TDI,
};

use crate::{
    irql::Passive,
    mem::buffer::Buffer,
    op::{
        calls::client,
        core::CoreRef,
        operation::{Ended, Finish, Operation},
        slot::Refusal,
    },
    registration::Provider,
    socket::handle::Socket,
    status::{Error, Result, Status},
    transport::{TdiMap, TransportList},
};

const CALL: &str = "WskControlClient";

/// How often the list of transports may grow while it is asked for.
const ATTEMPTS: usize = 8;

impl Provider {
    /// The transports that sockets can be opened for [wsk 4.4].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory), or what `WskControlClient` says.
    ///
    /// ```no_run
    /// use wsk::{AddressFamily, Protocol};
    ///
    /// # fn f(provider: &wsk::Provider) -> wsk::Result<bool> {
    /// let transports = provider.transports()?;
    /// let ipv6 = transports.iter().any(|transport| {
    ///     transport.address_family() == Some(AddressFamily::Inet6)
    ///         && transport.protocol == Protocol::TCP
    /// });
    /// # Ok(ipv6)
    /// # }
    /// ```
    ///
    /// [WSK_TRANSPORT_LIST_QUERY](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-transport-list-query)
    #[doc(alias = "WSK_TRANSPORT_LIST_QUERY")]
    pub fn transports(&self) -> Result<TransportList> {
        let mut returned = client::transports(self, &mut [])?;
        for _ in 0..ATTEMPTS {
            if returned.size == 0 && returned.status.is_success() {
                return Ok(TransportList::none());
            }
            let too_short = [Status::BUFFER_OVERFLOW, Status::BUFFER_TOO_SMALL];
            if !too_short.contains(&returned.status) {
                return Err(Error::new(CALL, returned.status));
            }
            let mut bytes = Buffer::with_capacity(returned.size)?;
            bytes.set_filled(bytes.capacity())?;
            returned = client::transports(self, &mut bytes)?;
            if returned.status.is_success() {
                bytes.set_filled(returned.size)?;
                return Ok(TransportList::of(bytes));
            }
        }
        Err(Error::new(CALL, Status::BUFFER_OVERFLOW))
    }

    /// Tells each time that a transport has come or gone, from now on.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
    ///
    /// [WSK_TRANSPORT_LIST_CHANGE](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-transport-list-change)
    #[doc(alias = "WSK_TRANSPORT_LIST_CHANGE")]
    pub fn transport_changes(&self) -> Result<TransportChanges> {
        let (core, close) = CoreRef::client(self.clone())?;
        let client = Socket::adopted(core, close);
        let waiting = Operation::new(client::transport_change(client.core()));
        Ok(TransportChanges { waiting, client })
    }

    /// Enables events for every socket of this registration that is opened or accepted from now on,
    /// without a call for each: faster. Before the first socket. There is no way back: such an
    /// event can never be disabled [wsk 6.7].
    ///
    /// Listeners accept by event as soon as they are bound. A socket without a handler has the
    /// events too: a listener refuses the connections that no pending accept takes; the data of a
    /// connection is refused and waits for a receive; datagrams that no pending receive takes are
    /// lost [wsk 8.5]. A connection that is [given](crate::ConnectionSocket::set_events) a handler
    /// later may have refused data by then:
    /// [`resume_receive_events`](crate::ConnectionSocket::resume_receive_events).
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState) after the first socket;
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) for bits without a name; or what
    /// `WskControlClient` says.
    ///
    /// ```no_run
    /// use wsk::StaticEventSet;
    ///
    /// # fn f(provider: &wsk::Provider) -> wsk::Result<()> {
    /// provider.set_static_events(StaticEventSet::ACCEPT | StaticEventSet::DISCONNECT)
    /// # }
    /// ```
    ///
    /// [WSK_SET_STATIC_EVENT_CALLBACKS](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-set-static-event-callbacks)
    #[doc(alias = "WSK_SET_STATIC_EVENT_CALLBACKS")]
    pub fn set_static_events(&self, events: StaticEventSet) -> Result<()> {
        if StaticEventSet::from_bits(events.bits()).is_none() {
            return Err(Error::new(CALL, Status::INVALID_PARAMETER));
        }
        client::set_static_events(self, events.bits())
    }

    /// Has sockets of this registration bypass the filters of the old interface TDI, where Windows
    /// has them still: faster. Before the first socket. Not every Windows can do it, and nothing is
    /// lost then: a failure may be ignored [wsk 5.6].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState) after the first socket, or what
    /// `WskControlClient` says.
    ///
    /// [WSK_TDI_BEHAVIOR](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-tdi-behavior)
    #[doc(alias = "WSK_TDI_BEHAVIOR")]
    #[doc(alias = "WSK_TDI_BEHAVIOR_BYPASS_TDI")]
    pub fn bypass_tdi(&self) -> Result<()> {
        client::tdi_behavior(self, WSK_TDI_BEHAVIOR_BYPASS_TDI)
    }

    /// Has sockets for which there is no transport use devices of the old interface TDI. Before the
    /// first socket. Deprecated by Microsoft.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState) after the first socket, or what
    /// `WskControlClient` says.
    ///
    /// [WSK_TDI_DEVICENAME_MAPPING](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-tdi-devicename-mapping)
    #[doc(alias = "WSK_TDI_DEVICENAME_MAPPING")]
    pub fn map_tdi_devices(&self, map: &'static [TdiMap]) -> Result<()> {
        client::map_tdi_devices(self, map)
    }
}

bitflags! {
    /// Events that can be enabled for all sockets of a registration: see
    /// [`Provider::set_static_events`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct StaticEventSet: u32 {
        /// [`ListenEvents::accept`](crate::ListenEvents::accept)
        const ACCEPT = WSK_EVENT_ACCEPT;
        /// [`ConnectionEvents::receive`](crate::ConnectionEvents::receive)
        const RECEIVE = WSK_EVENT_RECEIVE;
        /// [`ConnectionEvents::disconnected`](crate::ConnectionEvents::disconnected)
        const DISCONNECT = WSK_EVENT_DISCONNECT;
        /// [`ideal_backlog_changed`](crate::ConnectionEvents::ideal_backlog_changed)
        const SEND_BACKLOG = WSK_EVENT_SEND_BACKLOG;
        /// [`DatagramEvents::receive_from`](crate::DatagramEvents::receive_from)
        const RECEIVE_FROM = WSK_EVENT_RECEIVE_FROM;
    }
}

/// Waits for a change of the transports.
#[derive(Debug)]
enum TransportChange {}

impl Finish for TransportChange {
    const CALL: &'static str = CALL;
    type Output = Result<()>;

    fn finish(ended: Ended) -> Self::Output {
        ended.result.map(|_| ())
    }

    fn refuse(refusal: Refusal) -> Self::Output {
        Err(refusal.error)
    }
}

/// Changes of the transports, one after the other: see [`Provider::transport_changes`].
///
/// A request waits at all times, also between two calls of [`changed`](Self::changed), so that no
/// change is missed; several may come as one.
///
/// [`close_sockets`](crate::Registration::close_sockets) ends it, with
/// [`Cancelled`](crate::ErrorKind::Cancelled) or [`Closed`](crate::ErrorKind::Closed). It keeps the
/// registration from ending.
///
/// ```no_run
/// async fn watch(provider: wsk::Provider) -> wsk::Result<()> {
///     let mut changes = provider.transport_changes()?;
///     loop {
///         for transport in provider.transports()?.iter() {
///             // ... open what is not open yet ...
/// #           drop(transport);
///         }
///         changes.changed().await?;
///     }
/// }
/// ```
#[derive(Debug)]
pub struct TransportChanges {
    waiting: Operation<TransportChange>,
    client: Socket,
}

impl TransportChanges {
    /// Waits for the next change. Dropping the future, or a time-out, misses none.
    ///
    /// IRQL: <= DISPATCH_LEVEL to call and to poll.
    ///
    /// # Errors
    ///
    /// [`Cancelled`](crate::ErrorKind::Cancelled) or [`Closed`](crate::ErrorKind::Closed) when all
    /// sockets of the registration are being closed; or what `WskControlClient` says.
    pub fn changed(&mut self) -> NextTransportChange<'_> {
        NextTransportChange { changes: self }
    }

    /// The wait is over: the next one begins.
    fn again(&mut self, changed: Result<()>) -> Result<()> {
        self.waiting = Operation::new(client::transport_change(self.client.core()));
        changed
    }
}

/// The next change of the transports: to be awaited or waited for.
#[derive(Debug)]
#[must_use = "nothing is waited for"]
pub struct NextTransportChange<'changes> {
    changes: &'changes mut TransportChanges,
}

impl NextTransportChange<'_> {
    /// Waits for it, not longer than `timeout`.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](crate::ErrorKind::TimedOut), or as [`TransportChanges::changed`].
    pub fn wait_timeout(self, timeout: Duration, passive: Passive) -> Result<()> {
        match self.changes.waiting.wait_for(timeout, passive) {
            Some(changed) => self.changes.again(changed),
            None => Err(Error::new(CALL, Status::IO_TIMEOUT)),
        }
    }
}

impl Future for NextTransportChange<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let changes = &mut *self.changes;
        Pin::new(&mut changes.waiting)
            .poll(context)
            .map(|changed| changes.again(changed))
    }
}
