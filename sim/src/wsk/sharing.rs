//! Who may have an address that another socket has: the table of section 4 of docs/CONTRACT.md.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use wdk_sys::{NTSTATUS, STATUS_ACCESS_DENIED, STATUS_ADDRESS_ALREADY_EXISTS};

use super::control::options;
use super::socket::{Socket, State};
use crate::net::Protocol;
use crate::sim::{Shared, lock};

/// The addresses that sockets have, by the address of the socket.
pub(super) type Claims = BTreeMap<usize, Claim>;

/// What the options of a socket say about sharing its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Neither option is set: the security descriptor decides.
    Neither,
    Reuse,
    Exclusive,
}

/// An address that a socket has, or wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    address: SocketAddr,
    protocol: Protocol,
    sharing: Sharing,
    /// Its security descriptor lets others share where the table asks for a check.
    admits: bool,
}

#[derive(Clone, Copy)]
enum Verdict {
    Fine,
    InUse,
    Denied,
    Check,
}

use Verdict::{Check, Denied, Fine, InUse};

/// Rows: what the second socket wants; columns: what the first has. Both in the order neither,
/// reuse, exclusive, each for the wildcard first and for a specific address then.
const TABLE: [[Verdict; 6]; 6] = [
    [InUse, Fine, InUse, Fine, InUse, Fine],
    [Check, InUse, Check, Denied, Denied, InUse],
    [Denied, Fine, Fine, Fine, Denied, Fine],
    [Check, Denied, Fine, Fine, Denied, Denied],
    [InUse, InUse, InUse, InUse, InUse, InUse],
    [Check, InUse, Check, InUse, Denied, InUse],
];

impl Claim {
    fn new(socket: &Socket, state: &State, address: SocketAddr) -> Self {
        Self {
            address,
            protocol: socket.protocol,
            sharing: options::sharing(state),
            admits: options::admits_others(state),
        }
    }

    fn index(&self) -> usize {
        self.sharing as usize * 2 + usize::from(!self.address.ip().is_unspecified())
    }

    fn meets(&self, other: &Self) -> bool {
        let (ip, other_ip) = (self.address.ip(), other.address.ip());
        self.protocol == other.protocol
            && self.address.port() == other.address.port()
            && ip.is_ipv4() == other_ip.is_ipv4()
            && (ip == other_ip || ip.is_unspecified() || other_ip.is_unspecified())
    }

    /// Whether it may stand beside `first`.
    fn beside(&self, first: &Self) -> Result<(), NTSTATUS> {
        match TABLE[self.index()][first.index()] {
            Fine => Ok(()),
            Check if first.admits => Ok(()),
            Check | Denied => Err(STATUS_ACCESS_DENIED),
            InUse => Err(STATUS_ADDRESS_ALREADY_EXISTS),
        }
    }
}

/// Checks whether a socket may take an address; true if it shares it with whoever lets it.
pub(super) fn check(
    sim: &Shared,
    socket: &Socket,
    state: &State,
    address: SocketAddr,
) -> Result<bool, NTSTATUS> {
    let wanted = Claim::new(socket, state, address);
    if address.port() != 0 {
        let claims = lock(&sim.wsk.claims);
        let mut met = claims.values().filter(|first| wanted.meets(first));
        met.try_for_each(|first| wanted.beside(first))?;
    }
    Ok(wanted.sharing == Sharing::Reuse)
}

/// Enters the address that a socket has got.
pub(super) fn enter(sim: &Shared, socket: &Socket, state: &State) {
    if let Some(address) = state.local {
        let claim = Claim::new(socket, state, address);
        lock(&sim.wsk.claims).insert(socket.pointer().addr(), claim);
    }
}

/// Forgets the address of a socket.
pub(super) fn leave(sim: &Shared, socket: &Socket) {
    lock(&sim.wsk.claims).remove(&socket.pointer().addr());
}
