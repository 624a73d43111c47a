//! One datagram and what travels with it, on Linux: control data of `recvmsg` and `sendmsg`.
//!
//! `plain_message` takes its place on other hosts.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

use mio::net::UdpSocket;
use nix::cmsg_space;
use nix::libc::{c_int, in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::sockopt::{
    IpRecvTos, Ipv4PacketInfo, Ipv4RecvTtl, Ipv6RecvHopLimit, Ipv6RecvPacketInfo, Ipv6RecvTClass,
};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
};
use socket2::Socket;

use crate::net::{Bind, Datagram};

/// No datagram is larger.
const LARGEST: usize = 64 * 1024;

/// Has the host tell what travels with datagrams.
pub(super) fn ask_for_control_data(socket: &Socket, bind: &Bind) -> io::Result<()> {
    let fd = socket.as_fd();
    if bind.address.is_ipv6() {
        setsockopt(&fd, Ipv6RecvPacketInfo, &true)?;
        setsockopt(&fd, Ipv6RecvHopLimit, &true)?;
        setsockopt(&fd, Ipv6RecvTClass, &true)?;
    } else {
        setsockopt(&fd, Ipv4PacketInfo, &true)?;
    }
    // A socket of both families gets these of IPv4 datagrams.
    if bind.address.is_ipv4() || bind.both_families {
        setsockopt(&fd, Ipv4RecvTtl, &true)?;
        setsockopt(&fd, IpRecvTos, &true)?;
    }
    Ok(())
}

/// Takes the next datagram.
pub(super) fn receive(socket: &UdpSocket) -> io::Result<Datagram> {
    let mut data = vec![0; LARGEST];
    let mut control = cmsg_space!(in_pktinfo, in6_pktinfo, c_int, c_int, c_int, c_int);
    let (count, mut datagram) = socket.try_io(|| {
        let mut pieces = [IoSliceMut::new(&mut data)];
        let fd = socket.as_raw_fd();
        let flags = MsgFlags::empty();
        let message = recvmsg::<SockaddrStorage>(fd, &mut pieces, Some(&mut control), flags)?;
        let remote = message.address.and_then(address);
        let mut datagram = Datagram {
            data: Vec::new(),
            remote: remote.ok_or(ErrorKind::InvalidData)?,
            local: None,
            interface: 0,
            hops: None,
            traffic_class: None,
        };
        for item in message.cmsgs()? {
            enter(&mut datagram, &item);
        }
        Ok((message.bytes, datagram))
    })?;
    data.truncate(count);
    datagram.data = data;
    Ok(datagram)
}

fn address(storage: SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddrV4::from(*v4).into());
    }
    let v6 = storage.as_sockaddr_in6()?;
    Some(SocketAddrV6::from(*v6).into())
}

fn enter(datagram: &mut Datagram, item: &ControlMessageOwned) {
    match item {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            let ip = Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes());
            datagram.local = Some(ip.into());
            datagram.interface = u32::try_from(info.ipi_ifindex).unwrap_or(0);
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            datagram.local = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
            datagram.interface = info.ipi6_ifindex;
        }
        ControlMessageOwned::Ipv4Ttl(hops) | ControlMessageOwned::Ipv6HopLimit(hops) => {
            datagram.hops = u8::try_from(*hops).ok();
        }
        ControlMessageOwned::Ipv4Tos(class) => datagram.traffic_class = Some(*class),
        ControlMessageOwned::Ipv6TClass(class) => {
            datagram.traffic_class = u8::try_from(*class).ok();
        }
        _ => {}
    }
}

/// Where a datagram is to leave the host, for IPv4 and for a socket of IPv6.
fn source_v4(datagram: &Datagram) -> in_pktinfo {
    let local = match datagram.local {
        Some(IpAddr::V4(ip)) => ip,
        _ => Ipv4Addr::UNSPECIFIED,
    };
    in_pktinfo {
        ipi_ifindex: i32::try_from(datagram.interface).unwrap_or(0),
        ipi_spec_dst: in_addr {
            s_addr: u32::from_ne_bytes(local.octets()),
        },
        ipi_addr: in_addr { s_addr: 0 },
    }
}

fn source_v6(datagram: &Datagram) -> in6_pktinfo {
    let local = match datagram.local {
        Some(IpAddr::V6(ip)) => ip,
        Some(IpAddr::V4(ip)) => ip.to_ipv6_mapped(),
        None => Ipv6Addr::UNSPECIFIED,
    };
    in6_pktinfo {
        ipi6_addr: in6_addr {
            s6_addr: local.octets(),
        },
        ipi6_ifindex: datagram.interface,
    }
}

/// Sends a datagram, whole.
pub(super) fn send(socket: &UdpSocket, datagram: &Datagram) -> io::Result<()> {
    let (source_v4, source_v6) = (source_v4(datagram), source_v6(datagram));
    let hops = datagram.hops.map(c_int::from);
    let class = datagram.traffic_class;
    let wide_class = class.map(c_int::from);
    let mut control = Vec::new();
    if datagram.local.is_some() || datagram.interface != 0 {
        control.push(if datagram.remote.is_ipv4() {
            ControlMessage::Ipv4PacketInfo(&source_v4)
        } else {
            ControlMessage::Ipv6PacketInfo(&source_v6)
        });
    }
    if datagram.remote.ip().to_canonical().is_ipv4() {
        control.extend(hops.as_ref().map(ControlMessage::Ipv4Ttl));
        control.extend(class.as_ref().map(ControlMessage::Ipv4Tos));
    } else {
        control.extend(hops.as_ref().map(ControlMessage::Ipv6HopLimit));
        control.extend(wide_class.as_ref().map(ControlMessage::Ipv6TClass));
    }
    let pieces = [IoSlice::new(&datagram.data)];
    let remote = SockaddrStorage::from(datagram.remote);
    socket.try_io(|| {
        let fd = socket.as_raw_fd();
        sendmsg(fd, &pieces, &control, MsgFlags::empty(), Some(&remote))?;
        Ok(())
    })
}
