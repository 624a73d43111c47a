//! The control codes of `WskControlSocket`: in C they are macros that call macros, which bindgen
//! does not evaluate.

#![expect(clippy::used_underscore_items, reason = "the names of the C macros")]
#![expect(clippy::cast_possible_truncation, reason = "the size of an integer")]

use wdk_sys::ULONG;

use crate::{
    _IO, _IOR, _IOW, _WSAIO, _WSAIOR, _WSAIORW, _WSAIOW, IOC_IN, IOC_VENDOR, IOC_WS2, IOC_WSK,
};

/// The letter of the control codes in the form of BSD, and the size of what they carry.
const T: ULONG = 't' as ULONG;
const ULONG_SIZE: ULONG = size_of::<ULONG>() as ULONG;

macro_rules! control_codes {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        $($(#[$doc])* pub const $name: ULONG = $value;)*
    };
}

control_codes! {
    // wsk.h
    /// Fixes the peer of a datagram socket; no input clears it.
    SIO_WSK_SET_REMOTE_ADDRESS = _WSAIOW(IOC_WSK, 1);
    /// Registers for an extension interface, by
    /// [`WSK_EXTENSION_CONTROL_IN`](crate::WSK_EXTENSION_CONTROL_IN).
    SIO_WSK_REGISTER_EXTENSION = _WSAIORW(IOC_WSK, 2);
    /// Gives the ideal send backlog of a connection.
    SIO_WSK_QUERY_IDEAL_SEND_BACKLOG = _WSAIOR(IOC_WSK, 3);
    /// Gives how many received bytes wait to be taken.
    SIO_WSK_QUERY_RECEIVE_BACKLOG = _WSAIOR(IOC_WSK, 4);
    /// Gives the inspect id of an accepted connection.
    SIO_WSK_QUERY_INSPECT_ID = _WSAIOR(IOC_WSK, 5);
    /// Sets where a datagram socket sends to when a call names no address.
    SIO_WSK_SET_SENDTO_ADDRESS = _WSAIOW(IOC_WSK, 6);
    /// Silences a connection: nothing more is sent, not even a reset.
    SIO_WSK_SET_TCP_SILENT_MODE = _WSAIO(IOC_WSK, 7);
    /// Sets the callback that receives data with control information.
    SIO_WSK_SET_RECEIVE_EX_CALLBACK = _WSAIOW(IOC_WSK, 8);
    // ws2def.h
    /// Associates the socket with the handle of another interface.
    SIO_ASSOCIATE_HANDLE = _WSAIOW(IOC_WS2, 1);
    /// Lets a full receive queue drop its oldest datagram.
    SIO_ENABLE_CIRCULAR_QUEUEING = _WSAIO(IOC_WS2, 2);
    /// Asks for a route to an address.
    SIO_FIND_ROUTE = _WSAIOR(IOC_WS2, 3);
    /// Discards what is queued for sending.
    SIO_FLUSH = _WSAIO(IOC_WS2, 4);
    /// Gives the broadcast address of the family.
    SIO_GET_BROADCAST_ADDRESS = _WSAIOR(IOC_WS2, 5);
    /// Gives an extension function by its GUID, in user mode.
    SIO_GET_EXTENSION_FUNCTION_POINTER = _WSAIORW(IOC_WS2, 6);
    /// Gives the quality of service of the socket.
    SIO_GET_QOS = _WSAIORW(IOC_WS2, 7);
    /// Gives the quality of service of the socket's group.
    SIO_GET_GROUP_QOS = _WSAIORW(IOC_WS2, 8);
    /// Decides whether multipoint data comes back to its sender.
    SIO_MULTIPOINT_LOOPBACK = _WSAIOW(IOC_WS2, 9);
    /// Sets how far multicast data goes.
    SIO_MULTICAST_SCOPE = _WSAIOW(IOC_WS2, 10);
    /// Sets the quality of service of the socket.
    SIO_SET_QOS = _WSAIOW(IOC_WS2, 11);
    /// Sets the quality of service of the socket's group.
    SIO_SET_GROUP_QOS = _WSAIOW(IOC_WS2, 12);
    /// Gives the socket's handle for another interface.
    SIO_TRANSLATE_HANDLE = _WSAIORW(IOC_WS2, 13);
    /// Gives the local address from which an address is reached.
    SIO_ROUTING_INTERFACE_QUERY = _WSAIORW(IOC_WS2, 20);
    /// Completes when the interface towards an address changes.
    SIO_ROUTING_INTERFACE_CHANGE = _WSAIOW(IOC_WS2, 21);
    /// Gives the local addresses of the family, as
    /// [`SOCKET_ADDRESS_LIST`](crate::SOCKET_ADDRESS_LIST).
    SIO_ADDRESS_LIST_QUERY = _WSAIOR(IOC_WS2, 22);
    /// Completes when the list of local addresses changes.
    SIO_ADDRESS_LIST_CHANGE = _WSAIO(IOC_WS2, 23);
    /// Gives the handle for Plug and Play notifications, in user mode.
    SIO_QUERY_TARGET_PNP_HANDLE = _WSAIOR(IOC_WS2, 24);
    /// Sorts a [`SOCKET_ADDRESS_LIST`](crate::SOCKET_ADDRESS_LIST), best destination first.
    SIO_ADDRESS_LIST_SORT = _WSAIORW(IOC_WS2, 25);
    /// Reserved.
    SIO_RESERVED_1 = _WSAIOW(IOC_WS2, 26);
    /// Reserved.
    SIO_RESERVED_2 = _WSAIOW(IOC_WS2, 33);
    /// Gives a table of extension functions by its GUID, in user mode.
    SIO_GET_MULTIPLE_EXTENSION_FUNCTION_POINTER = _WSAIORW(IOC_WS2, 36);
    /// Gives the processor that handles the socket's receives, as
    /// [`SOCKET_PROCESSOR_AFFINITY`](crate::SOCKET_PROCESSOR_AFFINITY).
    SIO_QUERY_RSS_PROCESSOR_INFO = _WSAIOR(IOC_WS2, 37);
    // ws2ipdef.h
    /// Gives the list of interfaces.
    SIO_GET_INTERFACE_LIST = _IOR(T, 127, ULONG_SIZE);
    /// Gives the list of interfaces with addresses of any family.
    SIO_GET_INTERFACE_LIST_EX = _IOR(T, 126, ULONG_SIZE);
    /// Sets the sources of a multicast group, as [`IP_MSFILTER`](crate::IP_MSFILTER).
    SIO_SET_MULTICAST_FILTER = _IOW(T, 125, ULONG_SIZE);
    /// Gives the sources of a multicast group, as [`IP_MSFILTER`](crate::IP_MSFILTER).
    SIO_GET_MULTICAST_FILTER = _IOW(T, 0x7C | IOC_IN, ULONG_SIZE);
    /// Gives the ideal send backlog, in user mode.
    SIO_IDEAL_SEND_BACKLOG_QUERY = _IOR(T, 123, ULONG_SIZE);
    /// Completes when the ideal send backlog changes, in user mode.
    SIO_IDEAL_SEND_BACKLOG_CHANGE = _IO(T, 122);
    // mswsockdef.h
    /// Asks for the behaviour of an older system.
    SIO_SET_COMPATIBILITY_MODE = _WSAIOW(IOC_VENDOR, 300);
    // mstcpip.h
    /// Receives every packet of an interface, by [`RCVALL_VALUE`](crate::RCVALL_VALUE).
    SIO_RCVALL = _WSAIOW(IOC_VENDOR, 1);
    /// Receives every multicast packet of an interface.
    SIO_RCVALL_MCAST = _WSAIOW(IOC_VENDOR, 2);
    /// Receives every IGMP packet of an interface.
    SIO_RCVALL_IGMPMCAST = _WSAIOW(IOC_VENDOR, 3);
    /// Sets keep-alive and its times, by [`tcp_keepalive`](crate::tcp_keepalive).
    SIO_KEEPALIVE_VALS = _WSAIOW(IOC_VENDOR, 4);
    /// Keeps router-alert packets from being forwarded.
    SIO_ABSORB_RTRALERT = _WSAIOW(IOC_VENDOR, 5);
    /// Sets the interface for unicast.
    SIO_UCAST_IF = _WSAIOW(IOC_VENDOR, 6);
    /// Restricts broadcasts to the interface of the source address.
    SIO_LIMIT_BROADCASTS = _WSAIOW(IOC_VENDOR, 7);
    /// Binds to an interface by index.
    SIO_INDEX_BIND = _WSAIOW(IOC_VENDOR, 8);
    /// Sets the interface for multicast by index.
    SIO_INDEX_MCASTIF = _WSAIOW(IOC_VENDOR, 9);
    /// Joins a multicast group on an interface by index.
    SIO_INDEX_ADD_MCAST = _WSAIOW(IOC_VENDOR, 10);
    /// Leaves a multicast group on an interface by index.
    SIO_INDEX_DEL_MCAST = _WSAIOW(IOC_VENDOR, 11);
    /// Receives every multicast packet of an interface by index.
    SIO_RCVALL_MCAST_IF = _WSAIOW(IOC_VENDOR, 13);
    /// Receives every packet of an interface by index, by [`RCVALL_IF`](crate::RCVALL_IF).
    SIO_RCVALL_IF = _WSAIOW(IOC_VENDOR, 14);
    /// Lets loopback connections bypass most of the stack.
    SIO_LOOPBACK_FAST_PATH = _WSAIOW(IOC_VENDOR, 16);
    /// Sets how connecting retransmits, by
    /// [`TCP_INITIAL_RTO_PARAMETERS`](crate::TCP_INITIAL_RTO_PARAMETERS).
    SIO_TCP_INITIAL_RTO = _WSAIOW(IOC_VENDOR, 17);
    /// Applies a setting of the transport.
    SIO_APPLY_TRANSPORT_SETTING = _WSAIOW(IOC_VENDOR, 19);
    /// Gives a setting of the transport.
    SIO_QUERY_TRANSPORT_SETTING = _WSAIOW(IOC_VENDOR, 20);
    /// Binds the receives of a UDP socket to a processor.
    SIO_CPU_AFFINITY = _WSAIOW(IOC_VENDOR, 21);
    /// Sets the initial congestion window, by [`TCP_ICW_PARAMETERS`](crate::TCP_ICW_PARAMETERS).
    SIO_TCP_SET_ICW = _WSAIOW(IOC_VENDOR, 22);
    /// Sets how often TCP acknowledges, by
    /// [`TCP_ACK_FREQUENCY_PARAMETERS`](crate::TCP_ACK_FREQUENCY_PARAMETERS).
    SIO_TCP_SET_ACK_FREQUENCY = _WSAIOW(IOC_VENDOR, 23);
    /// Sets the priority of the socket's traffic.
    SIO_SET_PRIORITY_HINT = _WSAIOW(IOC_VENDOR, 24);
    /// The newer name of [`SIO_SET_PRIORITY_HINT`].
    SIO_PRIORITY_HINT = SIO_SET_PRIORITY_HINT;
    /// Gives the counters of a connection, as [`TCP_INFO_v0`](crate::TCP_INFO_v0) or
    /// [`TCP_INFO_v1`](crate::TCP_INFO_v1).
    SIO_TCP_INFO = _WSAIORW(IOC_VENDOR, 39);
    /// Gives the time at which a datagram was sent.
    SIO_GET_TX_TIMESTAMP = _WSAIOW(IOC_VENDOR, 234);
    /// Turns time stamps on and off.
    SIO_TIMESTAMPING = _WSAIOW(IOC_VENDOR, 235);
    /// Reserves a range of ports, by [`INET_PORT_RESERVATION`](crate::INET_PORT_RESERVATION).
    SIO_ACQUIRE_PORT_RESERVATION = _WSAIOW(IOC_VENDOR, 100);
    /// Gives a reserved range of ports up, by its token.
    SIO_RELEASE_PORT_RESERVATION = _WSAIOW(IOC_VENDOR, 101);
    /// Lets the socket bind within a reserved range, by its token.
    SIO_ASSOCIATE_PORT_RESERVATION = _WSAIOW(IOC_VENDOR, 102);
    /// Secures the socket, by [`SOCKET_SECURITY_SETTINGS`](crate::SOCKET_SECURITY_SETTINGS).
    SIO_SET_SECURITY = _WSAIOW(IOC_VENDOR, 200);
    /// Gives how a connection is secured, as
    /// [`SOCKET_SECURITY_QUERY_INFO`](crate::SOCKET_SECURITY_QUERY_INFO).
    SIO_QUERY_SECURITY = _WSAIORW(IOC_VENDOR, 201);
    /// Sets who a peer must be, by [`SOCKET_PEER_TARGET_NAME`](crate::SOCKET_PEER_TARGET_NAME).
    SIO_SET_PEER_TARGET_NAME = _WSAIOW(IOC_VENDOR, 202);
    /// Forgets who a peer must be.
    SIO_DELETE_PEER_TARGET_NAME = _WSAIOW(IOC_VENDOR, 203);
    /// Tells the system how the socket is used.
    SIO_SOCKET_USAGE_NOTIFICATION = _WSAIOW(IOC_VENDOR, 204);
    /// Gives the endpoint handle of the filtering platform.
    SIO_QUERY_WFP_ALE_ENDPOINT_HANDLE = _WSAIOR(IOC_VENDOR, 205);
    /// Tells whether receives are spread over processors.
    SIO_QUERY_RSS_SCALABILITY_INFO = _WSAIOR(IOC_VENDOR, 210);
    /// Gives the redirect records of an accepted connection.
    SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS = _WSAIOW(IOC_VENDOR, 220);
    /// Gives the redirect context of an accepted connection.
    SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT = _WSAIOW(IOC_VENDOR, 221);
    /// Passes redirect records on to the connection that a proxy makes.
    SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS = _WSAIOW(IOC_VENDOR, 222);
}
