//! Connecting, and connecting with the first data [wsk 4.7, 9.4].

// UNSAFETY: functions of the sockets' tables, with pointers of the client's.
#![expect(unsafe_code, reason = "functions of the sockets' tables")]

use std::net::SocketAddr;

use wdk_sys::{
    NTSTATUS, PIRP, STATUS_BUFFER_OVERFLOW, STATUS_INVALID_ADDRESS_COMPONENT,
    STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS, ULONG,
};
use wsk_sys::{PSOCKADDR, PWSK_BUF, PWSK_SOCKET};

use super::address::{self, Family};
use super::buffer::Buffer;
use super::call::Call;
use super::progress;
use super::request::{Answer, Lane, Turn, Work};
use super::send::Sending;
use super::socket::{Flow, State};
use super::tables::Category::{Connection, Stream};
use crate::kernel::pool::check_not_paged;
use crate::sim::lock;

/// `WskConnectEx` takes no more first data than this.
const LARGEST_FIRST_DATA: usize = 65_535;

/// Connects to an address, then sends the first data, if any.
pub(super) struct Connect {
    remote: SocketAddr,
    begun: bool,
    first_data: Option<Sending>,
}

impl Connect {
    pub(super) fn new(remote: SocketAddr) -> Self {
        Self {
            remote,
            begun: false,
            first_data: None,
        }
    }
}

/// `WskConnect` [wsk 4.7].
pub(super) unsafe extern "C" fn wsk_connect(
    socket: PWSK_SOCKET,
    remote: PSOCKADDR,
    flags: ULONG,
    irp: PIRP,
) -> NTSTATUS {
    let call = match Call::enter(socket, irp, "WskConnect", &[Connection, Stream]) {
        Ok(call) => call,
        Err(status) => return status,
    };
    check_not_paged(&call.me, remote.addr(), "an address");
    // SAFETY: the client passes a complete address [wsk 3.13].
    let remote = unsafe { address::read(remote) };
    match check(&call, remote, flags) {
        Ok(remote) => call.submit(Connect::new(remote)),
        Err(status) => call.reply(Answer::status(status)),
    }
}

/// `WskConnectEx` [wsk 9.4].
pub(super) unsafe extern "C" fn wsk_connect_ex(
    socket: PWSK_SOCKET,
    remote: PSOCKADDR,
    buffer: PWSK_BUF,
    flags: ULONG,
    irp: PIRP,
) -> NTSTATUS {
    let call = match Call::enter(socket, irp, "WskConnectEx", &[Connection, Stream]) {
        Ok(call) => call,
        Err(status) => return status,
    };
    check_not_paged(&call.me, remote.addr(), "an address");
    // SAFETY: the client passes a complete address [wsk 3.13].
    let remote = unsafe { address::read(remote) };
    // SAFETY: the client passes null, or a WSK_BUF over MDLs that it keeps until completion
    // [wsk 3.12].
    let buffer = unsafe { Buffer::read_optional(&call.me, buffer, "WskConnectEx") };
    match check(&call, remote, flags) {
        Ok(_) if buffer.length > LARGEST_FIRST_DATA => {
            call.reply(Answer::status(STATUS_BUFFER_OVERFLOW))
        }
        Ok(remote) => call.submit(Connect {
            first_data: Some(Sending::new(buffer)),
            ..Connect::new(remote)
        }),
        Err(status) => call.reply(Answer::status(status)),
    }
}

/// What connecting asks for: a bound socket that does nothing else.
fn check(call: &Call, remote: Option<SocketAddr>, flags: ULONG) -> Result<SocketAddr, NTSTATUS> {
    if flags != 0 {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let mut state = lock(&call.socket.state);
    if !state.lane(Lane::Connect).is_empty() || !may_connect(&state) {
        return Err(STATUS_INVALID_DEVICE_STATE);
    }
    remote
        .filter(|remote| Family::of(*remote) == call.socket.family)
        .ok_or(STATUS_INVALID_ADDRESS_COMPONENT)
}

fn may_connect(state: &State) -> bool {
    let flow = matches!(state.flow, Flow::Connection | Flow::Undecided);
    flow && state.binding.is_some() && state.endpoint.is_none()
}

impl Connect {
    /// Gets further with the connection; its outcome once there is one.
    fn connect(&mut self, turn: &mut Turn<'_>) -> Option<Result<(), NTSTATUS>> {
        if !self.begun {
            // Another thread may have been faster.
            let Some(binding) = turn.state.binding.filter(|_| may_connect(turn.state)) else {
                return Some(Err(STATUS_INVALID_DEVICE_STATE));
            };
            self.begun = true;
            let watcher = turn.socket.watcher();
            turn.state.endpoint = Some(turn.sim.net.connect(binding, self.remote, watcher));
        }
        if turn.state.connected {
            return Some(Ok(()));
        }
        let result = turn.sim.net.connected(turn.state.endpoint?)?;
        if result.is_ok() {
            turn.state.connected = true;
            turn.state.flow = Flow::Connection;
        } else {
            give_up(turn);
        }
        Some(result)
    }
}

fn give_up(turn: &mut Turn<'_>) {
    if let Some(endpoint) = turn.state.endpoint.take() {
        turn.sim.net.close(endpoint);
    }
}

impl Work for Connect {
    fn lane(&self) -> Lane {
        Lane::Connect
    }

    fn buffer(&self) -> Option<&Buffer> {
        self.first_data.as_ref().map(Sending::buffer)
    }

    fn attempt(&mut self, turn: &mut Turn<'_>) -> Option<Answer> {
        if let Err(status) = self.connect(turn)? {
            return Some(Answer::status(status));
        }
        let status = match &mut self.first_data {
            Some(data) => data.attempt(turn)?.err().unwrap_or(STATUS_SUCCESS),
            None => STATUS_SUCCESS,
        };
        progress::schedule(turn.sim, turn.socket);
        Some(Answer::status(status))
    }

    fn cancel(&mut self, turn: &mut Turn<'_>) -> Option<Answer> {
        if self.begun && !turn.state.connected {
            give_up(turn);
        }
        None
    }
}

/// Whether data can be sent and received.
pub(super) fn check_connected(state: &State) -> Result<(), NTSTATUS> {
    if state.connected && !state.incoming.is_silent() {
        Ok(())
    } else {
        Err(STATUS_INVALID_DEVICE_STATE)
    }
}
