//! Connections.

use core::net::SocketAddr;

use super::{
    exact::ReceiveExact,
    halves::{self, ReadHalf, WriteHalf},
    handle::{Closer, Socket, no_handler},
    open::OpenOptions,
    request::{
        Bind, Close, Connect, ConnectWithData, DisableEvent, Disconnect, DisconnectWithData, Drain,
        FromSocket, LocalAddress, Open, OpenConnected, Receive, ReceiveAll, RemoteAddress,
        ResumeReceiveEvents, Send, SendChain,
    },
};
use crate::{
    addr::AddressFamily,
    event::connection::{Connected, ConnectionEventSet, ConnectionEvents},
    flags::SendFlags,
    mem::{buffer::Buffer, chain::BufferChain},
    op::{
        calls::{address, connection},
        core::Stage,
        event_calls,
        operation::Operation,
    },
    registration::Provider,
    status::Result,
};

/// One end of a TCP connection.
///
/// Dropping it closes it, without waiting for that, and resets the connection unless both
/// directions were disconnected before [wsk 10.5].
///
/// ```no_run
/// async fn echo(mut connection: wsk::ConnectionSocket) -> wsk::Result<()> {
///     let mut buffer = wsk::Buffer::with_capacity(4096)?;
///     loop {
///         let (received, filled) = connection.receive(buffer).await;
///         if received? == 0 {
///             break; // the other side has sent everything
///         }
///         let (sent, same) = connection.send(filled).await;
///         sent?;
///         buffer = same;
///     }
///     connection.disconnect().await?;
///     connection.close().await
/// }
/// ```
///
/// # What is received
///
/// Bytes come in the order in which they were sent, in the order in which receives are started;
/// hence starting one takes the connection exclusively. Several may be in flight.
///
/// No byte is lost when a receive is dropped: what it has taken, or takes before it is cancelled,
/// is kept for the next receive, before what that one takes itself; also if that is in flight
/// already. One order of events cannot be repaired: a receive is dropped that has taken bytes,
/// after the result of a *later* one was taken. Then later receives fail with
/// [`DataLost`](crate::ErrorKind::DataLost) rather than go on with a hole in the stream.
///
/// [Connection-oriented sockets](https://learn.microsoft.com/windows-hardware/drivers/network/winsock-kernel-socket-categories)
#[derive(Debug)]
pub struct ConnectionSocket {
    pub(super) socket: Socket,
}

impl FromSocket for ConnectionSocket {
    fn from_socket(socket: Socket) -> Self {
        Self { socket }
    }
}

impl ConnectionSocket {
    /// A socket that was born connected.
    pub(crate) fn connected(socket: Socket) -> Self {
        socket.core().reach(Stage::Connected);
        Self { socket }
    }

    /// Opens a TCP socket that is to be bound and connected. Where nothing has to be set in
    /// between, [`connect_from`](Self::connect_from) does all in one.
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
    #[doc(alias = "WSK_FLAG_CONNECTION_SOCKET")]
    pub fn open(provider: &Provider, family: AddressFamily) -> Operation<Open<Self>> {
        OpenOptions::new().connection(provider, family)
    }

    /// Opens a TCP socket, binds it to `local` and connects it to `remote` [wsk 4.6]. Both are of
    /// one family; port 0 and the unspecified address as `local` let the transport choose.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), [`bind`](Self::bind) and [`connect`](Self::connect);
    /// [`InvalidAddress`](crate::ErrorKind::InvalidAddress) for two families.
    ///
    /// ```no_run
    /// use core::{net::SocketAddr, time::Duration};
    /// use wsk::{ConnectionSocket, Passive, Provider};
    ///
    /// # fn f(provider: &Provider, remote: SocketAddr, passive: Passive) -> wsk::Result<()> {
    /// let any = SocketAddr::from(([0, 0, 0, 0], 0));
    /// let connection = ConnectionSocket::connect_from(provider, any, remote)
    ///     .wait_timeout(Duration::from_secs(10), passive)?;
    /// # drop(connection);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [PFN_WSK_SOCKET_CONNECT](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket_connect)
    #[doc(alias = "WskSocketConnect")]
    pub fn connect_from(
        provider: &Provider,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Operation<OpenConnected> {
        OpenOptions::new().connect_from(provider, local, remote)
    }

    /// Binds it to a local address, of the family it was opened for; needed before
    /// [`connect`](Self::connect) [wsk 4.7]. The unspecified address and port 0 let the transport
    /// choose.
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

    /// Connects to `remote`.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`ConnectionRefused`](crate::ErrorKind::ConnectionRefused),
    /// [`Unreachable`](crate::ErrorKind::Unreachable),
    /// [`InvalidState`](crate::ErrorKind::InvalidState) if it is not bound or has been connected,
    /// or what `WskConnect` says.
    ///
    /// [PFN_WSK_CONNECT](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_connect)
    #[doc(alias = "WskConnect")]
    pub fn connect(&self, remote: SocketAddr) -> Operation<Connect> {
        Operation::new(connection::connect(self.socket.core(), remote))
    }

    /// Connects to `remote` and sends the filled part of `data`, at most 65,535 bytes; with
    /// `TCP_FASTOPEN` perhaps together with the first packet. Completes when both are done.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); `STATUS_BUFFER_OVERFLOW` for too much data [wsk 9.4];
    /// [`NotImplemented`](crate::ErrorKind::NotImplemented) before Windows 10, version 1703. The
    /// buffer always comes back.
    ///
    /// [PFN_WSK_CONNECT_EX](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_connect_ex)
    #[doc(alias = "WskConnectEx")]
    pub fn connect_with_data(
        &self,
        remote: SocketAddr,
        data: Buffer,
    ) -> Operation<ConnectWithData> {
        Operation::new(connection::connect_ex(self.socket.core(), remote, data))
    }

    /// This side's address. The IP address of a socket that was bound to the unspecified one is
    /// known once it is connected [wsk 9.8].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState) if it is not bound.
    ///
    /// [PFN_WSK_GET_LOCAL_ADDRESS](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_local_address)
    #[doc(alias = "WskGetLocalAddress")]
    pub fn local_address(&self) -> Operation<LocalAddress> {
        Operation::new(address::local_address(self.socket.core()))
    }

    /// The other side's address.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState) if it is not connected [wsk 9.8].
    ///
    /// [PFN_WSK_GET_REMOTE_ADDRESS](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_remote_address)
    #[doc(alias = "WskGetRemoteAddress")]
    pub fn remote_address(&self) -> Operation<RemoteAddress> {
        Operation::new(address::remote_address(self.socket.core()))
    }

    /// Sends the filled part of `buffer`, all of it. The buffer belongs to the request until that
    /// completes, which is when the transport has taken all bytes [wsk 9.1].
    ///
    /// Several sends may be in flight; they go out in the order of the calls.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`ConnectionLost`](crate::ErrorKind::ConnectionLost),
    /// [`Cancelled`](crate::ErrorKind::Cancelled), [`Closed`](crate::ErrorKind::Closed),
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory), or what `WskSend` says. The buffer always
    /// comes back.
    ///
    /// [PFN_WSK_SEND](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send)
    #[doc(alias = "WskSend")]
    pub fn send(&self, buffer: Buffer) -> Operation<Send> {
        self.send_with(buffer, SendFlags::NONE)
    }

    /// As [`send`](Self::send), in the way that `flags` say.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); [`NotSupported`](crate::ErrorKind::NotSupported) for a flag that
    /// the transport does not have [wsk 9.2].
    ///
    /// [PFN_WSK_SEND](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send)
    #[doc(alias = "WSK_FLAG_NODELAY")]
    pub fn send_with(&self, buffer: Buffer, flags: SendFlags) -> Operation<Send> {
        Operation::new(connection::send(self.socket.core(), buffer, flags))
    }

    /// As [`send_with`](Self::send_with), for the filled parts of several buffers, one behind the
    /// other.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`send_with`](Self::send_with). The chain always comes back.
    ///
    /// [WSK_BUF](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_buf)
    pub fn send_chain(&self, chain: BufferChain, flags: SendFlags) -> Operation<SendChain> {
        Operation::new(connection::send_chain(self.socket.core(), chain, flags))
    }

    /// Receives into `buffer`, from its front, as much as is there, up to its capacity; waits for
    /// at least one byte. `Ok(0)`: the other side has disconnected gracefully, and nothing more
    /// will come [wsk 3b].
    ///
    /// Dropping it in flight loses nothing: see [above](Self#what-is-received).
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`DataLost`](crate::ErrorKind::DataLost). The buffer always
    /// comes back.
    ///
    /// [PFN_WSK_RECEIVE](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive)
    #[doc(alias = "WskReceive")]
    pub fn receive(&mut self, buffer: Buffer) -> Operation<Receive> {
        Operation::new(connection::receive(self.socket.core(), buffer, 0, 0))
    }

    /// Receives until `buffer` is full, or the other side has sent everything: the count is below
    /// the capacity only then.
    ///
    /// Dropping it loses nothing, as with [`receive`](Self::receive), however much had come.
    ///
    /// IRQL: <= DISPATCH_LEVEL to call and to poll.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive). The buffer always comes back, filled with what had come.
    ///
    /// ```no_run
    /// /// A message with its length before it.
    /// async fn receive_message(
    ///     connection: &mut wsk::ConnectionSocket,
    /// ) -> wsk::Result<wsk::Buffer> {
    ///     let (received, header) = connection.receive_exact(wsk::Buffer::with_capacity(2)?).await;
    ///     received?;
    ///     let length = u16::from_be_bytes(header[..].try_into().expect("or the end"));
    ///     let body = wsk::Buffer::with_capacity(length.into())?;
    ///     let (received, body) = connection.receive_exact(body).await;
    ///     received.map(|_count| body)
    /// }
    /// ```
    pub fn receive_exact(&mut self, buffer: Buffer) -> ReceiveExact<'_> {
        ReceiveExact::new(self.socket.core(), buffer)
    }

    /// As [`receive_exact`](Self::receive_exact), in a single request: the transport waits until
    /// the buffer is full, and wakes nobody before. Only where no other receive is in flight.
    ///
    /// For a peer that is trusted to send everything: if this is cancelled or dropped before it is
    /// full, by a deadline for example, Windows does not say how much it had taken, and later
    /// receives fail with [`DataLost`](crate::ErrorKind::DataLost).
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive); [`InvalidState`](crate::ErrorKind::InvalidState) while
    /// another receive is in flight or has left bytes;
    /// [`NotSupported`](crate::ErrorKind::NotSupported) by another transport than TCP.
    ///
    /// [PFN_WSK_RECEIVE](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive)
    #[doc(alias = "WSK_FLAG_WAITALL")]
    pub fn receive_all(&mut self, buffer: Buffer) -> Operation<ReceiveAll> {
        Operation::new(connection::receive_all(self.socket.core(), buffer))
    }

    /// Drops what has been received and what comes, until the other side has sent everything. For a
    /// connection that is about to be closed, after [`disconnect`](Self::disconnect), without a
    /// reset.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive); [`NotSupported`](crate::ErrorKind::NotSupported) by another
    /// transport than TCP.
    ///
    /// [PFN_WSK_RECEIVE](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive)
    #[doc(alias = "WSK_FLAG_DRAIN")]
    pub fn drain(&mut self) -> Operation<Drain> {
        Operation::new(connection::drain(self.socket.core()))
    }

    /// Disconnects gracefully: sends what is outstanding, then tells the other side that no more
    /// comes. Receiving goes on until the other side does the same. May take for ever with a dead
    /// peer: wait with a time-out, then [`abort`](Self::abort) or close, which completes it [wsk
    /// 9.5].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); [`NotSupported`](crate::ErrorKind::NotSupported) where the provider
    /// has no such function.
    ///
    /// [PFN_WSK_DISCONNECT](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_disconnect)
    #[doc(alias = "WskDisconnect")]
    pub fn disconnect(&self) -> Operation<Disconnect> {
        Operation::new(connection::disconnect(self.socket.core(), false))
    }

    /// As [`disconnect`](Self::disconnect), after sending the filled part of `last`.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`disconnect`](Self::disconnect). The buffer always comes back.
    ///
    /// [PFN_WSK_DISCONNECT](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_disconnect)
    pub fn disconnect_with_data(&self, last: Buffer) -> Operation<DisconnectWithData> {
        Operation::new(connection::disconnect_with(self.socket.core(), last))
    }

    /// Disconnects at once, with a reset: outstanding sends are cancelled, nothing can be sent or
    /// received any more [wsk 9.6].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`disconnect`](Self::disconnect).
    ///
    /// [PFN_WSK_DISCONNECT](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_disconnect)
    #[doc(alias = "WSK_FLAG_ABORTIVE")]
    pub fn abort(&self) -> Operation<Disconnect> {
        Operation::new(connection::disconnect(self.socket.core(), true))
    }

    /// Gives it a handler for its events, once: for a connection that was opened, or accepted
    /// without one. None is enabled by this: see [`enable_events`](Self::enable_events).
    ///
    /// The handler belongs to the socket, and is dropped when that has been closed and no callback
    /// runs any more. Memory: one allocation.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// ```no_run
    /// use wsk::{ConnectionEvents, ConnectionEventSet};
    ///
    /// struct Watch;
    ///
    /// impl ConnectionEvents for Watch {
    ///     fn disconnected(&self, abortive: bool) {
    ///         // ... wake whoever talks to it ...
    ///     }
    /// }
    ///
    /// async fn accept(listener: &mut wsk::ListenSocket) -> wsk::Result<()> {
    ///     let connection = listener.accept().await?.socket;
    ///     connection.set_events(Watch)?;
    ///     connection.enable_events(ConnectionEventSet::DISCONNECT)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState): it has one already;
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory); [`Closed`](crate::ErrorKind::Closed). The
    /// handler is dropped.
    ///
    /// [WSK_CLIENT_CONNECTION_DISPATCH](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_client_connection_dispatch)
    #[doc(alias = "WSK_CLIENT_CONNECTION_DISPATCH")]
    pub fn set_events<H: ConnectionEvents>(&self, handler: H) -> Result<()> {
        self.socket.core().attend(Connected::handler(handler)?)
    }

    /// Has events delivered to its handler, once it is connected [wsk 6]. It has the one that it
    /// was accepted with by event, or that it was [given](Self::set_events).
    ///
    /// IRQL: <= DISPATCH_LEVEL. The first call of the handler may come before this returns.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState): not connected, or without a handler; or
    /// what `WskControlSocket` says.
    ///
    /// [SO_WSK_EVENT_CALLBACK](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback)
    #[doc(alias = "SO_WSK_EVENT_CALLBACK")]
    pub fn enable_events(&self, events: ConnectionEventSet) -> Result<()> {
        let core = self.socket.core();
        if !core.has_handler() {
            return Err(no_handler());
        }
        event_calls::enable_events(core, events.bits())
    }

    /// Ends one event. Completes when it is off and no callback for it runs any more.
    ///
    /// IRQL: <= DISPATCH_LEVEL. In a callback it may be started, for a task to await, but not
    /// waited for: see [`Passive`](crate::Passive).
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) for none or several events at once
    /// [wsk 6.4]; or what `WskControlSocket` says.
    #[doc(alias = "WSK_EVENT_DISABLE")]
    pub fn disable_event(&self, event: ConnectionEventSet) -> Operation<DisableEvent> {
        let core = self.socket.core();
        Operation::new(event_calls::disable_event(core, event.bits()))
    }

    /// Lets receive events come again after one was refused, or accepted in part: receives nothing,
    /// which completes when there is something [wsk 8.2].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn resume_receive_events(&self) -> Operation<ResumeReceiveEvents> {
        Operation::new(event_calls::receive_nothing(self.socket.core()))
    }

    /// Splits it, so that one task can receive while another sends. The connection is closed when
    /// both halves are gone.
    #[must_use = "dropping both halves closes the connection"]
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        halves::split(self)
    }

    /// What closes it from elsewhere.
    #[must_use]
    pub fn closer(&self) -> Closer {
        self.socket.closer()
    }

    /// Closes it, and gives what completes when it is closed; requests in flight are cancelled and
    /// complete first. A close cannot be cancelled: a deadline does not shorten it, but the
    /// operation may be dropped, and the socket is closed all the same.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// [PFN_WSK_CLOSE_SOCKET](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_close_socket)
    #[doc(alias = "WskCloseSocket")]
    pub fn close(self) -> Operation<Close> {
        self.socket.close()
    }

    /// How often this socket has allocated memory for a request so far: it grows to the greatest
    /// number of requests that were in flight at once, and no further.
    #[must_use]
    pub fn requests_allocated(&self) -> u32 {
        self.socket.core().slots()
    }
}
