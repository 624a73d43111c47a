//! Multicast groups: options that join and leave them; and the interfaces that options name.

// UNSAFETY: reads an address in the client's input.
#![expect(unsafe_code, reason = "an address in the client's input")]

use std::net::IpAddr;

use wdk_sys::{
    NTSTATUS, STATUS_INVALID_ADDRESS_COMPONENT, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER,
};
use wsk_sys::GROUP_REQ;

use super::super::address::{self, Family};
use super::super::call::Entry;
use super::super::socket::State;
use super::option_table::{IP, Name};
use super::options::read_number;
use crate::sim::Shared;

/// Where a `GROUP_REQ` has the group.
const GROUP: usize = core::mem::offset_of!(GROUP_REQ, gr_group);
/// The size of what names an interface.
const INTERFACE: usize = size_of::<u32>();

/// Joins or leaves the group that the input of an option names.
pub(super) fn change(
    entry: &Entry,
    state: &State,
    (level, _): Name,
    input: &[u8],
    join: bool,
) -> Result<(), NTSTATUS> {
    let sim = &entry.me.sim;
    let (group, interface) = if input.len() == size_of::<GROUP_REQ>() {
        of_any_family(sim, input)
    } else {
        of_one_family(sim, level, input)
    }?;
    let family = if level == IP { Family::V4 } else { Family::V6 };
    if Family::of((group, 0).into()) != family {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let binding = state.binding.ok_or(STATUS_INVALID_DEVICE_STATE)?;
    sim.net.set_membership(binding, group, interface, join)
}

/// An `IP_MREQ` or `IPV6_MREQ`: the group, then the interface.
fn of_one_family(sim: &Shared, level: u32, input: &[u8]) -> Result<(IpAddr, u32), NTSTATUS> {
    let (group, on) = input.split_at(input.len() - INTERFACE);
    let group = if level == IP {
        <[u8; 4]>::try_from(group).map(IpAddr::from)
    } else {
        <[u8; 16]>::try_from(group).map(IpAddr::from)
    };
    let group = group.map_err(|_| STATUS_INVALID_PARAMETER)?;
    Ok((group, interface(sim, level, on)?))
}

/// A `GROUP_REQ`: the index of the interface, then the group.
fn of_any_family(sim: &Shared, input: &[u8]) -> Result<(IpAddr, u32), NTSTATUS> {
    let mut group = input[GROUP..].to_vec();
    // SAFETY: the member has room for an address of any family.
    let group = unsafe { address::read(group.as_mut_ptr().cast()) };
    let group = group.ok_or(STATUS_INVALID_PARAMETER)?;
    Ok((group.ip(), known(sim, read_number(&input[..INTERFACE]))?))
}

/// The interface that 4 bytes name: at the level of IPv6 its index; at that of IPv4 one of its
/// addresses or, if the first byte is 0, its index in network byte order. 0 is any.
pub(in super::super) fn interface(sim: &Shared, level: u32, bytes: &[u8]) -> Result<u32, NTSTATUS> {
    let bytes = <[u8; INTERFACE]>::try_from(bytes).map_err(|_| STATUS_INVALID_PARAMETER)?;
    if level != IP {
        return known(sim, u32::from_ne_bytes(bytes));
    }
    if bytes[0] == 0 {
        return known(sim, u32::from_be_bytes(bytes));
    }
    let ip = IpAddr::from(bytes);
    let local = sim.net.local_addresses();
    let found = local.iter().find(|(own, _)| *own == ip);
    found
        .map(|(_, index)| *index)
        .ok_or(STATUS_INVALID_ADDRESS_COMPONENT)
}

fn known(sim: &Shared, index: u32) -> Result<u32, NTSTATUS> {
    let local = sim.net.local_addresses();
    let exists = index == 0 || local.iter().any(|(_, own)| *own == index);
    exists
        .then_some(index)
        .ok_or(STATUS_INVALID_ADDRESS_COMPONENT)
}
