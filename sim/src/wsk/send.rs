//! Sending, and ending the sending side [wsk 9].

// UNSAFETY: functions of the sockets' tables, with pointers of the client's.
#![expect(unsafe_code, reason = "functions of the sockets' tables")]

use wdk_sys::{
    NTSTATUS, PIRP, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED,
    ULONG,
};
use wsk_sys::{PCMSGHDR, PWSK_BUF, PWSK_SOCKET, WSK_FLAG_ABORTIVE, WSK_FLAG_NODELAY};

use super::buffer::Buffer;
use super::call::Call;
use super::connect::check_connected;
use super::indication;
use super::progress;
use super::request::{Answer, Lane, Turn, Work};
use super::tables::Category::{Connection, Stream};
use crate::sim::lock;

/// Bytes on their way to the network.
pub(super) struct Sending {
    buffer: Buffer,
    done: usize,
}

struct Send(Sending);

/// Sends what is left, then ends the sending side.
struct Disconnect(Sending);

impl Sending {
    pub(super) fn new(buffer: Buffer) -> Self {
        Self { buffer, done: 0 }
    }

    pub(super) fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// Sends what the network takes; the count of bytes once all are sent.
    pub(super) fn attempt(&mut self, turn: &mut Turn<'_>) -> Option<Result<usize, NTSTATUS>> {
        let Some(endpoint) = turn.state.endpoint else {
            return Some(Err(STATUS_INVALID_DEVICE_STATE));
        };
        for piece in self.buffer.read_from(self.done) {
            match turn.sim.net.send(endpoint, piece) {
                Ok(count) => {
                    self.done += count;
                    if count < piece.len() {
                        return None;
                    }
                }
                Err(status) => return Some(Err(status)),
            }
        }
        Some(Ok(self.done))
    }
}

/// `WskSend` [wsk 9.1, 9.2].
pub(super) unsafe extern "C" fn wsk_send(
    socket: PWSK_SOCKET,
    buffer: PWSK_BUF,
    flags: ULONG,
    irp: PIRP,
) -> NTSTATUS {
    // SAFETY: the client's arguments are passed on.
    unsafe { send(socket, buffer, flags, irp, "WskSend") }
}

/// `WskSendEx`: control data has no meaning for TCP here.
pub(super) unsafe extern "C" fn wsk_send_ex(
    socket: PWSK_SOCKET,
    buffer: PWSK_BUF,
    flags: ULONG,
    _control_length: ULONG,
    _control: PCMSGHDR,
    irp: PIRP,
) -> NTSTATUS {
    // SAFETY: the client's arguments are passed on.
    unsafe { send(socket, buffer, flags, irp, "WskSendEx") }
}

/// # Safety
///
/// As `WskSend` asks: a `WSK_BUF` over MDLs that stay until completion [wsk 3.12].
unsafe fn send(
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
    match connected {
        _ if flags & !WSK_FLAG_NODELAY != 0 => call.reply(Answer::status(STATUS_NOT_SUPPORTED)),
        Err(status) => call.reply(Answer::status(status)),
        Ok(()) => call.submit(Send(Sending::new(buffer))),
    }
}

impl Work for Send {
    fn lane(&self) -> Lane {
        Lane::Send
    }

    fn buffer(&self) -> Option<&Buffer> {
        Some(&self.0.buffer)
    }

    fn attempt(&mut self, turn: &mut Turn<'_>) -> Option<Answer> {
        match self.0.attempt(turn)? {
            Ok(count) => {
                indication::change_backlog(turn);
                Some(Answer::information(count))
            }
            Err(status) => Some(Answer::status(status)),
        }
    }
}

/// `WskDisconnect` [wsk 9.5, 9.6].
pub(super) unsafe extern "C" fn wsk_disconnect(
    socket: PWSK_SOCKET,
    buffer: PWSK_BUF,
    flags: ULONG,
    irp: PIRP,
) -> NTSTATUS {
    let call = match Call::enter(socket, irp, "WskDisconnect", &[Connection, Stream]) {
        Ok(call) => call,
        Err(status) => return status,
    };
    let connected = check_connected(&lock(&call.socket.state));
    if let Err(status) = connected {
        return call.reply(Answer::status(status));
    }
    match flags {
        WSK_FLAG_ABORTIVE if buffer.is_null() => {
            abort(&call);
            call.reply(Answer::SUCCESS)
        }
        0 => {
            // SAFETY: the client passes null, or a WSK_BUF over MDLs that it keeps until completion
            // [wsk 3.12].
            let buffer = unsafe { Buffer::read_optional(&call.me, buffer, "WskDisconnect") };
            call.submit(Disconnect(Sending::new(buffer)))
        }
        _ => call.reply(Answer::status(STATUS_INVALID_PARAMETER)),
    }
}

/// Resets the connection: what waits to be sent or received ends [wsk 9.6].
fn abort(call: &Call) {
    let sim = &call.me.sim;
    let mut state = lock(&call.socket.state);
    for lane in [Lane::Send, Lane::Receive] {
        progress::cancel_all(state.lane(lane).iter_mut());
    }
    if let Some(endpoint) = state.endpoint {
        sim.net.abort(endpoint);
    }
    drop(state);
    progress::schedule(sim, &call.socket);
}

impl Work for Disconnect {
    fn lane(&self) -> Lane {
        Lane::Send
    }

    fn buffer(&self) -> Option<&Buffer> {
        Some(&self.0.buffer)
    }

    fn attempt(&mut self, turn: &mut Turn<'_>) -> Option<Answer> {
        match self.0.attempt(turn)? {
            Ok(_) => {
                if let Some(endpoint) = turn.state.endpoint {
                    turn.sim.net.shut_down(endpoint);
                }
                Some(Answer::SUCCESS)
            }
            Err(status) => Some(Answer::status(status)),
        }
    }
}
