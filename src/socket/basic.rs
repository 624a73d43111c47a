//! Basic sockets: only options and control operations.

use super::{
    handle::{Closer, Socket},
    open::OpenOptions,
    request::{Close, FromSocket, Open},
};
use crate::{
    addr::AddressFamily,
    op::operation::Operation,
    registration::Provider,
    transport::{Protocol, SocketType},
};

/// A socket that neither sends nor receives: for options and control operations of a transport.
///
/// Dropping it closes it, without waiting for that.
///
/// ```no_run
/// use wsk::{AddressFamily, BasicSocket, Protocol, Provider, SocketType};
///
/// # async fn open(provider: &Provider) -> wsk::Result<()> {
/// let (family, protocol) = (AddressFamily::Inet, Protocol::TCP);
/// let socket = BasicSocket::open(provider, family, SocketType::STREAM, protocol).await?;
/// socket.close().await
/// # }
/// ```
///
/// [Winsock Kernel socket categories](https://learn.microsoft.com/windows-hardware/drivers/network/winsock-kernel-socket-categories)
#[derive(Debug)]
pub struct BasicSocket {
    pub(super) socket: Socket,
}

impl FromSocket for BasicSocket {
    fn from_socket(socket: Socket) -> Self {
        Self { socket }
    }
}

impl BasicSocket {
    /// Opens a basic socket of a transport.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory);
    /// [`NotSupported`](crate::ErrorKind::NotSupported) for a transport that is not installed; or
    /// what `WskSocket` says.
    ///
    /// [PFN_WSK_SOCKET](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket)
    #[doc(alias = "WskSocket")]
    #[doc(alias = "WSK_FLAG_BASIC_SOCKET")]
    pub fn open(
        provider: &Provider,
        family: AddressFamily,
        socket_type: SocketType,
        protocol: Protocol,
    ) -> Operation<Open<Self>> {
        OpenOptions::new().basic(provider, family, socket_type, protocol)
    }

    /// What closes it from elsewhere.
    #[must_use]
    pub fn closer(&self) -> Closer {
        self.socket.closer()
    }

    /// Closes it, and gives what completes when it is closed.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    #[doc(alias = "WskCloseSocket")]
    pub fn close(self) -> Operation<Close> {
        self.socket.close()
    }
}
