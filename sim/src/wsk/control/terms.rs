//! What control operations ask of whoever calls them: what options, ioctls and operations on the
//! client have in common [wsk 3a, 5].

use wdk_sys::{NTSTATUS, STATUS_BUFFER_TOO_SMALL};

use super::super::request::Lane;
use super::super::socket::State;
use super::Operation;
use crate::kernel::irql::{DISPATCH, PASSIVE, require};
use crate::sched::Thread;
use crate::sim::offence;
use crate::verifier::Rule;

/// Whether an operation is given an IRP [wsk 3a].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packet {
    Required,
    Never,
    Either,
}

/// What an operation asks of its caller.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) name: &'static str,
    pub(super) packet: Packet,
    highest_irql: u8,
    /// The size of what it gives goes to `OutputSizeReturned`.
    pub(super) tells_size: bool,
    /// How it ends if the output buffer is too small.
    pub(super) too_small: NTSTATUS,
}

impl Terms {
    pub(super) const fn new(name: &'static str, packet: Packet) -> Self {
        Self {
            name,
            packet,
            highest_irql: DISPATCH,
            tells_size: false,
            too_small: STATUS_BUFFER_TOO_SMALL,
        }
    }

    pub(super) const fn at_passive(self) -> Self {
        Self {
            highest_irql: PASSIVE,
            ..self
        }
    }

    pub(super) const fn telling_size(self, too_small: NTSTATUS) -> Self {
        Self {
            tells_size: true,
            too_small,
            ..self
        }
    }

    /// Reports a call that breaks them; `on` says what it is for.
    pub(super) fn check(&self, me: &Thread, operation: &Operation, on: &dyn Fn() -> String) {
        require(me, self.highest_irql, self.name);
        let without_irp = operation.irp.is_null();
        let broken = match self.packet {
            Packet::Required if without_irp => Rule::IrpRequired,
            Packet::Never if !without_irp => Rule::IrpMustBeNull,
            _ if self.tells_size && without_irp && operation.returned.is_null() => {
                Rule::OutputSizeRequired
            }
            _ => return,
        };
        offence(broken, &format!("{} on {}", self.name, on()));
    }
}

/// When an operation on a socket is possible [wsk 5].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Any,
    BeforeBind,
    AfterBind,
    /// On a socket that connects. A socket that listens has no such moment: always.
    BeforeConnect,
    Connected,
    /// On a connection that was accepted.
    Accepted,
}

impl Moment {
    pub(super) fn is_now(self, state: &mut State) -> bool {
        let accepted = state.connected && state.binding.is_none();
        match self {
            Self::Any => true,
            Self::BeforeBind => state.local.is_none(),
            Self::AfterBind => state.local.is_some(),
            Self::BeforeConnect => state.endpoint.is_none() && state.lane(Lane::Connect).is_empty(),
            Self::Connected => state.connected,
            Self::Accepted => accepted,
        }
    }
}
