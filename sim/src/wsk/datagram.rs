//! Datagram sockets: what has arrived at one, its fixed addresses, and receiving by call
//! [wsk 5.4, 8.8].

// UNSAFETY: functions of the sockets' tables, with pointers of the client's.
#![expect(unsafe_code, reason = "functions of the sockets' tables")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use wdk_sys::{
    NTSTATUS, PIRP, PULONG, STATUS_INVALID_ADDRESS_COMPONENT, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER, ULONG,
};
use wsk_sys::{MSG_TRUNC, PCMSGHDR, PSOCKADDR, PWSK_BUF, PWSK_DATAGRAM_INDICATION, PWSK_SOCKET};

use super::address::{self, Family};
use super::buffer::Buffer;
use super::call::{Call, Entry};
use super::control::options;
use super::control_data::{self, Place};
use super::datagram_events::Indicated;
use super::datagram_options;
use super::lists::{self, Lists};
use super::request::{Answer, Lane, Turn, Work};
use super::socket::{Socket, State};
use super::tables::Category::Datagram as DatagramSocket;
use crate::kernel::thread::Context;
use crate::net::Datagram;
use crate::sim::{Shared, lock, offence};
use crate::verifier::Rule;

/// What a datagram socket has besides its address and its options.
#[derive(Default)]
pub(super) struct Datagrams {
    /// Taken from the network, and not given to the client yet.
    waiting: VecDeque<Datagram>,
    pub(super) lists: Lists<Indicated>,
    destinations: Destinations,
}

/// Where a socket sends to unless a call says otherwise [wsk 5.4].
#[derive(Debug, Clone, Copy, Default)]
struct Destinations {
    /// It also receives only from there.
    remote: Option<SocketAddr>,
    send_to: Option<SocketAddr>,
}

/// The addresses that a client can fix [wsk 5.4].
#[derive(Clone, Copy)]
pub(super) enum Fixed {
    /// Where datagrams go, and the only one that they may come from.
    Remote,
    /// Where datagrams go.
    SendTo,
}

impl Datagrams {
    /// Where datagrams go for which the client gives no address.
    pub(super) fn destination(&self) -> Option<SocketAddr> {
        self.destinations.send_to.or(self.destinations.remote)
    }

    /// The addresses that the client has fixed.
    pub(super) fn describe(&self) -> String {
        let Destinations { remote, send_to } = self.destinations;
        let remote = remote.map(|address| format!(", remote {address}"));
        let send_to = send_to.map(|address| format!(", sending to {address}"));
        [remote, send_to].into_iter().flatten().collect()
    }

    /// The client has not accepted them: they are received again, before all others.
    pub(super) fn put_back(&mut self, datagrams: Vec<Datagram>) {
        for datagram in datagrams.into_iter().rev() {
            self.waiting.push_front(datagram);
        }
    }
}

/// A socket that was bound receives from now on.
pub(super) fn begin(sim: &Shared, socket: &Arc<Socket>, state: &State) -> Result<(), NTSTATUS> {
    let binding = state.binding.ok_or(STATUS_INVALID_DEVICE_STATE)?;
    sim.net.receive_datagrams(binding, None, socket.watcher());
    sim.net
        .allow_broadcast(binding, options::may_broadcast(state));
    Ok(())
}

/// Fixes an address, or frees it again [wsk 5.4].
pub(super) fn set_fixed_address(
    entry: &Entry,
    which: Fixed,
    address: Option<SocketAddr>,
) -> Result<(), NTSTATUS> {
    let (sim, socket) = (&entry.me.sim, &entry.socket);
    let mut state = lock(&socket.state);
    let binding = state.binding.ok_or(STATUS_INVALID_DEVICE_STATE)?;
    if address.is_some_and(|address| Family::of(address) != socket.family) {
        return Err(STATUS_INVALID_ADDRESS_COMPONENT);
    }
    let datagrams = &mut state.datagrams;
    match which {
        Fixed::SendTo => datagrams.destinations.send_to = address,
        Fixed::Remote => {
            datagrams.destinations.remote = address;
            let comes_from = |remote| remote == address.unwrap_or(remote);
            datagrams
                .waiting
                .retain(|waiting| comes_from(waiting.remote));
            sim.net
                .receive_datagrams(binding, address, socket.watcher());
        }
    }
    Ok(())
}

/// The next datagram for the client.
pub(super) fn take(sim: &Shared, state: &mut State) -> Option<Datagram> {
    if has_arrived(sim, state) {
        state.datagrams.waiting.pop_front()
    } else {
        None
    }
}

/// Whether there is a datagram for the client.
pub(super) fn has_arrived(sim: &Shared, state: &mut State) -> bool {
    let Some(binding) = state.binding else {
        return false;
    };
    while state.datagrams.waiting.is_empty() {
        let Some(datagram) = sim.net.receive_from(binding) else {
            return false;
        };
        if datagram_options::is_wanted(sim, state, &datagram) {
            state.datagrams.waiting.push_back(datagram);
        }
    }
    true
}

struct ReceiveFrom {
    buffer: Buffer,
    remote: Context,
    control: Option<Place>,
}

/// `WskReceiveFrom` [wsk 8.8].
pub(super) unsafe extern "C" fn wsk_receive_from(
    socket: PWSK_SOCKET,
    buffer: PWSK_BUF,
    flags: ULONG,
    remote: PSOCKADDR,
    control_length: PULONG,
    control: PCMSGHDR,
    control_flags: PULONG,
    irp: PIRP,
) -> NTSTATUS {
    const NAME: &str = "WskReceiveFrom";
    let call = match Call::enter(socket, irp, NAME, &[DatagramSocket]) {
        Ok(call) => call,
        Err(status) => return status,
    };
    if lock(&call.me.sim.kernel.pool).is_paged(remote.addr()) {
        let details = format!("{NAME} with an address buffer at {remote:p}");
        offence(Rule::PagedAtDispatch, &details);
    }
    // SAFETY: the client passes a WSK_BUF over MDLs that stay until completion [wsk 3.12].
    let mut buffer = unsafe { Buffer::read(&call.me, buffer, NAME) };
    // SAFETY: as above, for the places of control data.
    let control = unsafe { Place::new(control_length, control, control_flags) };
    if let Some(place) = &control {
        place.enter(&call.me, &mut buffer, NAME);
    }
    let size = call.socket.family.address_size();
    buffer.also_uses(&call.me, remote.expose_provenance(), size, NAME);
    if flags != 0 {
        return call.reply(Answer::status(STATUS_INVALID_PARAMETER));
    }
    if lock(&call.socket.state).binding.is_none() {
        return call.reply(Answer::status(STATUS_INVALID_DEVICE_STATE));
    }
    call.submit(ReceiveFrom {
        buffer,
        remote: Context(remote.cast()),
        control,
    })
}

impl Work for ReceiveFrom {
    fn lane(&self) -> Lane {
        Lane::Receive
    }

    fn buffer(&self) -> Option<&Buffer> {
        Some(&self.buffer)
    }

    fn attempt(&mut self, turn: &mut Turn<'_>) -> Option<Answer> {
        let datagram = take(turn.sim, turn.state)?;
        let count = datagram.data.len().min(self.buffer.length);
        self.buffer.write_at(0, &datagram.data[..count]);
        address::write_out(self.remote, datagram.remote);
        if let Some(place) = &self.control {
            let mut flags = control_data::flags(&datagram);
            if count < datagram.data.len() {
                flags |= MSG_TRUNC;
            }
            place.write(&control_data::describe(turn.state, &datagram), flags);
        }
        Some(Answer::information(count))
    }
}

/// `WskRelease` of a datagram socket [wsk 8.6].
pub(super) unsafe extern "C" fn wsk_release(
    socket: PWSK_SOCKET,
    list: PWSK_DATAGRAM_INDICATION,
) -> NTSTATUS {
    lists::release::<Indicated>(socket, list, &[DatagramSocket])
}
