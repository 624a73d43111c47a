//! Control operations, each as a method of the sockets that have it.

use core::net::SocketAddr;

use wsk_sys::{
    SIO_ADDRESS_LIST_CHANGE, SIO_KEEPALIVE_VALS, SIO_LOOPBACK_FAST_PATH,
    SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT, SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS,
    SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS, SIO_WSK_QUERY_IDEAL_SEND_BACKLOG,
    SIO_WSK_QUERY_RECEIVE_BACKLOG, SIO_WSK_SET_TCP_SILENT_MODE,
};

use super::{
    basic::BasicSocket,
    commit::Commit,
    connection::ConnectionSocket,
    control::{Ioctl, Write},
    datagram::DatagramSocket,
    halves::WriteHalf,
    listen::ListenSocket,
    request::{AddressListChange, SetOption, Silence},
    stream::StreamSocket,
};
use crate::{
    event::inspect::InspectId,
    ioctl::{AddressList, KeepAlive},
    irql::Passive,
    mem::buffer::Buffer,
    op::{
        calls::{
            Started,
            control::{self, Control},
        },
        core::CoreRef,
        operation::{Ended, Finish, Operation},
        slot::{Arguments, Refusal},
    },
    status::{Error, Result, Status},
};

const CALL: &str = "WskControlSocket";

/// Asks for a size: `Result<usize>`.
#[derive(Debug)]
pub enum QuerySize {}

impl Finish for QuerySize {
    const CALL: &'static str = CALL;
    type Output = Result<usize>;

    fn finish(ended: Ended) -> Self::Output {
        let size = usize::try_from(ended.finished.extra[0]).ok();
        let complete = ended.result? == size_of::<u64>();
        size.filter(|_| complete)
            .ok_or(Error::new(CALL, Status::INVALID_BUFFER_SIZE))
    }

    fn refuse(refusal: Refusal) -> Self::Output {
        Err(refusal.error)
    }
}

/// A `SIZE_T` [wsk 5.2].
fn query_size(core: &CoreRef, ioctl: u32) -> Operation<QuerySize> {
    Operation::new(control::ask(core, Control::ioctl(ioctl), 8))
}

fn ideal_send_backlog(core: &CoreRef) -> Operation<QuerySize> {
    query_size(core, SIO_WSK_QUERY_IDEAL_SEND_BACKLOG)
}

fn keep_alive(core: &CoreRef, keep_alive: Option<KeepAlive>) -> Started {
    let encoded = KeepAlive::encode(keep_alive);
    let (extra, length) = encoded.ok_or(Error::new(CALL, Status::INVALID_PARAMETER))?;
    let mut arguments = Arguments::none();
    (arguments.extra, arguments.extra_length) = (extra, length);
    control::put(core, Control::ioctl(SIO_KEEPALIVE_VALS), arguments)
}

fn loopback_fast_path(core: &CoreRef, on: bool) -> Started {
    let mut arguments = Arguments::none();
    arguments.put_extra(u32::from(on));
    control::put(core, Control::ioctl(SIO_LOOPBACK_FAST_PATH), arguments)
}

/// Control operations of connections.
impl ConnectionSocket {
    /// How many bytes should be outstanding in sends for the best throughput; once it is connected.
    /// It changes with the connection: see [`BacklogWriter`](crate::BacklogWriter) and
    /// [`ConnectionEvents`](crate::ConnectionEvents).
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState): not connected; or what `WskControlSocket`
    /// says.
    ///
    /// [SIO_WSK_QUERY_IDEAL_SEND_BACKLOG](https://learn.microsoft.com/windows-hardware/drivers/network/sio-wsk-query-ideal-send-backlog)
    #[doc(alias = "SIO_WSK_QUERY_IDEAL_SEND_BACKLOG")]
    pub fn ideal_send_backlog(&self) -> Operation<QuerySize> {
        ideal_send_backlog(self.socket.core())
    }

    /// How many bytes have been received and wait to be taken; once it is connected.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`ideal_send_backlog`](Self::ideal_send_backlog).
    ///
    /// [SIO_WSK_QUERY_RECEIVE_BACKLOG](https://learn.microsoft.com/windows-hardware/drivers/network/sio-wsk-query-receive-backlog)
    #[doc(alias = "SIO_WSK_QUERY_RECEIVE_BACKLOG")]
    pub fn receive_backlog(&self) -> Operation<QuerySize> {
        query_size(self.socket.core(), SIO_WSK_QUERY_RECEIVE_BACKLOG)
    }

    /// Has an idle peer asked for signs of life, at these times; or not at all.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) for more than 49 days; or what
    /// `WskControlSocket` says.
    ///
    /// [SIO_KEEPALIVE_VALS](https://learn.microsoft.com/windows/win32/winsock/sio-keepalive-vals)
    #[doc(alias = "SIO_KEEPALIVE_VALS")]
    pub fn set_keep_alive(&self, values: Option<KeepAlive>) -> Operation<SetOption> {
        Operation::new(keep_alive(self.socket.core(), values))
    }

    /// Makes the connection send nothing more, not even a reset when it is closed, and drop what
    /// comes. No send or disconnect may be in flight, and the peer must not be on this system.
    /// Afterwards it can only be closed.
    ///
    /// Since Windows 8.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState) or what `WskControlSocket` says. The
    /// connection comes back.
    ///
    /// ```no_run
    /// # async fn f(connection: wsk::ConnectionSocket) -> wsk::Result<()> {
    /// match connection.silence().await {
    ///     Ok(silent) => silent.close().await,
    ///     Err((error, _connection)) => Err(error), // dropped: closed with a reset
    /// }
    /// # }
    /// ```
    ///
    /// [SIO_WSK_SET_TCP_SILENT_MODE](https://learn.microsoft.com/windows-hardware/drivers/network/sio-wsk-set-tcp-silent-mode)
    #[doc(alias = "SIO_WSK_SET_TCP_SILENT_MODE")]
    pub fn silence(self) -> Commit<Silence> {
        let control = Control::ioctl(SIO_WSK_SET_TCP_SILENT_MODE);
        let started = control::put(self.socket.core(), control, Arguments::none());
        Commit::new(Operation::new(started), self)
    }

    /// The id of the inspection by which it was let in, if its listener inspects.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState): it was not accepted by a listener that
    /// inspects.
    ///
    /// [SIO_WSK_QUERY_INSPECT_ID](https://learn.microsoft.com/windows-hardware/drivers/network/sio-wsk-query-inspect-id)
    #[doc(alias = "SIO_WSK_QUERY_INSPECT_ID")]
    pub fn inspect_id(&self) -> Result<InspectId> {
        control::inspect_id(self.socket.core()).map(InspectId::from_raw)
    }

    /// Reads the redirect records of an accepted connection that a callout of the filtering
    /// platform has redirected here: opaque bytes, to be set on the connection that a proxy makes.
    /// If `output` is too short, [`needed`](crate::Controlled::needed) says how long it has to be.
    ///
    /// Since Windows 8.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// What `WskControlSocket` says. The buffer always comes back.
    ///
    /// [SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS](https://learn.microsoft.com/windows-hardware/drivers/network/sio-query-wfp-connection-redirect-records)
    #[doc(alias = "SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS")]
    pub fn redirect_records(&self, output: Buffer, passive: Passive) -> Operation<Ioctl> {
        let ioctl = SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS;
        self.passive_query(ioctl, output, passive)
    }

    /// Reads the redirect context of an accepted connection, as
    /// [`redirect_records`](Self::redirect_records) reads the records.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// [SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT](https://learn.microsoft.com/windows-hardware/drivers/network/sio-query-wfp-connection-redirect-context)
    #[doc(alias = "SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT")]
    pub fn redirect_context(&self, output: Buffer, passive: Passive) -> Operation<Ioctl> {
        let ioctl = SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT;
        self.passive_query(ioctl, output, passive)
    }

    fn passive_query(&self, ioctl: u32, output: Buffer, passive: Passive) -> Operation<Ioctl> {
        Passive::check(passive);
        let (core, control) = (self.socket.core(), Control::ioctl(ioctl));
        Operation::new(control::exchange(core, control, None, Some(output)))
    }

    /// Sets redirect records that were read from an accepted connection, before it is connected.
    ///
    /// Since Windows 8.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// What `WskControlSocket` says. The buffer always comes back.
    ///
    /// [SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS](https://learn.microsoft.com/windows-hardware/drivers/network/sio-set-wfp-connection-redirect-records)
    #[doc(alias = "SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS")]
    pub fn set_redirect_records(&self, records: Buffer, passive: Passive) -> Operation<Write> {
        Passive::check(passive);
        let control = Control::ioctl(SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS);
        let core = self.socket.core();
        Operation::new(control::exchange(core, control, Some(records), None))
    }
}

impl WriteHalf {
    /// See [`ConnectionSocket::ideal_send_backlog`].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn ideal_send_backlog(&self) -> Operation<QuerySize> {
        ideal_send_backlog(self.core())
    }
}

macro_rules! loopback_fast_path {
    ($($socket:ident)*) => {$(
        impl $socket {
            /// Whether loopback connections take the way around most of the stack; on both ends,
            /// before they are connected. Deprecated by Microsoft. Since Windows 8.
            ///
            /// IRQL: PASSIVE_LEVEL.
            ///
            /// # Errors
            ///
            /// [`NotSupported`](crate::ErrorKind::NotSupported), or what `WskControlSocket` says.
            ///
            /// [SIO_LOOPBACK_FAST_PATH](https://learn.microsoft.com/windows-hardware/drivers/network/sio-loopback-fast-path)
            #[doc(alias = "SIO_LOOPBACK_FAST_PATH")]
            pub fn set_loopback_fast_path(
                &self,
                on: bool,
                passive: Passive,
            ) -> Operation<SetOption> {
                Passive::check(passive);
                Operation::new(loopback_fast_path(self.socket.core(), on))
            }
        }
    )*};
}

loopback_fast_path!(ConnectionSocket ListenSocket StreamSocket);

/// How often the list of addresses may grow while it is asked for.
const ATTEMPTS: usize = 8;

fn address_list(core: &CoreRef) -> Result<AddressList> {
    let mut size = 512;
    for _ in 0..ATTEMPTS {
        let mut list = AddressList::with_room(size)?;
        let returned = control::address_list(core, list.bytes())?;
        match returned.status {
            Status::BUFFER_OVERFLOW | Status::BUFFER_TOO_SMALL => size = returned.size,
            status if status.is_success() => return Ok(list),
            status => return Err(Error::new(CALL, status)),
        }
    }
    Err(Error::new(CALL, Status::BUFFER_OVERFLOW))
}

/// Brings `addresses` into the order that the system gives.
fn sort_addresses(core: &CoreRef, addresses: &mut [SocketAddr]) -> Result<()> {
    let mut input = AddressList::of(addresses)?;
    let mut output = AddressList::with_room(input.bytes().len())?;
    let returned = control::sort_addresses(core, &mut input, &mut output)?;
    if !returned.status.is_success() {
        return Err(Error::new(CALL, returned.status));
    }
    // The sorted list may refer to the addresses of either.
    let (start, memory) = (input.bytes().as_ptr().addr(), &*input.bytes());
    let sorted = || output.entries(start, memory).chain(output.iter());
    if sorted().count() != addresses.len() {
        return Err(Error::new(CALL, Status::INVALID_BUFFER_SIZE));
    }
    for (place, address) in addresses.iter_mut().zip(sorted()) {
        *place = address;
    }
    Ok(())
}

macro_rules! address_lists {
    ($($socket:ident)*) => {$(
        /// The addresses of the system.
        impl $socket {
            /// The local addresses of the socket's family.
            ///
            /// IRQL: PASSIVE_LEVEL.
            ///
            /// # Errors
            ///
            /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory), or what `WskControlSocket` says.
            ///
            /// [SIO_ADDRESS_LIST_QUERY](https://learn.microsoft.com/windows-hardware/drivers/network/sio-address-list-query)
            #[doc(alias = "SIO_ADDRESS_LIST_QUERY")]
            pub fn address_list(&self, passive: Passive) -> Result<AddressList> {
                Passive::check(passive);
                address_list(self.socket.core())
            }

            /// Completes when the list of local addresses of the socket's family has changed.
            ///
            /// IRQL: PASSIVE_LEVEL.
            ///
            /// # Errors
            ///
            /// What `WskControlSocket` says.
            ///
            /// [SIO_ADDRESS_LIST_CHANGE](https://learn.microsoft.com/windows-hardware/drivers/network/sio-address-list-change)
            #[doc(alias = "SIO_ADDRESS_LIST_CHANGE")]
            pub fn address_list_change(&self, passive: Passive) -> Operation<AddressListChange> {
                Passive::check(passive);
                let control = Control::ioctl(SIO_ADDRESS_LIST_CHANGE);
                let core = self.socket.core();
                Operation::new(control::put(core, control, Arguments::none()))
            }

            /// Sorts `addresses`, the best destination first.
            ///
            /// IRQL: PASSIVE_LEVEL.
            ///
            /// # Errors
            ///
            /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory), or what `WskControlSocket` says.
            ///
            /// [SIO_ADDRESS_LIST_SORT](https://learn.microsoft.com/windows/win32/winsock/winsock-ioctls)
            #[doc(alias = "SIO_ADDRESS_LIST_SORT")]
            pub fn sort_addresses(
                &self,
                addresses: &mut [SocketAddr],
                passive: Passive,
            ) -> Result<()> {
                Passive::check(passive);
                sort_addresses(self.socket.core(), addresses)
            }
        }
    )*};
}

address_lists!(BasicSocket ConnectionSocket DatagramSocket ListenSocket StreamSocket);
