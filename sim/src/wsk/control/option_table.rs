//! The options that sockets have: the table. `options` acts on it.
//!
//! The options of sockets are those of the published pages [wsk 5]; those of IP, TCP and UDP are
//! the ones that make sense for kernel sockets and that have a documented meaning without a real
//! network card.

use wsk_sys::{
    GROUP_REQ, IP_ADD_MEMBERSHIP, IP_DONTFRAGMENT, IP_DROP_MEMBERSHIP, IP_MREQ, IP_MTU,
    IP_MTU_DISCOVER, IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_MULTICAST_TTL, IP_PKTINFO,
    IP_RECEIVE_BROADCAST, IP_RECVECN, IP_RECVTOS, IP_RECVTTL, IP_TOS, IP_TTL, IP_UNICAST_IF,
    IP_UNSPECIFIED_USER_MTU, IP_USER_MTU, IPPROTO, IPPROTO_IP, IPV6_ADD_MEMBERSHIP, IPV6_DONTFRAG,
    IPV6_DROP_MEMBERSHIP, IPV6_HOPLIMIT, IPV6_MREQ, IPV6_MTU, IPV6_MTU_DISCOVER,
    IPV6_MULTICAST_HOPS, IPV6_MULTICAST_IF, IPV6_MULTICAST_LOOP, IPV6_PKTINFO, IPV6_RECVECN,
    IPV6_RECVTCLASS, IPV6_TCLASS, IPV6_UNICAST_HOPS, IPV6_UNICAST_IF, IPV6_USER_MTU, IPV6_V6ONLY,
    MCAST_JOIN_GROUP, MCAST_LEAVE_GROUP, SO_BROADCAST, SO_CONDITIONAL_ACCEPT, SO_EXCLUSIVEADDRUSE,
    SO_KEEPALIVE, SO_RCVBUF, SO_REUSEADDR, SO_WSK_SECURITY, SOL_SOCKET, TCP_EXPEDITED_1122,
    TCP_FAIL_CONNECT_ON_ICMP_ERROR, TCP_FASTOPEN, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL,
    TCP_NODELAY, TCP_TIMESTAMPS, UDP_RECV_MAX_COALESCED_SIZE, UDP_SEND_MSG_SIZE,
};

use super::super::address::Family;
use super::super::socket::Socket;
use super::super::tables::Category::{self, Connection, Datagram, Listen, Stream};
use super::terms::Moment::{self, AfterBind, Any, BeforeBind, BeforeConnect, Connected};
use super::terms::{Packet, Terms};

/// The name of an option: its level and its code.
pub(in super::super) type Name = (u32, u32);

pub(in super::super) const IP: u32 = IPPROTO_IP;
pub(in super::super) const IPV6: u32 = IPPROTO::IPPROTO_IPV6.cast_unsigned();
pub(in super::super) const TCP: u32 = IPPROTO::IPPROTO_TCP.cast_unsigned();
const UDP: u32 = IPPROTO::IPPROTO_UDP.cast_unsigned();

pub(super) const SECURITY: Name = (SOL_SOCKET, SO_WSK_SECURITY);
pub(super) const EXCLUSIVE: Name = (SOL_SOCKET, SO_EXCLUSIVEADDRUSE.cast_unsigned());

/// What an option is about, and what its value looks like [wsk 5.2].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// A `ULONG` that is 0 or not.
    Flag(bool),
    /// A `ULONG`: the default, the lowest and the highest.
    Number(u32, u32, u32),
    /// An interface; none until it is set.
    Interface,
    /// The pointer to a security descriptor that the provider has cached.
    Descriptor,
    /// A multicast group, in a structure of this size: is it joined, or left?
    Group { size: usize, join: bool },
}

/// Whether an option can be set, and got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Both,
    Get,
    Set,
}

/// One option.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) option: Name,
    pub(super) terms: Terms,
    pub(super) categories: &'static [Category],
    pub(super) value: Value,
    /// When it can be set.
    pub(super) moment: Moment,
    pub(super) access: Access,
    /// An accepted socket has it from its listener [wsk 5.3].
    pub(super) inherited: bool,
}

impl Row {
    const fn new(
        level: u32,
        code: u32,
        name: &'static str,
        categories: &'static [Category],
        value: Value,
    ) -> Self {
        Self {
            option: (level, code),
            terms: Terms::new(name, Packet::Required),
            categories,
            value,
            moment: Any,
            access: Access::Both,
            inherited: false,
        }
    }

    const fn when(self, moment: Moment) -> Self {
        Self { moment, ..self }
    }

    const fn only(self, access: Access) -> Self {
        Self { access, ..self }
    }

    const fn inherited(self) -> Self {
        Self {
            inherited: true,
            ..self
        }
    }

    /// Whether a socket has the option: those of IPv4 are also for sockets that serve both
    /// families.
    pub(super) fn is_of(&self, socket: &Socket, both: bool) -> bool {
        let family = match self.option.0 {
            IP => socket.family == Family::V4 || both,
            IPV6 => socket.family == Family::V6,
            _ => true,
        };
        family && self.categories.contains(&socket.category)
    }

    pub(super) fn size(&self) -> usize {
        match self.value {
            Value::Flag(_) | Value::Number(..) | Value::Interface => size_of::<u32>(),
            Value::Descriptor => size_of::<usize>(),
            Value::Group { size, .. } => size,
        }
    }

    /// The value of a `ULONG` that was not set.
    pub(super) fn default(&self) -> u32 {
        match self.value {
            Value::Flag(default) => u32::from(default),
            Value::Number(default, ..) => default,
            Value::Interface | Value::Descriptor | Value::Group { .. } => 0,
        }
    }
}

const OF_TCP: &[Category] = &[Listen, Connection, Stream];
const OF_UDP: &[Category] = &[Datagram];
const CONNECTING: &[Category] = &[Connection, Stream];
const ALL: &[Category] = &[Listen, Connection, Stream, Datagram];

const OFF: Value = Value::Flag(false);
const ON: Value = Value::Flag(true);
const RECEIVE_BUFFER: Value = number(64 * 1024);
const HOPS: Value = Value::Number(128, 1, 255);
const MULTICAST_HOPS: Value = Value::Number(1, 0, 255);
const TRAFFIC_CLASS: Value = Value::Number(0, 0, 255);
const INTERFACE: Value = Value::Interface;
const MTU: Value = number(1500);
const USER_MTU: Value = number(IP_UNSPECIFIED_USER_MTU);
const MTU_DISCOVERY: Value = Value::Number(0, 0, 3);
const SECONDS_UNTIL_KEEPALIVE: Value = number(7200);
const SECONDS_BETWEEN_KEEPALIVES: Value = number(1);
const KEEPALIVES: Value = Value::Number(10, 1, 255);

const fn number(default: u32) -> Value {
    Value::Number(default, 0, u32::MAX)
}

const fn group<T>(join: bool) -> Value {
    Value::Group {
        size: size_of::<T>(),
        join,
    }
}

/// A row with the name of the option's constant.
macro_rules! row {
    ($level:ident, $code:ident, $categories:ident, $value:expr) => {
        Row::new($level, $code, stringify!($code), $categories, $value)
    };
}

const OPTIONS: &[Row] = &[
    row!(SOL_SOCKET, SO_BROADCAST, OF_UDP, OFF),
    row!(SOL_SOCKET, SO_CONDITIONAL_ACCEPT, LISTENING, OFF).when(BeforeBind),
    Row::new(EXCLUSIVE.0, EXCLUSIVE.1, "SO_EXCLUSIVEADDRUSE", ALL, OFF).when(BeforeBind),
    row!(SOL_SOCKET, SO_REUSEADDR, ALL, OFF).when(BeforeBind),
    row!(SOL_SOCKET, SO_KEEPALIVE, OF_TCP, OFF).inherited(),
    row!(SOL_SOCKET, SO_RCVBUF, ALL, RECEIVE_BUFFER).inherited(),
    row!(SOL_SOCKET, SO_WSK_SECURITY, ALL, Value::Descriptor).when(BeforeBind),
    row!(TCP, TCP_NODELAY, OF_TCP, OFF),
    row!(TCP, TCP_EXPEDITED_1122, OF_TCP, OFF),
    row!(TCP, TCP_TIMESTAMPS, OF_TCP, OFF),
    row!(TCP, TCP_KEEPIDLE, OF_TCP, SECONDS_UNTIL_KEEPALIVE),
    row!(TCP, TCP_KEEPINTVL, OF_TCP, SECONDS_BETWEEN_KEEPALIVES),
    row!(TCP, TCP_KEEPCNT, OF_TCP, KEEPALIVES),
    row!(TCP, TCP_FASTOPEN, OF_TCP, OFF).when(BeforeConnect),
    row!(TCP, TCP_FAIL_CONNECT_ON_ICMP_ERROR, CONNECTING, OFF).when(BeforeConnect),
    row!(UDP, UDP_SEND_MSG_SIZE, OF_UDP, number(0)),
    row!(UDP, UDP_RECV_MAX_COALESCED_SIZE, OF_UDP, number(0)),
    row!(IP, IP_TOS, ALL, TRAFFIC_CLASS),
    row!(IP, IP_TTL, ALL, HOPS),
    row!(IP, IP_UNICAST_IF, ALL, INTERFACE),
    row!(IP, IP_DONTFRAGMENT, OF_UDP, OFF),
    row!(IP, IP_MTU_DISCOVER, ALL, MTU_DISCOVERY),
    row!(IP, IP_USER_MTU, ALL, USER_MTU),
    row!(IP, IP_MTU, CONNECTING, MTU)
        .when(Connected)
        .only(Access::Get),
    row!(IP, IP_PKTINFO, OF_UDP, OFF),
    row!(IP, IP_RECVTTL, OF_UDP, OFF),
    row!(IP, IP_RECVTOS, OF_UDP, OFF),
    row!(IP, IP_RECVECN, OF_UDP, OFF),
    row!(IP, IP_RECEIVE_BROADCAST, OF_UDP, ON),
    row!(IP, IP_MULTICAST_IF, OF_UDP, INTERFACE),
    row!(IP, IP_MULTICAST_TTL, OF_UDP, MULTICAST_HOPS),
    row!(IP, IP_MULTICAST_LOOP, OF_UDP, ON),
    member(row!(IP, IP_ADD_MEMBERSHIP, OF_UDP, group::<IP_MREQ>(true))),
    member(row!(
        IP,
        IP_DROP_MEMBERSHIP,
        OF_UDP,
        group::<IP_MREQ>(false)
    )),
    member(row!(IP, MCAST_JOIN_GROUP, OF_UDP, group::<GROUP_REQ>(true))),
    member(row!(
        IP,
        MCAST_LEAVE_GROUP,
        OF_UDP,
        group::<GROUP_REQ>(false)
    )),
    row!(IPV6, IPV6_V6ONLY, ALL, ON).when(BeforeBind),
    row!(IPV6, IPV6_TCLASS, ALL, TRAFFIC_CLASS),
    row!(IPV6, IPV6_UNICAST_HOPS, ALL, HOPS),
    row!(IPV6, IPV6_UNICAST_IF, ALL, INTERFACE),
    row!(IPV6, IPV6_DONTFRAG, OF_UDP, OFF),
    row!(IPV6, IPV6_MTU_DISCOVER, ALL, MTU_DISCOVERY),
    row!(IPV6, IPV6_USER_MTU, ALL, USER_MTU),
    row!(IPV6, IPV6_MTU, CONNECTING, MTU)
        .when(Connected)
        .only(Access::Get),
    row!(IPV6, IPV6_PKTINFO, OF_UDP, OFF),
    row!(IPV6, IPV6_HOPLIMIT, OF_UDP, OFF),
    row!(IPV6, IPV6_RECVTCLASS, OF_UDP, OFF),
    row!(IPV6, IPV6_RECVECN, OF_UDP, OFF),
    row!(IPV6, IPV6_MULTICAST_IF, OF_UDP, INTERFACE),
    row!(IPV6, IPV6_MULTICAST_HOPS, OF_UDP, MULTICAST_HOPS),
    row!(IPV6, IPV6_MULTICAST_LOOP, OF_UDP, ON),
    member(row!(
        IPV6,
        IPV6_ADD_MEMBERSHIP,
        OF_UDP,
        group::<IPV6_MREQ>(true)
    )),
    member(row!(
        IPV6,
        IPV6_DROP_MEMBERSHIP,
        OF_UDP,
        group::<IPV6_MREQ>(false)
    )),
    member(row!(
        IPV6,
        MCAST_JOIN_GROUP,
        OF_UDP,
        group::<GROUP_REQ>(true)
    )),
    member(row!(
        IPV6,
        MCAST_LEAVE_GROUP,
        OF_UDP,
        group::<GROUP_REQ>(false)
    )),
];

const LISTENING: &[Category] = &[Listen];

const fn member(row: Row) -> Row {
    row.when(AfterBind).only(Access::Set)
}

/// The option with this name, if the provider has it.
pub(super) fn find(option: Name) -> Option<&'static Row> {
    OPTIONS.iter().find(|row| row.option == option)
}
