//! Options of sockets, typed.
//!
//! An option is a constant that carries its level and number, the type of its value, the sockets
//! that have it, whether it can be read and written, and when it may be set: what does not fit does
//! not compile, and a wrong moment is [`InvalidState`](crate::ErrorKind::InvalidState).
//!
//! ```no_run
//! use core::time::Duration;
//! use wsk::{ConnectionSocket, option};
//!
//! async fn set_up(connection: &ConnectionSocket) -> wsk::Result<()> {
//!     connection.set_option(&option::KEEP_ALIVE, true).await?;
//!     let idle = Duration::from_secs(60);
//!     connection.set_option(&option::tcp::KEEP_ALIVE_IDLE, idle).await?;
//!     let window = connection.option(&option::RECEIVE_BUFFER).await?;
//!     assert!(window > 0);
//!     Ok(())
//! }
//! ```
//!
//! [WSK socket options](https://learn.microsoft.com/windows-hardware/drivers/network/winsock-kernel-socket-options)

use core::{fmt, marker::PhantomData};

use wsk_sys::{
    SO_BROADCAST, SO_CONDITIONAL_ACCEPT, SO_EXCLUSIVEADDRUSE, SO_KEEPALIVE, SO_RCVBUF,
    SO_REUSEADDR, SOL_SOCKET,
};

pub(crate) mod codec;
pub mod ipv4;
pub mod ipv6;
pub mod tcp;
pub mod udp;

pub use self::codec::{
    Codec, Flag, GroupV4, GroupV6, IcmpError, IcmpErrorInfo, InterfaceV4, MembershipV4,
    MembershipV6, Milliseconds, Number, Seconds, Signed,
};
use crate::{
    op::{calls::control::Control, core::Stage},
    socket::{
        basic::BasicSocket, connection::ConnectionSocket, datagram::DatagramSocket,
        listen::ListenSocket, stream::StreamSocket,
    },
};

/// An option whose value is a `C`, of the sockets in `On`, for `Access`.
pub struct SocketOption<C, On, Access = ReadWrite> {
    level: u32,
    name: u32,
    moment: Moment,
    types: Types<C, On, Access>,
}

type Types<C, On, Access> = PhantomData<fn() -> (C, On, Access)>;

/// When an option may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// At any time.
    Any,
    /// Before the socket is bound.
    BeforeBind,
    /// Before the socket is connected.
    BeforeConnect,
}

impl<C, On, Access> SocketOption<C, On, Access> {
    const fn new(level: u32, name: u32, moment: Moment) -> Self {
        Self {
            level,
            name,
            moment,
            types: PhantomData,
        }
    }

    /// The level: `SOL_SOCKET` or a protocol.
    #[must_use]
    pub const fn level(&self) -> u32 {
        self.level
    }

    /// The number within the level.
    #[must_use]
    pub const fn name(&self) -> u32 {
        self.name
    }

    /// When it may be set. It may be read at any time.
    #[must_use]
    pub const fn moment(&self) -> Moment {
        self.moment
    }

    pub(crate) const fn to_set(&self) -> Control {
        Control::set(self.level, self.name)
    }

    pub(crate) const fn to_get(&self) -> Control {
        Control::get(self.level, self.name)
    }
}

impl<C, On, Access> fmt::Debug for SocketOption<C, On, Access> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketOption")
            .field("level", &self.level)
            .field("name", &self.name)
            .field("moment", &self.moment)
            .finish_non_exhaustive()
    }
}

impl Moment {
    /// The stage at which it is over.
    pub(crate) const fn ends_with(self) -> Option<Stage> {
        match self {
            Self::Any => None,
            Self::BeforeBind => Some(Stage::Bound),
            Self::BeforeConnect => Some(Stage::Connected),
        }
    }
}

mod sealed {
    pub trait Readable {}
    pub trait Writable {}
    pub trait Takes<On> {}
}

/// An access that includes reading.
pub trait Readable: sealed::Readable {}

/// An access that includes writing.
pub trait Writable: sealed::Writable {}

/// A socket that has the options of `On`.
#[diagnostic::on_unimplemented(message = "sockets of the type `{Self}` do not have this option")]
pub trait Takes<On>: sealed::Takes<On> {}

/// The option can be read and written.
#[derive(Debug)]
pub enum ReadWrite {}

/// The option can be read.
#[derive(Debug)]
pub enum ReadOnly {}

/// The option can be written.
#[derive(Debug)]
pub enum WriteOnly {}

macro_rules! access {
    ($($access:ident: $($capability:ident)+;)*) => {
        $($(
            impl sealed::$capability for $access {}
            impl $capability for $access {}
        )+)*
    };
}

access! {
    ReadWrite: Readable Writable;
    ReadOnly: Readable;
    WriteOnly: Writable;
}

/// Sockets for connections: listening, connected, or yet to decide; and basic ones.
#[derive(Debug)]
pub enum OfTcp {}

/// Listening sockets.
#[derive(Debug)]
pub enum OfListeners {}

/// Datagram sockets.
#[derive(Debug)]
pub enum OfDatagrams {}

/// Sockets of every category.
#[derive(Debug)]
pub enum OfAll {}

macro_rules! sets {
    ($($set:ident: $($socket:ident)+;)*) => {
        $($(
            impl sealed::Takes<$set> for $socket {}
            impl Takes<$set> for $socket {}
        )+)*
    };
}

sets! {
    OfTcp: BasicSocket ListenSocket ConnectionSocket StreamSocket;
    OfListeners: ListenSocket;
    OfDatagrams: DatagramSocket;
    OfAll: BasicSocket ListenSocket ConnectionSocket DatagramSocket StreamSocket;
}

/// Declares the options of one level.
macro_rules! options {
    (
        $level:expr;
        $($(#[$doc:meta])*
        $name:ident: $codec:ident, $on:ident $(, $access:ident)? = $number:expr, $moment:ident;)*
    ) => {
        $($(#[$doc])*
        pub const $name: crate::option::SocketOption<
            crate::option::codec::$codec,
            crate::option::$on
            $(, crate::option::$access)?
        > = crate::option::SocketOption::new($level, $number, crate::option::Moment::$moment);)*
    };
}

use options;

options! {
    SOL_SOCKET;

    /// Whether datagrams may be sent to broadcast addresses. Off at first. `SO_BROADCAST`
    ///
    /// [SO_BROADCAST](https://learn.microsoft.com/windows-hardware/drivers/network/so-broadcast)
    BROADCAST: Flag, OfDatagrams = SO_BROADCAST, Any;

    /// Whether connections are inspected before they are established: to be set by
    /// [`open_conditional`](crate::ListenSocket::open_conditional).
    /// `SO_CONDITIONAL_ACCEPT`
    ///
    /// [SO_CONDITIONAL_ACCEPT](https://learn.microsoft.com/windows-hardware/drivers/network/so-conditional-accept)
    CONDITIONAL_ACCEPT: Flag, OfListeners, ReadOnly = SO_CONDITIONAL_ACCEPT, BeforeBind;

    /// Whether no other socket may bind to the address, whatever it asks for. Off at first; before
    /// the bind. `SO_EXCLUSIVEADDRUSE`
    ///
    /// [SO_EXCLUSIVEADDRUSE](https://learn.microsoft.com/windows-hardware/drivers/network/so-exclusiveaddruse)
    EXCLUSIVE_ADDRESS_USE: Flag, OfAll = SO_EXCLUSIVEADDRUSE.cast_unsigned(), BeforeBind;

    /// Whether the transport asks an idle peer for a sign of life. Off at first; a listener passes
    /// it on to what it accepts [wsk 5.3]. `SO_KEEPALIVE`
    ///
    /// [SO_KEEPALIVE](https://learn.microsoft.com/windows-hardware/drivers/network/so-keepalive)
    KEEP_ALIVE: Flag, OfTcp = SO_KEEPALIVE, Any;

    /// How many bytes the transport buffers for receiving. A listener passes it on to what it
    /// accepts [wsk 5.3]. `SO_RCVBUF`
    ///
    /// [SO_RCVBUF](https://learn.microsoft.com/windows-hardware/drivers/network/so-rcvbuf)
    RECEIVE_BUFFER: Number, OfAll = SO_RCVBUF, Any;

    /// Whether the address may be one that others use who have set the same. Off at first; before
    /// the bind. `SO_REUSEADDR`
    ///
    /// [SO_REUSEADDR](https://learn.microsoft.com/windows-hardware/drivers/network/so-reuseaddr)
    REUSE_ADDRESS: Flag, OfAll = SO_REUSEADDR, BeforeBind;
}
