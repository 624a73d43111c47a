//! Control operations: on a socket, and on the client.
//!
//! - `options`: `WskSetOption` and `WskGetOption`

// UNSAFETY: the functions are called by the client through the tables, with buffers of its own.
#![expect(unsafe_code, reason = "functions of the provider's tables")]

pub(super) mod options;

use wdk_sys::{
    NTSTATUS, PIRP, PVOID, SIZE_T, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER,
    STATUS_NOT_SUPPORTED, STATUS_PENDING, STATUS_SUCCESS, ULONG,
};
use wsk_sys::{
    PWSK_CLIENT, PWSK_SOCKET, SO_WSK_EVENT_CALLBACK, SOL_SOCKET, WSK_CONTROL_SOCKET_TYPE,
    WSK_EVENT_CALLBACK_CONTROL, WSK_EVENT_DISABLE,
};

use super::call::{Entry, check_context, complete_inline};
use super::events::{self, Disabled};
use super::request::Answer;
use super::tables::Category;
use super::{datagram_options, registration};
use crate::current::current;
use crate::kernel::irp;
use crate::kernel::irql::DISPATCH;

/// What a control operation was given.
struct Operation {
    request: WSK_CONTROL_SOCKET_TYPE::Type,
    code: ULONG,
    level: ULONG,
    input: PVOID,
    input_size: usize,
    output: PVOID,
    output_size: usize,
}

impl Operation {
    fn input(&self) -> Option<&[u8]> {
        // SAFETY: the client passes a buffer of the size that it names, until completion
        // [wsk 3.12].
        (!self.input.is_null())
            .then(|| unsafe { core::slice::from_raw_parts(self.input.cast(), self.input_size) })
    }

    fn put_out(&self, value: &[u8]) -> Result<usize, NTSTATUS> {
        if self.output.is_null() || self.output_size < value.len() {
            return Err(STATUS_BUFFER_TOO_SMALL);
        }
        let output = self.output.cast::<u8>();
        // SAFETY: the client passes a buffer of the size that it names, checked above.
        unsafe { output.copy_from_nonoverlapping(value.as_ptr(), value.len()) };
        Ok(value.len())
    }

    fn is_event_callback(&self) -> bool {
        self.request == WSK_CONTROL_SOCKET_TYPE::WskSetOption
            && (self.level, self.code) == (SOL_SOCKET, SO_WSK_EVENT_CALLBACK)
    }
}

/// `WskControlSocket` [wsk 5].
pub(super) unsafe extern "C" fn wsk_control_socket(
    socket: PWSK_SOCKET,
    request: WSK_CONTROL_SOCKET_TYPE::Type,
    code: ULONG,
    level: ULONG,
    input_size: SIZE_T,
    input: PVOID,
    output_size: SIZE_T,
    output: PVOID,
    _output_size_returned: *mut SIZE_T,
    irp: PIRP,
) -> NTSTATUS {
    let entry = Entry::new(socket, "WskControlSocket", &Category::ALL);
    let operation = Operation {
        request,
        code,
        level,
        input,
        input_size: usize::try_from(input_size).unwrap_or(0),
        output,
        output_size: usize::try_from(output_size).unwrap_or(0),
    };
    if operation.is_event_callback() {
        return set_event_callback(entry, &operation, irp);
    }
    let call = entry.take(irp);
    if let Err(status) = call.may_go_on() {
        return status;
    }
    let result = match request {
        WSK_CONTROL_SOCKET_TYPE::WskSetOption => {
            options::set(&call, level, code, operation.input()).map(|()| 0)
        }
        WSK_CONTROL_SOCKET_TYPE::WskGetOption => {
            options::get(&call, level, code).and_then(|value| operation.put_out(&value))
        }
        _ => datagram_options::control(&call, code, operation.input())
            .unwrap_or(Err(STATUS_NOT_SUPPORTED))
            .map(|()| 0),
    };
    call.reply(result.map_or_else(Answer::status, Answer::information))
}

/// `SO_WSK_EVENT_CALLBACK`: the one option with rules of its own about the IRP [wsk 6.2, 6.4].
fn set_event_callback(entry: Entry, operation: &Operation, irp: PIRP) -> NTSTATUS {
    let size = size_of::<WSK_EVENT_CALLBACK_CONTROL>();
    let control = operation
        .input()
        .filter(|input| input.len() == size)
        .map(|input| {
            // SAFETY: there are enough bytes, and any are valid.
            unsafe {
                input
                    .as_ptr()
                    .cast::<WSK_EVENT_CALLBACK_CONTROL>()
                    .read_unaligned()
            }
        });
    let mask = control.map_or(0, |control| control.EventMask);
    let disable = mask & WSK_EVENT_DISABLE != 0;
    if irp.is_null() {
        return if disable {
            let result = events::disable(&entry.socket, mask, None);
            result.map_or_else(|status| status, |how| events::status_without_irp(&how))
        } else {
            let result = events::enable(&entry.socket, mask);
            result.map_or_else(|status| status, |()| STATUS_SUCCESS)
        };
    }
    let call = entry.take(irp);
    if !disable {
        return call.reply(Answer::status(STATUS_INVALID_PARAMETER));
    }
    match events::disable(&call.socket, mask, Some(&call)) {
        Ok(Disabled::Now) => call.reply(Answer::SUCCESS),
        Ok(Disabled::Later) => STATUS_PENDING,
        Err(status) => call.reply(Answer::status(status)),
    }
}

/// `WskControlClient`: no control code is known.
pub(super) unsafe extern "C" fn wsk_control_client(
    client: PWSK_CLIENT,
    _code: ULONG,
    _input_size: SIZE_T,
    _input: PVOID,
    _output_size: SIZE_T,
    _output: PVOID,
    _output_size_returned: *mut SIZE_T,
    irp: PIRP,
) -> NTSTATUS {
    let me = current();
    check_context(&me, DISPATCH, "WskControlClient");
    registration::expect_client(&me, client, "WskControlClient");
    if irp.is_null() {
        return STATUS_NOT_SUPPORTED;
    }
    let packet = irp::give_to_provider(&me, irp, "WskControlClient");
    complete_inline(&me, irp, packet, Answer::status(STATUS_NOT_SUPPORTED))
}
