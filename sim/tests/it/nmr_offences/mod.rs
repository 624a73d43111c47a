//! Each test breaks one rule of the registrar of network modules, and expects exactly that report.
//!
//! - `attach`, `detach`: in the callbacks, and in what they call
//! - `registration`: with handles, characteristics and memory
//!
//! Here is a client and a provider that keep the rules unless a test replaces a callback.

// UNSAFETY: plays drivers in C, which are called by the registrar and call it.
#![expect(unsafe_code, reason = "network modules in the manner of C")]

mod attach;
mod detach;
mod registration;

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::SeqCst;
use core::time::Duration;

use wdk_sys::{HANDLE, NTSTATUS, PVOID, STATUS_PENDING, STATUS_SUCCESS};
use wsk_sim::Sim;
use wsk_sys::{
    NPI_CLIENT_CHARACTERISTICS, NPI_MODULEID, NPI_PROVIDER_CHARACTERISTICS,
    NPI_REGISTRATION_INSTANCE, NPIID, NmrClientAttachProvider, NmrDeregisterClient,
    NmrRegisterClient, NmrRegisterProvider, PNPI_REGISTRATION_INSTANCE, npi_moduleid_guid,
};

use crate::modules::guid;

static NPI: NPIID = guid(7);
static MODULE: NPI_MODULEID = npi_moduleid_guid(guid(8));
static TABLE: u64 = 0;

/// Where the callbacks leave the handles that they get. It is the registration context, and the
/// binding context, of every module here.
#[derive(Default)]
struct Handles {
    client: AtomicUsize,
    provider: AtomicUsize,
}

type ClientAttach = unsafe extern "C" fn(HANDLE, PVOID, PNPI_REGISTRATION_INSTANCE) -> NTSTATUS;
type ProviderAttach = unsafe extern "C" fn(
    HANDLE,
    PVOID,
    PNPI_REGISTRATION_INSTANCE,
    PVOID,
    *const c_void,
    *mut PVOID,
    *mut *const c_void,
) -> NTSTATUS;
type Detach = unsafe extern "C" fn(PVOID) -> NTSTATUS;

/// Defines a `ClientAttachProvider`, which gets a binding handle and the registration context.
macro_rules! client_attach {
    ($name:ident($handle:pat, $context:pat) $body:block) => {
        unsafe extern "C" fn $name(
            $handle: HANDLE,
            $context: PVOID,
            _: PNPI_REGISTRATION_INSTANCE,
        ) -> NTSTATUS {
            $body
        }
    };
}

/// Defines a `ProviderAttachClient`, which gets a binding handle, the registration context, and
/// places for its context and table.
macro_rules! provider_attach {
    ($name:ident($handle:pat, $context:pat, $own:pat, $table:pat) $body:block) => {
        unsafe extern "C" fn $name(
            $handle: HANDLE,
            $context: PVOID,
            _: PNPI_REGISTRATION_INSTANCE,
            _: PVOID,
            _: *const c_void,
            $own: *mut PVOID,
            $table: *mut *const c_void,
        ) -> NTSTATUS {
            $body
        }
    };
}

use {client_attach, provider_attach};

/// The callbacks of a client and a provider.
#[derive(Clone, Copy)]
struct Pair {
    client_attach: ClientAttach,
    client_detach: Detach,
    provider_attach: ProviderAttach,
    provider_detach: Detach,
}

/// A pair that keeps the rules.
const HONEST: Pair = Pair {
    client_attach: attaches,
    client_detach: detaches,
    provider_attach: accepts,
    provider_detach: detaches,
};

/// A client that has met a provider, and what they got to know.
#[derive(Clone, Copy)]
struct Met {
    client: HANDLE,
    handles: &'static Handles,
}

// SAFETY: handles are numbers.
unsafe impl Send for Met {}

impl Met {
    /// The client's handle of the binding.
    fn clients(self) -> HANDLE {
        ptr::without_provenance_mut(self.handles.client.load(SeqCst))
    }

    /// The provider's handle of the binding.
    fn providers(self) -> HANDLE {
        ptr::without_provenance_mut(self.handles.provider.load(SeqCst))
    }

    fn deregister_client(self) {
        // SAFETY: breaks a rule where a test says so.
        let status = unsafe { NmrDeregisterClient(self.client) };
        assert_eq!(status, STATUS_PENDING);
    }
}

fn instance() -> NPI_REGISTRATION_INSTANCE {
    NPI_REGISTRATION_INSTANCE {
        Version: 0,
        Size: 40,
        NpiId: &raw const NPI,
        ModuleId: &raw const MODULE,
        Number: 0,
        NpiSpecificCharacteristics: ptr::null(),
    }
}

fn client_of(pair: Pair) -> NPI_CLIENT_CHARACTERISTICS {
    NPI_CLIENT_CHARACTERISTICS {
        Version: 0,
        Length: 72,
        ClientAttachProvider: Some(pair.client_attach),
        ClientDetachProvider: Some(pair.client_detach),
        ClientCleanupBindingContext: None,
        ClientRegistrationInstance: instance(),
    }
}

/// Registers a client with characteristics that stay where they are.
fn register_client(client: *const NPI_CLIENT_CHARACTERISTICS, context: PVOID) -> HANDLE {
    let mut handle = ptr::null_mut();
    // SAFETY: promised by the callers, unless they break that rule.
    let status = unsafe { NmrRegisterClient(client, context, &raw mut handle) };
    assert_eq!(status, STATUS_SUCCESS);
    handle
}

fn register_provider(pair: Pair, context: PVOID) -> HANDLE {
    let provider = Box::leak(Box::new(NPI_PROVIDER_CHARACTERISTICS {
        Version: 0,
        Length: 72,
        ProviderAttachClient: Some(pair.provider_attach),
        ProviderDetachClient: Some(pair.provider_detach),
        ProviderCleanupBindingContext: None,
        ProviderRegistrationInstance: instance(),
    }));
    let mut handle = ptr::null_mut();
    // SAFETY: the characteristics stay.
    let status = unsafe { NmrRegisterProvider(provider, context, &raw mut handle) };
    assert_eq!(status, STATUS_SUCCESS);
    handle
}

/// Registers a client and a provider, and lets them attach.
fn meet(sim: &Sim, pair: Pair) -> Met {
    let handles: &'static Handles = Box::leak(Box::default());
    let context: PVOID = ptr::from_ref(handles).cast_mut().cast();
    register_provider(pair, context);
    let client = register_client(Box::leak(Box::new(client_of(pair))), context);
    sim.sleep(Duration::from_millis(1));
    Met { client, handles }
}

fn handles<'a>(context: PVOID) -> &'a Handles {
    // SAFETY: the registration context of every module here is a `Handles`.
    unsafe { &*context.cast() }
}

/// Calls `NmrClientAttachProvider`: the status, and the provider's table.
fn ask(handle: HANDLE, context: PVOID) -> (NTSTATUS, *const c_void) {
    let (mut peer, mut table) = (ptr::null_mut(), (&raw const TABLE).cast());
    let own = (&raw const TABLE).cast();
    // SAFETY: a complete call, if it is made where it may be made.
    let status =
        unsafe { NmrClientAttachProvider(handle, context, own, &raw mut peer, &raw mut table) };
    (status, table)
}

client_attach!(attaches(handle, context) {
    handles(context).client.store(handle.addr(), SeqCst);
    ask(handle, context).0
});

provider_attach!(accepts(handle, context, own, table) {
    handles(context).provider.store(handle.addr(), SeqCst);
    // SAFETY: the registrar passes a place for the context.
    unsafe { own.write(context) };
    // SAFETY: the registrar passes a place for the table.
    unsafe { table.write((&raw const TABLE).cast()) };
    STATUS_SUCCESS
});

unsafe extern "C" fn detaches(_: PVOID) -> NTSTATUS {
    STATUS_SUCCESS
}
