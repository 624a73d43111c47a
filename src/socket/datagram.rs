//! Datagram sockets.

use core::net::{IpAddr, SocketAddr};

use wsk_sys::WSK_EVENT_RECEIVE_FROM;

use super::{
    handle::{Closer, Socket, no_handler},
    open::OpenOptions,
    request::{
        Bind, Close, DisableEvent, FromSocket, LocalAddress, Open, ReceiveFrom, SendMessages,
        SendTo,
    },
};
use crate::{
    addr::AddressFamily,
    ancillary::{Ancillary, ControlData},
    event::datagram::DatagramEvents,
    flags::DatagramFlags,
    mem::{buffer::Buffer, chain::BufferChain},
    op::{
        calls::{
            address,
            datagram::{self, Destination},
        },
        event_calls,
        handle::Finished,
        operation::Operation,
    },
    registration::Provider,
    status::Result,
};

/// A UDP socket.
///
/// Every method takes it shared: sends and receives of several tasks may be in flight at the same
/// time, and none waits for another. Dropping it closes it, without waiting for that.
///
/// ```no_run
/// use core::net::SocketAddr;
/// use wsk::{AddressFamily, Buffer, DatagramSocket, Provider};
///
/// /// Sends back what comes.
/// async fn reflect(provider: &Provider, address: SocketAddr) -> wsk::Result<()> {
///     let socket = DatagramSocket::open(provider, AddressFamily::of(&address)).await?;
///     socket.bind(address).await?;
///     let mut buffer = Buffer::with_capacity(1500)?;
///     loop {
///         let (received, filled) = socket.receive_from(buffer).await;
///         buffer = filled;
///         if let Some(sender) = received?.remote {
///             let (sent, same) = socket.send_to(buffer, sender).await;
///             sent?;
///             buffer = same;
///         }
///     }
/// }
/// ```
///
/// # What is received
///
/// Each receive takes one datagram, as a whole; a length of 0 is a datagram without data, and not
/// an end of anything. A datagram that is longer than the buffer is cut, and
/// [said to be](DatagramFlags::TRUNCATED).
///
/// Nothing is lost when a receive is dropped: the datagram that it has taken, or takes before it is
/// cancelled, is kept for another receive, also for one that is in flight already. What is kept
/// when the socket is closed is [counted](crate::Counters::lost_datagrams) as lost.
///
/// [Datagram sockets](https://learn.microsoft.com/windows-hardware/drivers/network/winsock-kernel-socket-categories)
#[derive(Debug)]
pub struct DatagramSocket {
    pub(super) socket: Socket,
}

/// What has been received besides the data, which is in the buffer.
///
/// IRQL: any.
///
/// [PFN_WSK_RECEIVE_FROM](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_from)
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    /// How many bytes of data there are in the buffer. 0 is a datagram without data.
    pub length: usize,
    /// Who has sent it; `None` if the provider did not say.
    pub remote: Option<SocketAddr>,
    /// Whether it was cut, and how it was addressed.
    pub flags: DatagramFlags,
    /// What the socket's options asked for.
    pub control: ControlData,
}

impl Datagram {
    /// What a successful request has brought.
    pub(super) fn arrived(length: usize, finished: &Finished) -> Self {
        Self {
            length,
            remote: finished.remote.decode(),
            flags: DatagramFlags::from_raw(finished.extra_flags),
            control: ControlData::from_raw(&finished.extra, finished.extra_length),
        }
    }

    /// What the control data says.
    #[must_use]
    pub fn ancillary(&self) -> Ancillary {
        self.control.ancillary()
    }

    /// The address to which it was sent, perhaps that of a group; if the socket was asked for it by
    /// `RECEIVE_PACKET_INFO` of [IPv4](crate::option::ipv4::RECEIVE_PACKET_INFO) or
    /// [IPv6](crate::option::ipv6::RECEIVE_PACKET_INFO).
    #[must_use]
    pub fn local_ip(&self) -> Option<IpAddr> {
        self.ancillary().packet_info.map(|info| info.address)
    }
}

impl FromSocket for DatagramSocket {
    fn from_socket(socket: Socket) -> Self {
        Self { socket }
    }
}

/// Opening and closing.
impl DatagramSocket {
    /// Opens a UDP socket that is to be bound.
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
    #[doc(alias = "WSK_FLAG_DATAGRAM_SOCKET")]
    pub fn open(provider: &Provider, family: AddressFamily) -> Operation<Open<Self>> {
        OpenOptions::new().datagram(provider, family)
    }

    /// As [`open`](Self::open), with a handler for what happens to the socket, which is dropped
    /// when the socket is closed. No event comes before
    /// [`enable_receive_events`](Self::enable_receive_events).
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// [PFN_WSK_SOCKET](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket)
    #[doc(alias = "WSK_CLIENT_DATAGRAM_DISPATCH")]
    pub fn open_with<H: DatagramEvents>(
        provider: &Provider,
        family: AddressFamily,
        handler: H,
    ) -> Operation<Open<Self>> {
        OpenOptions::new().datagram_with(provider, family, handler)
    }

    /// Binds it to a local address, of the family it was opened for; needed before anything is sent
    /// or received [wsk 4.7]. The unspecified address is for all of them; port 0 lets the transport
    /// choose: see [`local_address`](Self::local_address).
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

    /// What closes it from elsewhere.
    #[must_use]
    pub fn closer(&self) -> Closer {
        self.socket.closer()
    }

    /// Closes it, and gives what completes when it is closed; requests in flight are cancelled and
    /// complete first. A close cannot be cancelled.
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

/// Sending. The buffers belong to the request until that completes, which is when the transport has
/// taken the data [wsk 9.1], and always come back.
impl DatagramSocket {
    /// Sends the filled part of `buffer` to `remote`, as one datagram; also if it is empty.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState): not bound;
    /// [`InvalidAddress`](crate::ErrorKind::InvalidAddress): of another family;
    /// [`AccessDenied`](crate::ErrorKind::AccessDenied): a broadcast address, without the option
    /// [`BROADCAST`](crate::option::BROADCAST); `STATUS_BUFFER_OVERFLOW`: longer than a datagram
    /// can be; [`OutOfMemory`](crate::ErrorKind::OutOfMemory),
    /// [`Closed`](crate::ErrorKind::Closed), or what `WskSendTo` says.
    ///
    /// [PFN_WSK_SEND_TO](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_to)
    #[doc(alias = "WskSendTo")]
    pub fn send_to(&self, buffer: Buffer, remote: SocketAddr) -> Operation<SendTo> {
        self.send_one(buffer, Some(remote), &ControlData::new())
    }

    /// As [`send_to`](Self::send_to), to the address that was
    /// [fixed](Self::set_send_to_address) before.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there; [`InvalidParameter`](crate::ErrorKind::InvalidParameter): none was fixed
    /// [wsk 9.3].
    pub fn send(&self, buffer: Buffer) -> Operation<SendTo> {
        self.send_one(buffer, None, &ControlData::new())
    }

    /// As [`send_to`](Self::send_to), or [`send`](Self::send) without an address, in the way that
    /// `control` says. It is copied, and need not be kept.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there; [`InvalidParameter`](crate::ErrorKind::InvalidParameter) or
    /// [`NotSupported`](crate::ErrorKind::NotSupported) for control data that is not right for the
    /// address or transport.
    ///
    /// ```no_run
    /// use core::net::SocketAddr;
    /// use wsk::{AddressFamily, Ancillary, Buffer, ControlData, DatagramSocket};
    ///
    /// # async fn f(socket: &DatagramSocket, probe: Buffer, remote: SocketAddr) -> wsk::Result<()>
    /// # {
    /// let near = Ancillary { hop_limit: Some(1), ..Ancillary::default() };
    /// let control = ControlData::encode(AddressFamily::of(&remote), &near)?;
    /// let (sent, probe) = socket.send_with(probe, remote, &control).await;
    /// # drop(probe);
    /// # sent.map(|_| ())
    /// # }
    /// ```
    #[doc(alias = "CMSGHDR")]
    pub fn send_with(
        &self,
        buffer: Buffer,
        remote: impl Into<Option<SocketAddr>>,
        control: &ControlData,
    ) -> Operation<SendTo> {
        self.send_one(buffer, remote.into(), control)
    }

    fn send_one(
        &self,
        buffer: Buffer,
        remote: Option<SocketAddr>,
        control: &ControlData,
    ) -> Operation<SendTo> {
        let to = destination(remote, control);
        Operation::new(datagram::send_to(self.socket.core(), buffer, &to))
    }

    /// Sends the filled part of each buffer of `chain`, as a datagram of its own, in one request;
    /// to `remote`, or to the address that was [fixed](Self::set_send_to_address) before. The count
    /// is that of all bytes.
    ///
    /// Since Windows 8.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to); [`InvalidParameter`](crate::ErrorKind::InvalidParameter): no
    /// buffer in the chain, or no address.
    ///
    /// ```no_run
    /// use core::net::SocketAddr;
    /// use wsk::{Buffer, BufferChain, DatagramSocket};
    ///
    /// # async fn f(socket: &DatagramSocket, parts: [Buffer; 2], remote: SocketAddr)
    /// # -> wsk::Result<()> {
    /// let mut chain = BufferChain::with_capacity(2)?;
    /// for part in parts {
    ///     chain.push(part).map_err(|(error, _part)| error)?;
    /// }
    /// let (sent, chain) = socket.send_messages(chain, remote).await;
    /// assert_eq!(sent?, chain.filled());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [PFN_WSK_SEND_MESSAGES](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_send_messages)
    #[doc(alias = "WskSendMessages")]
    pub fn send_messages(
        &self,
        chain: BufferChain,
        remote: impl Into<Option<SocketAddr>>,
    ) -> Operation<SendMessages> {
        self.send_messages_with(chain, remote, &ControlData::new())
    }

    /// As [`send_messages`](Self::send_messages), all in the way that `control` says.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there, and as [`send_with`](Self::send_with).
    pub fn send_messages_with(
        &self,
        chain: BufferChain,
        remote: impl Into<Option<SocketAddr>>,
        control: &ControlData,
    ) -> Operation<SendMessages> {
        let to = destination(remote.into(), control);
        Operation::new(datagram::send_messages(self.socket.core(), chain, &to))
    }
}

fn destination(remote: Option<SocketAddr>, control: &ControlData) -> Destination {
    Destination {
        remote,
        control: control.to_raw(),
    }
}

/// Receiving.
impl DatagramSocket {
    /// Receives one datagram into `buffer`, from its front.
    ///
    /// Dropping it in flight loses nothing: see [above](Self#what-is-received).
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState): not bound;
    /// [`Cancelled`](crate::ErrorKind::Cancelled), [`Closed`](crate::ErrorKind::Closed),
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory), or what `WskReceiveFrom` says. The buffer
    /// always comes back.
    ///
    /// ```no_run
    /// use core::time::Duration;
    /// use wsk::{Buffer, DatagramFlags, DatagramSocket, Passive};
    ///
    /// # fn f(socket: &DatagramSocket, buffer: Buffer, passive: Passive) -> wsk::Result<()> {
    /// let receive = socket.receive_from(buffer);
    /// let (received, buffer) = receive.wait_timeout(Duration::from_secs(1), passive);
    /// let datagram = received?;
    /// if !datagram.flags.contains(DatagramFlags::TRUNCATED) {
    ///     assert_eq!(buffer.len(), datagram.length);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [PFN_WSK_RECEIVE_FROM](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_from)
    #[doc(alias = "WskReceiveFrom")]
    pub fn receive_from(&self, buffer: Buffer) -> Operation<ReceiveFrom> {
        Operation::new(datagram::receive_from(self.socket.core(), buffer))
    }

    /// Has datagrams go to [`DatagramEvents::receive_from`], also those that have arrived before;
    /// the first may come before this returns. Once it is bound, and again after the handler has
    /// refused some [wsk 8.5]. A receive that is in flight comes first, as a rule.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState): not bound, or opened without a handler; or
    /// what `WskControlSocket` says.
    ///
    /// [SO_WSK_EVENT_CALLBACK](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback)
    #[doc(alias = "SO_WSK_EVENT_CALLBACK")]
    #[doc(alias = "WSK_EVENT_RECEIVE_FROM")]
    pub fn enable_receive_events(&self) -> Result<()> {
        if !self.socket.core().has_handler() {
            return Err(no_handler());
        }
        event_calls::enable_events(self.socket.core(), WSK_EVENT_RECEIVE_FROM)
    }

    /// Lets no more events come. Completes when none is being delivered any more [wsk 6.5].
    ///
    /// IRQL: <= DISPATCH_LEVEL. In a callback it may be started, for a task to await, but not
    /// waited for: see [`Passive`](crate::Passive).
    ///
    /// # Errors
    ///
    /// As [`enable_receive_events`](Self::enable_receive_events).
    ///
    /// [SO_WSK_EVENT_CALLBACK](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback)
    #[doc(alias = "WSK_EVENT_DISABLE")]
    pub fn disable_receive_events(&self) -> Operation<DisableEvent> {
        Operation::new(if self.socket.core().has_handler() {
            event_calls::disable_event(self.socket.core(), WSK_EVENT_RECEIVE_FROM)
        } else {
            Err(no_handler().into())
        })
    }
}
