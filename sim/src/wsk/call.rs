//! What every call on a socket has in common: the checks, the IRP, and an answer at once.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use wdk_sys::{
    NTSTATUS, PIRP, STATUS_FILE_FORCED_CLOSED, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_NOT_IMPLEMENTED,
};
use wsk_sys::PWSK_SOCKET;

use super::progress;
use super::request::{Answer, Reply, Work};
use super::socket::{Phase, Socket};
use super::tables::Category;
use crate::current::current;
use crate::faults::Fault;
use crate::kernel::irp;
use crate::kernel::irql::{DISPATCH, require};
use crate::kernel::layout::Irp;
use crate::reached;
use crate::sched::Thread;
#[cfg(not(windows))]
use crate::sim::Sim;
use crate::sim::{lock, offence};
use crate::verifier::Rule;

/// A function of a socket that is being executed. Rule 10.1 counts it until it is dropped.
pub(super) struct Entry {
    pub(super) me: Arc<Thread>,
    pub(super) socket: Arc<Socket>,
    function: &'static str,
}

/// One that was given an IRP.
pub(super) struct Call {
    entry: Entry,
    pub(super) irp: PIRP,
    pub(super) packet: &'static Irp,
}

/// Checks a call to a function of WSK.
pub(super) fn check_context(me: &Thread, highest: u8, function: &str) {
    require(me, highest, function);
    if me.completions.load(SeqCst) > 0 {
        offence(
            Rule::WskFromCompletion,
            &format!("{function} called by a completion routine"),
        );
    }
}

impl Entry {
    /// Enters a function of sockets of these categories.
    pub(super) fn new(
        socket: PWSK_SOCKET,
        function: &'static str,
        categories: &[Category],
    ) -> Self {
        let me = current();
        check_context(&me, DISPATCH, function);
        let Some(found) = lock(&me.sim.wsk.sockets).all.get(&socket.addr()).cloned() else {
            offence(
                Rule::BadSocket,
                &format!("{function} with {socket:p}, which WSK never returned"),
            );
        };
        if lock(&found.state).phase != Phase::Open {
            offence(
                Rule::CallAfterClose,
                &format!("{function} on the {}", found.describe()),
            );
        }
        if !categories.contains(&found.category) {
            offence(
                Rule::BadSocket,
                &format!("{function} on the {}", found.describe()),
            );
        }
        reached::note(|| format!("{}.{function}", found.category.name_of_table(categories)));
        found.running.fetch_add(1, SeqCst);
        lock(&me.sim.wsk.registrations).count_use(found.client);
        Self {
            me,
            socket: found,
            function,
        }
    }

    /// What the call ends with at its beginning, if it is to fail, or if the socket is dead
    /// [wsk 9.9].
    pub(super) fn refusal(&self) -> Option<NTSTATUS> {
        if self.me.sim.faults.strikes(Fault::ProviderCall) {
            return Some(STATUS_INSUFFICIENT_RESOURCES);
        }
        let dead = lock(&self.socket.state).dead;
        dead.then_some(STATUS_FILE_FORCED_CLOSED)
    }

    /// Takes the IRP of the call.
    pub(super) fn take(self, irp: PIRP) -> Call {
        if irp.is_null() {
            let details = format!("{} on the {}", self.function, self.socket.describe());
            offence(Rule::IrpRequired, &details);
        }
        let packet = irp::give_to_provider(&self.me, irp, self.function);
        self.me.sim.sched.point(&self.me);
        Call {
            entry: self,
            irp,
            packet,
        }
    }
}

#[cfg(not(windows))]
impl Sim {
    /// From now on `function` of sockets, for example `WskSend`, returns `STATUS_NOT_IMPLEMENTED`
    /// and leaves its IRP alone. No provider may do so [wsk 3.5], but that of Wine does where it
    /// has nothing: a driver that is to run there must not wait for the completion.
    pub fn leave_unimplemented(&self, function: &'static str) {
        lock(&self.0.wsk.unimplemented).insert(function);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.socket.running.fetch_sub(1, SeqCst);
        let sim = &self.me.sim;
        lock(&sim.wsk.registrations).uncount_use(sim, self.socket.client);
    }
}

impl Deref for Call {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.entry
    }
}

impl Call {
    /// Enters a function that takes an IRP; `Err` is its status if it ends here.
    pub(super) fn enter(
        socket: PWSK_SOCKET,
        irp: PIRP,
        function: &'static str,
        categories: &[Category],
    ) -> Result<Self, NTSTATUS> {
        let entry = Entry::new(socket, function, categories);
        if lock(&entry.me.sim.wsk.unimplemented).contains(function) {
            return Err(STATUS_NOT_IMPLEMENTED);
        }
        let call = entry.take(irp);
        call.may_go_on()?;
        Ok(call)
    }

    /// Ends the call if it is to fail, or if the socket is dead.
    pub(super) fn may_go_on(&self) -> Result<(), NTSTATUS> {
        if let Some(status) = self.refusal() {
            return Err(self.complete(Answer::status(status)));
        }
        self.me
            .sim
            .faults
            .completion()
            .map_or(Ok(()), |status| Err(self.reply(Answer::status(status))))
    }

    /// Completes the IRP before the call returns.
    pub(super) fn complete(&self, answer: Answer) -> NTSTATUS {
        complete_inline(&self.me, self.irp, self.packet, answer)
    }

    /// Answers with what is known already, at once or later.
    pub(super) fn reply(&self, answer: impl Into<Answer>) -> NTSTATUS {
        self.submit(Reply::new(answer))
    }

    /// Starts a request: completes it at once, or leaves it pending, as the schedule chooses.
    pub(super) fn submit(&self, work: impl Work + 'static) -> NTSTATUS {
        progress::submit(self, Box::new(work))
    }

    /// A call of `WskSocket` as if it were one on the socket that it has made.
    pub(super) fn on_new_socket(
        me: &Arc<Thread>,
        socket: &Arc<Socket>,
        irp: PIRP,
        packet: &'static Irp,
    ) -> Self {
        socket.running.fetch_add(1, SeqCst);
        lock(&me.sim.wsk.registrations).count_use(socket.client);
        let entry = Entry {
            me: Arc::clone(me),
            socket: Arc::clone(socket),
            function: "WskSocket",
        };
        Self { entry, irp, packet }
    }
}

/// Completes an IRP that was just given to the provider. What the call returns is what the IRP says
/// [wsk 3.6].
pub(super) fn complete_inline(
    me: &Arc<Thread>,
    irp: PIRP,
    packet: &Irp,
    answer: Answer,
) -> NTSTATUS {
    packet.status.set(answer.status);
    packet.information.set(answer.information);
    irp::complete(me, irp);
    answer.status
}
