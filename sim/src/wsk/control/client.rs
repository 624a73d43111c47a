//! `WskControlClient`: the table of its operations, and those that need little [wsk 3a, 5].

// UNSAFETY: a function of the provider's table; structures that the client passes.
#![expect(unsafe_code, reason = "a function of the provider's table")]
#![expect(
    clippy::unnecessary_wraps,
    reason = "all operations of a table have one type"
)]

use std::sync::Arc;

use wdk_sys::{
    NTSTATUS, PIRP, PVOID, SIZE_T, STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER,
    STATUS_NOT_SUPPORTED, ULONG,
};
use wsk_sys::{
    PWSK_CLIENT, WSK_CACHE_SD, WSK_RELEASE_SD, WSK_SET_STATIC_EVENT_CALLBACKS, WSK_TDI_BEHAVIOR,
    WSK_TDI_BEHAVIOR_BYPASS_TDI, WSK_TDI_DEVICENAME_MAPPING, WSK_TDI_MAP_INFO,
    WSK_TRANSPORT_LIST_CHANGE, WSK_TRANSPORT_LIST_QUERY,
};

use super::super::call::{check_context, complete_inline};
use super::super::request::Answer;
use super::super::{events, registration};
use super::Operation;
use super::event_callback::Control;
use super::options::{read_number, read_pointer};
use super::terms::Packet::{Never, Required};
use super::terms::Terms;
use super::{security, transports};
use crate::current::current;
use crate::faults::Fault;
use crate::kernel::irp;
use crate::kernel::irql::DISPATCH;
use crate::reached;
use crate::sched::Thread;
use crate::sim::lock;

const FUNCTION: &str = "WskControlClient";

/// A call of the function, which deregistration waits for [wsk 2.9].
struct Caller {
    me: Arc<Thread>,
    client: usize,
}

/// One control code.
struct Row {
    code: ULONG,
    terms: Terms,
    /// Only before the client makes its first socket.
    before_sockets: bool,
    /// It cannot fail for want of resources.
    never_fails: bool,
    action: Action,
}

#[derive(Clone, Copy)]
enum Action {
    Now(fn(&Caller, &Operation) -> Result<Vec<u8>, NTSTATUS>),
    /// It waits for a change of the transports.
    Wait,
}

use Action::{Now, Wait};

/// A row with the name of the code's constant.
macro_rules! row {
    ($code:ident, $packet:ident, $action:expr) => {
        Row {
            code: $code,
            terms: Terms::new(stringify!($code), $packet),
            before_sockets: false,
            never_fails: false,
            action: $action,
        }
    };
}

static OPERATIONS: &[Row] = &[
    row!(WSK_TRANSPORT_LIST_QUERY, Never, Now(query_transports)).telling_size(),
    row!(WSK_TRANSPORT_LIST_CHANGE, Required, Wait),
    row!(WSK_CACHE_SD, Never, Now(cache_descriptor)),
    row!(WSK_RELEASE_SD, Never, Now(release_descriptor)).never_failing(),
    row!(WSK_TDI_DEVICENAME_MAPPING, Never, Now(map_devices)).before_sockets(),
    row!(
        WSK_SET_STATIC_EVENT_CALLBACKS,
        Never,
        Now(set_static_events)
    )
    .before_sockets(),
    row!(WSK_TDI_BEHAVIOR, Never, Now(set_tdi_behavior)).before_sockets(),
];

impl Row {
    const fn telling_size(self) -> Self {
        Self {
            terms: self.terms.telling_size(STATUS_BUFFER_OVERFLOW),
            ..self
        }
    }

    const fn before_sockets(self) -> Self {
        Self {
            before_sockets: true,
            ..self
        }
    }

    const fn never_failing(self) -> Self {
        Self {
            never_fails: true,
            ..self
        }
    }
}

impl Caller {
    fn new(client: PWSK_CLIENT) -> Self {
        let me = current();
        check_context(&me, DISPATCH, FUNCTION);
        let client = registration::expect_client(&me, client, FUNCTION);
        lock(&me.sim.wsk.registrations).count_use(client);
        Self { me, client }
    }

    /// What the call ends with at its beginning.
    fn refusal(&self, row: &Row) -> Option<NTSTATUS> {
        let sim = &self.me.sim;
        if !row.never_fails && sim.faults.strikes(Fault::ProviderCall) {
            return Some(STATUS_INSUFFICIENT_RESOURCES);
        }
        let too_late =
            row.before_sockets && lock(&sim.wsk.registrations).has_made_sockets(self.client);
        too_late.then_some(STATUS_INVALID_DEVICE_STATE)
    }

    /// Waits for a change of the transports, unless the call ends at its beginning.
    fn wait(&self, row: &Row, irp: PIRP) -> NTSTATUS {
        let packet = irp::give_to_provider(&self.me, irp, FUNCTION);
        let doom = self.me.sim.faults.completion();
        match self.refusal(row).or(doom) {
            Some(status) => complete_inline(&self.me, irp, packet, Answer::status(status)),
            None => transports::wait_for_change(&self.me, self.client, irp, packet),
        }
    }

    /// Ends an operation that the provider does not have.
    fn refuse_unknown(&self, irp: PIRP) -> NTSTATUS {
        if irp.is_null() {
            return STATUS_NOT_SUPPORTED;
        }
        let packet = irp::give_to_provider(&self.me, irp, FUNCTION);
        complete_inline(&self.me, irp, packet, Answer::status(STATUS_NOT_SUPPORTED))
    }

    fn perform(&self, row: &Row, operation: &Operation) -> NTSTATUS {
        let client = self.client;
        row.terms
            .check(&self.me, operation, &|| format!("client {client:#x}"));
        operation.check_memory(&self.me, row.terms.name);
        let Now(action) = row.action else {
            return self.wait(row, operation.irp);
        };
        let refusal = self.refusal(row).map_or(Ok(()), Err);
        let result = refusal.and_then(|()| action(self, operation));
        operation.end_at_once(&row.terms, result)
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let sim = &self.me.sim;
        lock(&sim.wsk.registrations).uncount_use(sim, self.client);
    }
}

/// `WskControlClient`.
pub(in super::super) unsafe extern "C" fn wsk_control_client(
    client: PWSK_CLIENT,
    code: ULONG,
    input_size: SIZE_T,
    input: PVOID,
    output_size: SIZE_T,
    output: PVOID,
    returned: *mut SIZE_T,
    irp: PIRP,
) -> NTSTATUS {
    let caller = Caller::new(client);
    let operation = Operation {
        code,
        level: 0,
        input,
        input_size: usize::try_from(input_size).unwrap_or(0),
        output,
        output_size: usize::try_from(output_size).unwrap_or(0),
        returned,
        irp,
    };
    reached::note(|| format!("client {code:#x}"));
    match OPERATIONS.iter().find(|row| row.code == operation.code) {
        Some(row) => caller.perform(row, &operation),
        None => caller.refuse_unknown(irp),
    }
}

fn query_transports(caller: &Caller, _operation: &Operation) -> Result<Vec<u8>, NTSTATUS> {
    Ok(lock(&caller.me.sim.wsk.controls.transports).list())
}

/// The pointer that the input holds.
fn pointer_in(operation: &Operation) -> Result<usize, NTSTATUS> {
    operation.input_of(size_of::<usize>()).map(read_pointer)
}

fn cache_descriptor(caller: &Caller, operation: &Operation) -> Result<Vec<u8>, NTSTATUS> {
    let address = pointer_in(operation)?;
    if operation.output.is_null() || operation.output_size < size_of::<usize>() {
        return Err(STATUS_BUFFER_TOO_SMALL);
    }
    // SAFETY: the client passes the address of a security descriptor [wsk 4.5].
    let descriptor = unsafe { security::read(address) }?;
    let cached = security::cache(&caller.me, caller.client, &descriptor);
    Ok(cached.to_ne_bytes().to_vec())
}

fn release_descriptor(caller: &Caller, operation: &Operation) -> Result<Vec<u8>, NTSTATUS> {
    security::release(&caller.me, pointer_in(operation)?);
    Ok(Vec::new())
}

/// `WSK_TDI_DEVICENAME_MAPPING`: the provider has no TDI, and takes note of nothing.
fn map_devices(_caller: &Caller, operation: &Operation) -> Result<Vec<u8>, NTSTATUS> {
    // SAFETY: any bytes are valid.
    let info: WSK_TDI_MAP_INFO = unsafe { operation.read() }?;
    if info.ElementCount == 0 || info.Map.is_null() {
        return Err(STATUS_INVALID_PARAMETER);
    }
    // SAFETY: the client passes as many entries as it names.
    let map = unsafe { core::slice::from_raw_parts(info.Map, info.ElementCount as usize) };
    if map.iter().any(|entry| entry.TdiDeviceName.is_null()) {
        return Err(STATUS_INVALID_PARAMETER);
    }
    Ok(Vec::new())
}

/// `WSK_TDI_BEHAVIOR`: the provider has no TDI to bypass.
fn set_tdi_behavior(_caller: &Caller, operation: &Operation) -> Result<Vec<u8>, NTSTATUS> {
    let flags = read_number(operation.input_of(size_of::<ULONG>())?);
    if flags & !WSK_TDI_BEHAVIOR_BYPASS_TDI != 0 {
        return Err(STATUS_INVALID_PARAMETER);
    }
    Ok(Vec::new())
}

/// `WSK_SET_STATIC_EVENT_CALLBACKS` [wsk 6.7].
fn set_static_events(caller: &Caller, operation: &Operation) -> Result<Vec<u8>, NTSTATUS> {
    let control = Control::read(operation)?;
    if !control.is_of_wsk() || !events::are_all_valid(control.mask) {
        return Err(STATUS_INVALID_PARAMETER);
    }
    lock(&caller.me.sim.wsk.registrations).add_static_events(caller.client, control.mask);
    Ok(Vec::new())
}
