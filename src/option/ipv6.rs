//! Options of IPv6, for sockets of [`Inet6`](crate::AddressFamily::Inet6).
//!
//! [IPv6 socket options](https://learn.microsoft.com/windows/win32/winsock/ipproto-ipv6-socket-options)

use wsk_sys::{
    IPPROTO, IPV6_ADD_MEMBERSHIP, IPV6_DONTFRAG, IPV6_DROP_MEMBERSHIP, IPV6_ECN, IPV6_HOPLIMIT,
    IPV6_MTU, IPV6_MTU_DISCOVER, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_IF, IPV6_MULTICAST_LOOP,
    IPV6_PKTINFO, IPV6_PROTECTION_LEVEL, IPV6_RECVTCLASS, IPV6_TCLASS, IPV6_UNICAST_HOPS,
    IPV6_UNICAST_IF, IPV6_USER_MTU, IPV6_V6ONLY,
};

use super::options;

options! {
    IPPROTO::IPPROTO_IPV6.cast_unsigned();

    /// Whether the socket is for IPv6 only: on at first. Off, it serves IPv4 as well, with mapped
    /// addresses; before the bind. See [`dual_stack`](crate::dual_stack). `IPV6_V6ONLY`
    V6_ONLY: Flag, OfAll = IPV6_V6ONLY, BeforeBind;

    /// The hop limit of what is sent; -1 for the system's. `IPV6_UNICAST_HOPS`
    UNICAST_HOPS: Signed, OfAll = IPV6_UNICAST_HOPS, Any;

    /// The traffic class of what is sent. `IPV6_TCLASS`
    TRAFFIC_CLASS: Number, OfAll = IPV6_TCLASS, Any;

    /// Whether what is sent must not be fragmented. `IPV6_DONTFRAG`
    DONT_FRAGMENT: Flag, OfDatagrams = IPV6_DONTFRAG, Any;

    /// The index of the interface for unicast. `IPV6_UNICAST_IF`
    UNICAST_INTERFACE: Number, OfAll = IPV6_UNICAST_IF, Any;

    /// The index of the interface for multicast. `IPV6_MULTICAST_IF`
    MULTICAST_INTERFACE: Number, OfDatagrams = IPV6_MULTICAST_IF, Any;

    /// The hop limit of multicast that is sent; -1 for the system's. `IPV6_MULTICAST_HOPS`
    MULTICAST_HOPS: Signed, OfDatagrams = IPV6_MULTICAST_HOPS, Any;

    /// Whether multicast comes back to its sender's system. `IPV6_MULTICAST_LOOP`
    MULTICAST_LOOP: Flag, OfDatagrams = IPV6_MULTICAST_LOOP, Any;

    /// Joins a multicast group: see [`join`](crate::DatagramSocket::join). `IPV6_ADD_MEMBERSHIP`
    ADD_MEMBERSHIP: MembershipV6, OfDatagrams, WriteOnly = IPV6_ADD_MEMBERSHIP, Any;

    /// Leaves a multicast group: see [`leave`](crate::DatagramSocket::leave).
    /// `IPV6_DROP_MEMBERSHIP`
    DROP_MEMBERSHIP: MembershipV6, OfDatagrams, WriteOnly = IPV6_DROP_MEMBERSHIP, Any;

    /// Whether received datagrams tell [where they arrived](crate::PacketInfo). `IPV6_PKTINFO`
    RECEIVE_PACKET_INFO: Flag, OfDatagrams = IPV6_PKTINFO, Any;

    /// Whether received datagrams tell their hop limit. `IPV6_HOPLIMIT`
    RECEIVE_HOP_LIMIT: Flag, OfDatagrams = IPV6_HOPLIMIT, Any;

    /// Whether received datagrams tell their traffic class. `IPV6_RECVTCLASS`
    RECEIVE_TRAFFIC_CLASS: Flag, OfDatagrams = IPV6_RECVTCLASS, Any;

    /// Whether received datagrams tell their congestion notification. `IPV6_ECN`
    RECEIVE_ECN: Flag, OfDatagrams = IPV6_ECN, Any;

    /// From where the socket may be reached: a `PROTECTION_LEVEL`. `IPV6_PROTECTION_LEVEL`
    PROTECTION_LEVEL: Number, OfAll = IPV6_PROTECTION_LEVEL, BeforeBind;

    /// The largest packet on the path to the peer, in bytes; needs a connected socket. `IPV6_MTU`
    PATH_MTU: Number, OfAll, ReadOnly = IPV6_MTU, Any;

    /// How the largest packet is found: a `PMTUD_STATE`. `IPV6_MTU_DISCOVER`
    PATH_MTU_DISCOVERY: Number, OfAll = IPV6_MTU_DISCOVER, Any;

    /// The largest packet that is assumed, in bytes. `IPV6_USER_MTU`
    USER_MTU: Number, OfAll = IPV6_USER_MTU, Any;
}
