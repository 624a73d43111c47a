//! Stream sockets, which become listening or connected ones.

use core::net::SocketAddr;

use super::{
    commit::Commit,
    handle::{Closer, Socket},
    open::OpenOptions,
    request::{Bind, Close, Connect, ConnectWithData, FromSocket, Listen, LocalAddress, Open},
};
use crate::{
    addr::AddressFamily,
    mem::buffer::Buffer,
    op::{
        calls::{address, connection},
        operation::Operation,
    },
    registration::Provider,
};

/// A TCP socket that is yet to decide whether it listens or connects [wsk 4.8].
///
/// [`listen`](Self::listen) and [`connect`](Self::connect) take it by value and give what it has
/// become: from then on it is a [`ListenSocket`](crate::ListenSocket) or a
/// [`ConnectionSocket`](crate::ConnectionSocket) like any other. Neither can be undone.
///
/// Dropping it closes it, without waiting for that.
///
/// Since Windows 10, version 1703: an older one refuses to open it, with
/// [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter) in the simulator.
///
/// ```no_run
/// use core::net::SocketAddr;
/// use wsk::{AddressFamily, Provider, StreamSocket};
///
/// async fn serve_or_join(provider: &Provider, address: SocketAddr) -> wsk::Result<()> {
///     let socket = StreamSocket::open(provider, AddressFamily::of(&address)).await?;
///     if socket.bind(address).await.is_ok() {
///         let mut listener = socket.listen().await.map_err(|(error, _socket)| error)?;
///         let first = listener.accept().await?;
/// #       drop(first);
///     } else {
///         let any = SocketAddr::from(([0, 0, 0, 0], 0));
///         socket.bind(any).await?;
///         let connection = socket.connect(address).await.map_err(|(error, _socket)| error)?;
/// #       drop(connection);
///     }
///     Ok(())
/// }
/// ```
///
/// [Stream sockets](https://learn.microsoft.com/windows-hardware/drivers/network/winsock-kernel-socket-categories)
#[derive(Debug)]
pub struct StreamSocket {
    pub(super) socket: Socket,
}

impl FromSocket for StreamSocket {
    fn from_socket(socket: Socket) -> Self {
        Self { socket }
    }
}

impl StreamSocket {
    /// Opens a stream socket for TCP.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory);
    /// [`NotSupported`](crate::ErrorKind::NotSupported) for a family that is not installed, or on a
    /// Windows without stream sockets; or what `WskSocket` says.
    ///
    /// [PFN_WSK_SOCKET](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket)
    #[doc(alias = "WskSocket")]
    #[doc(alias = "WSK_FLAG_STREAM_SOCKET")]
    pub fn open(provider: &Provider, family: AddressFamily) -> Operation<Open<Self>> {
        OpenOptions::new().stream(provider, family)
    }

    /// Binds it to a local address, of the family it was opened for. It does not listen yet. Port 0
    /// lets the transport choose: see [`local_address`](Self::local_address).
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

    /// Listens at the address it is bound to.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState) if it is not bound, or what `WskListen`
    /// says. The socket comes back.
    ///
    /// [PFN_WSK_LISTEN](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_listen)
    #[doc(alias = "WskListen")]
    pub fn listen(self) -> Commit<Listen> {
        let operation = Operation::new(address::listen(self.socket.core()));
        Commit::new(operation, self)
    }

    /// Connects to `remote`, from the address it is bound to [wsk 4.7].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`ConnectionSocket::connect`](crate::ConnectionSocket::connect). The socket comes back.
    ///
    /// [PFN_WSK_CONNECT](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_connect)
    #[doc(alias = "WskConnect")]
    pub fn connect(self, remote: SocketAddr) -> Commit<Connect> {
        let operation = Operation::new(connection::connect(self.socket.core(), remote));
        Commit::new(operation, self)
    }

    /// Connects to `remote`, from the address it is bound to, and sends `data` as its first bytes,
    /// no more than 65535: see
    /// [`ConnectionSocket::connect_with_data`](crate::ConnectionSocket::connect_with_data).
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there. The buffer always comes back, and the socket with an error.
    ///
    /// [PFN_WSK_CONNECT_EX](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_connect_ex)
    #[doc(alias = "WskConnectEx")]
    pub fn connect_with_data(self, remote: SocketAddr, data: Buffer) -> Commit<ConnectWithData> {
        let core = self.socket.core();
        let operation = Operation::new(connection::connect_ex(core, remote, data));
        Commit::new(operation, self)
    }

    /// What closes it from elsewhere, also after it has become something else.
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
