//! Stream sockets, which become listening or connected ones.

use core::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    connection::ConnectionSocket,
    handle::{Closer, Socket},
    listen::ListenSocket,
    request::{Bind, Close, Connect, FromSocket, Listen, LocalAddress, Open},
};
use crate::{
    addr::AddressFamily,
    irql::Passive,
    op::{
        calls::{
            Category, address, connection,
            make::{self, Kind},
        },
        operation::{Operation, Request},
    },
    registration::Provider,
    status::{Error, Result},
};

/// A TCP socket that is yet to decide whether it listens or connects [wsk 4.8].
///
/// [`listen`](Self::listen) and [`connect`](Self::connect) take it by value and give what it has
/// become: from then on it is a [`ListenSocket`] or a [`ConnectionSocket`] like any other. Neither
/// can be undone.
///
/// Dropping it closes it, without waiting for that.
///
/// Since Windows 10, version 1703.
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
    socket: Socket,
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
        let kind = Kind::tcp(Category::Stream, family);
        Operation::new(make::open(provider, kind, None))
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
    /// As [`ConnectionSocket::connect`]. The socket comes back.
    ///
    /// [PFN_WSK_CONNECT](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_connect)
    #[doc(alias = "WskConnect")]
    pub fn connect(self, remote: SocketAddr) -> Commit<Connect> {
        let operation = Operation::new(connection::connect(self.socket.core(), remote));
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

mod sealed {
    use super::{ConnectionSocket, FromSocket, ListenSocket, Request, Result};
    use crate::socket::request::{Connect, Listen};

    /// A request that makes something else of a stream socket.
    pub trait Commits: Request<Output = Result<()>> {
        /// What it makes of it.
        #[expect(private_bounds, reason = "how, is the library's own")]
        type Socket: FromSocket;
    }

    impl Commits for Listen {
        type Socket = ListenSocket;
    }

    impl Commits for Connect {
        type Socket = ConnectionSocket;
    }
}

use sealed::Commits;

/// A stream socket on its way to become a listening or a connected one: to be awaited or waited for.
///
/// It gives the socket that it has become, or why not, and the stream socket. Dropping it closes the
/// socket.
#[derive(Debug)]
#[must_use = "dropping it closes the socket"]
pub struct Commit<R: Commits> {
    operation: Operation<R>,
    /// There until the result is.
    socket: Option<StreamSocket>,
}

type Committed<R> = core::result::Result<<R as Commits>::Socket, (Error, StreamSocket)>;

impl<R: Commits> Commit<R> {
    fn new(operation: Operation<R>, socket: StreamSocket) -> Self {
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
        become_of::<R>(operation.wait(passive), socket)
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
        become_of::<R>(operation.wait_timeout(timeout, passive), socket)
    }
}

impl<R: Commits> Future for Commit<R> {
    type Output = Committed<R>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        Pin::new(&mut this.operation)
            .poll(context)
            .map(|result| become_of::<R>(result, this.socket.take()))
    }
}

fn become_of<R: Commits>(result: Result<()>, socket: Option<StreamSocket>) -> Committed<R> {
    let socket = socket.expect("there until the result is");
    match result {
        Ok(()) => Ok(FromSocket::from_socket(socket.socket)),
        Err(error) => Err((error, socket)),
    }
}
