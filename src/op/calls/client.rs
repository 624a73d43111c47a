//! The calls on the client: control operations, and name resolution.

// UNSAFETY: calls through the provider's table.
#![expect(unsafe_code, reason = "calls through the provider's table")]

use core::{
    ffi::c_void,
    ptr::{NonNull, null_mut},
};

use wsk_sys::{
    NPI_WSK_INTERFACE_ID, WSK_CACHE_SD, WSK_RELEASE_SD, WSK_SET_STATIC_EVENT_CALLBACKS,
    WSK_TDI_BEHAVIOR, WSK_TDI_DEVICENAME_MAPPING, WSK_TDI_MAP_INFO, WSK_TRANSPORT_LIST_CHANGE,
    WSK_TRANSPORT_LIST_QUERY,
    wdk_sys::{PSECURITY_DESCRIPTOR, STATUS_NOT_IMPLEMENTED},
};

use super::{Started, control::Returned};
use crate::{
    op::{
        core::CoreRef,
        event_calls::event_control,
        slot::{Arguments, Payload, Prepared},
    },
    registration::Provider,
    status::{Error, Result, Status, check},
    transport::TdiMap,
};

const CALL: &str = "WskControlClient";

/// `WSK_TRANSPORT_LIST_QUERY`.
pub(crate) fn transports(provider: &Provider, output: &mut [u8]) -> Result<Returned> {
    let (address, size) = (output.as_mut_ptr().cast(), output.len());
    let output = if size == 0 { null_mut() } else { address };
    let code = WSK_TRANSPORT_LIST_QUERY;
    // SAFETY: without an IRP and an input; the output has this size [wsk 3a].
    unsafe { now(provider, code, (null_mut(), 0), (output, size)) }
}

/// `WSK_CACHE_SD`.
///
/// # Safety
///
/// `descriptor` is a valid security descriptor, aligned and resident during the call.
pub(crate) unsafe fn cache_descriptor(
    provider: &Provider,
    mut descriptor: PSECURITY_DESCRIPTOR,
) -> Result<NonNull<c_void>> {
    let mut cached: PSECURITY_DESCRIPTOR = null_mut();
    let input = ((&raw mut descriptor).cast(), size_of_val(&descriptor));
    let output = ((&raw mut cached).cast(), size_of_val(&cached));
    // SAFETY: without an IRP; both are pointers to pointers, and the descriptor is valid (the
    // caller's promise) [wsk 5.2].
    let returned = unsafe { now(provider, WSK_CACHE_SD, input, output) }?;
    check(CALL, returned.status.as_raw())?;
    NonNull::new(cached.cast()).ok_or(Error::new(CALL, Status::UNSUCCESSFUL))
}

/// `WSK_RELEASE_SD`.
///
/// # Safety
///
/// `descriptor` was cached by this client, is released once, and no request uses it any more
/// [wsk 4.5].
pub(crate) unsafe fn release_descriptor(provider: &Provider, descriptor: NonNull<c_void>) {
    let mut descriptor = descriptor.as_ptr();
    let input = ((&raw mut descriptor).cast(), size_of_val(&descriptor));
    // SAFETY: without an IRP; a pointer to a pointer [wsk 5.2]; the rest is the caller's promise.
    let returned = unsafe { now(provider, WSK_RELEASE_SD, input, (null_mut(), 0)) };
    debug_assert!(
        returned.is_ok_and(|returned| returned.status.is_success()),
        "a cached descriptor can be released"
    );
}

/// `WSK_SET_STATIC_EVENT_CALLBACKS`.
pub(crate) fn set_static_events(provider: &Provider, mask: u32) -> Result<()> {
    let mut control = event_control(&NPI_WSK_INTERFACE_ID, mask);
    let input = ((&raw mut control).cast(), size_of_val(&control));
    let code = WSK_SET_STATIC_EVENT_CALLBACKS;
    // SAFETY: without an IRP; an input of the operation's size. Every socket of this library with
    // events has a table of callbacks, also without a handler [wsk 6.8].
    let returned = unsafe { now(provider, code, input, (null_mut(), 0)) }?;
    check(CALL, returned.status.as_raw())
}

/// `WSK_TDI_BEHAVIOR`.
pub(crate) fn tdi_behavior(provider: &Provider, mut flags: u32) -> Result<()> {
    let input = ((&raw mut flags).cast(), size_of_val(&flags));
    // SAFETY: without an IRP; an input of the operation's size.
    let returned = unsafe { now(provider, WSK_TDI_BEHAVIOR, input, (null_mut(), 0)) }?;
    check(CALL, returned.status.as_raw())
}

/// `WSK_TDI_DEVICENAME_MAPPING`.
pub(crate) fn map_tdi_devices(provider: &Provider, map: &'static [TdiMap]) -> Result<()> {
    let too_many = Error::new(CALL, Status::INVALID_PARAMETER);
    let mut info = WSK_TDI_MAP_INFO {
        ElementCount: u32::try_from(map.len()).map_err(|_| too_many)?,
        Map: map.as_ptr().cast(),
    };
    let input = ((&raw mut info).cast(), size_of_val(&info));
    let code = WSK_TDI_DEVICENAME_MAPPING;
    // SAFETY: without an IRP; so many elements, which stay for good, whoever keeps them.
    let returned = unsafe { now(provider, code, input, (null_mut(), 0)) }?;
    check(CALL, returned.status.as_raw())
}

/// Without an IRP: completed when this returns.
///
/// # Safety
///
/// The operation is one that must not have an IRP; input and output are addresses and sizes that
/// are right for it, and valid during the call.
unsafe fn now(
    provider: &Provider,
    code: u32,
    (input, input_size): (*mut c_void, usize),
    (output, output_size): (*mut c_void, usize),
) -> Result<Returned> {
    let npi = provider.npi();
    // SAFETY: captured, so the table is valid while `provider` lives [wsk 2.8].
    let Some(function) = (unsafe { (*npi.Dispatch).WskControlClient }) else {
        return Err(Error::new(CALL, Status::NOT_IMPLEMENTED));
    };
    let mut size = 0_u64;
    // SAFETY: the client of the captured provider; the rest is the caller's promise [wsk 3a].
    let status = unsafe {
        function(
            npi.Client,
            code,
            input_size as u64,
            input,
            output_size as u64,
            output,
            &raw mut size,
            null_mut(),
        )
    };
    Ok(Returned {
        status: Status::from_raw(status),
        size: usize::try_from(size).unwrap_or(0),
    })
}

/// `WSK_TRANSPORT_LIST_CHANGE`: completes when a transport has come or gone.
pub(crate) fn transport_change(client: &CoreRef) -> Started {
    let call = client.enter(CALL)?;
    let outstanding = call.outstanding();
    let npi = *outstanding.provider().npi();
    // SAFETY: captured, so the table is valid while `outstanding` lives [wsk 2.8].
    let function = unsafe { (*npi.Dispatch).WskControlClient };
    let wsk = |prepared: &Prepared| {
        client.starts(prepared);
        match function {
            // SAFETY: the client of the captured provider; with an IRP, without anything else
            // [wsk 3a].
            Some(function) => unsafe {
                function(
                    npi.Client,
                    WSK_TRANSPORT_LIST_CHANGE,
                    0,
                    null_mut(),
                    0,
                    null_mut(),
                    null_mut(),
                    prepared.irp,
                )
            },
            None => STATUS_NOT_IMPLEMENTED,
        }
    };
    // SAFETY: one call, which needs no socket.
    unsafe { outstanding.start(CALL, Payload::Nothing, Arguments::none(), wsk) }
}
