//! Name resolution: `WskGetAddressInfo`, `WskFreeAddressInfo`, `WskGetNameInfo` [wsk 11].
//!
//! The client's strings are read during the call; they, and the places for the answer, must stay
//! until the request completes [wsk 11.3].

// UNSAFETY: functions of the provider's table, with pointers of the client's.
#![expect(unsafe_code, reason = "functions of the provider's table")]

#[cfg(not(windows))]
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;

use wdk_sys::{
    GUID, NTSTATUS, PEPROCESS, PETHREAD, PIRP, PUNICODE_STRING, STATUS_BUFFER_TOO_SMALL,
    STATUS_INVALID_PARAMETER, STATUS_NO_MATCH, STATUS_NOT_SUPPORTED, STATUS_SUCCESS, ULONG,
    UNICODE_STRING,
};
use wsk_sys::{
    ADDRINFOEXW, AF_INET, AF_INET6, AF_UNSPEC, AI_ADDRCONFIG, AI_CANONNAME, AI_NUMERICHOST,
    AI_NUMERICSERV, AI_PASSIVE, NI_DGRAM, NI_NAMEREQD, NI_NOFQDN, NI_NUMERICHOST, NI_NUMERICSERV,
    NS_ALL, NS_DNS, PADDRINFOEXW, PSOCKADDR, PWSK_CLIENT, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM,
    SOCKADDR_STORAGE,
};

use super::address::{self, Family};
use super::address_list::Template;
use super::buffer::Buffer;
use super::call::check_context;
use super::client_request::{ClientCall, answer};
use super::registration;
use super::resolver::{self, Question};
use crate::current::current;
use crate::kernel::irql::PASSIVE;
use crate::kernel::thread::Context;
use crate::sched::Thread;
#[cfg(not(windows))]
use crate::sim::Sim;
use crate::sim::{Shared, lock, offence};
use crate::verifier::{Rule, Site};

const UNIT: usize = size_of::<u16>();
const KNOWN_HINTS: u32 =
    AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_NUMERICSERV | AI_ADDRCONFIG;
const KNOWN_FLAGS: u32 = NI_NOFQDN | NI_NUMERICHOST | NI_NAMEREQD | NI_NUMERICSERV | NI_DGRAM;

#[cfg(not(windows))]
impl Sim {
    /// Enters a host into the names that `WskGetAddressInfo` and `WskGetNameInfo` know; a name that
    /// is entered again gets the new addresses. Case does not matter.
    pub fn add_host(&self, name: &str, addresses: &[IpAddr]) {
        lock(&self.0.wsk.hosts).add(name, addresses);
    }
}

/// Reads a string of the client's, which must be terminated [wsk 11.1]; `None` for null or nothing.
///
/// # Safety
///
/// `string` is null or points to a string whose buffer has its maximum length.
unsafe fn read_string(string: PUNICODE_STRING, what: &str) -> Option<String> {
    if string.is_null() {
        return None;
    }
    // SAFETY: promised by the caller.
    let string = unsafe { string.read() };
    let length = usize::from(string.Length) / UNIT;
    if string.Length == 0 {
        return None;
    }
    let whole = string.Length.is_multiple_of(2) && string.MaximumLength >= string.Length + 2;
    let end = string.Buffer.wrapping_add(length);
    // SAFETY: promised by the caller, and within the maximum length.
    let terminated = whole && unsafe { end.read() } == 0;
    if !terminated {
        let details = format!(
            "{what} of {} bytes in a buffer of {}",
            string.Length, string.MaximumLength
        );
        offence(Rule::NameString, &details);
    }
    // SAFETY: promised by the caller.
    let text = unsafe { core::slice::from_raw_parts(string.Buffer, length) };
    Some(String::from_utf16_lossy(text))
}

/// Adds a string of the client's to the memory of a request.
///
/// # Safety
///
/// As for `read_string`.
unsafe fn enter_string(me: &Thread, memory: &mut Buffer, string: PUNICODE_STRING, name: &str) {
    if string.is_null() {
        return;
    }
    let size = size_of::<UNICODE_STRING>();
    memory.also_uses(me, string.expose_provenance(), size, name);
    // SAFETY: promised by the caller.
    let string = unsafe { string.read() };
    let text = string.Buffer.expose_provenance();
    memory.also_uses(me, text, usize::from(string.MaximumLength), name);
}

/// A thread needs its process [wsk 11.2].
fn check_owner(me: &Thread, process: PEPROCESS, thread: PETHREAD) -> Result<(), NTSTATUS> {
    me.sim.wsk.note_owner(process, thread);
    if process.is_null() && !thread.is_null() {
        return Err(STATUS_INVALID_PARAMETER);
    }
    Ok(())
}

/// `WskGetAddressInfo`.
pub(super) unsafe extern "C" fn wsk_get_address_info(
    client: PWSK_CLIENT,
    node: PUNICODE_STRING,
    service: PUNICODE_STRING,
    name_space: ULONG,
    provider: *mut GUID,
    hints: PADDRINFOEXW,
    result: *mut PADDRINFOEXW,
    process: PEPROCESS,
    thread: PETHREAD,
    irp: PIRP,
) -> NTSTATUS {
    const NAME: &str = "WskGetAddressInfo";
    let call = match ClientCall::enter(client, irp, NAME) {
        Ok(call) => call,
        Err(status) => return status,
    };
    let mut memory = Buffer::default();
    for string in [node, service] {
        // SAFETY: the client passes null or a string [wsk 11.1].
        unsafe { enter_string(&call.me, &mut memory, string, NAME) };
    }
    let places = [
        (hints.expose_provenance(), size_of::<ADDRINFOEXW>()),
        (result.expose_provenance(), size_of::<PADDRINFOEXW>()),
    ];
    for (place, size) in places {
        memory.also_uses(&call.me, place, size, NAME);
    }
    // SAFETY: as above.
    let node = unsafe { read_string(node, "NodeName") };
    // SAFETY: as above.
    let service = unsafe { read_string(service, "ServiceName") };
    // SAFETY: the client passes null or hints.
    let hints = (!hints.is_null()).then(|| unsafe { hints.read() });
    let asked = question(node, service, hints.as_ref())
        .and_then(|asked| check_owner(&call.me, process, thread).map(|()| asked));
    let (question, template) = match asked {
        Ok(_) if result.is_null() => return call.complete(answer(STATUS_INVALID_PARAMETER)),
        Ok(asked) => asked,
        Err(status) => return call.complete(answer(status)),
    };
    if ![NS_ALL, NS_DNS].contains(&name_space) || !provider.is_null() {
        // There is one provider of names, without a GUID.
        return call.complete(answer(STATUS_NO_MATCH));
    }
    let (client, site) = (call.client, Site::here(&call.me.sim));
    let result = Context(result.cast());
    call.submit(&memory, move |sim| {
        let found = lock(&sim.wsk.hosts).resolve(&question);
        if found.is_empty() {
            return answer(STATUS_NO_MATCH);
        }
        let lists = &sim.wsk.address_lists;
        let list = lists.make(sim, client, &found, &template, site);
        // SAFETY: the client keeps the place for the result until completion [wsk 11.3].
        unsafe { result.get().cast::<PADDRINFOEXW>().write(list) };
        answer(STATUS_SUCCESS)
    })
}

/// What names and hints ask for.
fn question(
    node: Option<String>,
    service: Option<String>,
    hints: Option<&ADDRINFOEXW>,
) -> Result<(Question, Template), NTSTATUS> {
    if node.is_none() && service.is_none() {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let mut question = Question {
        node,
        service,
        ..Question::default()
    };
    let mut template = Template {
        socket_type: 0,
        protocol: 0,
        canonical_name: None,
    };
    let Some(hints) = hints else {
        return Ok((question, template));
    };
    let flags = hints.ai_flags.cast_unsigned();
    let wants_name = flags & AI_CANONNAME != 0;
    let unused = hints.ai_addrlen == 0
        && hints.ai_canonname.is_null()
        && hints.ai_addr.is_null()
        && hints.ai_next.is_null();
    if flags & !KNOWN_HINTS != 0 || !unused || (wants_name && question.node.is_none()) {
        return Err(STATUS_INVALID_PARAMETER);
    }
    question.family = match hints.ai_family.cast_unsigned() {
        AF_UNSPEC => None,
        AF_INET => Some(Family::V4),
        AF_INET6 => Some(Family::V6),
        _ => return Err(STATUS_NOT_SUPPORTED),
    };
    question.socket_type = hints.ai_socktype.cast_unsigned();
    if ![0, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW].contains(&question.socket_type) {
        return Err(STATUS_NOT_SUPPORTED);
    }
    question.passive = flags & AI_PASSIVE != 0;
    question.numeric_host = flags & AI_NUMERICHOST != 0;
    question.numeric_service = flags & AI_NUMERICSERV != 0;
    template.socket_type = hints.ai_socktype;
    template.protocol = hints.ai_protocol;
    template.canonical_name = question.node.clone().filter(|_| wants_name);
    Ok((question, template))
}

/// `WskFreeAddressInfo` [wsk 11.1].
pub(super) unsafe extern "C" fn wsk_free_address_info(client: PWSK_CLIENT, list: PADDRINFOEXW) {
    const NAME: &str = "WskFreeAddressInfo";
    let me = current();
    check_context(&me, PASSIVE, NAME);
    let client = registration::expect_client(&me, client, NAME);
    let freed = me.sim.wsk.address_lists.free(&me.sim, client, list.addr());
    if let Err((rule, details)) = freed {
        offence(rule, &details);
    }
    me.sim.sched.point(&me);
}

/// Reports what a client that is gone can never free.
pub(super) fn expect_freed(sim: &Shared, client: usize) {
    let left = sim.wsk.address_lists.of_client(client);
    if !left.is_empty() {
        let details = format!(
            "not freed by a client that is gone:\n  {}",
            left.join("\n  ")
        );
        offence(Rule::Leak, &details);
    }
}

/// `WskGetNameInfo` [wsk 11.4].
pub(super) unsafe extern "C" fn wsk_get_name_info(
    client: PWSK_CLIENT,
    from: PSOCKADDR,
    from_length: ULONG,
    node: PUNICODE_STRING,
    service: PUNICODE_STRING,
    flags: ULONG,
    process: PEPROCESS,
    thread: PETHREAD,
    irp: PIRP,
) -> NTSTATUS {
    const NAME: &str = "WskGetNameInfo";
    let call = match ClientCall::enter(client, irp, NAME) {
        Ok(call) => call,
        Err(status) => return status,
    };
    let mut memory = Buffer::default();
    for string in [node, service] {
        // SAFETY: the client passes null or a string.
        unsafe { enter_string(&call.me, &mut memory, string, NAME) };
    }
    let length = from_length as usize;
    let known = if from.is_null() || length > size_of::<SOCKADDR_STORAGE>() {
        None
    } else {
        // SAFETY: the client passes an address of the length that it names.
        address::decode(unsafe { core::slice::from_raw_parts(from.cast(), length) })
    };
    let nowhere = node.is_null() && service.is_null();
    let owner = check_owner(&call.me, process, thread);
    let Some(address) = known.filter(|_| !nowhere && flags & !KNOWN_FLAGS == 0 && owner.is_ok())
    else {
        return call.complete(answer(STATUS_INVALID_PARAMETER));
    };
    let (node, service) = (Context(node.cast()), Context(service.cast()));
    call.submit(&memory, move |sim| {
        // SAFETY: the client keeps its strings until completion [wsk 11.3].
        let result = unsafe { name(sim, address, (node, service), flags) };
        answer(result.map_or_else(|status| status, |()| STATUS_SUCCESS))
    })
}

/// Writes the names of an address, or nothing.
///
/// # Safety
///
/// Both places are null, or strings whose buffers have their maximum lengths.
unsafe fn name(
    sim: &Arc<Shared>,
    address: SocketAddr,
    (node, service): (Context, Context),
    flags: ULONG,
) -> Result<(), NTSTATUS> {
    let host = host_name(sim, address, flags)?;
    let named = resolver::service_at(address.port(), flags & NI_DGRAM != 0)
        .filter(|_| flags & NI_NUMERICSERV == 0);
    let port = named.map_or_else(|| address.port().to_string(), ToOwned::to_owned);
    let answers = [(node, host), (service, port)].map(|(place, text)| {
        let text: Vec<u16> = text.encode_utf16().chain([0]).collect();
        (place.get().cast::<UNICODE_STRING>(), text)
    });
    for (place, text) in &answers {
        if place.is_null() {
            continue;
        }
        // SAFETY: promised by the caller.
        let given = unsafe { place.read() };
        if usize::from(given.MaximumLength) < text.len() * UNIT {
            return Err(STATUS_BUFFER_TOO_SMALL);
        }
    }
    for (place, text) in answers.iter().filter(|(place, _)| !place.is_null()) {
        // SAFETY: promised by the caller, and the text fits.
        unsafe { write_string(*place, text) };
    }
    Ok(())
}

/// The name of a host as the flags want it.
fn host_name(sim: &Shared, address: SocketAddr, flags: ULONG) -> Result<String, NTSTATUS> {
    if flags & NI_NUMERICHOST != 0 {
        return Ok(resolver::numeric_name(address));
    }
    let hosts = lock(&sim.wsk.hosts);
    let Some(name) = hosts.name_of(address.ip()) else {
        return if flags & NI_NAMEREQD != 0 {
            Err(STATUS_NO_MATCH)
        } else {
            Ok(resolver::numeric_name(address))
        };
    };
    let here = sim.net.local_addresses();
    let local = here.iter().any(|(ip, _)| *ip == address.ip());
    let short = name.split('.').next().unwrap_or(name);
    let wanted = if local && flags & NI_NOFQDN != 0 {
        short
    } else {
        name
    };
    Ok(wanted.to_owned())
}

/// Writes a text with its terminator; the length of the string does not count that.
///
/// # Safety
///
/// `string` points to a string whose buffer has room for the text.
unsafe fn write_string(string: PUNICODE_STRING, text: &[u16]) {
    // SAFETY: promised by the caller.
    let mut given = unsafe { string.read() };
    let (target, count) = (given.Buffer, text.len());
    // SAFETY: promised by the caller.
    unsafe { target.copy_from_nonoverlapping(text.as_ptr(), count) };
    given.Length = u16::try_from((text.len() - 1) * UNIT).unwrap_or(0);
    // SAFETY: promised by the caller.
    unsafe { string.write(given) };
}
