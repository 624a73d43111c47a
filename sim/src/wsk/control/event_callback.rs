//! `SO_WSK_EVENT_CALLBACK`: the option with rules of its own about the IRP, for the events of WSK
//! and for those of extensions [wsk 6.2, 6.4].

// UNSAFETY: reads the structure that a client passes, and what it points to.
#![expect(unsafe_code, reason = "a structure of the client's")]

use wdk_sys::{GUID, NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_PENDING, STATUS_SUCCESS, ULONG};
use wsk_sys::{
    NPI_WSK_INTERFACE_ID, NPIID, PNPIID, SO_WSK_EVENT_CALLBACK, SOL_SOCKET,
    WSK_CONTROL_SOCKET_TYPE, WSK_EVENT_CALLBACK_CONTROL, WSK_EVENT_DISABLE,
};

use super::super::call::{Call, Entry};
use super::super::events::{self, Disabled};
use super::super::request::Answer;
use super::terms::{Packet, Terms};
use super::{Operation, extension};
use crate::reached;

/// What the option is set to.
pub(super) struct Control {
    /// Whose events are meant.
    pub(super) npi: NPIID,
    pub(super) mask: ULONG,
}

impl Control {
    pub(super) fn read(operation: &Operation) -> Result<Self, NTSTATUS> {
        // SAFETY: any bytes are valid.
        let control: WSK_EVENT_CALLBACK_CONTROL = unsafe { operation.read() }?;
        // SAFETY: the client passes null or the identifier of an interface.
        let npi = unsafe { read_npi(control.NpiId) }.ok_or(STATUS_INVALID_PARAMETER)?;
        let mask = control.EventMask;
        for bit in (0..u32::BITS)
            .map(|bit| mask & 1 << bit)
            .filter(|bit| *bit != 0)
        {
            reached::note(|| format!("event {bit:#x}"));
        }
        Ok(Self { npi, mask })
    }

    pub(super) fn is_of_wsk(&self) -> bool {
        is_same(&self.npi, &NPI_WSK_INTERFACE_ID)
    }
}

/// The identifier behind a pointer; `None` for null.
///
/// # Safety
///
/// The pointer is null or leads to an identifier.
pub(super) unsafe fn read_npi(npi: PNPIID) -> Option<NPIID> {
    // SAFETY: promised by the caller.
    (!npi.is_null()).then(|| unsafe { npi.read_unaligned() })
}

pub(super) fn is_same(one: &GUID, other: &GUID) -> bool {
    let parts = |id: &GUID| (id.Data1, id.Data2, id.Data3, id.Data4);
    parts(one) == parts(other)
}

pub(super) fn is_meant(request: WSK_CONTROL_SOCKET_TYPE::Type, operation: &Operation) -> bool {
    request == WSK_CONTROL_SOCKET_TYPE::WskSetOption
        && (operation.level, operation.code) == (SOL_SOCKET, SO_WSK_EVENT_CALLBACK)
}

/// Sets the option.
pub(super) fn set(entry: Entry, operation: &Operation) -> NTSTATUS {
    let name = "SO_WSK_EVENT_CALLBACK";
    let control = Control::read(operation);
    let disables = matches!(&control, Ok(control) if control.mask & WSK_EVENT_DISABLE != 0);
    let packet = if disables || control.is_err() {
        Packet::Either
    } else {
        Packet::Never
    };
    let socket = &entry.socket;
    Terms::new(name, packet).check(&entry.me, operation, &|| {
        format!("the {}", socket.describe())
    });
    operation.check_memory(&entry.me, name);
    if operation.irp.is_null() {
        let refusal = entry.refusal().map_or(Ok(()), Err);
        return match refusal.and(control) {
            Ok(control) if disables => status_of(disable(&entry, &control, None)),
            Ok(control) => {
                enable(&entry, &control).map_or_else(|status| status, |()| STATUS_SUCCESS)
            }
            Err(status) => status,
        };
    }
    let call = entry.take(operation.irp);
    if let Err(status) = call.may_go_on() {
        return status;
    }
    match control.and_then(|control| disable(&call, &control, Some(&call))) {
        Ok(Disabled::Now) => call.reply(Answer::SUCCESS),
        Ok(Disabled::Later) => STATUS_PENDING,
        Err(status) => call.reply(Answer::status(status)),
    }
}

fn enable(entry: &Entry, control: &Control) -> Result<(), NTSTATUS> {
    if control.is_of_wsk() {
        events::enable(&entry.socket, control.mask)
    } else {
        extension::enable(entry, control)
    }
}

fn disable(entry: &Entry, control: &Control, call: Option<&Call>) -> Result<Disabled, NTSTATUS> {
    if control.is_of_wsk() {
        events::disable(&entry.socket, control.mask, call)
    } else {
        extension::disable(entry, control, call)
    }
}

fn status_of(disabled: Result<Disabled, NTSTATUS>) -> NTSTATUS {
    disabled.map_or_else(|status| status, |how| events::status_without_irp(&how))
}
