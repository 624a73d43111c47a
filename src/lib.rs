//! Safe kernel sockets for Windows drivers: Winsock Kernel (WSK) in Rust.
//!
//! # What it is
//!
//! A `no_std` library for WDM and KMDF drivers, on Microsoft's `wdk` crates. A driver registers
//! with the WSK subsystem, captures the provider, opens sockets and starts operations on them,
//! which it awaits, waits for, or drops:
//!
//! ```text
//! DriverEntry -> Registration -> Provider -> ListenSocket -> Accepted -> ConnectionSocket
//!                                                \                          |
//!                                                 +------> Operation <------+
//!                                                     .await, wait, wait_timeout, cancel, drop
//! ```
//!
//! Drivers that offer interfaces to each other, or reach WSK in the older way, do so as network
//! modules: see [`nmr`].
//!
//! # What holds
//!
//! - No safe program can corrupt memory: not by dropping, forgetting, cancelling or racing anything
//!   here. A buffer belongs to the request that uses it until the provider has completed that.
//! - Deregistration waits for what is open, so the order at unload is right by construction.
//! - Nothing is allocated per request once a socket has had as many requests in flight as it ever
//!   will.
//! - What blocks takes a [`Passive`]; the rest may be called up to DISPATCH_LEVEL.
//!
//! # What it is not
//!
//! It does not make `DriverUnload` safe: a driver whose image goes away while it still has an
//! [`Executor`], a [`Registration`] or a socket (kept, or given to `core::mem::forget`) crashes the
//! system, as any driver does that unloads too early. Drop or shut down all of them there.
//!
//! # Example
//!
//! ```no_run
//! use core::{net::SocketAddr, time::Duration};
//! use wsk::{AddressFamily, ListenSocket, Passive, Registration, Version};
//!
//! fn serve_one(address: SocketAddr, passive: Passive) -> wsk::Result<()> {
//!     let registration = Registration::register(Version::V1_0, passive)?;
//!     let provider = registration.capture_timeout(Duration::from_secs(1), passive)?;
//!     let family = AddressFamily::of(&address);
//!     let mut listener = ListenSocket::open(&provider, family).wait(passive)?;
//!     listener.bind(address).wait(passive)?;
//!     let accepted = listener.accept().wait_timeout(Duration::from_secs(30), passive)?;
//!     let mut buffer = wsk::Buffer::with_capacity(16)?;
//!     buffer.extend_from_slice(b"hello\n")?;
//!     let (sent, _buffer) = accepted.socket.send(buffer).wait(passive);
//!     sent?;
//!     accepted.socket.disconnect().wait_timeout(Duration::from_secs(5), passive)
//! }
//! ```
//!
//! The numbered rules that code and comments cite, as in `[wsk 3.5]`, are those of
//! `docs/CONTRACT.md`.
#![no_std]

// Ground: no policy, no sockets.
mod addr;
mod callback;
mod counters;
pub mod dual_stack;
mod flags;
mod irql;
mod mem;
mod status;
mod sync;
mod transport;
// Getting a provider, and asking it.
mod name;
mod provider;
mod registration;
mod version;
// Whom sockets belong to.
mod owner;
mod security;
// Requests of the driver's clients.
mod irp;
// One request: the unsafe heart.
mod op;
// Options, control operations and control data: values.
mod ancillary;
mod ioctl;
pub mod option;
// Sockets, and what WSK calls them for.
mod event;
mod socket;
// Where completions wake to.
mod exec;
// Network modules, of which WSK is one.
pub mod nmr;

pub use self::{
    addr::AddressFamily,
    ancillary::{Ancillary, ControlData, ControlMessage, ControlMessages, Ecn, PacketInfo},
    counters::{Counters, counters},
    event::{
        backlog::{
            Backlog, Connections, Inspections, NextConnection, NextInspection, WhenFull,
            WhenInspecting,
        },
        connection::{ConnectionEventSet, ConnectionEvents},
        data::{Chunks, Data},
        datagram::{
            DatagramEvents, DatagramIndication, DatagramList, Datagrams, IndicatedDatagram,
            RetainedDatagrams,
        },
        indication::{Indication, Received, RetainBudget, Retained},
        inspect::{InspectId, InspectRequest, Inspection, Verdict},
        listen::ListenEvents,
        offer::Offer,
        ticket::Decision,
    },
    exec::{Executor, Spawner},
    flags::{DatagramFlags, SendFlags},
    ioctl::{AddressList, KeepAlive},
    irp::{PendingIrp, RefusedIrp},
    irql::Passive,
    mem::{buffer::Buffer, chain::BufferChain, wide::WideStr},
    name::{
        AddressHints, AddressInfo, AddressInfoFlags, AddressInfoList, AddressInfos, NameHints,
        NameInfo, NameInfoFlags,
    },
    op::operation::{Operation, Request},
    owner::{Process, Thread},
    provider::{NextTransportChange, StaticEventSet, TransportChanges},
    registration::{ClientEvent, Provider, Registration},
    security::SecurityDescriptor,
    socket::{
        basic::BasicSocket,
        commit::Commit,
        conditional::OpenConditional,
        connection::ConnectionSocket,
        control::Controlled,
        datagram::{Datagram, DatagramSocket},
        exact::ReceiveExact,
        extension::{EnteredExtension, Extension},
        group::Group,
        halves::{ReadHalf, ReuniteError, WriteHalf},
        handle::Closer,
        listen::{Accept, ListenSocket},
        open::OpenOptions,
        request::Accepted,
        silent::SilentSocket,
        stream::StreamSocket,
        writer::{BacklogWriter, Finish, Room, Sent},
    },
    status::{Error, ErrorKind, Result, Status},
    transport::{Protocol, SocketType, TdiMap, Transport, TransportList},
    version::Version,
};

/// The kinds of request that an [`Operation`] may be of.
pub mod request {
    pub use crate::name::{GetAddressInfo, GetNameInfo};
    pub use crate::socket::control::{GetOption, Ioctl, QuerySecurity, Read, Write};
    pub use crate::socket::ioctl::QuerySize;
    pub use crate::socket::request::{
        AcceptConnection, AddressListChange, Bind, Close, CompleteInspection, Connect,
        ConnectWithData, DisableEvent, Disconnect, DisconnectWithData, Drain, Listen, LocalAddress,
        Open, OpenConnected, Receive, ReceiveAll, ReceiveFrom, RemoteAddress, ResumeReceiveEvents,
        Send, SendChain, SendMessages, SendTo, SetOption, Silence,
    };
}
