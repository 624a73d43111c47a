//! Options and control codes of datagram sockets: what travels with datagrams, broadcast and
//! multicast, fixed addresses.
//!
//! Memberships are the network's affair; the other options are kept in the socket's state and
//! looked at when a datagram comes or goes.

use std::net::IpAddr;

use wdk_sys::{
    NTSTATUS, STATUS_INVALID_ADDRESS_COMPONENT, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED, ULONG,
};
use wsk_sys::{
    IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP, IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_MULTICAST_TTL,
    IP_TTL, IPV6_UNICAST_HOPS, SIO_WSK_SET_REMOTE_ADDRESS, SIO_WSK_SET_SENDTO_ADDRESS,
    SO_BROADCAST, SOL_SOCKET,
};

use super::address::{self, Family};
use super::call::Call;
use super::control::options;
use super::control_data::{V4, V6};
use super::datagram::{self, Fixed};
use super::socket::{Socket, State};
use super::tables::Category;
use crate::net::{BindingId, Datagram};
use crate::sim::{Shared, lock};

const OPTION_SIZE: usize = size_of::<ULONG>();
/// How far multicast goes unless the client says otherwise.
const DEFAULT_MULTICAST_HOPS: u32 = 1;
const DEFAULT_HOPS: u32 = 128;
const MOST_HOPS: u32 = 255;

/// What an option is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Flag {
        default: bool,
    },
    Hops {
        default: u32,
        least: u32,
    },
    /// The interface by which multicast leaves.
    Interface,
    Membership {
        join: bool,
    },
}

/// The options of a level, IPv4's or IPv6's; the numbers of those for multicast are the same.
fn kind_of(level: u32, option: u32) -> Option<Kind> {
    let hops = if level == V4.level {
        IP_TTL
    } else {
        IPV6_UNICAST_HOPS
    };
    let names = if level == V4.level { &V4 } else { &V6 };
    let received = [
        names.packet_info,
        names.receive_hops,
        names.receive_class,
        names.ecn,
    ];
    match option {
        IP_MULTICAST_LOOP => Some(Kind::Flag { default: true }),
        IP_MULTICAST_TTL => Some(Kind::Hops {
            default: DEFAULT_MULTICAST_HOPS,
            least: 0,
        }),
        IP_MULTICAST_IF => Some(Kind::Interface),
        IP_ADD_MEMBERSHIP => Some(Kind::Membership { join: true }),
        IP_DROP_MEMBERSHIP => Some(Kind::Membership { join: false }),
        _ if option == hops => Some(Kind::Hops {
            default: DEFAULT_HOPS,
            least: 1,
        }),
        _ if received.contains(&option) => Some(Kind::Flag { default: false }),
        _ => None,
    }
}

/// The option of a datagram socket, if it is one: IPv4's exist at sockets of both families, too.
fn kind(socket: &Socket, state: &State, level: u32, option: u32) -> Option<Kind> {
    let both = socket.family == Family::V6 && !options::is_v6_only(state);
    match level {
        _ if socket.category != Category::Datagram => None,
        SOL_SOCKET if option == SO_BROADCAST => Some(Kind::Flag { default: false }),
        level if level == V4.level && (socket.family == Family::V4 || both) => {
            kind_of(level, option)
        }
        level if level == V6.level && socket.family == Family::V6 => kind_of(level, option),
        _ => None,
    }
}

/// `WskSetOption`; `None` for an option that is not of datagram sockets.
pub(super) fn set(
    call: &Call,
    level: u32,
    option: u32,
    value: Option<&[u8]>,
) -> Option<Result<(), NTSTATUS>> {
    let (sim, socket) = (&call.me.sim, &call.socket);
    let mut state = lock(&socket.state);
    let kind = kind(socket, &state, level, option)?;
    let value = value.unwrap_or_default();
    if let Kind::Membership { join } = kind {
        let binding = state.binding.ok_or(STATUS_INVALID_DEVICE_STATE);
        return Some(
            binding.and_then(|binding| set_membership(sim, binding, (level, value), join)),
        );
    }
    let result = check(sim, kind, level, value);
    if result.is_ok() {
        state.options.insert((level, option), value.to_vec());
        if let Some(binding) = state.binding {
            sim.net.allow_broadcast(binding, may_broadcast(&state));
        }
    }
    Some(result)
}

/// `WskGetOption`; `None` for an option that is not of datagram sockets.
pub(super) fn get(call: &Call, level: u32, option: u32) -> Option<Result<Vec<u8>, NTSTATUS>> {
    let state = lock(&call.socket.state);
    let kind = kind(&call.socket, &state, level, option)?;
    if let Some(value) = state.options.get(&(level, option)) {
        return Some(Ok(value.clone()));
    }
    let default = match kind {
        Kind::Flag { default } => u32::from(default),
        Kind::Hops { default, .. } => default,
        Kind::Interface => 0,
        Kind::Membership { .. } => return Some(Err(STATUS_NOT_SUPPORTED)),
    };
    Some(Ok(default.to_ne_bytes().to_vec()))
}

fn check(sim: &Shared, kind: Kind, level: u32, value: &[u8]) -> Result<(), NTSTATUS> {
    let number = word(value).ok_or(STATUS_INVALID_PARAMETER)?;
    match kind {
        Kind::Hops { least, .. } if !(least..=MOST_HOPS).contains(&number) => {
            Err(STATUS_INVALID_PARAMETER)
        }
        Kind::Interface => interface(sim, level, value).map(|_| ()),
        _ => Ok(()),
    }
}

fn word(value: &[u8]) -> Option<u32> {
    let bytes = <[u8; OPTION_SIZE]>::try_from(value).ok()?;
    Some(u32::from_ne_bytes(bytes))
}

/// The interface that 4 bytes name: with IPv6 its index; with IPv4 its address, or, if the first
/// byte is 0, its index in network byte order. 0 is whichever the network chooses.
fn interface(sim: &Shared, level: u32, value: &[u8]) -> Result<u32, NTSTATUS> {
    let bytes = <[u8; OPTION_SIZE]>::try_from(value).map_err(|_| STATUS_INVALID_PARAMETER)?;
    let local = sim.net.local_addresses();
    let index = match bytes {
        _ if level != V4.level => u32::from_ne_bytes(bytes),
        [0, ..] => u32::from_be_bytes(bytes),
        _ => {
            let ip = IpAddr::from(bytes);
            let found = local.iter().find(|(local, _)| *local == ip);
            found.ok_or(STATUS_INVALID_ADDRESS_COMPONENT)?.1
        }
    };
    if index == 0 || local.iter().any(|(_, other)| *other == index) {
        Ok(index)
    } else {
        Err(STATUS_INVALID_ADDRESS_COMPONENT)
    }
}

/// Joins or leaves a group: `IP_MREQ` or `IPV6_MREQ`.
fn set_membership(
    sim: &Shared,
    binding: BindingId,
    (level, value): (u32, &[u8]),
    join: bool,
) -> Result<(), NTSTATUS> {
    let at = value.len().saturating_sub(OPTION_SIZE);
    let (group, on) = value.split_at(at);
    let group = if level == V4.level {
        <[u8; 4]>::try_from(group).map(IpAddr::from)
    } else {
        <[u8; 16]>::try_from(group).map(IpAddr::from)
    };
    let group = group.map_err(|_| STATUS_INVALID_PARAMETER)?;
    sim.net
        .set_membership(binding, group, interface(sim, level, on)?, join)
}

/// `SO_BROADCAST`.
pub(super) fn may_broadcast(state: &State) -> bool {
    state.is_set((SOL_SOCKET, SO_BROADCAST))
}

/// Whether a datagram that has arrived is for the client: one for many that the socket has sent
/// itself is not, unless `IP_MULTICAST_LOOP` is on.
pub(super) fn is_wanted(sim: &Shared, state: &State, datagram: &Datagram) -> bool {
    let target = datagram.local.map(|local| local.to_canonical());
    let Some(target) = target.filter(IpAddr::is_multicast) else {
        return true;
    };
    let level = level_for(target);
    let option = (level, IP_MULTICAST_LOOP);
    let loops = !state.options.contains_key(&option) || state.is_set(option);
    let own_port = state.local.map(|local| local.port());
    let from = datagram.remote.ip().to_canonical();
    let own = own_port == Some(datagram.remote.port())
        && sim.net.local_addresses().iter().any(|(ip, _)| *ip == from);
    loops || !own
}

fn level_for(ip: IpAddr) -> u32 {
    if ip.to_canonical().is_ipv4() {
        V4.level
    } else {
        V6.level
    }
}

/// How far a datagram goes, and by which interface it leaves, as the options say.
pub(super) fn apply(sim: &Shared, state: &State, datagram: &mut Datagram) {
    let target = datagram.remote.ip().to_canonical();
    let level = level_for(target);
    let value = |option| state.options.get(&(level, option));
    let hops = if target.is_multicast() {
        let chosen = value(IP_MULTICAST_IF).and_then(|value| interface(sim, level, value).ok());
        datagram.interface = chosen.unwrap_or(0);
        let hops = value(IP_MULTICAST_TTL).and_then(|value| word(value));
        Some(hops.unwrap_or(DEFAULT_MULTICAST_HOPS))
    } else {
        let option = if level == V4.level {
            IP_TTL
        } else {
            IPV6_UNICAST_HOPS
        };
        value(option).and_then(|value| word(value))
    };
    datagram.hops = hops.and_then(|hops| u8::try_from(hops).ok());
}

/// The control codes of datagram sockets [wsk 5.4]; `None` for others.
pub(super) fn control(
    call: &Call,
    code: ULONG,
    input: Option<&[u8]>,
) -> Option<Result<(), NTSTATUS>> {
    let which = match code {
        SIO_WSK_SET_REMOTE_ADDRESS => Fixed::Remote,
        SIO_WSK_SET_SENDTO_ADDRESS => Fixed::SendTo,
        _ => return None,
    };
    if call.socket.category != Category::Datagram {
        return Some(Err(STATUS_NOT_SUPPORTED));
    }
    let address = match input.filter(|input| !input.is_empty()) {
        None => Ok(None),
        Some(input) => address::decode(input)
            .map(Some)
            .ok_or(STATUS_INVALID_ADDRESS_COMPONENT),
    };
    Some(address.and_then(|address| datagram::set_fixed_address(call, which, address)))
}
