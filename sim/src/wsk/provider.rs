//! The calls that make sockets: `WskSocket` and `WskSocketConnect` [wsk 4].

// UNSAFETY: the functions are called by the client through the tables.
#![expect(unsafe_code, reason = "functions of the provider's table")]

use core::ffi::c_void;
use std::net::SocketAddr;
use std::sync::Arc;

use wdk_sys::{
    NTSTATUS, PEPROCESS, PETHREAD, PIRP, PSECURITY_DESCRIPTOR, PVOID,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_ADDRESS_COMPONENT, STATUS_INVALID_PARAMETER,
    STATUS_NOT_SUPPORTED, ULONG, USHORT,
};
use wsk_sys::{
    ADDRESS_FAMILY, IPPROTO, PSOCKADDR, PWSK_CLIENT, SOCK_DGRAM, SOCK_STREAM,
    WSK_CLIENT_CONNECTION_DISPATCH,
};

use super::address::{self, Family};
use super::buffer::Buffer;
use super::call::{Call, check_context, complete_inline};
use super::connect::Connect;
use super::control::{options, security};
use super::request::{Answer, Lane, Reply, Turn, Work};
use super::socket::{ClientSide, Socket};
use super::tables::{Category, Windows};
use super::{bind, close, registration};
use crate::current::current;
use crate::faults::Fault;
use crate::kernel::irp;
use crate::kernel::irql::DISPATCH;
use crate::kernel::layout::Irp;
use crate::kernel::pool::check_not_paged;
use crate::kernel::thread::{Context, is_process, is_thread};
use crate::net::Protocol;
use crate::sched::Thread;
use crate::sim::{lock, offence};
use crate::verifier::Rule;

/// A call that makes a socket; the registration is in use until it is dropped [wsk 2.9].
struct Making {
    me: Arc<Thread>,
    client: usize,
    client_side: ClientSide,
    /// The address of the security descriptor, and what it says.
    security: Option<(PSECURITY_DESCRIPTOR, Vec<u8>)>,
    irp: PIRP,
    packet: &'static Irp,
}

/// Whose a new socket is [wsk 4.5].
struct Owner {
    process: PEPROCESS,
    thread: PETHREAD,
    security: PSECURITY_DESCRIPTOR,
}

impl Owner {
    /// Reports what cannot own a socket; gives what the security descriptor says.
    fn check(&self, me: &Thread, function: &str) -> Option<(PSECURITY_DESCRIPTOR, Vec<u8>)> {
        me.sim.wsk.note_owner(self.process, self.thread);
        let (process, thread) = (self.process.addr(), self.thread.addr());
        let wrong = if process != 0 && !is_process(me, process) {
            format!("OwningProcess {process:#x}, which is no process")
        } else if thread != 0 && !is_thread(me, thread) {
            format!("OwningThread {thread:#x}, which is no thread")
        } else {
            let given = !self.security.is_null();
            let address = self.security.addr();
            return given.then(|| (self.security, security::expect(me, address, function)));
        };
        offence(Rule::Owner, &format!("{function} with {wrong}"));
    }
}

impl Making {
    fn enter(
        client: PWSK_CLIENT,
        (context, dispatch): (PVOID, *const c_void),
        owner: &Owner,
        irp: PIRP,
        function: &str,
    ) -> Self {
        let me = current();
        check_context(&me, DISPATCH, function);
        let client = registration::expect_client(&me, client, function);
        if irp.is_null() {
            offence(Rule::IrpRequired, &format!("{function} without an IRP"));
        }
        check_not_paged(&me, dispatch.addr(), "a table of event callbacks");
        let security = owner.check(&me, function);
        let packet = irp::give_to_provider(&me, irp, function);
        lock(&me.sim.wsk.registrations).count_use(client);
        me.sim.sched.point(&me);
        let client_side = ClientSide {
            context: Context(context),
            dispatch: Context(dispatch.cast_mut()),
        };
        Self {
            me,
            client,
            client_side,
            security,
            irp,
            packet,
        }
    }

    fn fails(&self) -> bool {
        self.me.sim.faults.strikes(Fault::ProviderCall)
    }

    fn end(&self, status: NTSTATUS) -> NTSTATUS {
        complete_inline(&self.me, self.irp, self.packet, Answer::status(status))
    }

    fn create(&self, kind: (Category, Family, Protocol)) -> Arc<Socket> {
        let socket = Socket::create(&self.me.sim, kind, self.client, self.client_side);
        if let Some((_, descriptor)) = &self.security {
            options::set_security(&mut lock(&socket.state), descriptor.clone());
        }
        socket
    }

    /// What must stay until the IRP completes: the security descriptor [wsk 4.5].
    fn memory(&self) -> Buffer {
        let pieces = self.security.iter();
        let pieces: Vec<_> = pieces.map(|(at, bytes)| (*at, bytes.len())).collect();
        Buffer::of(&pieces)
    }

    fn has_transport(&self, family: Family, protocol: Protocol) -> bool {
        lock(&self.me.sim.wsk.controls.transports).has(family, protocol)
    }

    fn on(&self, socket: &Arc<Socket>) -> Call {
        Call::on_new_socket(&self.me, socket, self.irp, self.packet)
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let sim = &self.me.sim;
        lock(&sim.wsk.registrations).uncount_use(sim, self.client);
    }
}

/// What `WskSocket` is asked for.
fn kind(
    windows: Windows,
    family: ADDRESS_FAMILY,
    socket_type: USHORT,
    protocol: ULONG,
    flags: ULONG,
) -> Result<(Category, Family, Protocol), NTSTATUS> {
    let category = Category::from_flags(flags, windows).ok_or(STATUS_INVALID_PARAMETER)?;
    let family = Family::from_number(family).ok_or(STATUS_NOT_SUPPORTED)?;
    let protocol = transport(socket_type, protocol).ok_or(STATUS_NOT_SUPPORTED)?;
    let fits = match category {
        Category::Basic => true,
        Category::Datagram => protocol == Protocol::Udp,
        Category::Listen | Category::Connection | Category::Stream => protocol == Protocol::Tcp,
    };
    if fits {
        Ok((category, family, protocol))
    } else {
        Err(STATUS_NOT_SUPPORTED)
    }
}

fn transport(socket_type: USHORT, protocol: ULONG) -> Option<Protocol> {
    match (u32::from(socket_type), protocol.cast_signed()) {
        (SOCK_STREAM, IPPROTO::IPPROTO_TCP) => Some(Protocol::Tcp),
        (SOCK_DGRAM, IPPROTO::IPPROTO_UDP) => Some(Protocol::Udp),
        _ => None,
    }
}

/// `WskSocket` [wsk 4.2, 4.3, 4.4, 4.5].
pub(super) unsafe extern "C" fn wsk_socket(
    client: PWSK_CLIENT,
    family: ADDRESS_FAMILY,
    socket_type: USHORT,
    protocol: ULONG,
    flags: ULONG,
    context: PVOID,
    dispatch: *const c_void,
    process: PEPROCESS,
    thread: PETHREAD,
    security: PSECURITY_DESCRIPTOR,
    irp: PIRP,
) -> NTSTATUS {
    let owner = Owner {
        process,
        thread,
        security,
    };
    let making = Making::enter(client, (context, dispatch), &owner, irp, "WskSocket");
    if making.fails() {
        return making.end(STATUS_INSUFFICIENT_RESOURCES);
    }
    let windows = making.me.sim.wsk.windows;
    let kind = match kind(windows, family, socket_type, protocol, flags) {
        Ok(kind) => kind,
        Err(status) => return making.end(status),
    };
    if !making.has_transport(kind.1, kind.2) {
        return making.end(STATUS_NOT_SUPPORTED);
    }
    if kind.0 == Category::Basic && !(context.is_null() && dispatch.is_null()) {
        return making.end(STATUS_INVALID_PARAMETER);
    }
    let socket = making.create(kind);
    let reply = match making.me.sim.faults.completion() {
        Some(status) => Reply::without_socket(status),
        None => Reply::with_socket(&socket),
    };
    let reply = reply.using(making.memory(), Vec::new());
    making.on(&socket).submit(reply)
}

/// `WskSocketConnect`: socket, bind and connect in one [wsk 4.6].
pub(super) unsafe extern "C" fn wsk_socket_connect(
    client: PWSK_CLIENT,
    socket_type: USHORT,
    protocol: ULONG,
    local: PSOCKADDR,
    remote: PSOCKADDR,
    flags: ULONG,
    context: PVOID,
    dispatch: *const WSK_CLIENT_CONNECTION_DISPATCH,
    process: PEPROCESS,
    thread: PETHREAD,
    security: PSECURITY_DESCRIPTOR,
    irp: PIRP,
) -> NTSTATUS {
    let owner = Owner {
        process,
        thread,
        security,
    };
    let client_side = (context, dispatch.cast());
    let making = Making::enter(client, client_side, &owner, irp, "WskSocketConnect");
    if making.fails() {
        return making.end(STATUS_INSUFFICIENT_RESOURCES);
    }
    if flags != 0 {
        return making.end(STATUS_INVALID_PARAMETER);
    }
    if transport(socket_type, protocol) != Some(Protocol::Tcp) {
        return making.end(STATUS_NOT_SUPPORTED);
    }
    for address in [local, remote] {
        check_not_paged(&making.me, address.addr(), "an address");
    }
    // SAFETY: the client passes complete addresses [wsk 3.13, 4.6].
    let local = unsafe { address::read(local) };
    // SAFETY: as above.
    let remote = unsafe { address::read(remote) };
    let (Some(local), Some(remote)) = (local, remote) else {
        return making.end(STATUS_INVALID_ADDRESS_COMPONENT);
    };
    if Family::of(local) != Family::of(remote) {
        return making.end(STATUS_INVALID_ADDRESS_COMPONENT);
    }
    if !making.has_transport(Family::of(local), Protocol::Tcp) {
        return making.end(STATUS_NOT_SUPPORTED);
    }
    make_and_connect(&making, local, remote)
}

fn make_and_connect(making: &Making, local: SocketAddr, remote: SocketAddr) -> NTSTATUS {
    let socket = making.create((Category::Connection, Family::of(local), Protocol::Tcp));
    let sim = &making.me.sim;
    if let Some(status) = sim.faults.completion() {
        return making.on(&socket).submit(Reply::without_socket(status));
    }
    if let Err(status) = bind::bind(sim, &socket, local) {
        close::bury(sim, &socket, &mut lock(&socket.state));
        return making.end(status);
    }
    making.on(&socket).submit(MakeAndConnect {
        connect: Connect::new(remote),
        memory: making.memory(),
    })
}

/// Connects a socket which the client gets only if that succeeds.
struct MakeAndConnect {
    connect: Connect,
    memory: Buffer,
}

impl Work for MakeAndConnect {
    fn lane(&self) -> Lane {
        Lane::Connect
    }

    fn buffer(&self) -> Option<&Buffer> {
        Some(&self.memory)
    }

    fn attempt(&mut self, turn: &mut Turn<'_>) -> Option<Answer> {
        let answer = self.connect.attempt(turn)?;
        if answer == Answer::SUCCESS {
            let pointer = turn.socket.pointer().expose_provenance();
            return Some(Answer::information(pointer));
        }
        close::bury(turn.sim, turn.socket, turn.state);
        Some(answer)
    }

    fn cancel(&mut self, turn: &mut Turn<'_>) -> Option<Answer> {
        let answer = self.connect.cancel(turn);
        close::bury(turn.sim, turn.socket, turn.state);
        answer
    }
}
