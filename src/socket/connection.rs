//! Connections.

use super::{
    handle::{Closer, Socket, no_handler},
    request::{Close, DisableEvent, Disconnect, Receive, ResumeReceiveEvents, Send},
};
use crate::{
    event::connection::ConnectionEventSet,
    mem::buffer::Buffer,
    op::{calls, event_calls, operation::Operation},
    status::Result,
};

/// One end of a TCP connection.
///
/// Dropping it closes it, without waiting for that, and resets the connection unless both
/// directions were disconnected before [wsk 10.5].
///
/// ```no_run
/// async fn echo(connection: wsk::ConnectionSocket) -> wsk::Result<()> {
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
/// [Connection-oriented sockets](https://learn.microsoft.com/windows-hardware/drivers/network/winsock-kernel-socket-categories)
#[derive(Debug)]
pub struct ConnectionSocket {
    socket: Socket,
}

impl ConnectionSocket {
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket }
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
        Operation::new(calls::send(self.socket.core(), buffer))
    }

    /// Receives into `buffer`, from its front, as much as is there, up to its capacity; waits for
    /// at least one byte. `Ok(0)`: the other side has disconnected gracefully, and nothing more
    /// will come [wsk 3b].
    ///
    /// To end a receive early and keep the stream, [`cancel`](Operation::cancel) it and await the
    /// result. Dropping it in flight gives up receiving on this connection for good: what it may
    /// have taken is lost, and later receives fail with [`DataLost`](crate::ErrorKind::DataLost)
    /// rather than go on with a hole in the stream.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and `DataLost`. The buffer always comes back.
    ///
    /// [PFN_WSK_RECEIVE](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive)
    #[doc(alias = "WskReceive")]
    pub fn receive(&self, buffer: Buffer) -> Operation<Receive> {
        Operation::new(calls::receive(self.socket.core(), buffer))
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
        Operation::new(calls::disconnect(self.socket.core(), false))
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
        Operation::new(calls::disconnect(self.socket.core(), true))
    }

    /// Has events delivered to the handler that the connection was accepted or opened with, once it
    /// is connected [wsk 6].
    ///
    /// IRQL: <= DISPATCH_LEVEL. The first call of the handler may come before this returns.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState): not connected, or without a handler; or what
    /// `WskControlSocket` says.
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
    /// IRQL: <= DISPATCH_LEVEL. In a callback it may be called, but not waited for, which would wait
    /// for itself [wsk 6.5].
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
