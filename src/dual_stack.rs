//! One socket for IPv4 and IPv6: a socket of IPv6 with `IPV6_V6ONLY` off, which sees the addresses
//! of IPv4 mapped into those of IPv6. These functions translate, so that the rest of a driver need
//! not know.
//!
//! ```no_run
//! use core::net::SocketAddr;
//! use wsk::{AddressFamily, ListenSocket, Provider, dual_stack};
//!
//! async fn serve_everybody(provider: &Provider, port: u16) -> wsk::Result<Option<SocketAddr>> {
//!     let mut listener = ListenSocket::open(provider, AddressFamily::Inet6).await?;
//!     listener.set_dual_stack().await?;
//!     listener.bind(dual_stack::any(port)).await?;
//!     let accepted = listener.accept().await?;
//!     // 192.0.2.1:1234, not [::ffff:192.0.2.1]:1234
//!     Ok(accepted.remote.map(dual_stack::canonical))
//! }
//! ```
//!
//! It knows no socket.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Every local address of both families, at `port` (in host byte order); 0 for any free one.
///
/// IRQL: any.
#[must_use]
pub const fn any(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)
}

/// An address that a socket of both families tells, as it is: one of IPv4 if it was mapped.
///
/// IRQL: any.
#[must_use]
pub const fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(IpAddr::V4(v4), v6.port()),
            None => address,
        },
        SocketAddr::V4(_) => address,
    }
}

/// An address as a socket of both families takes it, to connect or to send to: mapped if it is one
/// of IPv4.
///
/// IRQL: any.
#[must_use]
pub const fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(IpAddr::V6(v4.ip().to_ipv6_mapped()), v4.port()),
        SocketAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::{canonical, mapped};

    #[test]
    fn addresses_of_ipv4_are_mapped_and_back() {
        let v4 = "192.0.2.1:7".parse().expect("an address");
        let v6 = "[::ffff:192.0.2.1]:7".parse().expect("an address");
        assert_eq!(mapped(v4), v6);
        assert_eq!(canonical(v6), v4);
        assert_eq!(canonical(v4), v4);
    }

    #[test]
    fn addresses_of_ipv6_stay_as_they_are() {
        for text in ["[::1]:7", "[fe80::1%3]:7", "[::]:0"] {
            let v6 = text.parse().expect("an address");
            assert_eq!((mapped(v6), canonical(v6)), (v6, v6));
        }
    }
}
