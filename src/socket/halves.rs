//! The two directions of a connection, each owned by somebody else.
//!
//! Both share the core; the one that goes last closes the socket. What completes when it is closed
//! lies with the write half.

use core::fmt;

use super::{
    connection::ConnectionSocket,
    exact::ReceiveExact,
    handle::{Closer, Half, Socket},
    request::{
        Disconnect, DisconnectWithData, Drain, LocalAddress, Receive, ReceiveAll, RemoteAddress,
        Send, SendChain,
    },
};
use crate::{
    flags::SendFlags,
    mem::{buffer::Buffer, chain::BufferChain},
    op::{
        calls::{address, connection},
        core::CoreRef,
        handle::Handle,
        operation::Operation,
    },
};

/// The receiving direction of a connection: see [`ConnectionSocket::into_split`].
///
/// Dropping it while the [`WriteHalf`] lives closes nothing; what comes then is kept by the
/// transport.
///
/// ```no_run
/// /// Sends everything back, also while more comes.
/// async fn echo(connection: wsk::ConnectionSocket, spawner: wsk::Spawner) -> wsk::Result<()> {
///     let (mut read, write) = connection.into_split();
///     let (received, request) = read.receive(wsk::Buffer::with_capacity(4096)?).await;
///     received?;
///     spawner.spawn(async move {
///         let _ = write.send(request).await;
///         let _ = write.disconnect().await;
///     })?;
///     read.drain().await
/// }
/// ```
#[derive(Debug)]
pub struct ReadHalf {
    half: Half,
}

/// The sending direction of a connection: see [`ConnectionSocket::into_split`].
///
/// Dropping it while the [`ReadHalf`] lives closes nothing: [disconnect](Self::disconnect) it to
/// tell the other side that no more comes.
#[derive(Debug)]
pub struct WriteHalf {
    half: Half,
    close: Handle,
}

/// The two halves are not of one connection: here they are.
pub struct ReuniteError(pub ReadHalf, pub WriteHalf);

pub(super) fn split(connection: ConnectionSocket) -> (ReadHalf, WriteHalf) {
    let (read, write, close) = connection.socket.split();
    (ReadHalf { half: read }, WriteHalf { half: write, close })
}

impl ReadHalf {
    pub(super) fn core(&self) -> &CoreRef {
        self.half.core()
    }

    /// See [`ConnectionSocket::receive`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn receive(&mut self, buffer: Buffer) -> Operation<Receive> {
        Operation::new(connection::receive(self.half.core(), buffer, 0, 0))
    }

    /// See [`ConnectionSocket::receive_exact`].
    ///
    /// IRQL: <= DISPATCH_LEVEL to call and to poll.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn receive_exact(&mut self, buffer: Buffer) -> ReceiveExact<'_> {
        ReceiveExact::new(self.half.core(), buffer)
    }

    /// See [`ConnectionSocket::receive_all`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn receive_all(&mut self, buffer: Buffer) -> Operation<ReceiveAll> {
        Operation::new(connection::receive_all(self.half.core(), buffer))
    }

    /// See [`ConnectionSocket::drain`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn drain(&mut self) -> Operation<Drain> {
        Operation::new(connection::drain(self.half.core()))
    }

    /// Puts the connection together again.
    ///
    /// # Errors
    ///
    /// Both halves, if they are not of one connection.
    pub fn reunite(self, other: WriteHalf) -> Result<ConnectionSocket, ReuniteError> {
        if !self.half.is_of(&other.half) {
            return Err(ReuniteError(self, other));
        }
        let socket = Socket::reunite(self.half, other.half, other.close);
        Ok(ConnectionSocket { socket })
    }
}

impl WriteHalf {
    pub(super) fn core(&self) -> &CoreRef {
        self.half.core()
    }

    /// See [`ConnectionSocket::send`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send(&self, buffer: Buffer) -> Operation<Send> {
        self.send_with(buffer, SendFlags::NONE)
    }

    /// See [`ConnectionSocket::send_with`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_with(&self, buffer: Buffer, flags: SendFlags) -> Operation<Send> {
        Operation::new(connection::send(self.half.core(), buffer, flags))
    }

    /// See [`ConnectionSocket::send_chain`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_chain(&self, chain: BufferChain, flags: SendFlags) -> Operation<SendChain> {
        Operation::new(connection::send_chain(self.half.core(), chain, flags))
    }

    /// See [`ConnectionSocket::disconnect`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn disconnect(&self) -> Operation<Disconnect> {
        Operation::new(connection::disconnect(self.half.core(), false))
    }

    /// See [`ConnectionSocket::disconnect_with_data`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn disconnect_with_data(&self, last: Buffer) -> Operation<DisconnectWithData> {
        Operation::new(connection::disconnect_with(self.half.core(), last))
    }

    /// See [`ConnectionSocket::abort`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn abort(&self) -> Operation<Disconnect> {
        Operation::new(connection::disconnect(self.half.core(), true))
    }
}

macro_rules! both {
    ($($half:ident)*) => {$(
        impl $half {
            /// See [`ConnectionSocket::local_address`].
            ///
            /// IRQL: <= DISPATCH_LEVEL.
            ///
            /// # Errors
            ///
            /// As there.
            pub fn local_address(&self) -> Operation<LocalAddress> {
                Operation::new(address::local_address(self.half.core()))
            }

            /// See [`ConnectionSocket::remote_address`].
            ///
            /// IRQL: <= DISPATCH_LEVEL.
            ///
            /// # Errors
            ///
            /// As there.
            pub fn remote_address(&self) -> Operation<RemoteAddress> {
                Operation::new(address::remote_address(self.half.core()))
            }

            /// What closes the connection from elsewhere, whoever has the halves.
            #[must_use]
            pub fn closer(&self) -> Closer {
                self.half.closer()
            }
        }
    )*};
}

both!(ReadHalf WriteHalf);

impl fmt::Debug for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReuniteError").finish_non_exhaustive()
    }
}

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the halves are of two connections: reunite those that into_split gave together",
        )
    }
}

impl core::error::Error for ReuniteError {}
