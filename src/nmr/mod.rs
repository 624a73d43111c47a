//! Network modules: drivers that find each other through the Network Module Registrar, and call
//! each other.
//!
//! An interface has client modules and provider modules, in any drivers, loaded in any order. The
//! registrar introduces every client to every provider; those who agree are attached, and each side
//! calls the other's functions until one of them leaves. [`wsk`](mod@wsk) reaches Winsock Kernel
//! itself that way.
//!
//! # How a pair of drivers uses it
//!
//! A crate that both drivers use defines the interface with the [`npi!`](crate::npi) macro:
//!
//! ```
//! wsk::npi! {
//!     /// A service that counts.
//!     pub interface Counter = 0x8B0F7D52_3E0F_4C7A_9B1D_2F6A84E1903C;
//!
//!     /// What a provider does for its clients.
//!     pub provider trait Count, table CountDispatch {
//!         /// Adds `by`, and returns the sum.
//!         fn add(&self, by: u32) -> u32;
//!     }
//!
//!     /// What a client wants to hear.
//!     pub client trait Listen, table ListenDispatch {
//!         /// The sum is a multiple of a hundred.
//!         fn hundred(&self, sum: u32);
//!     }
//! }
//! ```
//!
//! The provider's driver has a context for each client, which implements `Count`, and a handler
//! that decides about clients:
//!
//! ```
//! # wsk::npi! {
//! #     pub interface Counter = 0x8B0F7D52_3E0F_4C7A_9B1D_2F6A84E1903C;
//! #     pub provider trait Count, table CountDispatch { fn add(&self, by: u32) -> u32; }
//! #     pub client trait Listen, table ListenDispatch { fn hundred(&self, sum: u32); }
//! # }
//! use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
//! use wsk::nmr::{self, AsProvider, Binding, Guid, Instance, ModuleId, ProviderOffer};
//!
//! /// One client: its sum, and the way to call it back.
//! struct Customer {
//!     sum: AtomicU32,
//!     client: Binding<Counter, AsProvider>,
//! }
//!
//! impl Count for Customer {
//!     fn add(&self, by: u32) -> u32 {
//!         let sum = self.sum.fetch_add(by, Relaxed) + by;
//!         if sum % 100 == 0 && let Ok(client) = self.client.enter() {
//!             client.hundred(sum);
//!         }
//!         sum
//!     }
//! }
//!
//! struct Service;
//!
//! impl nmr::ProviderModule<Counter> for Service {
//!     type Context = Customer;
//!
//!     fn offered(
//!         &self,
//!         _client: &Instance<'_, ()>,
//!         _dispatch: &ListenDispatch,
//!         binding: &Binding<Counter, AsProvider>,
//!     ) -> wsk::Result<Option<ProviderOffer<Counter, Customer>>> {
//!         let context = Customer { sum: AtomicU32::new(0), client: binding.clone() };
//!         Ok(Some(ProviderOffer { context, table: CountDispatch::of() }))
//!     }
//! }
//!
//! const SERVICE: ModuleId =
//!     ModuleId::Guid(Guid::from_u128(0x37E1A2C4_90D6_4B1B_8A52_0C61D3E4F577));
//!
//! fn start(passive: wsk::Passive) -> wsk::Result<nmr::Provider<Counter, Service>> {
//!     nmr::Provider::register(Instance::of(SERVICE), Service, passive)
//! }
//! # let _ = start;
//! ```
//!
//! The client's driver is the mirror image, and keeps the binding when it is attached:
//!
//! ```
//! # wsk::npi! {
//! #     pub interface Counter = 0x8B0F7D52_3E0F_4C7A_9B1D_2F6A84E1903C;
//! #     pub provider trait Count, table CountDispatch { fn add(&self, by: u32) -> u32; }
//! #     pub client trait Listen, table ListenDispatch { fn hundred(&self, sum: u32); }
//! # }
//! use wsk::nmr::{self, AsClient, Binding, ClientOffer, Guid, Instance, ModuleId};
//!
//! struct Listener;
//!
//! impl Listen for Listener {
//!     fn hundred(&self, sum: u32) { /* ... */ }
//! }
//!
//! struct User;
//!
//! impl nmr::ClientModule<Counter> for User {
//!     type Context = Listener;
//!
//!     fn offered(
//!         &self,
//!         provider: &Instance<'_, ()>,
//!         _binding: &Binding<Counter, AsClient>,
//!     ) -> wsk::Result<Option<ClientOffer<Counter, Listener>>> {
//!         let wanted = provider.number == 0;
//!         let tables = const { &[ListenDispatch::of()] };
//!         Ok(wanted.then_some(ClientOffer { context: Listener, tables }))
//!     }
//!
//!     fn attached(&self, _context: &Listener, binding: &Binding<Counter, AsClient>) {
//!         if let Ok(provider) = binding.enter() {
//!             let _sum = provider.add(100);
//!         }
//!     }
//! }
//! # const USER: ModuleId =
//! #     ModuleId::Guid(Guid::from_u128(0x37E1A2C4_90D6_4B1B_8A52_0C61D3E4F578));
//!
//! fn start(passive: wsk::Passive) -> wsk::Result<nmr::Client<Counter, User>> {
//!     nmr::Client::register(Instance::of(USER), User, passive)
//! }
//! # let _ = start;
//! ```
//!
//! Each driver drops its registration when it unloads. That waits until every binding has been
//! detached and cleaned up, by both sides; whichever driver goes first, the other one's
//! [`Binding::enter`] fails from then on.
//!
//! # What holds
//!
//! - A peer is called only between [`Binding::enter`] and the drop of what that gives, and its
//!   detach waits for that [wsk 12.11].
//! - Each detach is completed exactly once: by the detach callback, or by the last one who leaves.
//! - A context is dropped by the cleanup callback, or by the attach that failed, and nowhere else.
//!
//! `docs/NMR.md` has the sequence of the callbacks, their IRQLs, and who owns what when.

mod binding;
mod client;
mod deregistration;
mod gate;
mod id;
mod npi;
mod provider;
mod registered;
mod role;
pub mod wsk;

use core::fmt;

pub(crate) use self::binding::table as table_of;
pub use self::{
    binding::{Binding, Entered},
    client::{Client, ClientModule, ClientOffer},
    deregistration::Deregistration,
    id::{Guid, Instance, ModuleId},
    npi::{Npi, Plain, Table},
    provider::{Provider, ProviderModule, ProviderOffer},
    role::{AsClient, AsProvider, Role},
};
use crate::status::{Error, Status};

/// Why nothing came of a peer that this module wanted to attach to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttachError {
    /// This member of what the peer registered with is not as the registrar's interface has it:
    /// the peer's driver is faulty.
    Malformed(&'static str),
    /// The peer attached without a table of functions, which the interface demands: the peer's
    /// driver is faulty.
    NullDispatch,
    /// This call failed, or the peer refused with this status, whatever version it was offered.
    Failed(Error),
}

impl AttachError {
    /// What the peer, and the registrar, are told.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::Malformed(_) | Self::NullDispatch => Status::INVALID_PARAMETER,
            Self::Failed(error) if error.status().is_success() => Status::UNSUCCESSFUL,
            Self::Failed(error) => error.status(),
        }
    }
}

impl From<Error> for AttachError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(member) => write!(f, "the peer is malformed: {member}"),
            Self::NullDispatch => f.write_str("the peer attached with a null dispatch table"),
            Self::Failed(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl core::error::Error for AttachError {}
