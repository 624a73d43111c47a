//! The calls that resolve names [wsk 11].

// UNSAFETY: calls through the provider's table.
#![expect(unsafe_code, reason = "calls through the provider's table")]

use core::{net::SocketAddr, ptr::null_mut};

use wsk_sys::{PADDRINFOEXW, wdk_sys::STATUS_NOT_IMPLEMENTED};

use super::Started;
use crate::{
    irql::Passive,
    mem::{boxed::PoolBox, wide::WideString},
    op::{
        client::OneRequest,
        names::{Addresses, NameQuery},
        slot::{Arguments, Payload, Prepared, Refusal},
    },
    registration::Provider,
    status::{Error, Status},
};

pub(crate) const GET_ADDRESS_INFO: &str = "WskGetAddressInfo";
pub(crate) const GET_NAME_INFO: &str = "WskGetNameInfo";

/// A request that cannot be called any more.
const fn over(name: &'static str, payload: Payload) -> Refusal {
    let error = Error::new(name, Status::FILE_CLOSED);
    Refusal { error, payload }
}

/// WskGetAddressInfo. IRQL: PASSIVE_LEVEL.
pub(crate) fn get_address_info(mut addresses: Addresses, passive: Passive) -> Started {
    const NAME: &str = GET_ADDRESS_INFO;
    Passive::check(passive);
    let query = addresses.query();
    let Some(client) = query.request.as_ref().map(OneRequest::core).cloned() else {
        return Err(over(NAME, Payload::Addresses(addresses)));
    };
    let node = query.node.as_mut().map_or(null_mut(), WideString::as_raw);
    let service = query
        .service
        .as_mut()
        .map_or(null_mut(), WideString::as_raw);
    let (name_space, hints) = (query.name_space, &raw mut query.hints);
    let (process, thread) = (query.owner.process(), query.owner.thread());
    let list = &raw mut query.list;
    let Ok(call) = client.enter(NAME) else {
        return Err(over(NAME, Payload::Addresses(addresses)));
    };
    let outstanding = call.outstanding();
    let npi = *outstanding.provider().npi();
    // SAFETY: captured, so the table is valid while `outstanding` lives [wsk 2.8].
    let function = unsafe { (*npi.Dispatch).WskGetAddressInfo };
    let wsk = |prepared: &Prepared| {
        client.starts(prepared);
        match function {
            // SAFETY: the client of the captured provider; PASSIVE_LEVEL (the witness); texts,
            // hints and the place for the list are the query's, which does not move and which the
            // payload keeps until completion [wsk 11.3]; a thread has its process [wsk 11.2].
            Some(function) => unsafe {
                function(
                    npi.Client,
                    node,
                    service,
                    name_space,
                    null_mut(),
                    hints,
                    list,
                    process,
                    thread,
                    prepared.irp,
                )
            },
            None => STATUS_NOT_IMPLEMENTED,
        }
    };
    let payload = Payload::Addresses(addresses);
    // SAFETY: one call, which needs no socket.
    unsafe { outstanding.start(NAME, payload, Arguments::none(), wsk) }
}

/// WskFreeAddressInfo.
///
/// # Safety
///
/// `list` was given to the client of `provider`, is freed once, and nobody reads it any more.
pub(crate) unsafe fn free_address_info(provider: &Provider, list: PADDRINFOEXW, passive: Passive) {
    Passive::check(passive);
    let npi = provider.npi();
    // SAFETY: captured, so the table is valid while `provider` lives [wsk 2.8].
    if let Some(function) = unsafe { (*npi.Dispatch).WskFreeAddressInfo } {
        // SAFETY: PASSIVE_LEVEL (the witness); the rest is the caller's promise [wsk 11.1].
        unsafe { function(npi.Client, list) };
    }
}

/// WskGetNameInfo. IRQL: PASSIVE_LEVEL.
pub(crate) fn get_name_info(
    mut query: PoolBox<NameQuery>,
    address: SocketAddr,
    passive: Passive,
) -> Started {
    const NAME: &str = GET_NAME_INFO;
    Passive::check(passive);
    let Some(client) = query.request.as_ref().map(OneRequest::core).cloned() else {
        return Err(over(NAME, Payload::Names(query)));
    };
    let (node, service) = (query.node.as_raw(), query.service.as_raw());
    let (process, thread) = (query.owner.process(), query.owner.thread());
    let flags = query.flags;
    let Ok(call) = client.enter(NAME) else {
        return Err(over(NAME, Payload::Names(query)));
    };
    let outstanding = call.outstanding();
    let npi = *outstanding.provider().npi();
    // SAFETY: captured, so the table is valid while `outstanding` lives [wsk 2.8].
    let function = unsafe { (*npi.Dispatch).WskGetNameInfo };
    let mut arguments = Arguments::none();
    arguments.remote = address.into();
    let length = arguments.remote.length();
    let wsk = |prepared: &Prepared| {
        client.starts(prepared);
        match function {
            // SAFETY: the client of the captured provider; PASSIVE_LEVEL (the witness); the address
            // lies in the slot, and has this length [wsk 11.4]; the rooms are the query's, which
            // does not move and which the payload keeps until completion [wsk 11.3]; a thread has
            // its process [wsk 11.2].
            Some(function) => unsafe {
                function(
                    npi.Client,
                    prepared.remote(),
                    length,
                    node,
                    service,
                    flags,
                    process,
                    thread,
                    prepared.irp,
                )
            },
            None => STATUS_NOT_IMPLEMENTED,
        }
    };
    // SAFETY: one call, which needs no socket.
    unsafe { outstanding.start(NAME, Payload::Names(query), arguments, wsk) }
}
