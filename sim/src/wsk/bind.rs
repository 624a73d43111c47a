//! Local addresses: `WskBind`, and the calls that ask for addresses.

// UNSAFETY: functions of the sockets' tables, with pointers of the client's.
#![expect(unsafe_code, reason = "functions of the sockets' tables")]

use std::net::SocketAddr;
use std::sync::Arc;

use wdk_sys::{
    NTSTATUS, PIRP, STATUS_INVALID_ADDRESS_COMPONENT, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER, ULONG,
};
use wsk_sys::{PSOCKADDR, PWSK_SOCKET};

use super::address::{self, Family};
use super::call::Call;
use super::control::options;
use super::socket::{Socket, State};
use super::tables::Category::{self, Connection, Datagram, Listen, Stream};
use super::{accept, sharing};
use crate::kernel::pool::check_not_paged;
use crate::kernel::thread::Context;
use crate::net::Bind;
use crate::sim::{Shared, lock};

const BINDABLE: [Category; 4] = [Listen, Connection, Datagram, Stream];

/// `WskBind` [wsk 4.8].
pub(super) unsafe extern "C" fn wsk_bind(
    socket: PWSK_SOCKET,
    local: PSOCKADDR,
    flags: ULONG,
    irp: PIRP,
) -> NTSTATUS {
    let call = match Call::enter(socket, irp, "WskBind", &BINDABLE) {
        Ok(call) => call,
        Err(status) => return status,
    };
    check_not_paged(&call.me, local.addr(), "an address");
    // SAFETY: the client passes a complete address [wsk 3.13].
    let local = unsafe { address::read(local) };
    let result = match local {
        _ if flags != 0 => Err(STATUS_INVALID_PARAMETER),
        Some(local) if Family::of(local) == call.socket.family => {
            bind(&call.me.sim, &call.socket, local)
        }
        _ => Err(STATUS_INVALID_ADDRESS_COMPONENT),
    };
    call.reply(result)
}

/// Binds; a listening socket listens from now on, a datagram socket receives.
pub(super) fn bind(
    sim: &Shared,
    socket: &Arc<Socket>,
    address: SocketAddr,
) -> Result<(), NTSTATUS> {
    let mut state = lock(&socket.state);
    if state.local.is_some() {
        return Err(STATUS_INVALID_DEVICE_STATE);
    }
    let bind = Bind {
        address,
        protocol: socket.protocol,
        shared: sharing::check(sim, socket, &state, address)?,
        both_families: address.is_ipv6() && !options::is_v6_only(&state),
    };
    let (binding, local) = sim.net.bind(bind)?;
    state.binding = Some(binding);
    state.local = Some(local);
    sharing::enter(sim, socket, &state);
    begin(sim, socket, &mut state).inspect_err(|_| {
        sim.net.unbind(binding);
        state.binding = None;
        state.local = None;
    })
}

fn begin(sim: &Shared, socket: &Arc<Socket>, state: &mut State) -> Result<(), NTSTATUS> {
    match socket.category {
        Listen => accept::listen(sim, socket, state),
        Datagram => {
            let binding = state.binding.ok_or(STATUS_INVALID_DEVICE_STATE)?;
            sim.net.receive_datagrams(binding, None, socket.watcher());
            let broadcast = options::may_broadcast(state);
            sim.net.allow_broadcast(binding, broadcast);
            Ok(())
        }
        Category::Basic | Connection | Stream => Ok(()),
    }
}

impl State {
    /// The address of a connection's end once it is connected, else the one that was bound
    /// [wsk 9.8].
    fn local_address(&self, sim: &Shared) -> Result<SocketAddr, NTSTATUS> {
        let connected = self.addresses(sim).map(|(local, _)| local);
        connected.or(self.local).ok_or(STATUS_INVALID_DEVICE_STATE)
    }

    fn addresses(&self, sim: &Shared) -> Option<(SocketAddr, SocketAddr)> {
        let endpoint = self.endpoint.filter(|_| self.connected)?;
        sim.net.addresses(endpoint)
    }
}

/// `WskGetLocalAddress` [wsk 9.8].
pub(super) unsafe extern "C" fn wsk_get_local_address(
    socket: PWSK_SOCKET,
    local: PSOCKADDR,
    irp: PIRP,
) -> NTSTATUS {
    let call = match Call::enter(socket, irp, "WskGetLocalAddress", &BINDABLE) {
        Ok(call) => call,
        Err(status) => return status,
    };
    check_not_paged(&call.me, local.addr(), "an address buffer");
    let result = lock(&call.socket.state).local_address(&call.me.sim);
    call.reply(result.map(|found| address::write_out(Context(local.cast()), found)))
}

/// `WskGetRemoteAddress` [wsk 9.8].
pub(super) unsafe extern "C" fn wsk_get_remote_address(
    socket: PWSK_SOCKET,
    remote: PSOCKADDR,
    irp: PIRP,
) -> NTSTATUS {
    let call = match Call::enter(socket, irp, "WskGetRemoteAddress", &[Connection, Stream]) {
        Ok(call) => call,
        Err(status) => return status,
    };
    check_not_paged(&call.me, remote.addr(), "an address buffer");
    let addresses = lock(&call.socket.state).addresses(&call.me.sim);
    let result = addresses.ok_or(STATUS_INVALID_DEVICE_STATE);
    call.reply(result.map(|(_, found)| address::write_out(Context(remote.cast()), found)))
}
