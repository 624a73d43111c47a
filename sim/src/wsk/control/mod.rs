//! Control operations: on a socket, and on the client.
//!
//! - `terms`: what every operation asks of its caller
//! - `option_table`, `options`, `groups`: `WskSetOption` and `WskGetOption`
//! - `event_callback`: the option that enables events
//! - `ioctls`, `addresses`, `redirect`, `extension`: `WskIoctl`
//! - `client`, `transports`, `security`: operations on the client
//! - `surroundings`: what a test decides about all these

// UNSAFETY: a function of the sockets' tables, with buffers of the client's.
#![expect(unsafe_code, reason = "a function of the sockets' tables")]

pub(super) mod addresses;
pub(super) mod client;
mod event_callback;
pub(super) mod extension;
pub(super) mod groups;
mod ioctls;
pub(super) mod option_table;
pub(super) mod options;
pub(super) mod redirect;
pub(super) mod security;
#[cfg(not(windows))]
mod surroundings;
mod terms;
pub(super) mod transports;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use wdk_sys::{
    NTSTATUS, PIRP, PVOID, SIZE_T, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED, ULONG,
};
use wsk_sys::{PWSK_SOCKET, WSK_CONTROL_SOCKET_TYPE};

use super::buffer::Buffer;
use super::call::{Call, Entry};
use super::request::{Answer, Reply, Work};
use super::tables::Category;
use super::{names, progress};
use crate::kernel::pool::check_not_paged;
use crate::reached;
use crate::sched::Thread;
use crate::sim::{Shared, lock, offence};
use crate::verifier::Rule;
use terms::Terms;

/// What tests and clients have set that is not of one socket.
#[derive(Default)]
pub(super) struct Controls {
    pub(super) transports: Mutex<transports::Transports>,
    pub(super) descriptors: Mutex<security::Descriptors>,
    extensions: Mutex<Vec<Arc<dyn extension::Extension>>>,
    pub(super) redirect: Mutex<Option<Arc<redirect::Redirect>>>,
    /// How often the local addresses have changed, by family.
    address_changes: [AtomicU64; 2],
}

/// What a control operation was given.
struct Operation {
    code: ULONG,
    level: ULONG,
    input: PVOID,
    input_size: usize,
    output: PVOID,
    output_size: usize,
    returned: *mut SIZE_T,
    irp: PIRP,
}

/// What comes of an operation.
enum Effect {
    /// It is done, and gives these bytes.
    Done(Vec<u8>),
    /// It waits for something.
    Waits(Box<dyn Work>),
}

type Outcome = Result<Effect, NTSTATUS>;

impl Operation {
    /// The input; none if there is no buffer, or if it is empty.
    fn input(&self) -> Option<&[u8]> {
        let given = !self.input.is_null() && self.input_size > 0;
        // SAFETY: the client passes a buffer of the size that it names, until completion
        // [wsk 3.12].
        given.then(|| unsafe { core::slice::from_raw_parts(self.input.cast(), self.input_size) })
    }

    /// The input, which must have this size.
    fn input_of(&self, size: usize) -> Result<&[u8], NTSTATUS> {
        self.input()
            .filter(|input| input.len() == size)
            .ok_or(STATUS_INVALID_PARAMETER)
    }

    /// The input, which must have the size of a `T`.
    ///
    /// # Safety
    ///
    /// Any bytes make a valid `T`.
    unsafe fn read<T>(&self) -> Result<T, NTSTATUS> {
        let input = self.input_of(size_of::<T>())?;
        // SAFETY: there are enough bytes, and the caller promises that any are valid.
        Ok(unsafe { input.as_ptr().cast::<T>().read_unaligned() })
    }

    /// Reports buffers that may not be used [wsk 3.12].
    fn check_memory(&self, me: &Thread, name: &str) {
        let buffers = [
            (self.input, self.input_size),
            (self.output, self.output_size),
        ];
        for (buffer, size) in buffers {
            if size == 0 || buffer.is_null() {
                continue;
            }
            check_not_paged(me, buffer.addr(), "the buffer of a control operation");
            if let Some(freed) = lock(&me.sim.kernel.pool).find_freed(buffer.addr()) {
                let details = format!("{name} with a buffer in {freed}");
                offence(Rule::BufferFreed, &details);
            }
        }
    }

    /// The answer, with what of `data` goes to the output buffer. If there is no room the answer
    /// tells how much is needed.
    fn answer(&self, terms: &Terms, data: Vec<u8>) -> (Answer, Vec<u8>) {
        let needed = data.len();
        let room = if self.output.is_null() {
            0
        } else {
            self.output_size
        };
        if needed <= room {
            return (Answer::information(needed), data);
        }
        let answer = Answer {
            status: terms.too_small,
            information: needed,
        };
        (answer, Vec::new())
    }

    /// Ends an operation, or a part of it, that gives `data`: tells the size where that is asked
    /// for.
    fn conclude(&self, terms: &Terms, data: Vec<u8>) -> (Answer, Vec<u8>) {
        let (answer, data) = self.answer(terms, data);
        if terms.tells_size && !self.returned.is_null() {
            // SAFETY: the client passes null or a place for the size.
            unsafe { self.returned.write(answer.information as SIZE_T) };
        }
        (answer, data)
    }

    /// Ends an operation without an IRP.
    fn end_at_once(&self, terms: &Terms, result: Result<Vec<u8>, NTSTATUS>) -> NTSTATUS {
        match result {
            Ok(data) => {
                let (answer, data) = self.conclude(terms, data);
                self.memory().write_at(0, &data);
                answer.status
            }
            Err(status) => status,
        }
    }

    /// The memory that it uses until it completes: the output first.
    fn memory(&self) -> Buffer {
        Buffer::of(&[
            (self.output, self.output_size),
            (self.input, self.input_size),
        ])
    }
}

/// `WskControlSocket` [wsk 3a, 5.1].
pub(super) unsafe extern "C" fn wsk_control_socket(
    socket: PWSK_SOCKET,
    request: WSK_CONTROL_SOCKET_TYPE::Type,
    code: ULONG,
    level: ULONG,
    input_size: SIZE_T,
    input: PVOID,
    output_size: SIZE_T,
    output: PVOID,
    returned: *mut SIZE_T,
    irp: PIRP,
) -> NTSTATUS {
    let entry = Entry::new(socket, "WskControlSocket", &Category::ALL);
    let operation = Operation {
        code,
        level,
        input,
        input_size: usize::try_from(input_size).unwrap_or(0),
        output,
        output_size: usize::try_from(output_size).unwrap_or(0),
        returned,
        irp,
    };
    reached::note(|| match request {
        WSK_CONTROL_SOCKET_TYPE::WskIoctl => format!("ioctl {code:#x}"),
        _ => format!("option {level:#x} {code:#x}"),
    });
    if event_callback::is_meant(request, &operation) {
        return event_callback::set(entry, &operation);
    }
    let Some(terms) = terms(request, &operation) else {
        return refuse_unknown(entry, irp);
    };
    let socket = &entry.socket;
    terms.check(&entry.me, &operation, &|| {
        format!("the {}", socket.describe())
    });
    operation.check_memory(&entry.me, terms.name);
    if irp.is_null() {
        let refusal = entry.refusal().map_or(Ok(()), Err);
        let outcome = refusal.and_then(|()| perform(request, &entry, &operation));
        let done = outcome.map(|effect| match effect {
            Effect::Done(data) => data,
            Effect::Waits(_) => Vec::new(),
        });
        return operation.end_at_once(&terms, done);
    }
    let call = entry.take(irp);
    if let Err(status) = call.may_go_on() {
        return status;
    }
    let outcome = perform(request, &call, &operation);
    submit(&call, &operation, &terms, outcome)
}

/// An operation that the provider does not have.
fn refuse_unknown(entry: Entry, irp: PIRP) -> NTSTATUS {
    if irp.is_null() {
        return STATUS_NOT_SUPPORTED;
    }
    let call = entry.take(irp);
    match call.may_go_on() {
        Ok(()) => call.reply(Answer::status(STATUS_NOT_SUPPORTED)),
        Err(status) => status,
    }
}

/// What an operation on a socket asks of its caller.
fn terms(request: WSK_CONTROL_SOCKET_TYPE::Type, operation: &Operation) -> Option<Terms> {
    match request {
        WSK_CONTROL_SOCKET_TYPE::WskSetOption | WSK_CONTROL_SOCKET_TYPE::WskGetOption => {
            option_table::find((operation.level, operation.code)).map(|row| row.terms)
        }
        WSK_CONTROL_SOCKET_TYPE::WskIoctl => ioctls::find(operation.code).map(|row| row.terms),
        _ => None,
    }
}

fn perform(
    request: WSK_CONTROL_SOCKET_TYPE::Type,
    entry: &Entry,
    operation: &Operation,
) -> Outcome {
    match request {
        WSK_CONTROL_SOCKET_TYPE::WskSetOption => {
            options::set(entry, operation).map(|()| Effect::Done(Vec::new()))
        }
        WSK_CONTROL_SOCKET_TYPE::WskGetOption => options::get(entry, operation).map(Effect::Done),
        _ => ioctls::perform(entry, operation),
    }
}

/// Completes the IRP of an operation, now or later: its buffers are in use until then.
fn submit(call: &Call, operation: &Operation, terms: &Terms, outcome: Outcome) -> NTSTATUS {
    let (answer, data) = match outcome {
        Ok(Effect::Waits(work)) => return progress::submit(call, work),
        Ok(Effect::Done(data)) => operation.conclude(terms, data),
        Err(status) => (Answer::status(status), Vec::new()),
    };
    call.submit(Reply::new(answer).using(operation.memory(), data))
}

/// A client asks WSK to let go of it.
pub(super) fn client_leaves(sim: &Shared, client: usize) {
    transports::cancel_requests(sim, client);
}

/// A client is gone: nobody can release any more what it has not released [wsk 4.5].
pub(super) fn client_is_gone(sim: &Shared, client: usize) {
    let left = lock(&sim.wsk.controls.descriptors).left_of(client);
    if !left.is_empty() {
        let details = format!("left behind at deregistration:\n  {}", left.join("\n  "));
        offence(Rule::Leak, &details);
    }
    names::expect_freed(sim, client);
}
