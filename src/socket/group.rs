//! Datagram sockets: the addresses that they keep to, and the multicast groups that they are in.

use core::net::SocketAddr;

use wsk_sys::{SIO_WSK_SET_REMOTE_ADDRESS, SIO_WSK_SET_SENDTO_ADDRESS};

use super::{control::set_option, datagram::DatagramSocket, request::SetOption};
use crate::{
    addr::SocketAddress,
    op::{
        calls::{
            Started,
            control::{self, Control},
        },
        core::CoreRef,
        operation::Operation,
        slot::{Arguments, pack},
    },
    option::{self, GroupV4, GroupV6},
};

/// A multicast group to [join](DatagramSocket::join), of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Of IPv4.
    V4(GroupV4),
    /// Of IPv6.
    V6(GroupV6),
}

impl From<GroupV4> for Group {
    fn from(group: GroupV4) -> Self {
        Self::V4(group)
    }
}

impl From<GroupV6> for Group {
    fn from(group: GroupV6) -> Self {
        Self::V6(group)
    }
}

/// Addresses that are fixed, and groups.
impl DatagramSocket {
    /// Fixes the only address that datagrams are exchanged with, once it is bound: what is sent
    /// goes there unless the call says otherwise, and what comes from elsewhere is dropped
    /// [wsk 5.4]. `None` lets go of it. A datagram that a dropped receive had taken before may
    /// still come.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::ErrorKind::InvalidState): not bound; or what `WskControlSocket`
    /// says, for example about an address of another family.
    ///
    /// [SIO_WSK_SET_REMOTE_ADDRESS](https://learn.microsoft.com/windows-hardware/drivers/network/sio-wsk-set-remote-address)
    #[doc(alias = "SIO_WSK_SET_REMOTE_ADDRESS")]
    #[doc(alias = "connect")]
    pub fn set_remote_address(&self, remote: Option<SocketAddr>) -> Operation<SetOption> {
        self.fix(SIO_WSK_SET_REMOTE_ADDRESS, remote)
    }

    /// Fixes the address that is sent to unless the call says otherwise, once it is bound; `None`
    /// lets go of it. What is received may come from anywhere [wsk 5.4].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`set_remote_address`](Self::set_remote_address).
    ///
    /// [SIO_WSK_SET_SENDTO_ADDRESS](https://learn.microsoft.com/windows-hardware/drivers/network/sio-wsk-set-sendto-address)
    #[doc(alias = "SIO_WSK_SET_SENDTO_ADDRESS")]
    pub fn set_send_to_address(&self, remote: Option<SocketAddr>) -> Operation<SetOption> {
        self.fix(SIO_WSK_SET_SENDTO_ADDRESS, remote)
    }

    fn fix(&self, ioctl: u32, remote: Option<SocketAddr>) -> Operation<SetOption> {
        let mut arguments = Arguments::none();
        if let Some(remote) = remote {
            let remote = SocketAddress::from(remote);
            arguments.extra = pack(remote.as_bytes());
            arguments.extra_length = remote.length();
        }
        let control = Control::ioctl(ioctl);
        Operation::new(control::put(self.socket.core(), control, arguments))
    }

    /// Joins a multicast group: what is sent to it at the socket's port is received from now on,
    /// until it [leaves](Self::leave) or is closed.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// What `WskControlSocket` says: `STATUS_INVALID_PARAMETER` for example, if the address is not
    /// that of a group or the socket is a member already.
    ///
    /// ```no_run
    /// use core::net::Ipv4Addr;
    /// use wsk::{DatagramSocket, option::GroupV4};
    ///
    /// # async fn f(socket: &DatagramSocket) -> wsk::Result<()> {
    /// let (group, interface) = (Ipv4Addr::new(239, 1, 2, 3), Ipv4Addr::UNSPECIFIED);
    /// socket.join(GroupV4 { group, interface }).await
    /// # }
    /// ```
    ///
    /// [IP_ADD_MEMBERSHIP](https://learn.microsoft.com/windows/win32/winsock/ipproto-ip-socket-options)
    #[doc(alias = "IP_ADD_MEMBERSHIP")]
    #[doc(alias = "IPV6_ADD_MEMBERSHIP")]
    pub fn join(&self, group: impl Into<Group>) -> Operation<SetOption> {
        Operation::new(join(self.socket.core(), group.into()))
    }

    /// Leaves a multicast group that it has joined.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// What `WskControlSocket` says.
    ///
    /// [IP_DROP_MEMBERSHIP](https://learn.microsoft.com/windows/win32/winsock/ipproto-ip-socket-options)
    #[doc(alias = "IP_DROP_MEMBERSHIP")]
    #[doc(alias = "IPV6_DROP_MEMBERSHIP")]
    pub fn leave(&self, group: impl Into<Group>) -> Operation<SetOption> {
        Operation::new(leave(self.socket.core(), group.into()))
    }
}

fn join(core: &CoreRef, group: Group) -> Started {
    match group {
        Group::V4(group) => set_option(core, &option::ipv4::ADD_MEMBERSHIP, group),
        Group::V6(group) => set_option(core, &option::ipv6::ADD_MEMBERSHIP, group),
    }
}

fn leave(core: &CoreRef, group: Group) -> Started {
    match group {
        Group::V4(group) => set_option(core, &option::ipv4::DROP_MEMBERSHIP, group),
        Group::V6(group) => set_option(core, &option::ipv6::DROP_MEMBERSHIP, group),
    }
}
