//! Categories, and the dispatch table of each: the only place that knows their slots.
//!
//! The same function has another place in each table [wsk 4.10]. A socket is therefore called by
//! the table of the category that it was made with, which its core keeps for good. A function that
//! this table does not have gives `None`, as does a slot that is null.
//!
//! A table does not say how long it is; that of an older Windows ends before functions that were
//! added later, the last of them with Windows 10, version 1809 [wsk 2.11]. Nothing reads past it,
//! since this library imports `ExAllocatePool2`: no Windows before 10, version 2004, loads it.

// UNSAFETY: reads the provider's tables.
#![expect(unsafe_code, reason = "reads the provider's tables")]

use core::ffi::c_void;

use wsk_sys::{
    PFN_WSK_ACCEPT, PFN_WSK_BIND, PFN_WSK_CLOSE_SOCKET, PFN_WSK_CONNECT, PFN_WSK_CONNECT_EX,
    PFN_WSK_CONTROL_SOCKET, PFN_WSK_DISCONNECT, PFN_WSK_GET_LOCAL_ADDRESS,
    PFN_WSK_GET_REMOTE_ADDRESS, PFN_WSK_INSPECT_COMPLETE, PFN_WSK_LISTEN, PFN_WSK_RECEIVE,
    PFN_WSK_RECEIVE_FROM, PFN_WSK_SEND, PFN_WSK_SEND_MESSAGES, PFN_WSK_SEND_TO,
    WSK_FLAG_BASIC_SOCKET, WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_DATAGRAM_SOCKET,
    WSK_FLAG_LISTEN_SOCKET, WSK_FLAG_STREAM_SOCKET, WSK_PROVIDER_BASIC_DISPATCH,
    WSK_PROVIDER_CONNECTION_DISPATCH, WSK_PROVIDER_DATAGRAM_DISPATCH, WSK_PROVIDER_LISTEN_DISPATCH,
    WSK_PROVIDER_STREAM_DISPATCH, WSK_SOCKET,
};

/// What WSK made a socket to be [wsk 4.1].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    Basic,
    Listen,
    Connection,
    Datagram,
    Stream,
}

impl Category {
    /// The flag of WskSocket.
    pub(super) const fn flag(self) -> u32 {
        match self {
            Self::Basic => WSK_FLAG_BASIC_SOCKET,
            Self::Listen => WSK_FLAG_LISTEN_SOCKET,
            Self::Connection => WSK_FLAG_CONNECTION_SOCKET,
            Self::Datagram => WSK_FLAG_DATAGRAM_SOCKET,
            Self::Stream => WSK_FLAG_STREAM_SOCKET,
        }
    }
}

/// The table of a socket.
///
/// # Invariants
///
/// `address` is that of a table of `category`, which stays while this is used.
#[derive(Clone, Copy)]
pub(in crate::op) struct Table {
    category: Category,
    address: *const c_void,
}

impl Table {
    /// The table of an open socket.
    ///
    /// # Safety
    ///
    /// `socket` was made as `category`, and is open while the table is used.
    pub(super) unsafe fn of(category: Category, socket: *mut WSK_SOCKET) -> Self {
        // SAFETY: open (the caller's promise); nobody changes it.
        let address = unsafe { (*socket).Dispatch };
        Self { category, address }
    }

    /// What every table begins with [wsk 4.2].
    const fn basic(self) -> *const WSK_PROVIDER_BASIC_DISPATCH {
        self.address.cast()
    }

    pub(in crate::op) fn control(self) -> PFN_WSK_CONTROL_SOCKET {
        // SAFETY: a table (invariant).
        unsafe { (*self.basic()).WskControlSocket }
    }

    pub(super) fn close(self) -> PFN_WSK_CLOSE_SOCKET {
        // SAFETY: a table (invariant).
        unsafe { (*self.basic()).WskCloseSocket }
    }
}

macro_rules! table_of {
    (Listen) => {
        WSK_PROVIDER_LISTEN_DISPATCH
    };
    (Connection) => {
        WSK_PROVIDER_CONNECTION_DISPATCH
    };
    (Datagram) => {
        WSK_PROVIDER_DATAGRAM_DISPATCH
    };
    (Stream) => {
        WSK_PROVIDER_STREAM_DISPATCH
    };
}

macro_rules! functions {
    ($($name:ident: $slot:ident as $function:ty, in $($category:ident)|+;)*) => {
        impl Table {
            $(pub(in crate::op) fn $name(self) -> $function {
                match self.category {
                    $(Category::$category => {
                        let table = self.address.cast::<table_of!($category)>();
                        // SAFETY: a table of this category (invariant); only the slot is read.
                        unsafe { (*table).$slot }
                    })+
                    _ => None,
                }
            })*
        }
    };
}

functions! {
    bind: WskBind as PFN_WSK_BIND, in Listen | Connection | Datagram | Stream;
    accept: WskAccept as PFN_WSK_ACCEPT, in Listen | Stream;
    inspect_complete: WskInspectComplete as PFN_WSK_INSPECT_COMPLETE, in Listen;
    listen: WskListen as PFN_WSK_LISTEN, in Stream;
    connect: WskConnect as PFN_WSK_CONNECT, in Connection | Stream;
    connect_ex: WskConnectEx as PFN_WSK_CONNECT_EX, in Connection | Stream;
    send: WskSend as PFN_WSK_SEND, in Connection | Stream;
    receive: WskReceive as PFN_WSK_RECEIVE, in Connection | Stream;
    send_to: WskSendTo as PFN_WSK_SEND_TO, in Datagram;
    send_messages: WskSendMessages as PFN_WSK_SEND_MESSAGES, in Datagram;
    receive_from: WskReceiveFrom as PFN_WSK_RECEIVE_FROM, in Datagram;
    disconnect: WskDisconnect as PFN_WSK_DISCONNECT, in Connection | Stream;
    local_address: WskGetLocalAddress as PFN_WSK_GET_LOCAL_ADDRESS,
        in Listen | Connection | Datagram | Stream;
    remote_address: WskGetRemoteAddress as PFN_WSK_GET_REMOTE_ADDRESS, in Connection | Stream;
}
