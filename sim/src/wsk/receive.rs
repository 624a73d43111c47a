//! Receiving by call [wsk 8.7]. What events left behind comes first.

// UNSAFETY: functions of the sockets' tables, with pointers of the client's.
#![expect(unsafe_code, reason = "functions of the sockets' tables")]

use wdk_sys::{
    NTSTATUS, PIRP, PULONG, STATUS_CONNECTION_ABORTED, STATUS_INVALID_PARAMETER,
    STATUS_NOT_SUPPORTED, ULONG,
};
use wsk_sys::{PCMSGHDR, PWSK_BUF, PWSK_SOCKET, WSK_FLAG_DRAIN, WSK_FLAG_WAITALL};

use super::buffer::Buffer;
use super::call::Call;
use super::connect::check_connected;
use super::request::{Answer, Lane, Turn, Work};
use super::tables::Category::{Connection, Stream};
use crate::net::Received;
use crate::sim::lock;

/// How many bytes `WSK_FLAG_DRAIN` drops at a time.
const DRAINED_AT_ONCE: usize = 4096;

struct Receive {
    buffer: Buffer,
    done: usize,
    all: bool,
}

/// Drops what comes until the other side has ended its sending.
struct Drain;

/// `WskReceive`.
pub(super) unsafe extern "C" fn wsk_receive(
    socket: PWSK_SOCKET,
    buffer: PWSK_BUF,
    flags: ULONG,
    irp: PIRP,
) -> NTSTATUS {
    // SAFETY: the client's arguments are passed on.
    unsafe { receive(socket, buffer, flags, irp, "WskReceive") }
}

/// `WskReceiveEx`: there is never control data.
pub(super) unsafe extern "C" fn wsk_receive_ex(
    socket: PWSK_SOCKET,
    buffer: PWSK_BUF,
    flags: ULONG,
    control_length: PULONG,
    _control: PCMSGHDR,
    control_flags: PULONG,
    irp: PIRP,
) -> NTSTATUS {
    for place in [control_length, control_flags] {
        if !place.is_null() {
            // SAFETY: the client passes null, or a place that it keeps until completion [wsk 3.12].
            unsafe { place.write(0) };
        }
    }
    // SAFETY: the client's arguments are passed on.
    unsafe { receive(socket, buffer, flags, irp, "WskReceiveEx") }
}

/// # Safety
///
/// As `WskReceive` asks: a `WSK_BUF` over MDLs that stay until completion [wsk 3.12].
unsafe fn receive(
    socket: PWSK_SOCKET,
    buffer: PWSK_BUF,
    flags: ULONG,
    irp: PIRP,
    function: &'static str,
) -> NTSTATUS {
    let call = match Call::enter(socket, irp, function, &[Connection, Stream]) {
        Ok(call) => call,
        Err(status) => return status,
    };
    // SAFETY: promised by the caller.
    let buffer = unsafe { Buffer::read(&call.me, buffer, function) };
    let connected = check_connected(&lock(&call.socket.state));
    if let Err(status) = connected {
        return call.reply(Answer::status(status));
    }
    match flags {
        0 | WSK_FLAG_WAITALL => call.submit(Receive {
            buffer,
            done: 0,
            all: flags == WSK_FLAG_WAITALL,
        }),
        WSK_FLAG_DRAIN if buffer.length == 0 => call.submit(Drain),
        flags if flags & !(WSK_FLAG_WAITALL | WSK_FLAG_DRAIN) == 0 => {
            call.reply(Answer::status(STATUS_INVALID_PARAMETER))
        }
        _ => call.reply(Answer::status(STATUS_NOT_SUPPORTED)),
    }
}

/// Takes bytes for a client: those that an event left first. A connection that has failed gives
/// none.
pub(super) fn take(turn: &mut Turn<'_>, limit: usize, all: bool) -> Result<Received, NTSTATUS> {
    let endpoint = turn.state.endpoint.ok_or(STATUS_CONNECTION_ABORTED)?;
    turn.sim.net.receive(endpoint, 0, true)?;
    if let Some(data) = turn.state.incoming.take_unread(limit) {
        return Ok(Received::Data(data));
    }
    turn.sim.net.receive(endpoint, limit, all)
}

impl Receive {
    fn step(&mut self, turn: &mut Turn<'_>) -> Option<Answer> {
        if turn.state.incoming.is_busy() {
            return None;
        }
        loop {
            match take(turn, self.buffer.length - self.done, self.all) {
                Ok(Received::Empty) => return None,
                Ok(Received::End) => return Some(Answer::information(self.done)),
                Ok(Received::Data(data)) => {
                    self.buffer.write_at(self.done, &data);
                    self.done += data.len();
                    if !self.all || self.done == self.buffer.length {
                        return Some(Answer::information(self.done));
                    }
                }
                Err(status) => return Some(Answer::status(status)),
            }
        }
    }
}

impl Work for Receive {
    fn lane(&self) -> Lane {
        Lane::Receive
    }

    fn buffer(&self) -> Option<&Buffer> {
        Some(&self.buffer)
    }

    fn hands_bytes_over(&self) -> bool {
        true
    }

    fn attempt(&mut self, turn: &mut Turn<'_>) -> Option<Answer> {
        let answer = self.step(turn);
        let incoming = &mut turn.state.incoming;
        incoming.set_partly_filled(answer.is_none() && self.done > 0);
        if answer.is_some() {
            incoming.resume();
        }
        answer
    }

    /// What has come for a request that waits for all stays to be received.
    fn cancel(&mut self, turn: &mut Turn<'_>) -> Option<Answer> {
        let data: Vec<u8> = self.buffer.read_from(0).flatten().copied().collect();
        let incoming = &mut turn.state.incoming;
        incoming.put_back(&data[..self.done]);
        if self.done > 0 {
            incoming.set_partly_filled(false);
        }
        incoming.resume();
        None
    }
}

impl Work for Drain {
    fn lane(&self) -> Lane {
        Lane::Receive
    }

    fn hands_bytes_over(&self) -> bool {
        true
    }

    fn attempt(&mut self, turn: &mut Turn<'_>) -> Option<Answer> {
        if turn.state.incoming.is_busy() {
            return None;
        }
        let answer = loop {
            match take(turn, DRAINED_AT_ONCE, true) {
                Ok(Received::Empty) => return None,
                Ok(Received::Data(_)) => {}
                Ok(Received::End) => break Answer::SUCCESS,
                Err(status) => break Answer::status(status),
            }
        };
        turn.state.incoming.resume();
        Some(answer)
    }

    fn cancel(&mut self, turn: &mut Turn<'_>) -> Option<Answer> {
        turn.state.incoming.resume();
        None
    }
}
