//! The transports: which there are, who waits for a change, and what happens to the sockets of one
//! that goes [wsk 4.4, 9.9].

// UNSAFETY: the cancel routine is called by whoever cancels the IRP.
#![expect(unsafe_code, reason = "a cancel routine, and a view of its IRP")]

use core::sync::atomic::Ordering::SeqCst;
use std::collections::BTreeMap;
use std::sync::Arc;

use wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PIRP, STATUS_CANCELLED, STATUS_PENDING, ULONG};
use wsk_sys::{
    AF_INET, AF_INET6, IPPROTO, MAKE_WSK_VERSION, SOCK_DGRAM, SOCK_STREAM, WSK_TRANSPORT,
};

use super::super::address::Family;
use super::super::progress;
use super::super::request::Answer;
use crate::current::current;
use crate::kernel::irp::release_cancel_lock;
use crate::kernel::irql::DISPATCH;
use crate::kernel::layout::{Irp, view};
use crate::net::Protocol;
use crate::sched::{Job, Thread, Work};
use crate::sim::{Shared, lock};

/// A transport that the provider can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP over IPv4.
    UdpV4,
    /// UDP over IPv6.
    UdpV6,
}

impl Transport {
    /// All transports; a simulation begins with these.
    pub const ALL: [Self; 4] = [Self::TcpV4, Self::TcpV6, Self::UdpV4, Self::UdpV6];

    pub(super) fn of(family: Family, protocol: Protocol) -> Self {
        match (protocol, family) {
            (Protocol::Tcp, Family::V4) => Self::TcpV4,
            (Protocol::Tcp, Family::V6) => Self::TcpV6,
            (Protocol::Udp, Family::V4) => Self::UdpV4,
            (Protocol::Udp, Family::V6) => Self::UdpV6,
        }
    }

    /// A `WSK_TRANSPORT` as it lies in memory, its padding as zeros.
    fn encode(self) -> Vec<u8> {
        let (socket_type, protocol) = match self {
            Self::TcpV4 | Self::TcpV6 => (SOCK_STREAM, IPPROTO::IPPROTO_TCP),
            Self::UdpV4 | Self::UdpV6 => (SOCK_DGRAM, IPPROTO::IPPROTO_UDP),
        };
        let family = match self {
            Self::TcpV4 | Self::UdpV4 => AF_INET,
            Self::TcpV6 | Self::UdpV6 => AF_INET6,
        };
        let mut bytes = MAKE_WSK_VERSION(1, 0).to_ne_bytes().to_vec();
        bytes.extend(u16::try_from(socket_type).unwrap_or(0).to_ne_bytes());
        bytes.extend(protocol.to_ne_bytes());
        bytes.extend(u16::try_from(family).unwrap_or(0).to_ne_bytes());
        bytes.resize(core::mem::offset_of!(WSK_TRANSPORT, ProviderId), 0);
        bytes.extend((PROVIDER + self as ULONG).to_ne_bytes());
        bytes.resize(size_of::<WSK_TRANSPORT>(), 0);
        bytes
    }
}

/// The identifiers of the transports begin with this.
const PROVIDER: ULONG = 0x5757_0000;

/// The transports of one simulation.
pub(in super::super) struct Transports {
    present: Vec<Transport>,
    /// Requests that wait for a change: IRP and client.
    waiting: BTreeMap<usize, usize>,
}

impl Default for Transports {
    fn default() -> Self {
        Self {
            present: Transport::ALL.to_vec(),
            waiting: BTreeMap::new(),
        }
    }
}

impl Transports {
    pub(in super::super) fn has(&self, family: Family, protocol: Protocol) -> bool {
        self.present.contains(&Transport::of(family, protocol))
    }

    /// The bare array of `WSK_TRANSPORT_LIST_QUERY`.
    pub(super) fn list(&self) -> Vec<u8> {
        let present = self.present.iter();
        present.flat_map(|transport| transport.encode()).collect()
    }

    /// False if it is there.
    pub(super) fn add(&mut self, transport: Transport) -> bool {
        let new = !self.present.contains(&transport);
        if new {
            self.present.push(transport);
        }
        new
    }

    /// False if it is not there.
    pub(super) fn remove(&mut self, transport: Transport) -> bool {
        let before = self.present.len();
        self.present.retain(|present| *present != transport);
        self.present.len() < before
    }

    fn take(&mut self, is_meant: impl Fn(usize) -> bool) -> BTreeMap<usize, usize> {
        let (taken, left) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(_, client)| is_meant(*client));
        self.waiting = left;
        taken
    }
}

/// `WSK_TRANSPORT_LIST_CHANGE`: completes when a transport has come or gone.
pub(super) fn wait_for_change(
    me: &Arc<Thread>,
    client: usize,
    irp: PIRP,
    packet: &Irp,
) -> NTSTATUS {
    let sim = &me.sim;
    progress::mark_pending_for(sim, client, packet);
    let address = irp.expose_provenance();
    lock(&sim.wsk.controls.transports)
        .waiting
        .insert(address, client);
    let routine = cancel as *const () as usize;
    packet.cancel_routine.store(routine, SeqCst);
    let cancelled = packet.cancel.load(SeqCst) != 0 && packet.cancel_routine.swap(0, SeqCst) != 0;
    let leaving = lock(&sim.wsk.registrations).is_leaving(client);
    if cancelled || leaving {
        end_one(sim, address);
    }
    sim.sched.point(me);
    STATUS_PENDING
}

/// Completes the requests of the clients that are meant.
pub(super) fn end_waiting(sim: &Shared, is_meant: impl Fn(usize) -> bool, status: NTSTATUS) {
    let taken = lock(&sim.wsk.controls.transports).take(is_meant);
    for (irp, client) in taken {
        complete_soon(sim, client, irp, status);
    }
}

/// The client deregisters, or detaches: its requests are cancelled [wsk 2.9].
pub(in super::super) fn cancel_requests(sim: &Shared, client: usize) {
    end_waiting(sim, |waiting| waiting == client, STATUS_CANCELLED);
}

fn end_one(sim: &Shared, irp: usize) {
    let client = lock(&sim.wsk.controls.transports).waiting.remove(&irp);
    if let Some(client) = client {
        complete_soon(sim, client, irp, STATUS_CANCELLED);
    }
}

fn complete_soon(sim: &Shared, client: usize, irp: usize, status: NTSTATUS) {
    let complete = move || progress::finish(&current(), client, (irp, Answer::status(status)));
    let work = Work::Call(Box::new(complete));
    let irql = DISPATCH;
    sim.sched.deliver(0, Job { irql, work });
}

/// The cancel routine of a request that waits for a change.
unsafe extern "C" fn cancel(_device: PDEVICE_OBJECT, irp: PIRP) {
    let me = current();
    // SAFETY: whoever cancels holds the cancel lock, and the IRP is pending here.
    let irql = unsafe { view::<Irp>(irp) }.cancel_irql.load(SeqCst);
    end_one(&me.sim, irp.addr());
    release_cancel_lock(&me, irql);
}
