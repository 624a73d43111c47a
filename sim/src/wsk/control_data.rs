//! Control data: what travels with a datagram besides its data, as a row of `CMSGHDR` objects.
//!
//! What of it is received is up to options of the socket; what may be sent, to the transport.

// UNSAFETY: reads and writes buffers that a driver passed.
#![expect(unsafe_code, reason = "access to buffers in the driver's memory")]

use std::net::IpAddr;

use wdk_sys::{NTSTATUS, PULONG, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED, ULONG};
use wsk_sys::{
    CMSGHDR, IP_ECN, IP_PKTINFO, IP_RECVTCLASS, IP_RECVTTL, IP_TOS, IP_TTL, IPPROTO, IPPROTO_IP,
    IPV6_ECN, IPV6_HOPLIMIT, IPV6_PKTINFO, IPV6_RECVTCLASS, IPV6_TCLASS, MSG_BCAST, MSG_CTRUNC,
    MSG_MCAST, PCMSGHDR, WSA_CMSG_LEN, WSA_CMSG_SPACE,
};

use super::buffer::Buffer;
use super::socket::State;
use crate::kernel::thread::Context;
use crate::net::Datagram;
use crate::sched::Thread;

const HEADER: usize = size_of::<CMSGHDR>();
const INT: usize = size_of::<i32>();
const ECN: u8 = 0b11;

/// How one family calls its control data, and the options that ask for it.
pub(super) struct Names {
    pub(super) level: u32,
    pub(super) packet_info: u32,
    pub(super) receive_hops: u32,
    hops: u32,
    pub(super) receive_class: u32,
    class: u32,
    pub(super) ecn: u32,
}

pub(super) const V4: Names = Names {
    level: IPPROTO_IP,
    packet_info: IP_PKTINFO,
    receive_hops: IP_RECVTTL,
    hops: IP_TTL,
    receive_class: IP_RECVTCLASS,
    class: IP_TOS,
    ecn: IP_ECN,
};

pub(super) const V6: Names = Names {
    level: IPPROTO::IPPROTO_IPV6.cast_unsigned(),
    packet_info: IPV6_PKTINFO,
    receive_hops: IPV6_HOPLIMIT,
    hops: IPV6_HOPLIMIT,
    receive_class: IPV6_RECVTCLASS,
    class: IPV6_TCLASS,
    ecn: IPV6_ECN,
};

/// The names for a datagram: a socket of both families gets IPv4 ones in terms of IPv4.
fn names_for(remote: IpAddr) -> &'static Names {
    if remote.to_canonical().is_ipv4() {
        &V4
    } else {
        &V6
    }
}

/// What the socket wants to know about a datagram that it receives.
pub(super) fn describe(state: &State, datagram: &Datagram) -> Vec<u8> {
    let names = names_for(datagram.remote.ip());
    let wants = |option| state.is_set((names.level, option));
    let mut data = Vec::new();
    if let Some(local) = datagram.local.filter(|_| wants(names.packet_info)) {
        let mut info = match local.to_canonical() {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        info.extend(datagram.interface.to_ne_bytes());
        push(&mut data, names.level, names.packet_info, &info);
    }
    let class = datagram.traffic_class;
    let numbers = [
        (names.receive_hops, names.hops, datagram.hops),
        (names.receive_class, names.class, class),
        (names.ecn, names.ecn, class.map(|class| class & ECN)),
    ];
    for (option, kind, value) in numbers {
        if let Some(value) = value.filter(|_| wants(option)) {
            push(
                &mut data,
                names.level,
                kind,
                &i32::from(value).to_ne_bytes(),
            );
        }
    }
    data
}

fn push(data: &mut Vec<u8>, level: u32, kind: u32, value: &[u8]) {
    let end = data.len() + length_of(WSA_CMSG_SPACE(value.len() as u64));
    data.extend(WSA_CMSG_LEN(value.len() as u64).to_ne_bytes());
    data.extend(level.to_ne_bytes());
    data.extend(kind.to_ne_bytes());
    data.extend(value);
    data.resize(end, 0);
}

fn length_of(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// The flags that tell how a datagram was addressed [wsk 8.5, 8.8].
pub(super) fn flags(datagram: &Datagram) -> ULONG {
    match datagram.local.map(|local| local.to_canonical()) {
        Some(ip) if ip.is_multicast() => MSG_MCAST,
        Some(IpAddr::V4(v4)) if v4.is_broadcast() => MSG_BCAST,
        _ => 0,
    }
}

/// Lets control data change how a datagram is sent.
pub(super) fn apply(data: &[u8], datagram: &mut Datagram) -> Result<(), NTSTATUS> {
    let names = names_for(datagram.remote.ip());
    let mut rest = data;
    while !rest.is_empty() {
        let (level, kind, value) = first(rest).ok_or(STATUS_INVALID_PARAMETER)?;
        if level != names.level {
            return Err(STATUS_INVALID_PARAMETER);
        }
        apply_one(names, kind, value, datagram)?;
        let space = length_of(WSA_CMSG_SPACE(value.len() as u64));
        rest = rest.get(space..).unwrap_or_default();
    }
    Ok(())
}

/// The first object: its level, its type and its data.
fn first(data: &[u8]) -> Option<(u32, u32, &[u8])> {
    let (length, after) = data.split_first_chunk()?;
    let (level, after) = after.split_first_chunk()?;
    let (kind, _) = after.split_first_chunk()?;
    let value = data.get(HEADER..length_of(u64::from_ne_bytes(*length)))?;
    Some((u32::from_ne_bytes(*level), u32::from_ne_bytes(*kind), value))
}

fn apply_one(
    names: &Names,
    kind: u32,
    value: &[u8],
    datagram: &mut Datagram,
) -> Result<(), NTSTATUS> {
    if kind == names.packet_info {
        let info = packet_info(names.level, value);
        let (local, interface) = info.ok_or(STATUS_INVALID_PARAMETER)?;
        datagram.local = Some(local).filter(|ip| !ip.is_unspecified());
        datagram.interface = interface;
    } else if kind == names.hops {
        datagram.hops = Some(number(value)?);
    } else if kind == names.class {
        datagram.traffic_class = Some(number(value)?);
    } else if kind == names.ecn {
        let ecn = number(value).ok().filter(|ecn| *ecn <= ECN);
        let others = datagram.traffic_class.unwrap_or(0) & !ECN;
        datagram.traffic_class = Some(others | ecn.ok_or(STATUS_INVALID_PARAMETER)?);
    } else {
        return Err(STATUS_NOT_SUPPORTED);
    }
    Ok(())
}

/// `IN_PKTINFO` or `IN6_PKTINFO`: an address, and the index of an interface.
fn packet_info(level: u32, value: &[u8]) -> Option<(IpAddr, u32)> {
    let (ip, interface) = value.split_last_chunk()?;
    let ip = if level == V4.level {
        IpAddr::from(<[u8; 4]>::try_from(ip).ok()?)
    } else {
        IpAddr::from(<[u8; 16]>::try_from(ip).ok()?)
    };
    Some((ip, u32::from_ne_bytes(*interface)))
}

/// An `INT` with the value of a byte.
fn number(value: &[u8]) -> Result<u8, NTSTATUS> {
    let bytes = <[u8; INT]>::try_from(value).map_err(|_| STATUS_INVALID_PARAMETER)?;
    u8::try_from(i32::from_ne_bytes(bytes)).map_err(|_| STATUS_INVALID_PARAMETER)
}

/// The control data that a client passes to a function that sends.
///
/// # Safety
///
/// `data` points to `length` bytes, or is null.
pub(super) unsafe fn given<'a>(data: PCMSGHDR, length: ULONG) -> Result<&'a [u8], NTSTATUS> {
    match (data.is_null(), length) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(STATUS_INVALID_PARAMETER),
        // SAFETY: promised by the caller.
        (false, _) => Ok(unsafe { core::slice::from_raw_parts(data.cast(), length as usize) }),
    }
}

/// Where a client wants control data to go.
pub(super) struct Place {
    length: Context,
    data: Context,
    capacity: usize,
    flags: Context,
}

impl Place {
    /// `None` if the client wants none: then the other places are ignored [wsk 8.8].
    ///
    /// # Safety
    ///
    /// `length` is null or points to the size of what `data` points to; `flags` is null or a place
    /// for flags; all stay until the request completes [wsk 3.12].
    pub(super) unsafe fn new(length: PULONG, data: PCMSGHDR, flags: PULONG) -> Option<Self> {
        if length.is_null() {
            return None;
        }
        // SAFETY: promised by the caller.
        let capacity = unsafe { length.read() };
        Some(Self {
            length: Context(length.cast()),
            data: Context(data.cast()),
            capacity: if data.is_null() { 0 } else { capacity as usize },
            flags: Context(flags.cast()),
        })
    }

    /// Adds the memory to that of a request.
    pub(super) fn enter(&self, me: &Thread, memory: &mut Buffer, function: &str) {
        let word = size_of::<ULONG>();
        let places = [
            (self.length, word),
            (self.data, self.capacity),
            (self.flags, word),
        ];
        for (place, length) in places {
            memory.also_uses(me, place.get().expose_provenance(), length, function);
        }
    }

    /// Writes what there is, cut to the size of the buffer, and the size of all of it.
    pub(super) fn write(&self, data: &[u8], flags: ULONG) {
        let count = data.len().min(self.capacity);
        let truncated = if count < data.len() { MSG_CTRUNC } else { 0 };
        let target = self.data.get().cast::<u8>();
        if count > 0 {
            // SAFETY: the buffer is larger than this, by the promise made to `new`.
            unsafe { target.copy_from_nonoverlapping(data.as_ptr(), count) };
        }
        let size = ULONG::try_from(data.len()).unwrap_or(ULONG::MAX);
        // SAFETY: there is a place for the size, by the promise made to `new`.
        unsafe { self.length.get().cast::<ULONG>().write(size) };
        if !self.flags.get().is_null() {
            // SAFETY: there is a place for flags, by the promise made to `new`.
            unsafe { self.flags.get().cast::<ULONG>().write(flags | truncated) };
        }
    }
}
