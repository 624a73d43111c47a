//! Socket addresses in the driver's memory.

// UNSAFETY: reads and writes SOCKADDR structures that a driver passed.
#![expect(
    unsafe_code,
    reason = "views of SOCKADDR structures in the driver's memory"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use wsk_sys::{AF_INET, AF_INET6, PSOCKADDR};

use crate::kernel::thread::Context;

const LENGTH_V4: usize = 16;
const LENGTH_V6: usize = 28;

/// An address family that the provider knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn from_number(number: u16) -> Option<Self> {
        match u32::from(number) {
            AF_INET => Some(Self::V4),
            AF_INET6 => Some(Self::V6),
            _ => None,
        }
    }

    pub(super) fn of(address: SocketAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }

    /// The size of its addresses.
    pub(super) fn address_size(self) -> usize {
        match self {
            Self::V4 => LENGTH_V4,
            Self::V6 => LENGTH_V6,
        }
    }
}

/// Reads a socket address; `None` for null or an unknown family.
///
/// # Safety
///
/// `address` is null or points to a complete address of the family that it names.
pub(super) unsafe fn read(address: PSOCKADDR) -> Option<SocketAddr> {
    if address.is_null() {
        return None;
    }
    let start = address.cast::<u8>().cast_const();
    // SAFETY: promised by the caller: every address begins with its family.
    let number = unsafe { start.cast::<u16>().read_unaligned() };
    let length = Family::from_number(number)?.address_size();
    // SAFETY: promised by the caller.
    decode(unsafe { core::slice::from_raw_parts(start, length) })
}

/// The socket address at the start of some bytes; `None` for an unknown family, or too few.
pub(super) fn decode(bytes: &[u8]) -> Option<SocketAddr> {
    let number = u16::from_ne_bytes(*bytes.first_chunk()?);
    let port = u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]);
    match Family::from_number(number)? {
        Family::V4 => {
            let bytes = bytes.first_chunk::<LENGTH_V4>()?;
            let ip = Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
            Some(SocketAddr::new(IpAddr::V4(ip), port))
        }
        Family::V6 => {
            let bytes = bytes.first_chunk::<LENGTH_V6>()?;
            let mut octets = [0; 16];
            octets.copy_from_slice(&bytes[8..24]);
            let word = |at: usize| {
                u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
            };
            let ip = Ipv6Addr::from(octets);
            Some(SocketAddrV6::new(ip, port, u32::from_be(word(4)), word(24)).into())
        }
    }
}

/// Reads a socket address that has the size of this family; `None` if it names another.
///
/// # Safety
///
/// `address` points to as many bytes as an address of the family has.
pub(super) unsafe fn read_as(address: PSOCKADDR, family: Family) -> Option<SocketAddr> {
    // SAFETY: promised by the caller: every address begins with its family.
    let named = unsafe { address.cast::<u16>().read_unaligned() };
    if Family::from_number(named) != Some(family) {
        return None;
    }
    // SAFETY: it is complete, as the caller promises.
    unsafe { read(address) }
}

/// Writes a socket address; null asks for nothing.
///
/// # Safety
///
/// `target` is null or has room for an address of the family of `address`.
pub(super) unsafe fn write(target: PSOCKADDR, address: SocketAddr) {
    if target.is_null() {
        return;
    }
    let bytes = encode(address);
    // SAFETY: promised by the caller.
    unsafe {
        target
            .cast::<u8>()
            .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
    };
}

/// Writes an address to where a pending request wants it.
pub(super) fn write_out(target: Context, address: SocketAddr) {
    // SAFETY: the client keeps address buffers with room for its family until the request completes
    // [wsk 3.12].
    unsafe { write(target.get().cast(), address) };
}

/// An address as it lies in memory.
pub(super) fn encode(address: SocketAddr) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    let family = if address.is_ipv4() { AF_INET } else { AF_INET6 };
    let family = u16::try_from(family).unwrap_or(0).to_ne_bytes();
    let mut bytes = vec![family[0], family[1], port[0], port[1]];
    match address {
        SocketAddr::V4(v4) => {
            bytes.extend(v4.ip().octets());
            bytes.extend([0; 8]);
        }
        SocketAddr::V6(v6) => {
            bytes.extend(v6.flowinfo().to_be_bytes());
            bytes.extend(v6.ip().octets());
            bytes.extend(v6.scope_id().to_ne_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{decode, encode, read};

    #[test]
    fn address_written_and_read_is_the_same() {
        for text in ["127.0.0.1:7", "0.0.0.0:65535", "[::1]:80", "[fe80::1%3]:9"] {
            let address = text.parse().expect("an address");
            let mut bytes = encode(address);
            // SAFETY: `encode` made a complete address of its family.
            let back = unsafe { read(bytes.as_mut_ptr().cast()) };
            assert_eq!(back, Some(address));
        }
    }

    #[test]
    fn address_cut_short_is_none() {
        for text in ["127.0.0.1:7", "[::1]:80"] {
            let bytes = encode(text.parse().expect("an address"));
            assert!((0..bytes.len()).all(|length| decode(&bytes[..length]).is_none()));
        }
    }
}
