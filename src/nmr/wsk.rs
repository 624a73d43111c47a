//! WSK as what it is to the registrar: a provider module, to which this driver attaches.
//!
//! The older way to reach Winsock Kernel: [`Registration`](crate::Registration) is preferred
//! [wsk 12.16]. What comes of both is the same [`Provider`], on which all of this crate works.
//!
//! ```no_run
//! use core::time::Duration;
//! use wsk::{Passive, Version, nmr};
//!
//! const MODULE: nmr::ModuleId =
//!     nmr::ModuleId::Guid(nmr::Guid::from_u128(0x37E1A2C4_90D6_4B1B_8A52_0C61D3E4F579));
//!
//! fn start(passive: Passive) -> wsk::Result<()> {
//!     let versions = Version::V1_0..=Version::V1_0;
//!     let client = nmr::wsk::Client::register(MODULE, versions, passive)?;
//!     let provider = client.capture_timeout(Duration::from_secs(5), passive)?;
//!     // ... open sockets with `provider`, and drop them ...
//!     drop(provider);
//!     client.deregister(passive);
//!     Ok(())
//! }
//! ```
//!
//! # Detaching
//!
//! When the driver deregisters, or WSK leaves, all sockets are closed, and those that are still
//! being made are as soon as they are there. The detach is complete when the last socket is closed,
//! the result of every request taken, and the last [`Provider`] dropped [wsk 12.18].
//!
//! Implements [wsk 12.16] to [wsk 12.19].

// UNSAFETY: names the interface's types, and lends its table for as long as a context lives.
#![expect(unsafe_code, reason = "promises about the interface of WSK")]

use core::{fmt, future::poll_fn, ops::RangeInclusive, time::Duration};

use wsk_sys::{
    NPI_WSK_INTERFACE_ID, WSK_CLIENT_DISPATCH, WSK_PROVIDER_CHARACTERISTICS, WSK_PROVIDER_DISPATCH,
    WSK_PROVIDER_NPI,
};

use super::{
    AsClient, AttachError, Binding, ClientModule, ClientOffer, Guid, Instance, ModuleId, Npi,
    Table, binding::Held,
};
use crate::{
    irql::Passive,
    mem::arc::PoolArc,
    op::{list::SocketList, names::NameLists},
    registration::Provider,
    status::{Error, Result, Status},
    sync::{event::Event, spin::SpinLock},
    version::{Version, latest_of_both},
};

const ATTACH: &str = "NmrClientAttachProvider";

/// The interface of WSK.
enum Wsk {}

// SAFETY: the tables and characteristics that WSK documents for its interface [wsk 12.17].
unsafe impl Npi for Wsk {
    const ID: Guid = Guid::from_raw(&NPI_WSK_INTERFACE_ID);
    type ClientDispatch = WSK_CLIENT_DISPATCH;
    type ProviderDispatch = WSK_PROVIDER_DISPATCH;
    type ClientCharacteristics = ();
    type ProviderCharacteristics = WSK_PROVIDER_CHARACTERISTICS;
}

/// This driver as a client module of WSK.
///
/// Dropping it does what [`deregister`](Self::deregister) does, and therefore waits too. Dropped
/// where nothing can wait, above PASSIVE_LEVEL or in a callback of a socket, it is left registered
/// for good: a leak, and the driver must not be unloaded any more.
///
/// [Using NMR for WSK registration and unregistration](https://learn.microsoft.com/windows-hardware/drivers/network/using-nmr-for-wsk-registration-and-unregistration)
pub struct Client {
    // Ends first: what name resolution has given is freed while WSK is attached.
    names: Names,
    module: super::Client<Wsk, Module>,
}

/// Has the lists of addresses freed before WSK is left: when it is dropped, at PASSIVE_LEVEL.
struct Names(PoolArc<Shared>);

/// Attaches to the one provider that the interface has.
struct Module {
    wanted: RangeInclusive<Version>,
    shared: PoolArc<Shared>,
}

/// What callbacks leave for those who want a provider.
struct Shared {
    found: SpinLock<Found>,
    /// Set while WSK is attached, or nothing came of it.
    settled: Event,
    names: PoolArc<NameLists>,
}

#[derive(Default)]
struct Found {
    offered: Option<RangeInclusive<Version>>,
    attached: Option<Way>,
    failed: Option<Error>,
}

/// The way to WSK while it is attached.
#[derive(Clone)]
struct Way {
    binding: Binding<Wsk, AsClient>,
    sockets: PoolArc<SocketList>,
}

/// What a [`Provider`] keeps that came this way: the binding, entered, and its open sockets.
#[derive(Clone)]
pub(crate) struct Attached {
    sockets: PoolArc<SocketList>,
    names: PoolArc<NameLists>,
    // Goes last: after it, the driver may unload.
    _binding: Held<Wsk, AsClient>,
}

impl Attached {
    pub(crate) fn sockets(&self) -> &SocketList {
        &self.sockets
    }

    pub(crate) fn names(&self) -> &NameLists {
        &self.names
    }
}

/// The context of a binding.
struct Context {
    sockets: PoolArc<SocketList>,
    /// WSK and the registrar have their addresses.
    _dispatch: PoolArc<WSK_CLIENT_DISPATCH>,
    tables: PoolArc<[Table<WSK_CLIENT_DISPATCH, Context>; 1]>,
}

impl Client {
    /// Registers a client module that attaches to WSK when it is there, for the latest version that
    /// both it and `wanted` have.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory), or what `NmrRegisterClient` says.
    pub fn register(
        module: ModuleId,
        wanted: RangeInclusive<Version>,
        passive: Passive,
    ) -> Result<Self> {
        let shared = Shared::new()?;
        let names = Names(shared.clone());
        let module_of_wsk = Module { wanted, shared };
        let module = super::Client::register(Instance::of(module), module_of_wsk, passive)?;
        Ok(Self { names, module })
    }

    /// The provider interface, if WSK is attached now.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`NotReady`](crate::ErrorKind::NotReady): not yet, or not any more;
    /// [`VersionNotSupported`](crate::ErrorKind::VersionNotSupported): WSK has none of the wanted
    /// versions; or what else made the attach fail.
    pub fn try_capture(&self) -> Result<Provider> {
        self.module.handler().shared.capture()
    }

    /// The provider interface, as soon as WSK is attached, but not later than after `timeout`.
    ///
    /// IRQL: PASSIVE_LEVEL. Keep the time short in `DriverEntry`: a driver that starts early delays
    /// the system [wsk 2.7].
    ///
    /// # Errors
    ///
    /// As [`try_capture`](Self::try_capture).
    pub fn capture_timeout(&self, timeout: Duration, passive: Passive) -> Result<Provider> {
        let shared = &self.module.handler().shared;
        shared.settled.wait(Some(timeout), passive);
        shared.capture()
    }

    /// The versions that WSK offers, from the lowest to the highest, once it was there.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`NotReady`](crate::ErrorKind::NotReady).
    #[doc(alias = "WSK_PROVIDER_CHARACTERISTICS")]
    pub fn supported_versions(&self) -> Result<RangeInclusive<Version>> {
        let shared = &self.module.handler().shared;
        let offered = shared.found.with(|found| found.offered.clone());
        offered.ok_or(Error::new(ATTACH, Status::DEVICE_NOT_READY))
    }

    /// Closes all sockets, detaches from WSK, and waits for that: see [the module](self).
    ///
    /// IRQL: PASSIVE_LEVEL.
    pub fn deregister(self, passive: Passive) {
        let Self { names, module } = self;
        drop(names);
        module.deregister(passive);
    }

    /// As [`deregister`](Self::deregister), to be awaited: see
    /// [`Deregistration`](super::Deregistration).
    #[must_use = "deregisters when it is polled or dropped"]
    pub async fn deregistration(self) {
        let Self { names, module } = self;
        names.0.leave();
        poll_fn(|context| names.0.names.poll_finished(context)).await;
        drop(names);
        module.deregistration().await;
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").finish_non_exhaustive()
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        if let Some(passive) = Passive::new() {
            self.0.leave();
            self.0.names.finish(passive);
        }
    }
}

impl Shared {
    fn new() -> Result<PoolArc<Self>> {
        // SAFETY: settled below.
        let names = PoolArc::new(unsafe { NameLists::unsettled() })?;
        // SAFETY: nonpaged, in place for good, not shared yet.
        unsafe { names.settle() };
        let shared = PoolArc::new(Self {
            found: SpinLock::new(Found::default()),
            // SAFETY: settled below.
            settled: unsafe { Event::unsettled() },
            names,
        })?;
        // SAFETY: nonpaged, in place for good, not shared yet.
        unsafe { shared.settled.settle() };
        Ok(shared)
    }

    fn capture(&self) -> Result<Provider> {
        let (attached, failed) = self
            .found
            .with(|found| (found.attached.clone(), found.failed));
        let Some(way) = attached else {
            return Err(failed.unwrap_or(Error::new(ATTACH, Status::DEVICE_NOT_READY)));
        };
        let gone = |_| Error::new(ATTACH, Status::DEVICE_NOT_READY);
        let wsk = way.binding.enter().map_err(gone)?;
        let npi = WSK_PROVIDER_NPI {
            Client: wsk.context().cast(),
            Dispatch: core::ptr::from_ref(wsk.dispatch()),
        };
        let attached = Attached {
            sockets: way.sockets,
            names: self.names.clone(),
            _binding: way.binding.hold().map_err(gone)?,
        };
        Ok(Provider::attached(attached, npi))
    }

    /// Closes all sockets, so that requests come to their end.
    fn leave(&self) {
        let way = self.found.with(|found| found.attached.clone());
        if let Some(way) = way {
            way.sockets.close_all();
        }
    }

    /// Changes what was found. What `change` gives back is dropped without the lock.
    fn update(&self, change: impl FnOnce(&mut Found) -> Option<Way>) {
        let _old = self.found.with(|found| {
            let old = change(found);
            if found.attached.is_some() || found.failed.is_some() {
                self.settled.set();
            } else {
                self.settled.clear();
            }
            old
        });
    }
}

impl Context {
    fn new(version: Version) -> Result<Self> {
        let dispatch = PoolArc::new(WSK_CLIENT_DISPATCH {
            Version: version.as_raw(),
            Reserved: 0,
            WskClientEvent: None,
        })?;
        // SAFETY: it is used while the context exists, which keeps it.
        let lent = unsafe { &*dispatch.as_raw() };
        // SAFETY: the table has no functions.
        let table = unsafe { Table::new(lent) };
        Ok(Self {
            sockets: PoolArc::new(SocketList::new())?,
            _dispatch: dispatch,
            tables: PoolArc::new([table])?,
        })
    }

    fn offer(self) -> ClientOffer<Wsk, Self> {
        // SAFETY: it is used while the context exists, which keeps it.
        let tables = unsafe { &*self.tables.as_raw() };
        ClientOffer {
            context: self,
            tables,
        }
    }
}

impl ClientModule<Wsk> for Module {
    type Context = Context;

    fn offered(
        &self,
        provider: &Instance<'_, WSK_PROVIDER_CHARACTERISTICS>,
        _binding: &Binding<Wsk, AsClient>,
    ) -> Result<Option<ClientOffer<Wsk, Context>>> {
        let offered = provider.characteristics.map(|characteristics| {
            Version::from_raw(characteristics.LowestVersion)
                ..=Version::from_raw(characteristics.HighestVersion)
        });
        let latest = match &offered {
            Some(offered) => latest_of_both(&self.wanted, offered),
            None => Some(*self.wanted.end()),
        };
        self.shared.update(|found| {
            found.offered = offered;
            None
        });
        let version = latest.ok_or(Error::new(ATTACH, Status::NOINTERFACE))?;
        Context::new(version).map(|context| Some(context.offer()))
    }

    fn attached(&self, context: &Context, binding: &Binding<Wsk, AsClient>) {
        let way = Way {
            binding: binding.clone(),
            sockets: context.sockets.clone(),
        };
        self.shared.update(|found| {
            found.failed = None;
            found.attached.replace(way)
        });
    }

    fn failed(&self, error: AttachError) {
        self.shared.update(|found| {
            found.failed = Some(match error {
                AttachError::Failed(error) => error,
                faulty => Error::new(ATTACH, faulty.status()),
            });
            None
        });
    }

    fn detaching(&self, context: &Context, binding: &Binding<Wsk, AsClient>) {
        self.shared.update(|found| {
            let ours = |way: &Way| way.binding.is(binding);
            found.attached.take_if(|way| ours(way))
        });
        context.sockets.close_all();
    }
}
