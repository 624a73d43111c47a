//! Options of UDP.
//!
//! [UDP socket options](https://learn.microsoft.com/windows/win32/winsock/ipproto-udp-socket-options)

use wsk_sys::{IPPROTO, UDP_RECV_MAX_COALESCED_SIZE, UDP_SEND_MSG_SIZE};

use super::options;

options! {
    IPPROTO::IPPROTO_UDP.cast_unsigned();

    /// The size of the datagrams into which what is sent is cut, in bytes; 0 for whole. Since
    /// Windows 10, version 2004. `UDP_SEND_MSG_SIZE`
    SEND_MESSAGE_SIZE: Number, OfDatagrams = UDP_SEND_MSG_SIZE, Any;

    /// How many bytes of datagrams of one size may be received as one; 0 for each by itself. Since
    /// Windows 10, version 2004. `UDP_RECV_MAX_COALESCED_SIZE`
    RECEIVE_MAX_COALESCED_SIZE: Number, OfDatagrams = UDP_RECV_MAX_COALESCED_SIZE, Any;
}
