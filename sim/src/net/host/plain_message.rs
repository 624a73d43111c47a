//! One datagram, on hosts where nothing but its addresses can be had safely: which local address
//! and interface it arrived at, its time to live and its traffic class are not known, and those
//! asked for when sending are not set.
//!
//! `message` has all of that on Linux.

use std::io;

use mio::net::UdpSocket;
use socket2::Socket;

use crate::net::{Bind, Datagram};

/// No datagram is larger.
const LARGEST: usize = 64 * 1024;

/// Has the host tell what travels with datagrams: nothing here.
#[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
pub(super) fn ask_for_control_data(_socket: &Socket, _bind: &Bind) -> io::Result<()> {
    Ok(())
}

/// Takes the next datagram.
pub(super) fn receive(socket: &UdpSocket) -> io::Result<Datagram> {
    let mut data = vec![0; LARGEST];
    let (count, remote) = socket.recv_from(&mut data)?;
    data.truncate(count);
    Ok(Datagram {
        data,
        remote,
        local: None,
        interface: 0,
        hops: None,
        traffic_class: None,
    })
}

/// Sends a datagram, whole.
pub(super) fn send(socket: &UdpSocket, datagram: &Datagram) -> io::Result<()> {
    socket.send_to(&datagram.data, datagram.remote).map(drop)
}
