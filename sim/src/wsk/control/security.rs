//! Security descriptors that the provider keeps for its clients [wsk 4.5].
//!
//! A client gets the address of the provider's copy, and gives it back with `WSK_RELEASE_SD`. Of
//! the descriptor that it is made from, the copy has the access control list, which decides who may
//! share an address. Copies stay in memory when they are released, so that their use is noticed.

// UNSAFETY: reads a security descriptor in the driver's memory.
#![expect(unsafe_code, reason = "a security descriptor in the driver's memory")]

use std::collections::BTreeMap;

use wdk_sys::{NTSTATUS, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_SECURITY_DESCR};

use super::super::call::Entry;
use super::Operation;
use crate::sched::Thread;
use crate::sim::{lock, offence};
use crate::verifier::{DriverNumber, Rule, Site};

const REVISION: u8 = 1;
const DACL_PRESENT: u16 = 0x0004;
const SELF_RELATIVE: u16 = 0x8000;
/// Where both kinds of descriptor have their control bits.
const CONTROL: usize = 2;
/// Where a descriptor has its list: as a pointer, or as an offset if it is self-relative.
const DACL_POINTER: usize = 32;
const DACL_OFFSET: usize = 16;
/// The size of a self-relative descriptor without what it points to.
const HEADER: u32 = 20;
/// A list begins with its own size and the number of its entries, at these places.
const LIST_SIZE: usize = 2;
const LIST_COUNT: usize = 4;
const LIST_HEADER: usize = 8;
/// An entry begins with its type and its size, and has its subject behind its rights.
const ENTRY_SIZE: usize = 2;
const ENTRY_SUBJECT: usize = 8;
const ALLOWED: u8 = 0;
const DENIED: u8 = 1;

/// What the system's drivers are: everyone, the local system, an administrator, authenticated.
const SUBJECTS: [&[u8]; 4] = [
    &[1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
    &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0],
    &[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0],
    &[1, 1, 0, 0, 0, 0, 0, 5, 11, 0, 0, 0],
];

/// The copies of one simulation, by address.
#[derive(Default)]
pub(in super::super) struct Descriptors(BTreeMap<usize, Copied>);

struct Copied {
    bytes: Box<[u8]>,
    client: usize,
    site: Site,
    released: bool,
}

impl Descriptors {
    /// What a client has not released.
    pub(super) fn left_of(&self, client: usize) -> Vec<String> {
        self.left(|copied| copied.client == client)
    }

    /// What a driver has not released, or anybody.
    pub(in super::super) fn leaks(&self, driver: Option<DriverNumber>) -> Vec<String> {
        self.left(|copied| copied.site.is_of(driver))
    }

    fn left(&self, is_meant: impl Fn(&Copied) -> bool) -> Vec<String> {
        let left = self.0.iter().filter(|(_, copied)| !copied.released);
        left.filter(|(_, copied)| is_meant(copied))
            .map(|(address, copied)| copied.describe(*address))
            .collect()
    }
}

impl Copied {
    fn describe(&self, address: usize) -> String {
        format!("security descriptor {address:#x}, cached{}", self.site)
    }
}

/// Caches a copy of a descriptor for a client, and gives its address.
pub(super) fn cache(me: &Thread, client: usize, descriptor: &[u8]) -> usize {
    let bytes: Box<[u8]> = descriptor.into();
    let address = bytes.as_ptr().expose_provenance();
    let copied = Copied {
        bytes,
        client,
        site: Site::here(&me.sim),
        released: false,
    };
    lock(&me.sim.wsk.controls.descriptors)
        .0
        .insert(address, copied);
    address
}

/// What the descriptor at an address says, which must be one that the provider has cached.
pub(in super::super) fn expect(me: &Thread, address: usize, function: &str) -> Vec<u8> {
    let descriptors = lock(&me.sim.wsk.controls.descriptors);
    let details = match descriptors.0.get(&address) {
        Some(copied) if !copied.released => return copied.bytes.to_vec(),
        Some(copied) => format!("{function} with {}, released", copied.describe(address)),
        None => format!("{function} with {address:#x}, which was never cached"),
    };
    drop(descriptors);
    offence(Rule::SecurityDescriptor, &details)
}

/// `WSK_RELEASE_SD`: once, and not while a request uses it.
pub(super) fn release(me: &Thread, address: usize) {
    let bytes = expect(me, address, "WSK_RELEASE_SD");
    if let Some(user) = me.sim.wsk.uses_memory(address, bytes.len()) {
        let details = format!("WSK_RELEASE_SD of {address:#x}, which is used by {user}");
        offence(Rule::SecurityDescriptor, &details);
    }
    let mut descriptors = lock(&me.sim.wsk.controls.descriptors);
    if let Some(copied) = descriptors.0.get_mut(&address) {
        copied.released = true;
    }
}

/// Gets `SO_WSK_SECURITY`: a copy that the client has to release.
pub(super) fn give(
    entry: &Entry,
    operation: &Operation,
    descriptor: Option<Vec<u8>>,
) -> Result<Vec<u8>, NTSTATUS> {
    if operation.output.is_null() || operation.output_size < size_of::<usize>() {
        return Err(STATUS_BUFFER_TOO_SMALL);
    }
    let descriptor = descriptor.unwrap_or_else(|| self_relative(Some(&NOBODY)));
    let address = cache(&entry.me, entry.socket.client, &descriptor);
    Ok(address.to_ne_bytes().to_vec())
}

/// A list without entries: it lets nobody in.
const NOBODY: [u8; LIST_HEADER] = [2, 0, 8, 0, 0, 0, 0, 0];

/// A descriptor with an access control list, or one that lets everybody in.
fn self_relative(list: Option<&[u8]>) -> Vec<u8> {
    let control = (SELF_RELATIVE | DACL_PRESENT).to_ne_bytes();
    let offset: u32 = if list.is_some() { HEADER } else { 0 };
    let mut bytes = vec![REVISION, 0, control[0], control[1]];
    bytes.resize(DACL_OFFSET, 0);
    bytes.extend(offset.to_ne_bytes());
    bytes.extend(list.unwrap_or_default());
    bytes
}

/// Copies the descriptor that a client has somewhere.
///
/// # Safety
///
/// `address` is null, or that of a complete security descriptor, absolute or self-relative.
pub(super) unsafe fn read(address: usize) -> Result<Vec<u8>, NTSTATUS> {
    let start = core::ptr::with_exposed_provenance::<u8>(address);
    // SAFETY: promised by the caller.
    if start.is_null() || unsafe { start.read() } != REVISION {
        return Err(STATUS_INVALID_SECURITY_DESCR);
    }
    // SAFETY: promised by the caller.
    let control: u16 = unsafe { read_at(start, CONTROL) };
    // SAFETY: promised by the caller.
    let list = unsafe { find_list(start, control) };
    if list.is_null() {
        return Ok(self_relative(None));
    }
    // SAFETY: a list begins with its header.
    let size: u16 = unsafe { read_at(list, LIST_SIZE) };
    // SAFETY: and has the size that it names.
    let list = unsafe { core::slice::from_raw_parts(list, usize::from(size)) };
    Ok(self_relative(Some(list)))
}

/// # Safety
///
/// There is a `T` at this offset.
unsafe fn read_at<T>(start: *const u8, offset: usize) -> T {
    let place = start.wrapping_add(offset).cast::<T>();
    // SAFETY: promised by the caller.
    unsafe { place.read_unaligned() }
}

/// The list of a descriptor; null if it has none.
///
/// # Safety
///
/// `start` points to a complete security descriptor with these control bits.
unsafe fn find_list(start: *const u8, control: u16) -> *const u8 {
    if control & DACL_PRESENT == 0 {
        return core::ptr::null();
    }
    if control & SELF_RELATIVE == 0 {
        // SAFETY: promised by the caller.
        return unsafe { read_at(start, DACL_POINTER) };
    }
    // SAFETY: promised by the caller.
    match unsafe { read_at::<u32>(start, DACL_OFFSET) } {
        0 => core::ptr::null(),
        offset => start.wrapping_add(offset as usize),
    }
}

/// Whether a descriptor that `self_relative` has made lets the system in, to which all drivers
/// belong: the first entry about it decides.
pub(super) fn admits_system(descriptor: &[u8]) -> bool {
    let Some(list) = descriptor
        .get(HEADER as usize..)
        .filter(|list| !list.is_empty())
    else {
        return true;
    };
    let count = read_u16(list, LIST_COUNT);
    let mut rest = list.get(LIST_HEADER..).unwrap_or_default();
    for _ in 0..count {
        let size = usize::from(read_u16(rest, ENTRY_SIZE)).max(ENTRY_SUBJECT);
        let Some((entry, later)) = rest.split_at_checked(size) else {
            break;
        };
        let subject = &entry[ENTRY_SUBJECT..];
        let is_meant = SUBJECTS.iter().any(|own| subject.starts_with(own));
        if is_meant && [ALLOWED, DENIED].contains(&entry[0]) {
            return entry[0] == ALLOWED;
        }
        rest = later;
    }
    false
}

fn read_u16(bytes: &[u8], at: usize) -> u16 {
    let pair = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>());
    pair.map_or(0, |pair| u16::from_ne_bytes(*pair))
}
