//! A binding between a client and a provider: how far they have got with each other.
//!
//! ```text
//! Proposed -> Attaching -> Attached -> Detaching -> Cleaning -> Gone
//!     |           |                                              ^
//!     +-----------+----------------------------------------------+
//! ```
//!
//! Plain data under the lock of the books; the errors say which rule was broken. Who calls what,
//! and when, is the affair of `attach`, `detach` and `cleanup`.

use core::ops::Range;
use std::sync::Arc;

use wdk_sys::{HANDLE, NTSTATUS, STATUS_PENDING, STATUS_SUCCESS};

use super::characteristics::Side;
use super::module::Module;
use super::{PROVIDERS, handle};
use crate::kernel::thread::Context;
use crate::verifier::Rule;

/// What came of a change; the error is the rule that it breaks, and how.
pub(super) type Outcome<R> = Result<R, (Rule, String)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// `ClientAttachProvider` is to be called.
    Proposed,
    /// It runs on the thread with this number. The status is that of the last
    /// `NmrClientAttachProvider`.
    Attaching(usize, Option<NTSTATUS>),
    Attached,
    /// Both detach callbacks are to be called, or running, or pending.
    Detaching,
    /// Both sides have detached; their cleanup callbacks are to be called, or running.
    Cleaning,
    Gone,
}

/// How far one side has got with detaching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detach {
    NotCalled,
    /// The callback is running; `completed` if the completion came already.
    Running {
        completed: bool,
    },
    Pending,
    /// It returned `STATUS_SUCCESS`.
    AtOnce,
    /// It returned `STATUS_PENDING`, and was completed.
    Completed,
}

/// What the registrar knows of one side of a binding.
struct End {
    module: Arc<Module>,
    context: Context,
    dispatch: Context,
    detach: Detach,
    /// The context is the module's again: nothing was attached, or the cleanup callback was called.
    released: bool,
    cleaned: bool,
}

/// A binding.
pub(super) struct Binding {
    number: usize,
    phase: Phase,
    client: End,
    provider: End,
}

impl End {
    fn new(module: Arc<Module>) -> Self {
        Self {
            module,
            context: Context(core::ptr::null_mut()),
            dispatch: Context(core::ptr::null_mut()),
            detach: Detach::NotCalled,
            released: true,
            cleaned: false,
        }
    }

    fn is_detached(&self) -> bool {
        matches!(self.detach, Detach::AtOnce | Detach::Completed)
    }

    fn describe_detach(&self) -> &'static str {
        match self.detach {
            Detach::NotCalled => "has not been called to detach",
            Detach::Running { .. } => "is in its detach callback",
            Detach::Pending => "has detach pending",
            Detach::AtOnce | Detach::Completed => "is detached",
        }
    }
}

impl Binding {
    pub(super) fn new(number: usize, client: Arc<Module>, provider: Arc<Module>) -> Self {
        Self {
            number,
            phase: Phase::Proposed,
            client: End::new(client),
            provider: End::new(provider),
        }
    }

    fn end(&self, side: Side) -> &End {
        match side {
            Side::Client => &self.client,
            Side::Provider => &self.provider,
        }
    }

    fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Provider => &mut self.provider,
        }
    }

    /// What a side knows the binding by. Each has its own, so that a mix-up is noticed.
    pub(super) fn handle(&self, side: Side) -> HANDLE {
        let offset = if side == Side::Client { 0 } else { PROVIDERS };
        core::ptr::without_provenance_mut(handle(self.number) + offset)
    }

    pub(super) fn module(&self, side: Side) -> Arc<Module> {
        Arc::clone(&self.end(side).module)
    }

    pub(super) fn modules(&self) -> [Arc<Module>; 2] {
        Side::BOTH.map(|side| self.module(side))
    }

    pub(super) fn context(&self, side: Side) -> Context {
        self.end(side).context
    }

    pub(super) fn dispatch(&self, side: Side) -> Context {
        self.end(side).dispatch
    }

    pub(super) fn is_gone(&self) -> bool {
        self.phase == Phase::Gone
    }

    pub(super) fn is_detached(&self, side: Side) -> bool {
        self.is_gone() || self.end(side).is_detached()
    }

    /// `ClientAttachProvider` is called on this thread.
    pub(super) fn begin_attach(&mut self, thread: usize) {
        self.phase = Phase::Attaching(thread, None);
    }

    /// `NmrClientAttachProvider` is called on this thread [wsk 12.5].
    pub(super) fn propose_client(
        &mut self,
        thread: usize,
        context: Context,
        dispatch: Context,
    ) -> Outcome<()> {
        let why = match self.phase {
            Phase::Attaching(_, Some(STATUS_SUCCESS)) => "it has succeeded already",
            Phase::Attaching(caller, _) if caller == thread => {
                self.client.context = context;
                self.client.dispatch = dispatch;
                self.client.released = false;
                return Ok(());
            }
            Phase::Attaching(..) => "ClientAttachProvider runs on another thread",
            _ => "ClientAttachProvider has returned",
        };
        let details = format!("NmrClientAttachProvider, but {why}: {}", self.describe());
        Err((Rule::NmrAttach, details))
    }

    /// `ProviderAttachClient` has answered.
    pub(super) fn answer(&mut self, status: NTSTATUS, context: Context, dispatch: Context) {
        if let Phase::Attaching(_, answer) = &mut self.phase {
            *answer = Some(status);
        }
        if status == STATUS_SUCCESS {
            self.provider.context = context;
            self.provider.dispatch = dispatch;
            self.provider.released = false;
        } else {
            self.client.released = true;
        }
    }

    /// `ClientAttachProvider` has returned: true if the two are attached [wsk 12.5].
    pub(super) fn finish_attach(&mut self, status: NTSTATUS) -> Outcome<bool> {
        let answer = match self.phase {
            Phase::Attaching(_, answer) => answer,
            _ => None,
        };
        let expected = match answer {
            None if status < 0 => {
                self.phase = Phase::Gone;
                return Ok(false);
            }
            None => "NmrClientAttachProvider was not called".to_owned(),
            Some(answer) if answer == status => {
                let attached = status == STATUS_SUCCESS;
                self.phase = if attached {
                    Phase::Attached
                } else {
                    Phase::Gone
                };
                return Ok(attached);
            }
            Some(answer) => format!("NmrClientAttachProvider returned {answer:#010x}"),
        };
        let details = format!(
            "ClientAttachProvider returned {status:#010x}, but {expected}: {}",
            self.describe()
        );
        Err((Rule::NmrAttachStatus, details))
    }

    /// Nothing comes of it.
    pub(super) fn drop_proposal(&mut self) {
        self.phase = Phase::Gone;
    }

    /// Starts detaching; false if there is nothing to detach, or if that was started already
    /// [wsk 12.19].
    pub(super) fn begin_detach(&mut self) -> bool {
        let attached = self.phase == Phase::Attached;
        if attached {
            self.phase = Phase::Detaching;
        }
        attached
    }

    /// The detach callback of `side` is called.
    pub(super) fn call_detach(&mut self, side: Side) {
        self.end_mut(side).detach = Detach::Running { completed: false };
    }

    /// The detach callback of `side` has returned: true if `side` has detached [wsk 12.10].
    pub(super) fn detach_returned(&mut self, side: Side, status: NTSTATUS) -> Outcome<bool> {
        let completed = self.end(side).detach == Detach::Running { completed: true };
        self.end_mut(side).detach = match status {
            STATUS_SUCCESS if completed => {
                let details = format!(
                    "completed by the {}, whose detach callback returned STATUS_SUCCESS: {}",
                    side.name(),
                    self.describe()
                );
                return Err((Rule::NmrDetachComplete, details));
            }
            STATUS_SUCCESS => Detach::AtOnce,
            STATUS_PENDING if completed => Detach::Completed,
            STATUS_PENDING => Detach::Pending,
            other => {
                let details = format!(
                    "the detach callback of the {} returned {other:#010x}: {}",
                    side.name(),
                    self.describe()
                );
                return Err((Rule::NmrDetachStatus, details));
            }
        };
        Ok(self.end(side).is_detached())
    }

    /// `side` completes its detach [wsk 12.10]. True if the callback had returned.
    pub(super) fn complete_detach(&mut self, side: Side) -> Outcome<bool> {
        let why = match self.end(side).detach {
            Detach::Running { completed: false } => {
                self.end_mut(side).detach = Detach::Running { completed: true };
                return Ok(false);
            }
            Detach::Pending => {
                self.end_mut(side).detach = Detach::Completed;
                return Ok(true);
            }
            Detach::NotCalled => "has not been called to detach",
            Detach::AtOnce => "returned STATUS_SUCCESS from its detach callback",
            Detach::Running { completed: true } | Detach::Completed => "has completed it before",
        };
        let details = format!(
            "detach completed by the {}, which {why}: {}",
            side.name(),
            self.describe()
        );
        Err((Rule::NmrDetachComplete, details))
    }

    /// Starts the cleanup if both sides have detached and it has not been started.
    pub(super) fn begin_cleanup(&mut self) -> bool {
        let over = self.phase == Phase::Detaching
            && self.client.is_detached()
            && self.provider.is_detached();
        if over {
            self.phase = Phase::Cleaning;
        }
        over
    }

    /// The context is the module's again.
    pub(super) fn release_context(&mut self, side: Side) {
        self.end_mut(side).released = true;
    }

    /// `side` has cleaned up; true if that was the last thing to happen to the binding.
    pub(super) fn finish_cleanup(&mut self, side: Side) -> bool {
        self.end_mut(side).cleaned = true;
        let over = self.client.cleaned && self.provider.cleaned;
        if over {
            self.phase = Phase::Gone;
        }
        over
    }

    /// What a module must not free yet in this range of memory [wsk 12.6, 12.10].
    pub(super) fn uses(&self, range: &Range<usize>) -> Option<(Rule, String)> {
        let holds = |address: Context| range.contains(&address.get().addr());
        for side in Side::BOTH {
            let end = self.end(side);
            if !end.released && holds(end.context) {
                let words = format!(
                    "the context of the {} of the {}",
                    side.name(),
                    self.describe()
                );
                return Some((Rule::NmrBindingContext, words));
            }
            // The other side may call through the table until it has detached.
            let user = if side == Side::Client {
                Side::Provider
            } else {
                Side::Client
            };
            if !end.released && !self.end(user).is_detached() && holds(end.dispatch) {
                let words = format!(
                    "the table of the {} of the {}",
                    side.name(),
                    self.describe()
                );
                return Some((Rule::NmrDispatch, words));
            }
        }
        None
    }

    pub(super) fn describe(&self) -> String {
        let phase = match self.phase {
            Phase::Proposed => "about to attach",
            Phase::Attaching(..) => "attaching",
            Phase::Attached => "attached",
            Phase::Detaching => "detaching",
            Phase::Cleaning => "cleaning up",
            Phase::Gone => "gone",
        };
        let sides = if self.phase == Phase::Detaching {
            let [client, provider] = Side::BOTH.map(|side| self.end(side).describe_detach());
            format!(" (the client {client}, the provider {provider})")
        } else {
            String::new()
        };
        format!(
            "binding {:p}, {phase}{sides}, between the {} and the {}",
            self.handle(Side::Client),
            self.client.module,
            self.provider.module
        )
    }
}
