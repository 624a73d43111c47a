//! WSK as a provider module: the older way to reach it [wsk 12.16, 12.17].
//!
//! The registrar starts it for the first client of WSK's interface; it appears when the provider
//! becomes ready. It lets go of a client when that has detached and all of its sockets are closed
//! [wsk 12.18].

// UNSAFETY: the callbacks are called by the registrar, with pointers of the client's.
#![expect(unsafe_code, reason = "callbacks of a network module")]

use core::ffi::c_void;
use std::sync::Arc;

use wdk_sys::{
    GUID, HANDLE, NTSTATUS, PVOID, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER,
    STATUS_NOINTERFACE, STATUS_PENDING, STATUS_SUCCESS,
};
use wsk_sys::{
    MAKE_WSK_VERSION, NPI_MODULEID, NPI_PROVIDER_CHARACTERISTICS, NPI_REGISTRATION_INSTANCE,
    NPI_WSK_INTERFACE_ID, PNPI_REGISTRATION_INSTANCE, WSK_CLIENT_DISPATCH,
    WSK_PROVIDER_CHARACTERISTICS, npi_moduleid_guid,
};

use super::client::{Origin, Readiness, is_supported};
use super::control;
use crate::current::current;
use crate::faults::Fault;
use crate::kernel::irql::{DISPATCH, PASSIVE};
use crate::nmr::{Guid, NmrProviderDetachClientComplete, OnDemand, register_system_provider};
use crate::sched::{Job, Thread, Work};
use crate::sim::{Shared, lock};

/// The interface of WSK.
pub(super) const NPI: Guid = Guid::new(&NPI_WSK_INTERFACE_ID);

/// What the registrar starts for the first client of the interface.
pub(crate) const ON_DEMAND: &[OnDemand] = &[(NPI, offer)];

/// One move in so many happens at `PASSIVE_LEVEL`, on a system thread.
const PASSIVE_ONE_IN: usize = 4;

/// The versions of the provider.
pub(super) static VERSIONS: WSK_PROVIDER_CHARACTERISTICS = WSK_PROVIDER_CHARACTERISTICS {
    HighestVersion: MAKE_WSK_VERSION(1, 0),
    LowestVersion: MAKE_WSK_VERSION(1, 0),
};

/// Identifies the provider among the provider modules of its interface; chosen at random.
static MODULE: NPI_MODULEID = npi_moduleid_guid(GUID {
    Data1: 0x5C0D_7B52,
    Data2: 0x3E0F,
    Data3: 0x4C7A,
    Data4: [0x9B, 0x1D, 0x2F, 0x6A, 0x84, 0xE1, 0x90, 0x3C],
});

struct Characteristics(NPI_PROVIDER_CHARACTERISTICS);

// SAFETY: they only point to what never changes.
unsafe impl Sync for Characteristics {}

#[expect(clippy::cast_possible_truncation, reason = "sizes of small structures")]
static CHARACTERISTICS: Characteristics = Characteristics(NPI_PROVIDER_CHARACTERISTICS {
    Version: 0,
    Length: size_of::<NPI_PROVIDER_CHARACTERISTICS>() as u16,
    ProviderAttachClient: Some(attach),
    ProviderDetachClient: Some(detach),
    ProviderCleanupBindingContext: None,
    ProviderRegistrationInstance: NPI_REGISTRATION_INSTANCE {
        Version: 0,
        Size: size_of::<NPI_REGISTRATION_INSTANCE>() as u16,
        NpiId: &raw const NPI_WSK_INTERFACE_ID,
        ModuleId: &raw const MODULE,
        Number: 0,
        NpiSpecificCharacteristics: (&raw const VERSIONS).cast(),
    },
});

/// Registers the provider module as soon as the provider is ready.
pub(super) fn offer(me: &Arc<Thread>) {
    let mut registrations = lock(&me.sim.wsk.registrations);
    if registrations.offered {
        return;
    }
    if registrations.is_ready(&me.sim) {
        registrations.offered = true;
        drop(registrations);
        register_system_provider(me, &raw const CHARACTERISTICS.0, client_detached);
        return;
    }
    if let Readiness::At(time) = registrations.ready {
        let work = Work::Call(Box::new(|| offer(&current())));
        let irql = PASSIVE;
        let delay = time - me.sim.sched.now();
        me.sim.sched.deliver(delay, Job { irql, work });
    }
}

/// `ProviderAttachClient` [wsk 12.17]
unsafe extern "C" fn attach(
    binding: HANDLE,
    _context: PVOID,
    _instance: PNPI_REGISTRATION_INSTANCE,
    _client_context: PVOID,
    client_dispatch: *const c_void,
    context: *mut PVOID,
    dispatch: *mut *const c_void,
) -> NTSTATUS {
    let me = current();
    let client_dispatch = client_dispatch.cast::<WSK_CLIENT_DISPATCH>();
    if client_dispatch.is_null() {
        return STATUS_INVALID_PARAMETER;
    }
    // SAFETY: the client keeps its table valid while it is attached [wsk 2.2].
    let version = unsafe { client_dispatch.read() }.Version;
    if !is_supported(version) {
        return STATUS_NOINTERFACE;
    }
    if me.sim.faults.strikes(Fault::ProviderCall) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let origin = Origin::Binding(binding.addr());
    let client = lock(&me.sim.wsk.registrations).add(&me.sim, origin, version);
    // SAFETY: the registrar passes a place for the context.
    unsafe { context.write(core::ptr::without_provenance_mut(client)) };
    // SAFETY: the registrar passes a place for the table.
    unsafe { dispatch.write(me.sim.wsk.windows.provider().cast()) };
    STATUS_SUCCESS
}

/// `ProviderDetachClient` [wsk 12.18]
unsafe extern "C" fn detach(context: PVOID) -> NTSTATUS {
    let me = current();
    let mut registrations = lock(&me.sim.wsk.registrations);
    let Some(client) = registrations.of_name(context.addr()) else {
        unreachable!("the registrar passes the context that `attach` gave");
    };
    client.leaving = true;
    let Origin::Binding(binding) = client.origin else {
        unreachable!("`attach` entered the client with its binding");
    };
    drop(registrations);
    control::client_leaves(&me.sim, context.addr());
    if let_go(&me.sim, binding) {
        STATUS_SUCCESS
    } else {
        STATUS_PENDING
    }
}

/// Lets go of a client if that is due: true exactly once.
fn let_go(sim: &Shared, binding: usize) -> bool {
    let detached = sim.nmr.client_is_detached(binding);
    let mut registrations = lock(&sim.wsk.registrations);
    let client = registrations.of_origin(Origin::Binding(binding));
    let due = client.filter(|client| client.leaving && !client.gone && client.is_idle());
    let Some(client) = due.filter(|_| detached) else {
        return false;
    };
    client.gone = true;
    let name = client.name();
    drop(registrations);
    control::client_is_gone(sim, name);
    true
}

/// The client of a binding has detached: nothing new can come from it.
fn client_detached(sim: &Arc<Shared>, binding: usize) {
    finish_detach_soon(sim, binding);
}

/// Completes the detaching from a client if that is due, on another occasion.
pub(super) fn finish_detach_soon(sim: &Shared, binding: usize) {
    let irql = if sim.sched.choose_below(PASSIVE_ONE_IN) == 0 {
        PASSIVE
    } else {
        DISPATCH
    };
    let work = Work::Call(Box::new(move || {
        if let_go(&current().sim, binding) {
            let binding = core::ptr::without_provenance_mut(binding);
            // SAFETY: the detach of this binding is pending.
            unsafe { NmrProviderDetachClientComplete(binding) };
        }
    }));
    sim.sched.deliver(0, Job { irql, work });
}
