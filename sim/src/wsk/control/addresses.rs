//! The list of local addresses: asking for it, waiting for a change, sorting one.

// UNSAFETY: reads addresses that a list of the client's points to.
#![expect(unsafe_code, reason = "addresses in the client's memory")]
#![expect(
    clippy::unnecessary_wraps,
    reason = "all operations of a table have one type"
)]

use std::net::SocketAddr;
use std::sync::atomic::Ordering::SeqCst;

use wdk_sys::{INT, NTSTATUS, STATUS_INVALID_PARAMETER};
use wsk_sys::{SOCKET_ADDRESS, SOCKET_ADDRESS_LIST};

use super::super::address::{self, Family};
use super::super::call::Entry;
use super::super::request::{Answer, Lane, Turn, Work};
use super::{Effect, Operation, Outcome, options};

/// Where a list has its first entry.
const ENTRIES: usize = core::mem::offset_of!(SOCKET_ADDRESS_LIST, Address);
const LENGTH: usize = core::mem::offset_of!(SOCKET_ADDRESS, iSockaddrLength);
/// Addresses in a list begin at multiples of this.
const ALIGNMENT: usize = 8;

/// Waits until the local addresses of a family change.
struct Change {
    family: Family,
    /// How many changes there had been.
    seen: u64,
}

/// `SIO_ADDRESS_LIST_QUERY`: the addresses by which others reach this host.
pub(super) fn query(entry: &Entry, operation: &Operation) -> Outcome {
    let family = entry.socket.family;
    let local = entry.me.sim.net.local_addresses();
    let addresses: Vec<_> = local
        .into_iter()
        .map(|(ip, _)| SocketAddr::new(ip, 0))
        .filter(|address| Family::of(*address) == family && !address.ip().is_loopback())
        .collect();
    Ok(Effect::Done(lay_out(operation.output.addr(), &addresses)))
}

/// `SIO_ADDRESS_LIST_CHANGE`.
pub(super) fn wait_for_change(entry: &Entry, _operation: &Operation) -> Outcome {
    let family = entry.socket.family;
    let changes = &entry.me.sim.wsk.controls.address_changes;
    let seen = changes[family as usize].load(SeqCst);
    Ok(Effect::Waits(Box::new(Change { family, seen })))
}

impl Work for Change {
    fn lane(&self) -> Lane {
        Lane::Notice
    }

    fn attempt(&mut self, turn: &mut Turn<'_>) -> Option<Answer> {
        let changes = &turn.sim.wsk.controls.address_changes;
        let now = changes[self.family as usize].load(SeqCst);
        (now != self.seen).then_some(Answer::SUCCESS)
    }
}

/// `SIO_ADDRESS_LIST_SORT`: addresses that can be reached come first.
pub(super) fn sort(entry: &Entry, operation: &Operation) -> Outcome {
    let input = operation.input().ok_or(STATUS_INVALID_PARAMETER)?;
    let mut addresses = read_list(input)?;
    let local = entry.me.sim.net.local_addresses();
    let is_far = |address: &SocketAddr| {
        let ip = address.ip().to_canonical();
        !local.iter().any(|(own, _)| *own == ip)
    };
    addresses.sort_by_key(is_far);
    Ok(Effect::Done(lay_out(operation.output.addr(), &addresses)))
}

/// A `SOCKET_ADDRESS_LIST` for the memory at `start`, with the addresses behind it.
fn lay_out(start: usize, addresses: &[SocketAddr]) -> Vec<u8> {
    let count = INT::try_from(addresses.len()).unwrap_or(INT::MAX);
    let mut list = count.to_ne_bytes().to_vec();
    list.resize(ENTRIES, 0);
    let behind = start + ENTRIES + addresses.len() * ENTRY;
    let mut encoded = Vec::new();
    for address in addresses {
        let bytes = address::encode(*address);
        let length = INT::try_from(bytes.len()).unwrap_or(INT::MAX);
        let end = list.len() + ENTRY;
        list.extend((behind + encoded.len()).to_ne_bytes());
        list.extend(length.to_ne_bytes());
        list.resize(end, 0);
        encoded.extend(bytes);
        encoded.resize(encoded.len().next_multiple_of(ALIGNMENT), 0);
    }
    list.extend(encoded);
    list
}

const ENTRY: usize = size_of::<SOCKET_ADDRESS>();

fn read_list(input: &[u8]) -> Result<Vec<SocketAddr>, NTSTATUS> {
    let count = input
        .get(..size_of::<INT>())
        .map_or(0, options::read_number) as usize;
    let entries = input.get(ENTRIES..).unwrap_or_default();
    if count > entries.len() / ENTRY {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let entries = entries.chunks_exact(ENTRY).take(count);
    let addresses: Option<_> = entries.map(read_entry).collect();
    addresses.ok_or(STATUS_INVALID_PARAMETER)
}

fn read_entry(entry: &[u8]) -> Option<SocketAddr> {
    let start = options::read_pointer(&entry[..size_of::<usize>()]);
    let length = options::read_number(&entry[LENGTH..LENGTH + size_of::<INT>()]);
    let pointer = core::ptr::with_exposed_provenance_mut(start);
    // SAFETY: the client's list points to complete addresses of the lengths that it names.
    let address = unsafe { address::read(pointer) }?;
    (length as usize == Family::of(address).address_size()).then_some(address)
}
