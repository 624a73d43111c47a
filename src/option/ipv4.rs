//! Options of IPv4, for sockets of [`Inet`](crate::AddressFamily::Inet).
//!
//! [IPv4 socket options](https://learn.microsoft.com/windows/win32/winsock/ipproto-ip-socket-options)

use wsk_sys::{
    IP_ADD_MEMBERSHIP, IP_DONTFRAGMENT, IP_DROP_MEMBERSHIP, IP_ECN, IP_HOPLIMIT, IP_MTU,
    IP_MTU_DISCOVER, IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_MULTICAST_TTL, IP_PKTINFO,
    IP_RECEIVE_BROADCAST, IP_RECVTOS, IP_TOS, IP_TTL, IP_UNICAST_IF, IP_USER_MTU, IPPROTO_IP,
};

use super::options;

options! {
    IPPROTO_IP;

    /// The time to live of what is sent, 1 to 255. `IP_TTL`
    TIME_TO_LIVE: Number, OfAll = IP_TTL, Any;

    /// The type of service of what is sent. `IP_TOS`
    TYPE_OF_SERVICE: Number, OfAll = IP_TOS, Any;

    /// Whether what is sent must not be fragmented. `IP_DONTFRAGMENT`
    DONT_FRAGMENT: Flag, OfDatagrams = IP_DONTFRAGMENT, Any;

    /// The index of the interface for unicast. `IP_UNICAST_IF`
    UNICAST_INTERFACE: InterfaceV4, OfAll = IP_UNICAST_IF, Any;

    /// The index of the interface for multicast. `IP_MULTICAST_IF`
    MULTICAST_INTERFACE: InterfaceV4, OfDatagrams = IP_MULTICAST_IF, Any;

    /// The time to live of multicast that is sent, 0 to 255. `IP_MULTICAST_TTL`
    MULTICAST_TIME_TO_LIVE: Number, OfDatagrams = IP_MULTICAST_TTL, Any;

    /// Whether multicast comes back to its sender's system. `IP_MULTICAST_LOOP`
    MULTICAST_LOOP: Flag, OfDatagrams = IP_MULTICAST_LOOP, Any;

    /// Joins a multicast group: see [`join`](crate::DatagramSocket::join). `IP_ADD_MEMBERSHIP`
    ADD_MEMBERSHIP: MembershipV4, OfDatagrams, WriteOnly = IP_ADD_MEMBERSHIP, Any;

    /// Leaves a multicast group: see [`leave`](crate::DatagramSocket::leave). `IP_DROP_MEMBERSHIP`
    DROP_MEMBERSHIP: MembershipV4, OfDatagrams, WriteOnly = IP_DROP_MEMBERSHIP, Any;

    /// Whether broadcast datagrams are received. `IP_RECEIVE_BROADCAST`
    RECEIVE_BROADCAST: Flag, OfDatagrams = IP_RECEIVE_BROADCAST, Any;

    /// Whether received datagrams tell [where they arrived](crate::PacketInfo). `IP_PKTINFO`
    RECEIVE_PACKET_INFO: Flag, OfDatagrams = IP_PKTINFO, Any;

    /// Whether received datagrams tell their hop limit. `IP_HOPLIMIT`
    RECEIVE_HOP_LIMIT: Flag, OfDatagrams = IP_HOPLIMIT, Any;

    /// Whether received datagrams tell their type of service. `IP_RECVTOS`
    RECEIVE_TYPE_OF_SERVICE: Flag, OfDatagrams = IP_RECVTOS, Any;

    /// Whether received datagrams tell their congestion notification. `IP_ECN`
    RECEIVE_ECN: Flag, OfDatagrams = IP_ECN, Any;

    /// The largest packet on the path to the peer, in bytes; needs a connected socket. `IP_MTU`
    PATH_MTU: Number, OfAll, ReadOnly = IP_MTU, Any;

    /// How the largest packet is found: a `PMTUD_STATE`. `IP_MTU_DISCOVER`
    PATH_MTU_DISCOVERY: Number, OfAll = IP_MTU_DISCOVER, Any;

    /// The largest packet that is assumed, in bytes. `IP_USER_MTU`
    USER_MTU: Number, OfAll = IP_USER_MTU, Any;
}
