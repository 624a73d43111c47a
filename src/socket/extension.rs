//! Extension interfaces: what a provider offers on a socket beyond Winsock Kernel.
//!
//! An extension is an [`Npi`]: an identifier, a table of the provider's functions, and one of the
//! client's callbacks. The provider's functions count as calls on the socket [wsk 10.1]: they are
//! reached through the socket's rundown only, so that none runs while the socket is closed, and
//! none begins afterwards.

// UNSAFETY: a table and a context of the provider's by address.
#![expect(unsafe_code, reason = "memory of the provider's")]

use core::{ffi::c_void, fmt, ptr::NonNull};

use wsk_sys::NPIID;

use super::{
    basic::BasicSocket, connection::ConnectionSocket, datagram::DatagramSocket,
    listen::ListenSocket, request::DisableEvent, stream::StreamSocket,
};
use crate::{
    nmr::{Npi, Table, table_of},
    op::{
        core::{Call, CoreRef},
        event_calls, extension,
        operation::Operation,
    },
    status::{Error, Result, Status},
};

const CALL: &str = "WskControlSocket";

/// The identifier of an interface, in memory that stays.
struct Id<N>(core::marker::PhantomData<N>);

impl<N: Npi> Id<N> {
    const RAW: &'static NPIID = &N::ID.to_raw();
}

/// An extension interface that a socket is registered for: the provider's functions, as long as the
/// socket is open.
///
/// It keeps memory of the socket, but not the socket. Clones are equal.
///
/// IRQL: cloning and dropping <= DISPATCH_LEVEL.
///
/// ```
/// use core::{ffi::c_void, sync::atomic::{AtomicU32, Ordering::Relaxed}};
/// use wsk::{ConnectionSocket, ErrorKind, nmr::{Guid, Npi, Table}};
///
/// /// Counts segments that were sent again: as the extension's documents define it.
/// enum Resending {}
///
/// #[repr(C)]
/// struct CountDispatch {
///     count: unsafe extern "C" fn(context: *mut c_void) -> u32,
/// }
///
/// #[repr(C)]
/// struct WatchDispatch {
///     more: unsafe extern "C" fn(context: *mut c_void, by: u32),
/// }
///
/// // SAFETY: these are the tables of that interface.
/// unsafe impl Npi for Resending {
///     const ID: Guid = Guid::from_u128(0x6E0A4F1B_27C3_4D58_9A60_B1F3D75E2C84);
///     type ClientDispatch = WatchDispatch;
///     type ProviderDispatch = CountDispatch;
///     type ClientCharacteristics = ();
///     type ProviderCharacteristics = ();
/// }
///
/// /// The event of which `more` tells.
/// const MORE: u32 = 1;
///
/// /// What `more` works on.
/// struct Watcher(AtomicU32);
///
/// unsafe extern "C" fn more(context: *mut c_void, by: u32) {
///     // SAFETY: the context that was registered with this table.
///     let watcher = unsafe { &*context.cast::<Watcher>() };
///     watcher.0.fetch_add(by, Relaxed); // at <= DISPATCH_LEVEL, on any thread
/// }
///
/// static WATCH: WatchDispatch = WatchDispatch { more };
///
/// fn resent_so_far(connection: &ConnectionSocket) -> wsk::Result<Option<u32>> {
///     let watcher = Watcher(AtomicU32::new(0));
///     // SAFETY: `more` takes its context for a `Watcher`.
///     let table = unsafe { Table::new(&WATCH) };
///     let extension = match connection.register_extension::<Resending, _>(table, watcher) {
///         Ok(extension) => extension,
///         Err(error) if error.kind() == ErrorKind::NotSupported => return Ok(None),
///         Err(error) => return Err(error),
///     };
///     extension.enable_events(MORE)?;
///     let entered = extension.enter()?;
///     // SAFETY: the extension's function, with its context, while the socket is open.
///     Ok(Some(unsafe { (entered.dispatch().count)(entered.context()) }))
/// }
/// # let _ = resent_so_far;
/// ```
///
/// Where both sides are in Rust and share a definition, [`npi!`](crate::npi) makes all of this.
///
/// [Registering an extension interface](https://learn.microsoft.com/windows-hardware/drivers/network/registering-an-extension-interface)
pub struct Extension<N: Npi> {
    core: CoreRef,
    provider: Provider<N>,
}

/// What the provider gave: valid while the socket is not closed.
struct Provider<N: Npi> {
    context: *mut c_void,
    dispatch: NonNull<N::ProviderDispatch>,
}

// SAFETY: the table may be used on any thread; what the context points to is the provider's affair.
unsafe impl<N: Npi> Send for Provider<N> {}
// SAFETY: as for `Send`.
unsafe impl<N: Npi> Sync for Provider<N> {}

impl<N: Npi> Clone for Provider<N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N: Npi> Copy for Provider<N> {}

impl<N: Npi> Extension<N> {
    fn register<C: Send + Sync + 'static>(
        core: &CoreRef,
        table: Table<N::ClientDispatch, C>,
        context: C,
    ) -> Result<Self> {
        let table = core::ptr::from_ref(table.dispatch()).cast();
        // SAFETY: the table of this interface's clients (the contract of `Npi`), for such a context
        // (the contract of `Table`).
        let given = unsafe { extension::register(core, Id::<N>::RAW, table, context) }?;
        // A provider that is registered for, but gives no table, cannot be called.
        let dispatch = table_of(given.dispatch).ok_or(Error::new(CALL, Status::NOINTERFACE))?;
        let context = given.context;
        Ok(Self {
            core: core.clone(),
            provider: Provider { context, dispatch },
        })
    }

    /// Keeps the socket from being closed: while the result is kept, the extension's functions may
    /// be called.
    ///
    /// Keep it for one call, or a few that belong together: closing the socket waits for it to be
    /// dropped [wsk 10.1].
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed): the socket is closed, or being closed.
    pub fn enter(&self) -> Result<EnteredExtension<'_, N>> {
        Ok(EnteredExtension {
            _call: self.core.enter("Extension::enter")?,
            provider: self.provider,
        })
    }

    /// Enables those of the extension's events that are in the mask; what the bits mean, its
    /// documents say. They begin disabled.
    ///
    /// IRQL: <= DISPATCH_LEVEL. The first callback may come before this returns.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) for bits that the extension does
    /// not have; [`Closed`](crate::ErrorKind::Closed); or what `WskControlSocket` says.
    ///
    /// [SO_WSK_EVENT_CALLBACK](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback)
    #[doc(alias = "SO_WSK_EVENT_CALLBACK")]
    pub fn enable_events(&self, mask: u32) -> Result<()> {
        event_calls::enable_events_of(&self.core, Id::<N>::RAW, mask)
    }

    /// Disables one event. Completes when no callback for it runs any more.
    ///
    /// IRQL: <= DISPATCH_LEVEL. In a callback it may be started, but must not be waited for, which
    /// would be to wait for itself [wsk 6.5]. The extension calls its client directly: that a
    /// [`Passive`](crate::Passive) is made there, this library cannot prevent.
    ///
    /// # Errors
    ///
    /// As [`enable_events`](Self::enable_events); also for several events at once.
    ///
    /// [SO_WSK_EVENT_CALLBACK](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-event-callback)
    #[doc(alias = "WSK_EVENT_DISABLE")]
    pub fn disable_event(&self, event: u32) -> Operation<DisableEvent> {
        let started = event_calls::disable_event_of(&self.core, Id::<N>::RAW, event);
        Operation::new(started)
    }
}

impl<N: Npi> Clone for Extension<N> {
    fn clone(&self) -> Self {
        Self {
            core: self.core.clone(),
            provider: self.provider,
        }
    }
}

impl<N: Npi> fmt::Debug for Extension<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Extension").field(&N::ID).finish()
    }
}

/// An extension whose functions may be called: see [`Extension::enter`].
///
/// What an [`npi!`](crate::npi) interface lets one call are methods of this: import its trait.
///
/// Given to `core::mem::forget`, it keeps the socket open for good.
///
/// IRQL: <= DISPATCH_LEVEL.
#[must_use = "the extension may be called while this is kept"]
pub struct EnteredExtension<'extension, N: Npi> {
    _call: Call<'extension>,
    provider: Provider<N>,
}

impl<N: Npi> EnteredExtension<'_, N> {
    /// The extension's functions. Calling them is what the interface makes of it.
    #[must_use]
    pub fn dispatch(&self) -> &N::ProviderDispatch {
        // SAFETY: the provider keeps its table while the socket is open, which it is while a call
        // runs; it is of this type by the contract of `Npi`.
        unsafe { self.provider.dispatch.as_ref() }
    }

    /// What the provider wants as the first argument of its functions.
    #[must_use]
    pub fn context(&self) -> *mut c_void {
        self.provider.context
    }
}

impl<N: Npi> fmt::Debug for EnteredExtension<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EnteredExtension").field(&N::ID).finish()
    }
}

macro_rules! extensions {
    ($($socket:ident)*) => {$(
        /// Extension interfaces.
        impl $socket {
            /// Registers this socket for an extension interface, once for each.
            ///
            /// The functions of `table`, which the extension calls, get `context`: see
            /// [`Extension`] for an example. It stays with the socket and is dropped, at <=
            /// DISPATCH_LEVEL, when that has been closed and no callback runs any more; if
            /// registering fails, at once.
            ///
            /// IRQL: <= DISPATCH_LEVEL.
            ///
            /// # Errors
            ///
            /// [`NotSupported`](crate::ErrorKind::NotSupported): nobody offers it for this socket
            /// [wsk 5.5]; [`InvalidState`](crate::ErrorKind::InvalidState): registered for it
            /// already; [`OutOfMemory`](crate::ErrorKind::OutOfMemory);
            /// [`Closed`](crate::ErrorKind::Closed); or what the extension says.
            ///
            /// [SIO_WSK_REGISTER_EXTENSION](https://learn.microsoft.com/windows-hardware/drivers/network/sio-wsk-register-extension)
            #[doc(alias = "SIO_WSK_REGISTER_EXTENSION")]
            pub fn register_extension<N: Npi, C: Send + Sync + 'static>(
                &self,
                table: Table<N::ClientDispatch, C>,
                context: C,
            ) -> Result<Extension<N>> {
                Extension::register(self.socket.core(), table, context)
            }
        }
    )*};
}

extensions!(BasicSocket ConnectionSocket DatagramSocket ListenSocket StreamSocket);
