//! Options of sockets: which there are, when they may be set, and what they mean here.
//!
//! Options that a transport would honour by its timing or its buffers (keep-alive, no-delay,
//! receive buffer) are stored and can be read back; the virtual network does not act on them.

use std::collections::BTreeMap;

use wdk_sys::{
    NTSTATUS, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED, ULONG,
};
use wsk_sys::{
    IPPROTO, IPV6_V6ONLY, SO_CONDITIONAL_ACCEPT, SO_EXCLUSIVEADDRUSE, SO_KEEPALIVE, SO_RCVBUF,
    SO_REUSEADDR, SOL_SOCKET, TCP_NODELAY,
};

use super::super::call::Call;
use super::super::datagram_options;
use super::super::sharing::Sharing;
use super::super::socket::State;
use crate::sim::lock;

const TCP: u32 = IPPROTO::IPPROTO_TCP.cast_unsigned();
const IPV6: u32 = IPPROTO::IPPROTO_IPV6.cast_unsigned();
const OPTION_SIZE: usize = size_of::<ULONG>();
const EXCLUSIVE: u32 = SO_EXCLUSIVEADDRUSE.cast_unsigned();

/// When an option may be set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    BeforeBind,
    Any,
}

/// The options that the provider has.
fn moment(level: u32, option: u32) -> Option<Moment> {
    match (level, option) {
        (SOL_SOCKET, SO_REUSEADDR | SO_CONDITIONAL_ACCEPT | EXCLUSIVE) | (IPV6, IPV6_V6ONLY) => {
            Some(Moment::BeforeBind)
        }
        (SOL_SOCKET, SO_KEEPALIVE | SO_RCVBUF) | (TCP, TCP_NODELAY) => Some(Moment::Any),
        _ => None,
    }
}

pub(super) fn set(
    call: &Call,
    level: u32,
    option: u32,
    value: Option<&[u8]>,
) -> Result<(), NTSTATUS> {
    if let Some(result) = datagram_options::set(call, level, option, value) {
        return result;
    }
    let moment = moment(level, option).ok_or(STATUS_NOT_SUPPORTED)?;
    let value = value
        .filter(|value| value.len() == OPTION_SIZE)
        .ok_or(STATUS_INVALID_PARAMETER)?;
    let mut state = lock(&call.socket.state);
    if moment == Moment::BeforeBind && state.local.is_some() {
        return Err(STATUS_INVALID_DEVICE_STATE);
    }
    state.options.insert((level, option), value.to_vec());
    Ok(())
}

pub(super) fn get(call: &Call, level: u32, option: u32) -> Result<Vec<u8>, NTSTATUS> {
    if let Some(result) = datagram_options::get(call, level, option) {
        return result;
    }
    moment(level, option).ok_or(STATUS_NOT_SUPPORTED)?;
    let state = lock(&call.socket.state);
    Ok(state
        .options
        .get(&(level, option))
        .cloned()
        .unwrap_or_else(|| vec![0; OPTION_SIZE]))
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
    if state.is_set((SOL_SOCKET, EXCLUSIVE)) {
        Sharing::Exclusive
    } else if state.is_set((SOL_SOCKET, SO_REUSEADDR)) {
        Sharing::Reuse
    } else {
        Sharing::Neither
    }
}

/// What an accepted socket has from its listener [wsk 5.3].
pub(in super::super) fn inherited(state: &State) -> BTreeMap<(u32, u32), Vec<u8>> {
    let passes_on = |option: &(u32, u32)| {
        [(SOL_SOCKET, SO_KEEPALIVE), (SOL_SOCKET, SO_RCVBUF)].contains(option)
    };
    state
        .options
        .iter()
        .filter(|(option, _)| passes_on(option))
        .map(|(option, value)| (*option, value.clone()))
        .collect()
}

/// Whether the security descriptor of a socket lets others share its address: the default one does
/// not.
pub(in super::super) fn admits_others(_state: &State) -> bool {
    false
}
