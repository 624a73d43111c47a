//! How WSK names transports: socket types and protocols.

use wsk_sys::{
    IPPROTO, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_STREAM,
    wdk_sys::{ULONG, USHORT},
};

/// A socket type, such as `SOCK_STREAM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketType(USHORT);

#[expect(
    clippy::cast_possible_truncation,
    reason = "constants of C, as what they are used for"
)]
impl SocketType {
    /// A reliable stream of bytes. `SOCK_STREAM`
    pub const STREAM: Self = Self(SOCK_STREAM as USHORT);
    /// Datagrams. `SOCK_DGRAM`
    pub const DATAGRAM: Self = Self(SOCK_DGRAM as USHORT);
    /// Packets with the header of the protocol. `SOCK_RAW`
    pub const RAW: Self = Self(SOCK_RAW as USHORT);
    /// Reliable messages. `SOCK_RDM`
    pub const RELIABLE_MESSAGE: Self = Self(SOCK_RDM as USHORT);
    /// A stream of records. `SOCK_SEQPACKET`
    pub const SEQUENCED_PACKET: Self = Self(SOCK_SEQPACKET as USHORT);

    /// Any number.
    #[must_use]
    pub const fn from_raw(raw: u16) -> Self {
        Self(raw)
    }

    /// The number.
    #[must_use]
    pub const fn as_raw(self) -> u16 {
        self.0
    }
}

/// A protocol above IP, such as `IPPROTO_TCP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protocol(ULONG);

impl Protocol {
    /// `IPPROTO_TCP`
    pub const TCP: Self = Self(IPPROTO::IPPROTO_TCP.cast_unsigned());
    /// `IPPROTO_UDP`
    pub const UDP: Self = Self(IPPROTO::IPPROTO_UDP.cast_unsigned());
    /// `IPPROTO_ICMP`
    pub const ICMP: Self = Self(IPPROTO::IPPROTO_ICMP.cast_unsigned());
    /// `IPPROTO_ICMPV6`
    pub const ICMPV6: Self = Self(IPPROTO::IPPROTO_ICMPV6.cast_unsigned());

    /// Any number.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// The number.
    #[must_use]
    pub const fn as_raw(self) -> u32 {
        self.0
    }
}
