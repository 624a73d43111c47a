//! `core::net` addresses to and from `SOCKADDR`, in one place.
//!
//! Encodes by offset into plain bytes, which the assertions below tie to the C structures: no
//! union, no cast. Ports and addresses are in network byte order; the family, the flow information
//! and the scope are in that of the processor.

// UNSAFETY: reads addresses that WSK passes by pointer.
#![expect(unsafe_code, reason = "addresses that WSK passes")]

use core::{
    mem::{offset_of, size_of},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
};

use wsk_sys::{ADDRESS_FAMILY, AF_INET, AF_INET6, PSOCKADDR, SOCKADDR_IN, SOCKADDR_IN6};

/// The address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressFamily {
    /// `AF_INET`
    Inet,
    /// `AF_INET6`
    Inet6,
}

impl AddressFamily {
    /// The family of `address`.
    #[must_use]
    pub const fn of(address: &SocketAddr) -> Self {
        match address {
            SocketAddr::V4(_) => Self::Inet,
            SocketAddr::V6(_) => Self::Inet6,
        }
    }

    /// `AF_INET` or `AF_INET6`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a constant of C, as what it is used for"
    )]
    pub(crate) const fn as_raw(self) -> ADDRESS_FAMILY {
        match self {
            Self::Inet => AF_INET as ADDRESS_FAMILY,
            Self::Inet6 => AF_INET6 as ADDRESS_FAMILY,
        }
    }
}

const LENGTH: usize = size_of::<SOCKADDR_IN6>();

/// Room for a `SOCKADDR` of either family.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(crate) struct SocketAddress([u8; LENGTH]);

const _: () = {
    assert!(size_of::<SOCKADDR_IN>() == 16 && LENGTH == 28);
    assert!(align_of::<SocketAddress>() >= align_of::<SOCKADDR_IN>());
    assert!(align_of::<SocketAddress>() >= align_of::<SOCKADDR_IN6>());
    assert!(offset_of!(SOCKADDR_IN, sin_family) == 0 && offset_of!(SOCKADDR_IN6, sin6_family) == 0);
    assert!(offset_of!(SOCKADDR_IN, sin_port) == 2 && offset_of!(SOCKADDR_IN6, sin6_port) == 2);
    assert!(offset_of!(SOCKADDR_IN, sin_addr) == 4);
    assert!(offset_of!(SOCKADDR_IN6, sin6_flowinfo) == 4);
    assert!(offset_of!(SOCKADDR_IN6, sin6_addr) == 8);
};

impl SocketAddress {
    /// `AF_UNSPEC`, all zero: what an output holds until somebody writes it.
    pub(crate) const UNSPECIFIED: Self = Self([0; LENGTH]);

    /// The address at the start of `bytes`, if that is one, complete.
    pub(crate) fn read_from(bytes: &[u8]) -> Option<SocketAddr> {
        let mut raw = Self::UNSPECIFIED;
        let length = bytes.len().min(LENGTH);
        raw.0[..length].copy_from_slice(&bytes[..length]);
        raw.decode().filter(|_| raw.as_bytes().len() <= length)
    }

    /// The bytes of the family's structure.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        let family = u16::from_ne_bytes(self.bytes(0));
        if family == AddressFamily::Inet.as_raw() {
            &self.0[..size_of::<SOCKADDR_IN>()]
        } else {
            &self.0
        }
    }

    /// How many bytes those are.
    pub(crate) fn length(&self) -> u32 {
        // At most those of an IPv6 address.
        u32::try_from(self.as_bytes().len()).unwrap_or(0)
    }

    /// Reads an address that WSK passes; none for null or another family.
    ///
    /// # Safety
    ///
    /// `address` is null, or points to a complete address of the family that it names.
    pub(crate) unsafe fn read(address: PSOCKADDR) -> Option<SocketAddr> {
        if address.is_null() {
            return None;
        }
        // SAFETY: every address begins with its family (the caller's promise).
        let family = unsafe { address.cast::<u16>().read_unaligned() };
        let length = if family == AddressFamily::Inet.as_raw() {
            size_of::<SOCKADDR_IN>()
        } else if family == AddressFamily::Inet6.as_raw() {
            size_of::<SOCKADDR_IN6>()
        } else {
            return None;
        };
        let mut raw = Self::UNSPECIFIED;
        let source = address.cast::<u8>().cast_const();
        // SAFETY: a complete address has this length (the caller's promise), and there is room for
        // either.
        unsafe { source.copy_to_nonoverlapping(raw.0.as_mut_ptr(), length) };
        raw.decode()
    }

    /// The address, if the family is one of the two.
    pub(crate) fn decode(&self) -> Option<SocketAddr> {
        let port = u16::from_be_bytes(self.bytes(2));
        let family = u16::from_ne_bytes(self.bytes(0));
        if family == AddressFamily::Inet.as_raw() {
            Some(SocketAddrV4::new(Ipv4Addr::from(self.bytes::<4>(4)), port).into())
        } else if family == AddressFamily::Inet6.as_raw() {
            let flow = u32::from_ne_bytes(self.bytes(4));
            let scope = u32::from_ne_bytes(self.bytes(24));
            Some(SocketAddrV6::new(Ipv6Addr::from(self.bytes::<16>(8)), port, flow, scope).into())
        } else {
            None
        }
    }

    fn bytes<const N: usize>(&self, offset: usize) -> [u8; N] {
        core::array::from_fn(|index| self.0[offset + index])
    }

    fn put<const N: usize>(&mut self, offset: usize, bytes: [u8; N]) {
        self.0[offset..offset + N].copy_from_slice(&bytes);
    }
}

impl From<SocketAddr> for SocketAddress {
    fn from(address: SocketAddr) -> Self {
        let mut raw = Self::UNSPECIFIED;
        raw.put(0, AddressFamily::of(&address).as_raw().to_ne_bytes());
        raw.put(2, address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) => raw.put(4, v4.ip().octets()),
            SocketAddr::V6(v6) => {
                raw.put(4, v6.flowinfo().to_ne_bytes());
                raw.put(8, v6.ip().octets());
                raw.put(24, v6.scope_id().to_ne_bytes());
            }
        }
        raw
    }
}

#[cfg(test)]
mod tests {
    use core::net::{SocketAddr, SocketAddrV6};

    use super::SocketAddress;

    #[test]
    fn sockaddr_in_has_network_order_port_and_address() {
        let raw = SocketAddress::from(SocketAddr::from(([127, 0, 0, 1], 40007)));
        assert_eq!(&raw.0[..8], &[2, 0, 0x9C, 0x47, 127, 0, 0, 1]);
        assert_eq!(&raw.0[8..], &[0; 20]);
    }

    #[test]
    fn sockaddr_in6_keeps_scope_and_flow() {
        let address = SocketAddr::V6(SocketAddrV6::new(
            [0xFE80, 0, 0, 0, 1, 2, 3, 4].into(),
            1,
            0x0102_0304,
            7,
        ));
        let raw = SocketAddress::from(address);
        assert_eq!(&raw.0[..4], &[23, 0, 0, 1]);
        assert_eq!(raw.decode(), Some(address));
    }

    #[test]
    fn sockaddr_cut_short_is_none() {
        let raw = SocketAddress::from(SocketAddr::from(([127, 0, 0, 1], 7)));
        assert_eq!((raw.as_bytes().len(), raw.length()), (16, 16));
        assert!(SocketAddress::read_from(raw.as_bytes()).is_some());
        assert!(SocketAddress::read_from(&raw.as_bytes()[..15]).is_none());
        assert!(SocketAddress::read_from(&[]).is_none());
        let raw = SocketAddress::from(SocketAddr::from(([1_u16; 8], 7)));
        assert_eq!(raw.length(), 28);
        assert!(SocketAddress::read_from(&raw.as_bytes()[..27]).is_none());
    }

    #[test]
    fn sockaddr_of_another_family_is_none() {
        assert_eq!(SocketAddress::UNSPECIFIED.decode(), None);
    }
}
