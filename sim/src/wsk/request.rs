//! One request of a client's to a socket, while it is pending.

use std::net::SocketAddr;

use wdk_sys::NTSTATUS;

use super::buffer::Buffer;
use crate::kernel::thread::Context;

/// What is to be done.
pub(super) enum Work {
    /// Nothing any more: only the answer is due.
    Reply {
        status: NTSTATUS,
        information: usize,
    },
    /// Take a connection; the new socket's context, and where its addresses go.
    Accept {
        context: Context,
        local: Context,
        remote: Context,
    },
    /// Connect to this address.
    Connect {
        remote: SocketAddr,
    },
    Send {
        buffer: Buffer,
        done: usize,
    },
    Receive {
        buffer: Buffer,
        done: usize,
        all: bool,
    },
    /// Send what is left, then end the sending side.
    Disconnect {
        buffer: Buffer,
        done: usize,
    },
}

/// The order in which requests of a socket wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Reply,
    Accept,
    Connect,
    Send,
    Receive,
}

pub(super) const LANES: usize = 5;

/// A pending request.
pub(super) struct Request {
    /// The address of its IRP.
    pub(super) irp: usize,
    pub(super) work: Work,
    pub(super) cancelled: bool,
}

impl Work {
    /// The socket that it answers with exists already: it is too late to cancel it.
    pub(super) fn made_a_socket(&self) -> bool {
        matches!(self, Self::Reply { information, .. } if *information != 0)
    }

    pub(super) fn lane(&self) -> Lane {
        match self {
            Self::Reply { .. } => Lane::Reply,
            Self::Accept { .. } => Lane::Accept,
            Self::Connect { .. } => Lane::Connect,
            Self::Send { .. } | Self::Disconnect { .. } => Lane::Send,
            Self::Receive { .. } => Lane::Receive,
        }
    }

    pub(super) fn buffer(&self) -> Option<&Buffer> {
        match self {
            Self::Send { buffer, .. }
            | Self::Receive { buffer, .. }
            | Self::Disconnect { buffer, .. } => Some(buffer),
            _ => None,
        }
    }
}
