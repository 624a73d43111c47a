//! Transports, and how WSK names them.

// UNSAFETY: shares an address of static data.
#![expect(unsafe_code, reason = "an address of static data")]

use core::{
    fmt,
    mem::{offset_of, size_of},
};

use wsk_sys::{
    IPPROTO, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_STREAM, WSK_TDI_MAP,
    WSK_TRANSPORT,
    wdk_sys::{ULONG, USHORT},
};

use crate::{addr::AddressFamily, mem::buffer::Buffer, version::Version};

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

/// A transport that sockets can be opened for.
///
/// [WSK_TRANSPORT](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_transport)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// The version of WSK that it is for.
    pub version: Version,
    /// The socket type.
    pub socket_type: SocketType,
    /// The protocol.
    pub protocol: Protocol,
    /// The address family, such as `AF_INET`.
    pub family: u16,
    /// The GUID of who provides it, as it lies in memory.
    pub provider_id: [u8; 16],
}

impl Transport {
    /// The address family, if it is one of IP.
    #[must_use]
    pub fn address_family(&self) -> Option<AddressFamily> {
        [AddressFamily::Inet, AddressFamily::Inet6]
            .into_iter()
            .find(|family| family.as_raw() == self.family)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let short = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let protocol = bytes.get(offset_of!(WSK_TRANSPORT, Protocol)..)?.get(..4)?;
        let provider_id = bytes.get(offset_of!(WSK_TRANSPORT, ProviderId)..)?;
        Some(Self {
            version: Version::from_raw(short(offset_of!(WSK_TRANSPORT, Version))?),
            socket_type: SocketType::from_raw(short(offset_of!(WSK_TRANSPORT, SocketType))?),
            protocol: Protocol::from_raw(u32::from_ne_bytes(protocol.try_into().ok()?)),
            family: short(offset_of!(WSK_TRANSPORT, AddressFamily))?,
            provider_id: provider_id.get(..16)?.try_into().ok()?,
        })
    }
}

/// The transports that there were when they were asked for.
#[derive(Debug)]
pub struct TransportList {
    /// None without any.
    bytes: Option<Buffer>,
}

impl TransportList {
    pub(crate) const fn none() -> Self {
        Self { bytes: None }
    }

    /// The filled part is an array of `WSK_TRANSPORT`.
    pub(crate) const fn of(bytes: Buffer) -> Self {
        Self { bytes: Some(bytes) }
    }

    /// Goes through them.
    pub fn iter(&self) -> impl Iterator<Item = Transport> {
        let bytes = self.bytes.as_ref().map_or(&[][..], |bytes| &bytes[..]);
        bytes
            .chunks_exact(size_of::<WSK_TRANSPORT>())
            .filter_map(Transport::decode)
    }
}

/// A device of a TDI transport, for sockets that no other transport is there for.
///
/// [WSK_TDI_MAP](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_tdi_map)
#[repr(transparent)]
pub struct TdiMap(WSK_TDI_MAP);

impl TdiMap {
    /// Maps a transport to the device with the zero-terminated name `device`.
    ///
    /// # Panics
    ///
    /// If `device` does not end with a zero: while compiling, in a constant.
    #[must_use]
    pub const fn new(
        family: AddressFamily,
        socket_type: SocketType,
        protocol: Protocol,
        device: &'static [u16],
    ) -> Self {
        assert!(
            matches!(device, [.., 0]),
            "the name of the device has to end with a zero"
        );
        Self(WSK_TDI_MAP {
            SocketType: socket_type.as_raw(),
            AddressFamily: family.as_raw(),
            Protocol: protocol.as_raw(),
            TdiDeviceName: device.as_ptr(),
        })
    }
}

// SAFETY: what it points to is static, and nobody changes it.
unsafe impl Sync for TdiMap {}

impl fmt::Debug for TdiMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TdiMap").finish_non_exhaustive()
    }
}
