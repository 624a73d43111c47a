//! Client modules: those that are asked whether they want to attach, and call.
//!
//! ```text
//! ClientAttachProvider -> ClientModule::offered -> NmrClientAttachProvider for one table after the
//!     other -> the binding is published -> ClientModule::attached
//! ```
//!
//! Implements [wsk 12.2], [wsk 12.5] to [wsk 12.7], [wsk 12.10].

// UNSAFETY: callbacks of the registrar.
#![expect(unsafe_code, reason = "callbacks of the registrar")]

use core::{
    ffi::c_void,
    fmt,
    ptr::{null, null_mut},
};

use wsk_sys::{
    NPI_CLIENT_CHARACTERISTICS, NmrClientAttachProvider, PNPI_REGISTRATION_INSTANCE,
    wdk_sys::{HANDLE, NTSTATUS, PVOID, STATUS_NOINTERFACE},
};

use super::{
    AttachError,
    binding::{self, Binding, Bound, Peer, Unbound},
    deregistration::Deregistration,
    id::{Instance, size_of_u16},
    npi::{Npi, Table},
    registered::{Module, Registered},
    role::AsClient,
};
use crate::{
    irql::Passive,
    status::{Result, check},
};

/// What a client module decides, and hears.
pub trait ClientModule<N: Npi>: Send + Sync + 'static {
    /// What the provider's calls of this driver's functions work on: one for each binding, dropped
    /// when that has been cleaned up.
    ///
    /// IRQL: dropped at <= DISPATCH_LEVEL, on any thread.
    type Context: Send + Sync + 'static;

    /// A provider is there: `Some` attaches to it, `None` declines.
    ///
    /// `binding` may be kept, in the context or elsewhere; the provider cannot be called before
    /// [`attached`](Self::attached).
    ///
    /// IRQL: PASSIVE_LEVEL. Several providers may be offered at the same time, also before
    /// [`Client::register`] has returned.
    ///
    /// # Errors
    ///
    /// Whatever keeps this module from attaching: [`failed`](Self::failed) hears of it as well.
    #[doc(alias = "ClientAttachProvider")]
    #[doc(alias = "NmrClientAttachProvider")]
    fn offered(
        &self,
        provider: &Instance<'_, N::ProviderCharacteristics>,
        binding: &Binding<N, AsClient>,
    ) -> Result<Option<ClientOffer<N, Self::Context>>>;

    /// The provider has agreed, and may be called from now on. The binding is not detached before
    /// this has returned.
    ///
    /// IRQL: PASSIVE_LEVEL.
    fn attached(&self, context: &Self::Context, binding: &Binding<N, AsClient>) {
        let _ = (context, binding);
    }

    /// Nothing came of a provider that was offered, though this module did not decline it.
    ///
    /// IRQL: PASSIVE_LEVEL.
    fn failed(&self, error: AttachError) {
        let _ = error;
    }

    /// The binding is being detached, by either side: whoever has [entered](Binding::enter) it must
    /// leave. Nobody gets in any more. Must not wait.
    ///
    /// IRQL: <= DISPATCH_LEVEL, on any thread.
    #[doc(alias = "ClientDetachProvider")]
    #[doc(alias = "NmrClientDetachProviderComplete")]
    fn detaching(&self, context: &Self::Context, binding: &Binding<N, AsClient>) {
        let _ = (context, binding);
    }
}

/// How a client attaches to a provider.
#[derive(Debug)]
pub struct ClientOffer<N: Npi, C: 'static> {
    /// What the functions of the tables work on, until the binding has been cleaned up.
    #[doc(alias = "ClientCleanupBindingContext")]
    pub context: C,
    /// The functions that the provider may call: of one version after the other, as long as the
    /// provider has no interface for it [wsk 12.7].
    pub tables: &'static [Table<N::ClientDispatch, C>],
}

/// This driver as a client module of the interface `N`.
///
/// Dropping it does what [`deregister`](Self::deregister) does, and therefore waits too. Dropped
/// where nothing can wait, above PASSIVE_LEVEL or in a callback of a socket, it is left registered
/// for good: a leak, and the driver must not be unloaded any more.
///
/// [Registering a client module](https://learn.microsoft.com/windows-hardware/drivers/network/registering-a-client-module)
pub struct Client<N: Npi, H: ClientModule<N>> {
    registered: Registered<AsClient, H>,
    npi: core::marker::PhantomData<fn() -> N>,
}

impl<N: Npi, H: ClientModule<N>> Client<N, H> {
    /// Registers a client module: `handler` is asked about every provider of the interface that is
    /// there or that comes.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory), or what `NmrRegisterClient` says.
    ///
    /// [NmrRegisterClient](https://learn.microsoft.com/windows-hardware/drivers/ddi/netioddk/nf-netioddk-nmrregisterclient)
    #[doc(alias = "NmrRegisterClient")]
    pub fn register(
        instance: Instance<'static, N::ClientCharacteristics>,
        handler: H,
        passive: Passive,
    ) -> Result<Self> {
        let characteristics = NPI_CLIENT_CHARACTERISTICS {
            Version: 0,
            Length: size_of_u16::<NPI_CLIENT_CHARACTERISTICS>(),
            ClientAttachProvider: Some(attach::<N, H>),
            ClientDetachProvider: Some(detach::<N, H>),
            ClientCleanupBindingContext: Some(clean_up::<N, H>),
            ..NPI_CLIENT_CHARACTERISTICS::default()
        };
        // SAFETY: the callbacks are those of a client module with this handler; `instance` is typed
        // by the interface.
        let registered =
            unsafe { Registered::register::<N, _>(characteristics, instance, handler, passive) };
        registered.map(|registered| Self {
            registered,
            npi: core::marker::PhantomData,
        })
    }

    /// The handler that the module was registered with.
    #[must_use]
    pub fn handler(&self) -> &H {
        self.registered.handler()
    }

    /// Deregisters: attaches to no provider any more, has all bindings detached, and waits until
    /// they are gone. A binding that somebody has [entered](Binding::enter) keeps this waiting.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// [NmrDeregisterClient](https://learn.microsoft.com/windows-hardware/drivers/ddi/netioddk/nf-netioddk-nmrderegisterclient)
    #[doc(alias = "NmrDeregisterClient")]
    #[doc(alias = "NmrWaitForClientDeregisterComplete")]
    pub fn deregister(mut self, passive: Passive) {
        self.registered.wait(passive);
    }

    /// As [`deregister`](Self::deregister), to be awaited.
    #[must_use = "deregisters when it is polled or dropped"]
    pub fn deregistration(self) -> Deregistration<AsClient, H> {
        Deregistration::new(self.registered)
    }
}

impl<N: Npi, H: ClientModule<N>> fmt::Debug for Client<N, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

type OwnBound<N, H> = Bound<N, AsClient, Module<AsClient, H>, <H as ClientModule<N>>::Context>;

/// `ClientAttachProvider`. PASSIVE_LEVEL.
unsafe extern "C" fn attach<N: Npi, H: ClientModule<N>>(
    handle: HANDLE,
    context: PVOID,
    instance: PNPI_REGISTRATION_INSTANCE,
) -> NTSTATUS {
    // SAFETY: the registration context, which stays until the deregistration is complete.
    let module = unsafe { &*context.cast::<Module<AsClient, H>>() };
    if !module.begin_binding() {
        return STATUS_NOINTERFACE;
    }
    // SAFETY: the registrar passes the instance of a provider of this interface, which stays while
    // this callback runs.
    let provider = unsafe { Instance::read(instance) };
    let attached = provider.and_then(|provider| {
        // SAFETY: within the callback, with its handle.
        unsafe { try_attach(module, handle, &provider) }
    });
    let status = match attached {
        Ok(Some(status)) => return status,
        Ok(None) => STATUS_NOINTERFACE,
        Err(error) => {
            module.handler.failed(error);
            error.status().as_raw()
        }
    };
    module.end_binding();
    status
}

/// `Some` if the two are attached, with what the registrar said: it will call the detach callback.
///
/// # Safety
///
/// Called once, within `ClientAttachProvider`, with its handle.
unsafe fn try_attach<N: Npi, H: ClientModule<N>>(
    module: &Module<AsClient, H>,
    handle: HANDLE,
    provider: &Instance<'_, N::ProviderCharacteristics>,
) -> core::result::Result<Option<NTSTATUS>, AttachError> {
    let binding = Binding::new(handle)?;
    let Some(offer) = module.handler.offered(provider, &binding)? else {
        return Ok(None);
    };
    let bound = Unbound::new(offer.context, &binding, module)?;
    let mut status = STATUS_NOINTERFACE;
    let (mut peer, mut dispatch): (PVOID, *const c_void) = (null_mut(), null());
    for table in offer.tables {
        let table = core::ptr::from_ref(table.dispatch()).cast();
        // SAFETY: within the callback, with its handle [wsk 12.5]; the context stays until the
        // cleanup callback or until all tables were refused, the table for good; the outputs are
        // written during the call.
        status = unsafe {
            NmrClientAttachProvider(
                handle,
                bound.address(),
                table,
                &raw mut peer,
                &raw mut dispatch,
            )
        };
        if status != STATUS_NOINTERFACE {
            break;
        }
    }
    check("NmrClientAttachProvider", status)?;
    let context = bound.give();
    let Some(dispatch) = binding::table(dispatch) else {
        // What the registrar has attached it will detach [wsk 12.5]; until then nobody gets in.
        module.handler.failed(AttachError::NullDispatch);
        return Ok(Some(status));
    };
    let peer = Peer {
        dispatch,
        context: peer,
    };
    // SAFETY: once for this binding; what its provider gave, whose table is of this type by the
    // contract of `Npi`.
    unsafe { binding.publish(peer) };
    if let Ok(entered) = binding.enter() {
        // SAFETY: entered: it is not cleaned up before `entered` is dropped.
        let bound = unsafe { context.cast::<OwnBound<N, H>>().as_ref() };
        module.handler.attached(bound.context(), &binding);
        drop(entered);
    }
    Ok(Some(status))
}

/// `ClientDetachProvider`. IRQL <= DISPATCH_LEVEL.
unsafe extern "C" fn detach<N: Npi, H: ClientModule<N>>(context: PVOID) -> NTSTATUS {
    // SAFETY: the binding context that `try_attach` gave; called once for it [wsk 12.10].
    unsafe {
        OwnBound::<N, H>::detach(context, |module, context, binding| {
            module.handler.detaching(context, binding);
        })
    }
}

/// `ClientCleanupBindingContext`. IRQL <= DISPATCH_LEVEL.
unsafe extern "C" fn clean_up<N: Npi, H: ClientModule<N>>(context: PVOID) {
    // SAFETY: the binding context that `try_attach` gave; called once for it, last [wsk 12.10].
    let module = unsafe { OwnBound::<N, H>::clean_up(context) };
    // SAFETY: the module stays until this callback has returned.
    unsafe { module.as_ref() }.end_binding();
}
