//! Registration with the WSK subsystem, and the provider interface captured through it.
//!
//! ```text
//! Registration::register --- capture ---> Provider: in user hands, and in every open socket
//!        |                                    |
//!        +-- deregister: no new Provider; waits until the last is dropped; releases; WskDeregister
//! ```
//!
//! The order at unload [wsk 2.10] is therefore kept by construction: a socket keeps a [`Provider`],
//! and whoever deregisters waits for all of them first. Every WSK function called here is called
//! from the caller's own thread, never from a completion routine, although the last `Provider` may
//! go away in one.
//!
//! Implements [wsk 2.1] to [wsk 2.10]. Unsafe because WSK keeps pointers into [`Inner`], which
//! therefore neither moves nor goes away before `WskDeregister` has returned.

// UNSAFETY: calls WSK's exports; `Inner` is shared with WSK by address.
#![expect(unsafe_code, reason = "WSK's exports")]

use core::{
    cell::UnsafeCell,
    fmt,
    ops::RangeInclusive,
    ptr::NonNull,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use wsk_sys::{
    WSK_CLIENT_DISPATCH, WSK_CLIENT_NPI, WSK_INFINITE_WAIT, WSK_NO_WAIT,
    WSK_PROVIDER_CHARACTERISTICS, WSK_PROVIDER_NPI, WSK_REGISTRATION, WskCaptureProviderNPI,
    WskDeregister, WskQueryProviderCharacteristics, WskRegister, WskReleaseProviderNPI,
    wdk_sys::{NTSTATUS, PVOID, SIZE_T, STATUS_NOT_IMPLEMENTED, ULONG, ntddk::KeFlushQueuedDpcs},
};

use crate::{
    irql::Passive,
    mem::pool,
    nmr::wsk::Attached,
    op::{list::SocketList, names::NameLists},
    status::{Error, Result, Status, check},
    sync::{
        event::Event,
        rundown::{Closing, Rundown},
    },
    version::Version,
};

/// Receives events that concern the whole client: their type and the bytes that come with them,
/// which are valid during the call only. No type has been defined by any Windows so far.
///
/// IRQL: called at <= DISPATCH_LEVEL, on any thread, and must not block [wsk 1.3].
///
/// [PFN_WSK_CLIENT_EVENT](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_client_event)
pub type ClientEvent = fn(event_type: u32, information: &[u8]);

/// This driver as a client of the WSK subsystem.
///
/// Several registrations are independent of each other [wsk 2.4].
///
/// Dropping it does what [`deregister`](Self::deregister) does, and therefore waits too. Dropped
/// where nothing can wait, above PASSIVE_LEVEL or in a callback of a socket, it is left registered
/// for good: a leak, and the driver must not be unloaded any more.
///
/// ```no_run
/// use core::time::Duration;
/// use wsk::{Passive, Registration, Version};
///
/// fn start(passive: Passive) -> wsk::Result<()> {
///     let registration = Registration::register(Version::V1_0, passive)?;
///     let provider = registration.capture_timeout(Duration::from_secs(5), passive)?;
///     // ... open sockets with `provider`, and drop them ...
///     drop(provider);
///     registration.deregister(passive);
///     Ok(())
/// }
/// ```
///
/// [Registering a Winsock Kernel application](https://learn.microsoft.com/windows-hardware/drivers/network/registering-a-winsock-kernel-application)
pub struct Registration {
    inner: NonNull<Inner>,
}

/// What WSK and the providers reach by address. Made in place, nonpaged, freed by the
/// `Registration` after deregistration.
struct Inner {
    wsk: UnsafeCell<WSK_REGISTRATION>,
    dispatch: WSK_CLIENT_DISPATCH,
    event: Option<ClientEvent>,
    /// The sockets that are open.
    sockets: SocketList,
    /// The lists of addresses that name resolution has given.
    names: NameLists,
    /// One reference for each [`Provider`].
    providers: Rundown,
    /// Set when the last provider has gone after `providers` was closed.
    drained: Event,
    /// How many successful captures have not been released yet.
    captures: AtomicU32,
    /// Set by whoever deregisters; the others wait for `deregistered`.
    deregistering: AtomicBool,
    deregistered: Event,
}

// SAFETY: `Inner` is only changed through WSK's own functions, atomics and events.
unsafe impl Send for Registration {}
// SAFETY: as for `Send`; `wsk` is passed to WSK's functions only, which synchronise on it [wsk 2.1,
// 2.6].
unsafe impl Sync for Registration {}

impl Registration {
    /// Registers the driver as a client for `version`.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory), or what `WskRegister` says.
    ///
    /// [WskRegister](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskregister)
    #[doc(alias = "WskRegister")]
    pub fn register(version: Version, passive: Passive) -> Result<Self> {
        Self::new(version, None, passive)
    }

    /// Like [`register`](Self::register), with a function for events that concern the whole client.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    #[doc(alias = "WskClientEvent")]
    pub fn register_with_event(
        version: Version,
        event: ClientEvent,
        passive: Passive,
    ) -> Result<Self> {
        Self::new(version, Some(event), passive)
    }

    fn new(version: Version, event: Option<ClientEvent>, passive: Passive) -> Result<Self> {
        Passive::check(passive);
        let inner = pool::allocate(Inner {
            wsk: UnsafeCell::new(WSK_REGISTRATION::default()),
            dispatch: WSK_CLIENT_DISPATCH {
                Version: version.as_raw(),
                Reserved: 0,
                WskClientEvent: event.is_some().then_some(client_event),
            },
            event,
            sockets: SocketList::new(),
            // SAFETY: settled below.
            names: unsafe { NameLists::unsettled() },
            providers: Rundown::new(),
            // SAFETY: settled below.
            drained: unsafe { Event::unsettled() },
            captures: AtomicU32::new(0),
            deregistering: AtomicBool::new(false),
            // SAFETY: settled below.
            deregistered: unsafe { Event::unsettled() },
        })?;
        // SAFETY: just allocated, in place for good.
        let shared = unsafe { inner.as_ref() };
        // SAFETY: nonpaged, in place for good, not shared yet.
        unsafe { shared.drained.settle() };
        // SAFETY: as above.
        unsafe { shared.deregistered.settle() };
        // SAFETY: as above.
        unsafe { shared.names.settle() };
        let npi = WSK_CLIENT_NPI {
            ClientContext: inner.as_ptr().cast(),
            Dispatch: &raw const shared.dispatch,
        };
        // SAFETY: PASSIVE_LEVEL (the witness); the block and the dispatch table stay in place until
        // `WskDeregister` has returned, since only `Drop` frees them, after it [wsk 2.1, 2.2];
        // `npi` is read during the call only [wsk 2.2].
        let status = unsafe { WskRegister((&raw const npi).cast_mut(), shared.wsk.get()) };
        if let Err(error) = check("WskRegister", status) {
            // SAFETY: the registration failed, so that WSK keeps no pointer into it; nobody else
            // has one.
            unsafe { pool::free(inner) };
            return Err(error);
        }
        Ok(Self { inner })
    }

    /// The provider interface, if the WSK subsystem is ready now.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`NotReady`](crate::ErrorKind::NotReady): not yet, or deregistration has begun;
    /// [`VersionNotSupported`](crate::ErrorKind::VersionNotSupported): register anew with another
    /// version [wsk 2.5].
    ///
    /// [WskCaptureProviderNPI](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskcaptureprovidernpi)
    #[doc(alias = "WskCaptureProviderNPI")]
    pub fn try_capture(&self) -> Result<Provider> {
        self.capture_within(WSK_NO_WAIT)
    }

    /// The provider interface, as soon as the WSK subsystem is ready, but not later than after
    /// `timeout` (in milliseconds, rounded up; at most 49 days).
    ///
    /// IRQL: PASSIVE_LEVEL. Keep the time short in `DriverEntry`: a driver that starts early delays
    /// the system [wsk 2.7].
    ///
    /// # Errors
    ///
    /// As [`try_capture`](Self::try_capture).
    pub fn capture_timeout(&self, timeout: Duration, passive: Passive) -> Result<Provider> {
        Passive::check(passive);
        let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
        let longest = WSK_INFINITE_WAIT - 1;
        self.capture_within(u32::try_from(milliseconds).map_or(longest, |ms| ms.min(longest)))
    }

    /// The provider interface, as soon as the WSK subsystem is ready. Waits without limit, until
    /// another thread calls [`deregister`](Self::deregister): for a thread of its own, never for
    /// `DriverEntry` [wsk 2.7].
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// As [`try_capture`](Self::try_capture); `NotReady` means here that deregistration has begun.
    pub fn capture(&self, passive: Passive) -> Result<Provider> {
        Passive::check(passive);
        self.capture_within(WSK_INFINITE_WAIT)
    }

    fn capture_within(&self, milliseconds: u32) -> Result<Provider> {
        const CALL: &str = "WskCaptureProviderNPI";
        let inner = self.shared();
        let mut npi = WSK_PROVIDER_NPI::default();
        // SAFETY: a registered block, in place while `self` lives, also if deregistration runs
        // meanwhile [wsk 2.6]; `npi` is written during the call only. PASSIVE_LEVEL, or a time of
        // zero [wsk 1].
        let status = unsafe { WskCaptureProviderNPI(inner.wsk.get(), milliseconds, &raw mut npi) };
        check(CALL, status)?;
        if !inner.providers.acquire() {
            // SAFETY: pairs with the capture just made [wsk 2.5]; deregistration has begun and
            // WskDeregister waits for it.
            unsafe { WskReleaseProviderNPI(inner.wsk.get()) };
            return Err(Error::new(CALL, Status::DEVICE_NOT_READY));
        }
        inner.captures.fetch_add(1, Ordering::Relaxed);
        let keeper = Keeper::Registration(Captured(self.inner));
        Ok(Provider { keeper, npi })
    }

    /// The versions that the WSK subsystem offers, from the lowest to the highest. Meant for after
    /// a capture, also one that failed with
    /// [`VersionNotSupported`](crate::ErrorKind::VersionNotSupported): see
    /// [`negotiate`](Self::negotiate).
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`NotReady`](crate::ErrorKind::NotReady), or what `WskQueryProviderCharacteristics` says.
    ///
    /// [WskQueryProviderCharacteristics](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskqueryprovidercharacteristics)
    #[doc(alias = "WskQueryProviderCharacteristics")]
    pub fn supported_versions(&self) -> Result<RangeInclusive<Version>> {
        let mut characteristics = WSK_PROVIDER_CHARACTERISTICS::default();
        let wsk = self.shared().wsk.get();
        // SAFETY: a registered block, in place while `self` lives; the result is written during the
        // call only.
        let status = unsafe { WskQueryProviderCharacteristics(wsk, &raw mut characteristics) };
        check("WskQueryProviderCharacteristics", status)?;
        let lowest = Version::from_raw(characteristics.LowestVersion);
        Ok(lowest..=Version::from_raw(characteristics.HighestVersion))
    }

    /// Deregisters: gives no provider any more, wakes threads that wait for one, waits until every
    /// [`Provider`] has been dropped and every socket is closed, and takes leave of the WSK
    /// subsystem. Calling it again waits for the same.
    ///
    /// Close the sockets first: a socket, a provider or an [`AddressInfoList`] that is kept (or was
    /// given to `core::mem::forget`) keeps this waiting [wsk 2.10].
    ///
    /// [`AddressInfoList`]: crate::AddressInfoList
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// [WskDeregister](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskderegister)
    #[doc(alias = "WskDeregister")]
    pub fn deregister(&self, passive: Passive) {
        let inner = self.shared();
        if inner.deregistering.swap(true, Ordering::AcqRel) {
            inner.deregistered.wait(None, passive);
            return;
        }
        // While the provider can still be called.
        inner.names.finish(passive);
        if inner.providers.close() == Closing::Running {
            inner.drained.wait(None, passive);
        }
        for _ in 0..inner.captures.swap(0, Ordering::Relaxed) {
            // SAFETY: pairs with one successful capture [wsk 2.5]; no provider is left that could
            // call through it [wsk 2.8].
            unsafe { WskReleaseProviderNPI(inner.wsk.get()) };
        }
        // SAFETY: PASSIVE_LEVEL (the witness); once for this block [wsk 2.4], as `deregistering`
        // was ours to set.
        unsafe { WskDeregister(inner.wsk.get()) };
        // A DPC that closed an orphan may still be on its way out of this image.
        // SAFETY: PASSIVE_LEVEL (the witness).
        unsafe { KeFlushQueuedDpcs() };
        inner.deregistered.set();
    }

    /// Closes every socket of this registration: those that are open, and from now on each one that
    /// is opened or accepted. Does not wait: [`deregister`](Self::deregister) does. Meant for
    /// unloading, where tasks that use the sockets then come to their end with
    /// [`Cancelled`](crate::ErrorKind::Cancelled) and [`Closed`](crate::ErrorKind::Closed).
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    pub fn close_sockets(&self) {
        self.shared().sockets.close_all();
    }

    fn shared(&self) -> &Inner {
        // SAFETY: allocated in `new`, freed in `drop` only.
        unsafe { self.inner.as_ref() }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Some(passive) = Passive::new() else {
            return;
        };
        self.deregister(passive);
        // SAFETY: `WskDeregister` has returned, so WSK keeps no pointer into it [wsk 2.1]; the
        // providers that had one are gone (`providers` was drained), and nobody else shares `self`.
        unsafe { pool::free(self.inner) };
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").finish_non_exhaustive()
    }
}

/// The provider interface: what sockets are opened with. Captured from a [`Registration`], or
/// attached to as a [network module](crate::nmr::wsk).
///
/// ```no_run
/// # fn open(provider: &wsk::Provider) {
/// let opening = wsk::ListenSocket::open(provider, wsk::AddressFamily::Inet6);
/// # drop(opening);
/// # }
/// ```
///
/// Clones are cheap and equal. Each of them, and each open socket, keeps the registration, or the
/// network module, from ending.
///
/// IRQL: cloning and dropping <= DISPATCH_LEVEL.
#[derive(Clone)]
#[doc(alias = "WskReleaseProviderNPI")]
pub struct Provider {
    keeper: Keeper,
    npi: WSK_PROVIDER_NPI,
}

/// What keeps the interface valid, and knows the open sockets.
#[derive(Clone)]
enum Keeper {
    Registration(Captured),
    Binding(Attached),
}

// SAFETY: it keeps what the interface belongs to; the interface may be called on any thread.
unsafe impl Send for Provider {}
// SAFETY: as for `Send`.
unsafe impl Sync for Provider {}

impl Provider {
    /// The provider that was attached to through the registrar of network modules.
    pub(crate) fn attached(binding: Attached, npi: WSK_PROVIDER_NPI) -> Self {
        let keeper = Keeper::Binding(binding);
        Self { keeper, npi }
    }

    /// What WSK gave: valid while `self` lives [wsk 2.8].
    pub(crate) fn npi(&self) -> &WSK_PROVIDER_NPI {
        &self.npi
    }

    /// The open sockets of the registration.
    pub(crate) fn sockets(&self) -> &SocketList {
        match &self.keeper {
            // SAFETY: `captured` is counted, so the registration is not freed.
            Keeper::Registration(captured) => &unsafe { captured.0.as_ref() }.sockets,
            Keeper::Binding(attached) => attached.sockets(),
        }
    }

    /// The lists of addresses that name resolution has given.
    pub(crate) fn names(&self) -> &NameLists {
        match &self.keeper {
            // SAFETY: as in `sockets`.
            Keeper::Registration(captured) => &unsafe { captured.0.as_ref() }.names,
            Keeper::Binding(attached) => attached.names(),
        }
    }
}

/// A reference to a registration.
///
/// # Invariants
///
/// Counted in its `providers`.
struct Captured(NonNull<Inner>);

// SAFETY: it is counted in `Inner`, which therefore outlives it, and may be used on any thread.
unsafe impl Send for Captured {}
// SAFETY: as for `Send`.
unsafe impl Sync for Captured {}

impl Clone for Captured {
    fn clone(&self) -> Self {
        // SAFETY: `self` is counted, so the registration is not freed.
        unsafe { self.0.as_ref() }.providers.acquire_again();
        Self(self.0)
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        // SAFETY: `self` is counted until `release`; after the last one, whoever waits for
        // `drained` keeps it until it is set.
        let inner = unsafe { self.0.as_ref() };
        let drained = &raw const inner.drained;
        if inner.providers.release() {
            // SAFETY: settled in `Registration::new`; whoever deregisters waits for it, and only
            // then may free it.
            unsafe { Event::set_last(drained) }
        }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").finish_non_exhaustive()
    }
}

/// `WskClientEvent`. Called by WSK at <= DISPATCH_LEVEL between registration and the return of
/// `WskDeregister`; possibly before `WskRegister` has returned.
unsafe extern "C" fn client_event(
    context: PVOID,
    event_type: ULONG,
    information: PVOID,
    length: SIZE_T,
) -> NTSTATUS {
    // SAFETY: the context given to `WskRegister`, in place until `WskDeregister` has returned [wsk
    // 2.1].
    let inner = unsafe { &*context.cast::<Inner>() };
    let length = usize::try_from(length).unwrap_or(0);
    let information = match NonNull::new(information.cast::<u8>()) {
        // SAFETY: `length` bytes that WSK keeps for the duration of the call.
        Some(bytes) => unsafe { core::slice::from_raw_parts(bytes.as_ptr(), length) },
        None => &[],
    };
    if let Some(event) = inner.event {
        event(event_type, information);
    }
    STATUS_NOT_IMPLEMENTED
}

#[cfg(test)]
mod tests;
