//! One request of a client's to a socket, while it is pending.
//!
//! What is to be done is a `Work`; each lies with the calls it belongs to (`accept`, `connect`,
//! `send`, ...). `progress` moves them.

use std::sync::Arc;

use wdk_sys::{NTSTATUS, STATUS_SUCCESS};

use super::buffer::Buffer;
use super::close;
use super::socket::{Socket, State};
use crate::sim::Shared;

/// The order in which requests of a socket wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Reply,
    Accept,
    Connect,
    Send,
    Receive,
    /// Waits for something to change.
    Notice,
}

pub(super) const LANES: usize = 6;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: NTSTATUS,
    pub(super) information: usize,
}

impl Answer {
    pub(super) const SUCCESS: Self = Self::status(STATUS_SUCCESS);

    pub(super) const fn status(status: NTSTATUS) -> Self {
        Self {
            status,
            information: 0,
        }
    }

    pub(super) const fn information(information: usize) -> Self {
        Self {
            status: STATUS_SUCCESS,
            information,
        }
    }
}

impl From<Result<(), NTSTATUS>> for Answer {
    fn from(result: Result<(), NTSTATUS>) -> Self {
        result.map_or_else(Self::status, |()| Self::SUCCESS)
    }
}

/// A socket whose state is locked while a request tries to get further.
pub(super) struct Turn<'a> {
    pub(super) sim: &'a Arc<Shared>,
    pub(super) socket: &'a Arc<Socket>,
    pub(super) state: &'a mut State,
}

/// What is to be done.
pub(super) trait Work: Send {
    fn lane(&self) -> Lane;

    /// The client's memory that it uses.
    fn buffer(&self) -> Option<&Buffer> {
        None
    }

    /// It completes with bytes of a connection, which nothing may overtake.
    fn hands_bytes_over(&self) -> bool {
        false
    }

    /// It is too late to cancel it: only the answer is due.
    fn is_decided(&self) -> bool {
        false
    }

    /// Tries to finish.
    fn attempt(&mut self, turn: &mut Turn<'_>) -> Option<Answer>;

    /// It ends without having finished: is there something to say in place of "cancelled"?
    fn cancel(&mut self, _turn: &mut Turn<'_>) -> Option<Answer> {
        None
    }
}

/// A pending request.
pub(super) struct Request {
    /// The address of its IRP.
    pub(super) irp: usize,
    pub(super) work: Box<dyn Work>,
    pub(super) cancelled: bool,
}

/// An answer that is known already.
pub(super) struct Reply {
    answer: Answer,
    /// It gives a socket, which would be lost, or takes one back.
    decided: bool,
    /// The client does not get the socket, which is therefore gone.
    unmade: bool,
    /// The client's memory that the request uses until it completes.
    memory: Buffer,
    /// What is written to the start of that memory.
    output: Vec<u8>,
}

impl Reply {
    pub(super) fn new(answer: impl Into<Answer>) -> Self {
        Self {
            answer: answer.into(),
            decided: false,
            unmade: false,
            memory: Buffer::default(),
            output: Vec::new(),
        }
    }

    pub(super) fn with_socket(socket: &Socket) -> Self {
        let pointer = socket.pointer().expose_provenance();
        Self {
            decided: true,
            ..Self::new(Answer::information(pointer))
        }
    }

    /// Making a socket has failed in the end.
    pub(super) fn without_socket(status: NTSTATUS) -> Self {
        Self {
            decided: true,
            unmade: true,
            ..Self::new(Answer::status(status))
        }
    }

    /// Keeps memory of the client's in use until completion, and then writes `output` to its start.
    pub(super) fn using(self, memory: Buffer, output: Vec<u8>) -> Self {
        Self {
            memory,
            output,
            ..self
        }
    }
}

impl Work for Reply {
    fn lane(&self) -> Lane {
        Lane::Reply
    }

    fn buffer(&self) -> Option<&Buffer> {
        Some(&self.memory)
    }

    fn is_decided(&self) -> bool {
        self.decided
    }

    fn attempt(&mut self, turn: &mut Turn<'_>) -> Option<Answer> {
        self.memory.write_at(0, &self.output);
        if self.unmade {
            close::bury(turn.sim, turn.socket, turn.state);
        }
        Some(self.answer)
    }
}
