//! The dispatch tables: the provider's, and one for each category of sockets [wsk 4.1, 4.10].

use core::ffi::c_void;

use wsk_sys::{
    WSK_CLIENT_VERSION_1_0, WSK_FLAG_BASIC_SOCKET, WSK_FLAG_CONNECTION_SOCKET,
    WSK_FLAG_DATAGRAM_SOCKET, WSK_FLAG_LISTEN_SOCKET, WSK_FLAG_STREAM_SOCKET,
    WSK_PROVIDER_BASIC_DISPATCH, WSK_PROVIDER_CONNECTION_DISPATCH_FULL,
    WSK_PROVIDER_DATAGRAM_DISPATCH_FULL, WSK_PROVIDER_DISPATCH, WSK_PROVIDER_LISTEN_DISPATCH_FULL,
    WSK_PROVIDER_STREAM_DISPATCH_FULL,
};

use super::{accept, bind, close, connect, control, datagram, datagram_send, indication, inspect};
use super::{names, provider, receive, send};

/// A socket category [wsk 4.2].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    Basic,
    Listen,
    Connection,
    Datagram,
    Stream,
}

impl Category {
    pub(super) const ALL: [Self; 5] = [
        Self::Basic,
        Self::Listen,
        Self::Connection,
        Self::Datagram,
        Self::Stream,
    ];

    /// The category that the flags of `WskSocket` name, if this Windows has it.
    pub(super) fn from_flags(flags: u32, windows: Windows) -> Option<Self> {
        match flags {
            WSK_FLAG_BASIC_SOCKET => Some(Self::Basic),
            WSK_FLAG_LISTEN_SOCKET => Some(Self::Listen),
            WSK_FLAG_CONNECTION_SOCKET => Some(Self::Connection),
            WSK_FLAG_DATAGRAM_SOCKET => Some(Self::Datagram),
            WSK_FLAG_STREAM_SOCKET if windows.has(Windows::Ten1703) => Some(Self::Stream),
            _ => None,
        }
    }

    /// The name of the table that has a function of these categories, on a socket of this one.
    pub(super) fn name_of_table(self, categories: &[Self]) -> &'static str {
        match self {
            // What every category has is in the part that all tables begin with.
            _ if categories.len() == Self::ALL.len() => "WSK_PROVIDER_BASIC_DISPATCH",
            Self::Basic => "WSK_PROVIDER_BASIC_DISPATCH",
            Self::Listen => "WSK_PROVIDER_LISTEN_DISPATCH",
            Self::Connection => "WSK_PROVIDER_CONNECTION_DISPATCH",
            Self::Datagram => "WSK_PROVIDER_DATAGRAM_DISPATCH",
            Self::Stream => "WSK_PROVIDER_STREAM_DISPATCH",
        }
    }

    /// The table of its sockets.
    pub(super) fn table(self, windows: Windows) -> *const c_void {
        let tables = windows.tables();
        match self {
            Self::Basic => (&raw const BASIC).cast(),
            Self::Listen => (&raw const LISTEN).cast(),
            Self::Connection => (&raw const tables.connection).cast(),
            Self::Datagram => (&raw const tables.datagram).cast(),
            Self::Stream => (&raw const tables.stream).cast(),
        }
    }
}

/// The Windows whose tables the provider offers [wsk 2.11]: each has functions that those before
/// it lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Windows {
    /// Windows Vista, the first that has WSK.
    Vista,
    /// Windows 7: with `WskGetAddressInfo`, `WskFreeAddressInfo` and `WskGetNameInfo`.
    Seven,
    /// Windows 8: with `WskSendMessages`.
    Eight,
    /// Windows 10, version 1703: with stream sockets and `WskConnectEx`.
    Ten1703,
    /// Windows 10, version 1809, and later: with `WskSendEx` and `WskReceiveEx`.
    Ten1809,
}

impl Windows {
    const ALL: [Self; 5] = [
        Self::Vista,
        Self::Seven,
        Self::Eight,
        Self::Ten1703,
        Self::Ten1809,
    ];

    const fn has(self, function_of: Self) -> bool {
        self as usize >= function_of as usize
    }

    fn tables(self) -> &'static Tables {
        &TABLES[self as usize]
    }

    /// The provider's table.
    pub(super) fn provider(self) -> *const WSK_PROVIDER_DISPATCH {
        &raw const self.tables().provider
    }
}

/// The tables that depend on Windows.
struct Tables {
    provider: WSK_PROVIDER_DISPATCH,
    connection: WSK_PROVIDER_CONNECTION_DISPATCH_FULL,
    datagram: WSK_PROVIDER_DATAGRAM_DISPATCH_FULL,
    stream: WSK_PROVIDER_STREAM_DISPATCH_FULL,
}

static TABLES: [Tables; Windows::ALL.len()] = {
    let [vista, seven, eight, ten_1703, ten_1809] = Windows::ALL;
    [
        tables(vista),
        tables(seven),
        tables(eight),
        tables(ten_1703),
        tables(ten_1809),
    ]
};

const fn tables(windows: Windows) -> Tables {
    let mut all = Tables {
        provider: PROVIDER,
        connection: CONNECTION,
        datagram: DATAGRAM,
        stream: STREAM,
    };
    if !windows.has(Windows::Seven) {
        all.provider.WskGetAddressInfo = None;
        all.provider.WskFreeAddressInfo = None;
        all.provider.WskGetNameInfo = None;
    }
    if !windows.has(Windows::Eight) {
        all.datagram.WskSendMessages = None;
    }
    if !windows.has(Windows::Ten1703) {
        all.connection.WskConnectEx = None;
    }
    if !windows.has(Windows::Ten1809) {
        all.connection.WskSendEx = None;
        all.connection.WskReceiveEx = None;
        all.stream.WskSendEx = None;
        all.stream.WskReceiveEx = None;
    }
    all
}

/// The provider's table.
const PROVIDER: WSK_PROVIDER_DISPATCH = WSK_PROVIDER_DISPATCH {
    Version: WSK_CLIENT_VERSION_1_0,
    Reserved: 0,
    WskSocket: Some(provider::wsk_socket),
    WskSocketConnect: Some(provider::wsk_socket_connect),
    WskControlClient: Some(control::client::wsk_control_client),
    WskGetAddressInfo: Some(names::wsk_get_address_info),
    WskFreeAddressInfo: Some(names::wsk_free_address_info),
    WskGetNameInfo: Some(names::wsk_get_name_info),
};

static BASIC: WSK_PROVIDER_BASIC_DISPATCH = PREFIX;

const PREFIX: WSK_PROVIDER_BASIC_DISPATCH = WSK_PROVIDER_BASIC_DISPATCH {
    WskControlSocket: Some(control::wsk_control_socket),
    WskCloseSocket: Some(close::wsk_close_socket),
};

static LISTEN: WSK_PROVIDER_LISTEN_DISPATCH_FULL = WSK_PROVIDER_LISTEN_DISPATCH_FULL {
    Basic: PREFIX,
    WskBind: Some(bind::wsk_bind),
    WskAccept: Some(accept::wsk_accept),
    WskInspectComplete: Some(inspect::wsk_inspect_complete),
    WskGetLocalAddress: Some(bind::wsk_get_local_address),
};

const CONNECTION: WSK_PROVIDER_CONNECTION_DISPATCH_FULL = WSK_PROVIDER_CONNECTION_DISPATCH_FULL {
    Basic: PREFIX,
    WskBind: Some(bind::wsk_bind),
    WskConnect: Some(connect::wsk_connect),
    WskGetLocalAddress: Some(bind::wsk_get_local_address),
    WskGetRemoteAddress: Some(bind::wsk_get_remote_address),
    WskSend: Some(send::wsk_send),
    WskReceive: Some(receive::wsk_receive),
    WskDisconnect: Some(send::wsk_disconnect),
    WskRelease: Some(indication::wsk_release),
    WskConnectEx: Some(connect::wsk_connect_ex),
    WskSendEx: Some(send::wsk_send_ex),
    WskReceiveEx: Some(receive::wsk_receive_ex),
};

const DATAGRAM: WSK_PROVIDER_DATAGRAM_DISPATCH_FULL = WSK_PROVIDER_DATAGRAM_DISPATCH_FULL {
    Basic: PREFIX,
    WskBind: Some(bind::wsk_bind),
    WskSendTo: Some(datagram_send::wsk_send_to),
    WskReceiveFrom: Some(datagram::wsk_receive_from),
    WskRelease: Some(datagram::wsk_release),
    WskGetLocalAddress: Some(bind::wsk_get_local_address),
    WskSendMessages: Some(datagram_send::wsk_send_messages),
};

const STREAM: WSK_PROVIDER_STREAM_DISPATCH_FULL = WSK_PROVIDER_STREAM_DISPATCH_FULL {
    Basic: PREFIX,
    WskBind: Some(bind::wsk_bind),
    WskAccept: Some(accept::wsk_accept),
    WskConnect: Some(connect::wsk_connect),
    WskListen: Some(accept::wsk_listen),
    WskSend: Some(send::wsk_send),
    WskReceive: Some(receive::wsk_receive),
    WskDisconnect: Some(send::wsk_disconnect),
    WskRelease: Some(indication::wsk_release),
    WskGetLocalAddress: Some(bind::wsk_get_local_address),
    WskGetRemoteAddress: Some(bind::wsk_get_remote_address),
    WskConnectEx: Some(connect::wsk_connect_ex),
    WskSendEx: Some(send::wsk_send_ex),
    WskReceiveEx: Some(receive::wsk_receive_ex),
};
