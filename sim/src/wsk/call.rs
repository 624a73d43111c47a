//! What every call on a socket has in common: the checks, the IRP, and an answer at once.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use wdk_sys::{NTSTATUS, PIRP};
use wsk_sys::PWSK_SOCKET;

use super::provider::Category;
use super::socket::{Phase, Socket};
use crate::current::current;
use crate::kernel::irp;
use crate::kernel::irql::{DISPATCH, require};
use crate::kernel::layout::Irp;
use crate::sched::Thread;
use crate::sim::{lock, offence};
use crate::verifier::Rule;

/// A call that is being executed. Rule 10.1 counts it until it is dropped.
pub(super) struct Call {
    pub(super) me: Arc<Thread>,
    pub(super) socket: Arc<Socket>,
    pub(super) irp: PIRP,
    pub(super) packet: &'static Irp,
}

/// Checks a call to a function of WSK that needs no socket.
pub(super) fn check_context(me: &Thread, highest: u8, function: &str) {
    require(me, highest, function);
    if me.completions.load(SeqCst) > 0 {
        offence(
            Rule::WskFromCompletion,
            &format!("{function} called by a completion routine"),
        );
    }
}

impl Call {
    /// Enters a function of a socket.
    pub(super) fn enter(
        socket: PWSK_SOCKET,
        irp: PIRP,
        function: &str,
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
        if irp.is_null() {
            offence(
                Rule::IrpRequired,
                &format!("{function} on the {}", found.describe()),
            );
        }
        found.running.fetch_add(1, SeqCst);
        let packet = irp::give_to_provider(&me, irp, function);
        let call = Self {
            me,
            socket: found,
            irp,
            packet,
        };
        call.me.sim.sched.point(&call.me);
        call
    }

    /// Completes the IRP before the call returns.
    pub(super) fn complete(&self, status: NTSTATUS, information: usize) -> NTSTATUS {
        complete_inline(&self.me, self.irp, self.packet, status, information)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.socket.running.fetch_sub(1, SeqCst);
    }
}

/// Completes an IRP that was just given to the provider.
pub(super) fn complete_inline(
    me: &Arc<Thread>,
    irp: PIRP,
    packet: &Irp,
    status: NTSTATUS,
    information: usize,
) -> NTSTATUS {
    packet.status.set(status);
    packet.information.set(information);
    irp::complete(me, irp);
    status
}
