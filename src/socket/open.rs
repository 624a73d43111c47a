//! Opening sockets that belong to somebody in particular.

use core::net::SocketAddr;

use super::{
    basic::BasicSocket,
    conditional::OpenConditional,
    connection::ConnectionSocket,
    datagram::DatagramSocket,
    listen::ListenSocket,
    request::{FromSocket, Open, OpenConnected},
    stream::StreamSocket,
};
use crate::{
    addr::AddressFamily,
    event::{
        datagram::{Bound, DatagramEvents},
        listen::{ListenEvents, Listening},
    },
    op::{
        calls::{
            Category,
            make::{self, Kind},
        },
        handler::Handler,
        operation::{Finish, Operation},
    },
    owner::{Owner, Process, Thread},
    registration::Provider,
    security::SecurityDescriptor,
    transport::{Protocol, SocketType},
};

/// How a socket is opened: whom it belongs to, and who else may use its address. What is not said
/// is as without options: the current process, no sharing [wsk 4.5].
///
/// ```no_run
/// use wsk::{AddressFamily, OpenOptions, Process, Provider};
///
/// # async fn f(provider: &Provider) -> wsk::Result<()> {
/// let options = OpenOptions::new().process(&Process::current());
/// let connection = options.connection(provider, AddressFamily::Inet).await?;
/// # drop(connection);
/// # Ok(())
/// # }
/// ```
///
/// [PFN_WSK_SOCKET](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_socket)
#[derive(Clone, Debug, Default)]
#[must_use = "options open nothing by themselves"]
pub struct OpenOptions {
    owner: Owner,
}

impl OpenOptions {
    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// The process that the socket belongs to.
    pub fn process(mut self, process: &Process) -> Self {
        self.owner.process = Some(process.clone());
        self
    }

    /// The thread in whose security context the address is bound.
    pub fn thread(mut self, thread: &Thread) -> Self {
        self.owner.thread = Some(thread.clone());
        self
    }

    /// Who may share the socket's address.
    pub fn security(mut self, descriptor: &SecurityDescriptor) -> Self {
        self.owner.security = Some(descriptor.clone());
        self
    }

    /// As [`BasicSocket::open`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn basic(
        &self,
        provider: &Provider,
        family: AddressFamily,
        socket_type: SocketType,
        protocol: Protocol,
    ) -> Operation<Open<BasicSocket>> {
        let kind = Kind {
            category: Category::Basic,
            family,
            socket_type,
            protocol,
        };
        self.open(provider, kind, None)
    }

    /// As [`ListenSocket::open`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn listen(
        &self,
        provider: &Provider,
        family: AddressFamily,
    ) -> Operation<Open<ListenSocket>> {
        self.open(provider, Kind::tcp(Category::Listen, family), None)
    }

    /// As [`ListenSocket::open_with`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn listen_with<H: ListenEvents>(
        &self,
        provider: &Provider,
        family: AddressFamily,
        handler: H,
    ) -> Operation<Open<ListenSocket>> {
        match Listening::handler(handler) {
            Ok(handler) => self.open(provider, Kind::tcp(Category::Listen, family), Some(handler)),
            Err(error) => Operation::new(Err(error.into())),
        }
    }

    /// As [`ListenSocket::open_conditional`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn listen_conditional<H: ListenEvents>(
        &self,
        provider: &Provider,
        family: AddressFamily,
        handler: H,
    ) -> OpenConditional {
        OpenConditional::new(self.listen_with(provider, family, handler))
    }

    /// As [`ConnectionSocket::open`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn connection(
        &self,
        provider: &Provider,
        family: AddressFamily,
    ) -> Operation<Open<ConnectionSocket>> {
        self.open(provider, Kind::tcp(Category::Connection, family), None)
    }

    /// As [`ConnectionSocket::connect_from`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn connect_from(
        &self,
        provider: &Provider,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Operation<OpenConnected> {
        let owner = self.owner.clone();
        Operation::new(make::open_connected(provider, local, remote, owner))
    }

    /// As [`StreamSocket::open`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn stream(
        &self,
        provider: &Provider,
        family: AddressFamily,
    ) -> Operation<Open<StreamSocket>> {
        self.open(provider, Kind::tcp(Category::Stream, family), None)
    }

    /// As [`DatagramSocket::open`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn datagram(
        &self,
        provider: &Provider,
        family: AddressFamily,
    ) -> Operation<Open<DatagramSocket>> {
        self.open(provider, Kind::udp(family), None)
    }

    /// As [`DatagramSocket::open_with`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn datagram_with<H: DatagramEvents>(
        &self,
        provider: &Provider,
        family: AddressFamily,
        handler: H,
    ) -> Operation<Open<DatagramSocket>> {
        match Bound::handler(handler) {
            Ok(handler) => self.open(provider, Kind::udp(family), Some(handler)),
            Err(error) => Operation::new(Err(error.into())),
        }
    }

    fn open<S: FromSocket>(
        &self,
        provider: &Provider,
        kind: Kind,
        handler: Option<Handler>,
    ) -> Operation<Open<S>>
    where
        Open<S>: Finish,
    {
        Operation::new(make::open(provider, kind, handler, self.owner.clone()))
    }
}
