//! Sending datagrams: one, or several to the same address [wsk 9.1, 9.3].

// UNSAFETY: functions of the sockets' tables, with pointers of the client's.
#![expect(unsafe_code, reason = "functions of the sockets' tables")]

use std::collections::VecDeque;
use std::net::SocketAddr;

use wdk_sys::{
    NTSTATUS, PIRP, STATUS_INVALID_ADDRESS_COMPONENT, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER, ULONG,
};
use wsk_sys::{PCMSGHDR, PSOCKADDR, PWSK_BUF, PWSK_BUF_LIST, PWSK_SOCKET};

use super::address::{self, Family};
use super::buffer::Buffer;
use super::call::Call;
use super::request::{Answer, Lane, Turn, Work};
use super::tables::Category::Datagram as DatagramSocket;
use super::{control_data, datagram_options};
use crate::kernel::pool::check_not_paged;
use crate::net::Datagram;
use crate::sim::lock;

/// Datagrams on their way to the network.
struct SendTo {
    /// The data of all.
    buffer: Buffer,
    /// The lengths of those that are left.
    lengths: VecDeque<usize>,
    /// How many bytes were sent.
    done: usize,
    /// What all have in common.
    common: Datagram,
}

/// What a client passes besides the data.
struct Arguments {
    flags: ULONG,
    remote: PSOCKADDR,
    control_length: ULONG,
    control: PCMSGHDR,
}

/// `WskSendTo`.
pub(super) unsafe extern "C" fn wsk_send_to(
    socket: PWSK_SOCKET,
    buffer: PWSK_BUF,
    flags: ULONG,
    remote: PSOCKADDR,
    control_length: ULONG,
    control: PCMSGHDR,
    irp: PIRP,
) -> NTSTATUS {
    const NAME: &str = "WskSendTo";
    let call = match Call::enter(socket, irp, NAME, &[DatagramSocket]) {
        Ok(call) => call,
        Err(status) => return status,
    };
    let arguments = Arguments {
        flags,
        remote,
        control_length,
        control,
    };
    // SAFETY: the client passes a WSK_BUF over MDLs that stay until completion [wsk 3.12].
    let buffer = unsafe { Buffer::read(&call.me, buffer, NAME) };
    let lengths = VecDeque::from([buffer.length]);
    // SAFETY: the client's arguments are passed on.
    unsafe { send(&call, buffer, lengths, &arguments, NAME) }
}

/// `WskSendMessages`.
pub(super) unsafe extern "C" fn wsk_send_messages(
    socket: PWSK_SOCKET,
    list: PWSK_BUF_LIST,
    flags: ULONG,
    remote: PSOCKADDR,
    control_length: ULONG,
    control: PCMSGHDR,
    irp: PIRP,
) -> NTSTATUS {
    const NAME: &str = "WskSendMessages";
    let call = match Call::enter(socket, irp, NAME, &[DatagramSocket]) {
        Ok(call) => call,
        Err(status) => return status,
    };
    let arguments = Arguments {
        flags,
        remote,
        control_length,
        control,
    };
    let (mut all, mut lengths) = (Buffer::default(), VecDeque::new());
    let mut next = list;
    while !next.is_null() {
        check_not_paged(&call.me, next.addr(), "a WSK_BUF_LIST");
        // SAFETY: the client passes a list that is valid during the call.
        let place = unsafe { &raw mut (*next).Buffer };
        // SAFETY: as above, over MDLs that stay until completion [wsk 3.12].
        let buffer = unsafe { Buffer::read(&call.me, place, NAME) };
        lengths.push_back(buffer.length);
        all.append(buffer);
        // SAFETY: as above.
        next = unsafe { (*next).Next };
    }
    // SAFETY: the client's arguments are passed on.
    unsafe { send(&call, all, lengths, &arguments, NAME) }
}

/// # Safety
///
/// As `WskSendTo` asks: null or a complete address; null or control data of the length that is
/// given, which stays until completion [wsk 3.12].
unsafe fn send(
    call: &Call,
    buffer: Buffer,
    lengths: VecDeque<usize>,
    arguments: &Arguments,
    function: &str,
) -> NTSTATUS {
    check_not_paged(&call.me, arguments.remote.addr(), "an address");
    check_not_paged(&call.me, arguments.control.addr(), "control data");
    let mut buffer = buffer;
    let (at, length) = (arguments.control, arguments.control_length as usize);
    buffer.also_uses(&call.me, at.expose_provenance(), length, function);
    // SAFETY: promised by the caller.
    match unsafe { common(call, arguments) } {
        Ok(_) if lengths.is_empty() => call.reply(Answer::status(STATUS_INVALID_PARAMETER)),
        Ok(common) => call.submit(SendTo {
            buffer,
            lengths,
            done: 0,
            common,
        }),
        Err(status) => call.reply(Answer::status(status)),
    }
}

/// What the arguments and the options of the socket say about each datagram [wsk 9.3].
///
/// # Safety
///
/// As for `send`.
unsafe fn common(call: &Call, arguments: &Arguments) -> Result<Datagram, NTSTATUS> {
    if arguments.flags != 0 {
        return Err(STATUS_INVALID_PARAMETER);
    }
    // SAFETY: promised by the caller.
    let control = unsafe { control_data::given(arguments.control, arguments.control_length) }?;
    // SAFETY: promised by the caller.
    let given = unsafe { address::read(arguments.remote) };
    if given.is_none() && !arguments.remote.is_null() {
        return Err(STATUS_INVALID_ADDRESS_COMPONENT);
    }
    let state = lock(&call.socket.state);
    if state.binding.is_none() {
        return Err(STATUS_INVALID_DEVICE_STATE);
    }
    let remote = given.or(state.datagrams.destination());
    let remote: SocketAddr = remote.ok_or(STATUS_INVALID_PARAMETER)?;
    if Family::of(remote) != call.socket.family {
        return Err(STATUS_INVALID_ADDRESS_COMPONENT);
    }
    let mut datagram = Datagram::new(&[], remote);
    datagram_options::apply(&call.me.sim, &state, &mut datagram);
    control_data::apply(control, &mut datagram)?;
    Ok(datagram)
}

impl Work for SendTo {
    fn lane(&self) -> Lane {
        Lane::Send
    }

    fn buffer(&self) -> Option<&Buffer> {
        Some(&self.buffer)
    }

    fn attempt(&mut self, turn: &mut Turn<'_>) -> Option<Answer> {
        let Some(binding) = turn.state.binding else {
            return Some(Answer::status(STATUS_INVALID_DEVICE_STATE));
        };
        while let Some(length) = self.lengths.front() {
            let bytes = self.buffer.read_from(self.done).flatten();
            self.common.data = bytes.take(*length).copied().collect();
            match turn.sim.net.send_to(binding, &self.common) {
                Ok(true) => self.done += length,
                Ok(false) => return None,
                Err(status) => return Some(Answer::status(status)),
            }
            self.lengths.pop_front();
        }
        Some(Answer::information(self.done))
    }
}
