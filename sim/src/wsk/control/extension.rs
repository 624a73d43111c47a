//! Extension interfaces [wsk 5.5]: a test offers one, clients register for it on a socket.
//!
//! The provider introduces the two to each other and watches over rule 10.1; what the functions of
//! an extension do is the affair of whoever offers it.

// UNSAFETY: reads the structure that a client passes, and what it points to.
#![expect(unsafe_code, reason = "a structure of the client's")]

use core::ffi::c_void;
use std::sync::Arc;

use wdk_sys::{
    NTSTATUS, PVOID, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED, ULONG,
};
use wsk_sys::{
    NPIID, PWSK_SOCKET, WSK_EVENT_DISABLE, WSK_EXTENSION_CONTROL_IN, WSK_EXTENSION_CONTROL_OUT,
};

use super::super::call::{Call, Entry};
use super::super::callbacks;
use super::super::events::{self, Disabled};
use super::super::socket::{Socket, State};
use super::super::tables::Category;
use super::event_callback::{Control, is_same, read_npi};
use super::{Effect, Operation, Outcome};
use crate::current::current;
use crate::kernel::irql::DISPATCH;
use crate::kernel::pool::check_not_paged;
use crate::kernel::thread::Context;
use crate::sched::{Job, Work};
use crate::sim::{Shared, lock};

/// An extension interface that the provider has.
pub trait Extension: Send + Sync {
    /// The network programming interface that names it.
    fn id(&self) -> NPIID;

    /// The table of its functions. It is valid as long as the simulation runs.
    fn dispatch(&self) -> *const c_void;

    /// A client registers for it on a socket. Gives the context that the client passes to the
    /// functions.
    ///
    /// # Errors
    ///
    /// The status with which the client's request fails.
    fn register(&self, client: ExtensionClient) -> Result<PVOID, NTSTATUS>;

    /// The events that it has, as bits of the mask of `SO_WSK_EVENT_CALLBACK`.
    fn events(&self) -> ULONG {
        0
    }

    /// The socket is gone, and with it the context that `register` gave.
    fn socket_gone(&self, _provider_context: PVOID) {}
}

/// A client that has registered for an extension on a socket.
#[derive(Clone)]
pub struct ExtensionClient {
    socket: Arc<Socket>,
    id: NPIID,
    context: Context,
    dispatch: Context,
}

/// A function of an extension that is being executed [wsk 10.1].
pub struct ExtensionCall {
    _entry: Entry,
}

/// What a socket has of an extension.
pub(in super::super) struct Registered {
    extension: Arc<dyn Extension>,
    provider_context: Context,
    context: Context,
    dispatch: Context,
    enabled: ULONG,
}

impl ExtensionClient {
    /// The socket that the client has registered on.
    #[must_use]
    pub fn socket(&self) -> PWSK_SOCKET {
        self.socket.pointer()
    }

    /// The context that the client gave.
    #[must_use]
    pub fn context(&self) -> PVOID {
        self.context.get()
    }

    /// The table of callbacks that the client gave.
    #[must_use]
    pub fn dispatch(&self) -> *const c_void {
        self.dispatch.get()
    }

    /// To be called at the beginning of every function of the extension, and kept until its end:
    /// what rules 10.1 and 10.3 ask is checked.
    #[must_use]
    pub fn enter(&self, function: &'static str) -> ExtensionCall {
        ExtensionCall {
            _entry: Entry::new(self.socket.pointer(), function, &Category::ALL),
        }
    }

    /// Has an event of the extension raised, if the client has enabled it: `body`, which calls the
    /// client's callback, runs soon at `DISPATCH_LEVEL` or below, unless the event is disabled or
    /// the socket closed by then. Closing the socket waits for it.
    pub fn raise(&self, event: ULONG, body: impl FnOnce() + Send + 'static) {
        let mut state = lock(&self.socket.state);
        if !is_enabled(&state, &self.id, event) {
            return;
        }
        let id = self.id;
        let raised = move |callback: &events::Callback<'_>| {
            if is_enabled(&lock(&callback.socket.state), &id, event) {
                callbacks::run(callback, "an event callback of an extension", body);
            }
        };
        events::raise(&current().sim, &self.socket, &mut state, 0, raised);
    }
}

impl Registered {
    /// What the client must keep, as it keeps the context and the table of the socket itself.
    pub(in super::super) fn client_memory(&self) -> Vec<(usize, &'static str)> {
        vec![
            (self.context.get().addr(), "the context of an extension"),
            (
                self.dispatch.get().addr(),
                "the table of callbacks for an extension",
            ),
        ]
    }

    /// The socket is gone: tells the extension soon.
    pub(in super::super) fn end(self, sim: &Shared) {
        let work = Work::Call(Box::new(move || {
            self.extension.socket_gone(self.provider_context.get());
        }));
        let irql = DISPATCH;
        sim.sched.deliver(0, Job { irql, work });
    }
}

fn find<'a>(state: &'a mut State, id: &NPIID) -> Option<&'a mut Registered> {
    let mut extensions = state.extensions.iter_mut();
    extensions.find(|registered| is_same(&registered.extension.id(), id))
}

fn is_enabled(state: &State, id: &NPIID, event: ULONG) -> bool {
    state.extensions.iter().any(|registered| {
        is_same(&registered.extension.id(), id) && registered.enabled & event != 0
    })
}

/// `SIO_WSK_REGISTER_EXTENSION`.
pub(super) fn register(entry: &Entry, operation: &Operation) -> Outcome {
    // SAFETY: any bytes are valid.
    let given: WSK_EXTENSION_CONTROL_IN = unsafe { operation.read() }?;
    // SAFETY: the client passes null or the identifier of an interface.
    let id = unsafe { read_npi(given.NpiId) }.ok_or(STATUS_INVALID_PARAMETER)?;
    let offered = lock(&entry.me.sim.wsk.controls.extensions).clone();
    let extension = offered.into_iter().find(|one| is_same(&one.id(), &id));
    let extension = extension.ok_or(STATUS_NOT_SUPPORTED)?;
    let room = size_of::<WSK_EXTENSION_CONTROL_OUT>();
    if operation.output.is_null() || operation.output_size < room {
        return Err(STATUS_BUFFER_TOO_SMALL);
    }
    if find(&mut lock(&entry.socket.state), &id).is_some() {
        return Err(STATUS_INVALID_DEVICE_STATE);
    }
    let dispatch = Context(given.ClientDispatch.cast_mut());
    check_not_paged(
        &entry.me,
        dispatch.get().addr(),
        "a table of event callbacks",
    );
    introduce(entry, extension, id, Context(given.ClientContext), dispatch)
}

fn introduce(
    entry: &Entry,
    extension: Arc<dyn Extension>,
    id: NPIID,
    context: Context,
    dispatch: Context,
) -> Outcome {
    let provider_context = extension.register(ExtensionClient {
        socket: Arc::clone(&entry.socket),
        id,
        context,
        dispatch,
    })?;
    let mut output = provider_context.expose_provenance().to_ne_bytes().to_vec();
    output.extend(extension.dispatch().expose_provenance().to_ne_bytes());
    let registered = Registered {
        extension,
        provider_context: Context(provider_context),
        context,
        dispatch,
        enabled: 0,
    };
    entry.socket.keep(&entry.me.sim, registered.client_memory());
    lock(&entry.socket.state).extensions.push(registered);
    Ok(Effect::Done(output))
}

/// Enables events of an extension that the client has registered for on this socket.
pub(super) fn enable(entry: &Entry, control: &Control) -> Result<(), NTSTATUS> {
    let mut state = lock(&entry.socket.state);
    let registered = find(&mut state, &control.npi).ok_or(STATUS_NOT_SUPPORTED)?;
    if control.mask == 0 || control.mask & !registered.extension.events() != 0 {
        return Err(STATUS_INVALID_PARAMETER);
    }
    registered.enabled |= control.mask;
    Ok(())
}

/// Disables an event of an extension.
pub(super) fn disable(
    entry: &Entry,
    control: &Control,
    call: Option<&Call>,
) -> Result<Disabled, NTSTATUS> {
    let event = control.mask & !WSK_EVENT_DISABLE;
    let mut state = lock(&entry.socket.state);
    let registered = find(&mut state, &control.npi).ok_or(STATUS_NOT_SUPPORTED)?;
    if !event.is_power_of_two() || event & registered.extension.events() == 0 {
        return Err(STATUS_INVALID_PARAMETER);
    }
    registered.enabled &= !event;
    Ok(state.events.await_callbacks(0, call))
}
