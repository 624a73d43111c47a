//! Options of sockets: setting and getting them, and what they mean to the rest of the provider.
//!
//! Options that a transport would honour by its timing or its buffers (keep-alive, no-delay,
//! receive buffer, ...) are stored and can be read back; the virtual network does not act on them.

use std::collections::BTreeMap;

use wdk_sys::{
    NTSTATUS, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED,
};
use wsk_sys::{IPV6_V6ONLY, SO_BROADCAST, SO_CONDITIONAL_ACCEPT, SO_REUSEADDR, SOL_SOCKET};

use super::super::address::Family;
use super::super::call::Entry;
use super::super::sharing::Sharing;
use super::super::socket::State;
use super::option_table::{Access, EXCLUSIVE, IPV6, Name, Row, SECURITY, Value, find};
use super::{Operation, groups, security};
use crate::sim::lock;

const BROADCAST: Name = (SOL_SOCKET, SO_BROADCAST);

/// The option that an operation is about, if the socket has it, for this or for both.
fn row(entry: &Entry, operation: &Operation, access: Access) -> Result<&'static Row, NTSTATUS> {
    let socket = &entry.socket;
    let both = socket.family == Family::V6 && !is_v6_only(&lock(&socket.state));
    find((operation.level, operation.code))
        .filter(|row| row.is_of(socket, both) && [Access::Both, access].contains(&row.access))
        .ok_or(STATUS_NOT_SUPPORTED)
}

/// `WskSetOption`.
pub(super) fn set(entry: &Entry, operation: &Operation) -> Result<(), NTSTATUS> {
    let row = row(entry, operation, Access::Set)?;
    let input = operation.input_of(row.size())?;
    let value = read_value(entry, row, input)?;
    let mut state = lock(&entry.socket.state);
    if !row.moment.is_now(&mut state) {
        return Err(STATUS_INVALID_DEVICE_STATE);
    }
    if let Value::Group { join, .. } = row.value {
        return groups::change(entry, &state, row.option, input, join);
    }
    state.options.insert(row.option, value);
    if row.option == BROADCAST {
        apply_broadcast(entry, &state);
    }
    Ok(())
}

/// What is stored for an option; of a security descriptor, what it says.
fn read_value(entry: &Entry, row: &Row, input: &[u8]) -> Result<Vec<u8>, NTSTATUS> {
    match row.value {
        Value::Flag(_) => Ok(u32::from(read_number(input) != 0).to_ne_bytes().to_vec()),
        Value::Number(_, lowest, highest) if !(lowest..=highest).contains(&read_number(input)) => {
            Err(STATUS_INVALID_PARAMETER)
        }
        Value::Interface => {
            groups::interface(&entry.me.sim, row.option.0, input).map(|_| input.to_vec())
        }
        Value::Number(..) | Value::Group { .. } => Ok(input.to_vec()),
        Value::Descriptor => {
            let descriptor = security::expect(&entry.me, read_pointer(input), row.terms.name);
            Ok(descriptor)
        }
    }
}

/// `WskGetOption`.
pub(super) fn get(entry: &Entry, operation: &Operation) -> Result<Vec<u8>, NTSTATUS> {
    let row = row(entry, operation, Access::Get)?;
    let mut state = lock(&entry.socket.state);
    if row.access == Access::Get && !row.moment.is_now(&mut state) {
        return Err(STATUS_INVALID_DEVICE_STATE);
    }
    let value = state.options.get(&row.option).cloned();
    drop(state);
    if row.value == Value::Descriptor {
        return security::give(entry, operation, value);
    }
    Ok(value.unwrap_or_else(|| row.default().to_ne_bytes().to_vec()))
}

fn apply_broadcast(entry: &Entry, state: &State) {
    if let Some(binding) = state.binding {
        let net = &entry.me.sim.net;
        net.allow_broadcast(binding, state.is_set(BROADCAST));
    }
}

pub(in super::super) fn read_number(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_ne_bytes)
}

pub(super) fn read_pointer(bytes: &[u8]) -> usize {
    bytes.try_into().map_or(0, usize::from_ne_bytes)
}

/// `SO_BROADCAST`.
pub(in super::super) fn may_broadcast(state: &State) -> bool {
    state.is_set(BROADCAST)
}

/// `IPV6_V6ONLY`, which is on unless it was switched off.
pub(in super::super) fn is_v6_only(state: &State) -> bool {
    !state.options.contains_key(&(IPV6, IPV6_V6ONLY)) || state.is_set((IPV6, IPV6_V6ONLY))
}

/// `SO_CONDITIONAL_ACCEPT` [wsk 7.6].
pub(in super::super) fn is_conditional(state: &State) -> bool {
    state.is_set((SOL_SOCKET, SO_CONDITIONAL_ACCEPT))
}

/// `SO_REUSEADDR` and `SO_EXCLUSIVEADDRUSE`.
pub(in super::super) fn sharing(state: &State) -> Sharing {
    if state.is_set(EXCLUSIVE) {
        Sharing::Exclusive
    } else if state.is_set((SOL_SOCKET, SO_REUSEADDR)) {
        Sharing::Reuse
    } else {
        Sharing::Neither
    }
}

/// What an accepted socket has from its listener [wsk 5.3].
pub(in super::super) fn inherited(state: &State) -> BTreeMap<Name, Vec<u8>> {
    let passes_on = |option: &Name| find(*option).is_some_and(|row| row.inherited);
    state
        .options
        .iter()
        .filter(|(option, _)| passes_on(option))
        .map(|(option, value)| (*option, value.clone()))
        .collect()
}

/// Keeps the security descriptor that a new socket was given.
pub(in super::super) fn set_security(state: &mut State, descriptor: Vec<u8>) {
    state.options.insert(SECURITY, descriptor);
}

/// Whether the security descriptor of a socket lets others share its address: the default one does
/// not.
pub(in super::super) fn admits_others(state: &State) -> bool {
    let descriptor = state.options.get(&SECURITY);
    descriptor.is_some_and(|descriptor| security::admits_system(descriptor))
}
