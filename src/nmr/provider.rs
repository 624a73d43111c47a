//! Provider modules: those that clients attach to, and call.
//!
//! ```text
//! ProviderAttachClient -> ProviderModule::offered -> the binding is published
//! ```
//!
//! Implements [wsk 12.8] to [wsk 12.10].

// UNSAFETY: callbacks of the registrar.
#![expect(unsafe_code, reason = "callbacks of the registrar")]

use core::{ffi::c_void, fmt};

use wsk_sys::{
    NPI_PROVIDER_CHARACTERISTICS, PNPI_REGISTRATION_INSTANCE,
    wdk_sys::{HANDLE, NTSTATUS, PVOID, STATUS_NOINTERFACE, STATUS_SUCCESS},
};

use super::{
    AttachError,
    binding::{self, Binding, Bound, Peer, Unbound},
    deregistration::Deregistration,
    id::{Instance, size_of_u16},
    npi::{Npi, Table},
    registered::{Module, Registered},
    role::AsProvider,
};
use crate::{irql::Passive, status::Result};

/// What a provider module decides, and hears.
pub trait ProviderModule<N: Npi>: Send + Sync + 'static {
    /// What the client's calls of this driver's functions work on: one for each binding, dropped
    /// when that has been cleaned up.
    ///
    /// IRQL: dropped at <= DISPATCH_LEVEL, on any thread.
    type Context: Send + Sync + 'static;

    /// A client wants to attach, and to be called through `dispatch`: `Some` agrees, `None` has no
    /// interface for it; it may try another table then [wsk 12.7].
    ///
    /// `binding` may be kept, in the context or elsewhere; the client can be called through it as
    /// soon as this driver has agreed, but not in here [wsk 12.9].
    ///
    /// IRQL: PASSIVE_LEVEL. Several clients may come at the same time, also before
    /// [`Provider::register`] has returned.
    ///
    /// # Errors
    ///
    /// Whatever keeps this module from agreeing: [`failed`](Self::failed) hears of it as well, and
    /// the client is given the status.
    #[doc(alias = "ProviderAttachClient")]
    fn offered(
        &self,
        client: &Instance<'_, N::ClientCharacteristics>,
        dispatch: &N::ClientDispatch,
        binding: &Binding<N, AsProvider>,
    ) -> Result<Option<ProviderOffer<N, Self::Context>>>;

    /// Nothing came of a client that wanted to attach, though this module did not decline it.
    ///
    /// IRQL: PASSIVE_LEVEL.
    fn failed(&self, error: AttachError) {
        let _ = error;
    }

    /// The binding is being detached, by either side: whoever has [entered](Binding::enter) it must
    /// leave. Nobody gets in any more. Must not wait.
    ///
    /// IRQL: <= DISPATCH_LEVEL, on any thread.
    #[doc(alias = "ProviderDetachClient")]
    #[doc(alias = "NmrProviderDetachClientComplete")]
    fn detaching(&self, context: &Self::Context, binding: &Binding<N, AsProvider>) {
        let _ = (context, binding);
    }
}

/// How a provider agrees to a client.
#[derive(Debug)]
pub struct ProviderOffer<N: Npi, C: 'static> {
    /// What the functions of the table work on, until the binding has been cleaned up.
    #[doc(alias = "ProviderCleanupBindingContext")]
    pub context: C,
    /// The functions that the client may call.
    pub table: Table<N::ProviderDispatch, C>,
}

/// This driver as a provider module of the interface `N`.
///
/// Dropping it does what [`deregister`](Self::deregister) does, and therefore waits too. Dropped
/// where nothing can wait, above PASSIVE_LEVEL or in a callback of a socket, it is left registered
/// for good: a leak, and the driver must not be unloaded any more.
///
/// [Registering a provider module](https://learn.microsoft.com/windows-hardware/drivers/network/registering-a-provider-module)
pub struct Provider<N: Npi, H: ProviderModule<N>> {
    registered: Registered<AsProvider, H>,
    npi: core::marker::PhantomData<fn() -> N>,
}

impl<N: Npi, H: ProviderModule<N>> Provider<N, H> {
    /// Registers a provider module: `handler` is asked about every client that wants to attach.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory), or what `NmrRegisterProvider` says.
    ///
    /// [NmrRegisterProvider](https://learn.microsoft.com/windows-hardware/drivers/ddi/netioddk/nf-netioddk-nmrregisterprovider)
    #[doc(alias = "NmrRegisterProvider")]
    pub fn register(
        instance: Instance<'static, N::ProviderCharacteristics>,
        handler: H,
        passive: Passive,
    ) -> Result<Self> {
        let characteristics = NPI_PROVIDER_CHARACTERISTICS {
            Version: 0,
            Length: size_of_u16::<NPI_PROVIDER_CHARACTERISTICS>(),
            ProviderAttachClient: Some(attach::<N, H>),
            ProviderDetachClient: Some(detach::<N, H>),
            ProviderCleanupBindingContext: Some(clean_up::<N, H>),
            ..NPI_PROVIDER_CHARACTERISTICS::default()
        };
        // SAFETY: the callbacks are those of a provider module with this handler; `instance` is
        // typed by the interface.
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

    /// Deregisters: agrees to no client any more, has all bindings detached, and waits until they
    /// are gone. A binding that somebody has [entered](Binding::enter) keeps this waiting.
    ///
    /// IRQL: PASSIVE_LEVEL.
    ///
    /// [NmrDeregisterProvider](https://learn.microsoft.com/windows-hardware/drivers/ddi/netioddk/nf-netioddk-nmrderegisterprovider)
    #[doc(alias = "NmrDeregisterProvider")]
    #[doc(alias = "NmrWaitForProviderDeregisterComplete")]
    pub fn deregister(mut self, passive: Passive) {
        self.registered.wait(passive);
    }

    /// As [`deregister`](Self::deregister), to be awaited.
    #[must_use = "deregisters when it is polled or dropped"]
    pub fn deregistration(self) -> Deregistration<AsProvider, H> {
        Deregistration::new(self.registered)
    }
}

impl<N: Npi, H: ProviderModule<N>> fmt::Debug for Provider<N, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").finish_non_exhaustive()
    }
}

type OwnBound<N, H> =
    Bound<N, AsProvider, Module<AsProvider, H>, <H as ProviderModule<N>>::Context>;

/// What the client gave, and where the answer goes.
struct Attach {
    handle: HANDLE,
    client_context: PVOID,
    client_dispatch: *const c_void,
    context: *mut PVOID,
    dispatch: *mut *const c_void,
}

/// `ProviderAttachClient`. PASSIVE_LEVEL.
unsafe extern "C" fn attach<N: Npi, H: ProviderModule<N>>(
    handle: HANDLE,
    context: PVOID,
    instance: PNPI_REGISTRATION_INSTANCE,
    client_context: PVOID,
    client_dispatch: *const c_void,
    provider_context: *mut PVOID,
    provider_dispatch: *mut *const c_void,
) -> NTSTATUS {
    // SAFETY: the registration context, which stays until the deregistration is complete.
    let module = unsafe { &*context.cast::<Module<AsProvider, H>>() };
    if !module.begin_binding() {
        return STATUS_NOINTERFACE;
    }
    // SAFETY: the registrar passes the instance of a client of this interface, which stays while
    // this callback runs.
    let client = unsafe { Instance::read(instance) };
    let attach = Attach {
        handle,
        client_context,
        client_dispatch,
        context: provider_context,
        dispatch: provider_dispatch,
    };
    let attached = client.and_then(|client| {
        // SAFETY: within the callback, with its arguments.
        unsafe { try_attach(module, &attach, &client) }
    });
    let status = match attached {
        Ok(Some(())) => return STATUS_SUCCESS,
        Ok(None) => STATUS_NOINTERFACE,
        Err(error) => {
            module.handler.failed(error);
            error.status().as_raw()
        }
    };
    module.end_binding();
    status
}

/// `Some` if this side agrees: then the registrar will call the detach callback.
///
/// # Safety
///
/// Called once, within `ProviderAttachClient`, with its arguments.
unsafe fn try_attach<N: Npi, H: ProviderModule<N>>(
    module: &Module<AsProvider, H>,
    attach: &Attach,
    client: &Instance<'_, N::ClientCharacteristics>,
) -> core::result::Result<Option<()>, AttachError> {
    let dispatch = binding::table::<N::ClientDispatch>(attach.client_dispatch);
    let dispatch = dispatch.ok_or(AttachError::NullDispatch)?;
    let binding = Binding::new(attach.handle)?;
    // SAFETY: the client's table is of this type by the contract of `Npi`; it stays while this
    // callback runs.
    let table = unsafe { dispatch.as_ref() };
    let Some(offer) = module.handler.offered(client, table, &binding)? else {
        return Ok(None);
    };
    let bound = Unbound::new(offer.context, &binding, module)?;
    // SAFETY: the registrar passes a place for the context [wsk 12.8].
    unsafe { attach.context.write(bound.address()) };
    let own = core::ptr::from_ref(offer.table.dispatch()).cast();
    // SAFETY: the registrar passes a place for the table [wsk 12.8].
    unsafe { attach.dispatch.write(own) };
    bound.give();
    let context = attach.client_context;
    // SAFETY: once for this binding; what its client gave.
    unsafe { binding.publish(Peer { dispatch, context }) };
    Ok(Some(()))
}

/// `ProviderDetachClient`. IRQL <= DISPATCH_LEVEL.
unsafe extern "C" fn detach<N: Npi, H: ProviderModule<N>>(context: PVOID) -> NTSTATUS {
    // SAFETY: the binding context that `try_attach` gave; called once for it [wsk 12.10].
    unsafe {
        OwnBound::<N, H>::detach(context, |module, context, binding| {
            module.handler.detaching(context, binding);
        })
    }
}

/// `ProviderCleanupBindingContext`. IRQL <= DISPATCH_LEVEL.
unsafe extern "C" fn clean_up<N: Npi, H: ProviderModule<N>>(context: PVOID) {
    // SAFETY: the binding context that `try_attach` gave; called once for it, last [wsk 12.10].
    let module = unsafe { OwnBound::<N, H>::clean_up(context) };
    // SAFETY: the module stays until this callback has returned.
    unsafe { module.as_ref() }.end_binding();
}
