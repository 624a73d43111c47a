//! What a module is in a binding, and the registrar's functions for it: both sides mirror each
//! other.

// UNSAFETY: calls the registrar.
#![expect(unsafe_code, reason = "the registrar's exports")]

use core::ffi::c_void;

use wsk_sys::{
    NPI_CLIENT_CHARACTERISTICS, NPI_PROVIDER_CHARACTERISTICS, NPI_REGISTRATION_INSTANCE,
    NmrClientDetachProviderComplete, NmrDeregisterClient, NmrDeregisterProvider,
    NmrProviderDetachClientComplete, NmrRegisterClient, NmrRegisterProvider,
    NmrWaitForClientDeregisterComplete, NmrWaitForProviderDeregisterComplete,
    wdk_sys::{HANDLE, NTSTATUS},
};

use super::npi::Npi;

/// What this driver is in a binding: [`AsClient`] or [`AsProvider`].
pub trait Role: sealed::Functions {
    /// The functions that the peer offers.
    type PeerDispatch<N: Npi>: Sync + 'static;
}

/// This driver is the client: it calls the provider.
#[derive(Debug)]
pub enum AsClient {}

/// This driver is the provider: it calls the client back.
#[derive(Debug)]
pub enum AsProvider {}

impl Role for AsClient {
    type PeerDispatch<N: Npi> = N::ProviderDispatch;
}

impl Role for AsProvider {
    type PeerDispatch<N: Npi> = N::ClientDispatch;
}

pub(crate) mod sealed {
    use super::{HANDLE, NPI_REGISTRATION_INSTANCE, NTSTATUS, c_void};

    /// The registrar's functions for a role.
    pub trait Functions: Sized + 'static {
        /// What a module of this role registers with.
        type Characteristics;
        const REGISTER: &'static str;
        const DEREGISTER: &'static str;

        fn instance(characteristics: &mut Self::Characteristics) -> &mut NPI_REGISTRATION_INSTANCE;

        /// # Safety
        ///
        /// The characteristics and the context stay until the module is deregistered [wsk 12.1];
        /// PASSIVE_LEVEL.
        unsafe fn register(
            characteristics: *const Self::Characteristics,
            context: *mut c_void,
            handle: &mut HANDLE,
        ) -> NTSTATUS;

        /// # Safety
        ///
        /// The handle that registering gave, once.
        unsafe fn deregister(handle: HANDLE) -> NTSTATUS;

        /// # Safety
        ///
        /// After deregistering returned `STATUS_PENDING`, once; PASSIVE_LEVEL.
        unsafe fn wait(handle: HANDLE) -> NTSTATUS;

        /// # Safety
        ///
        /// The handle of a binding whose detach callback returns `STATUS_PENDING`, once.
        unsafe fn complete_detach(binding: HANDLE);
    }
}

impl sealed::Functions for AsClient {
    type Characteristics = NPI_CLIENT_CHARACTERISTICS;
    const REGISTER: &'static str = "NmrRegisterClient";
    const DEREGISTER: &'static str = "NmrDeregisterClient";

    fn instance(characteristics: &mut Self::Characteristics) -> &mut NPI_REGISTRATION_INSTANCE {
        &mut characteristics.ClientRegistrationInstance
    }

    unsafe fn register(
        characteristics: *const Self::Characteristics,
        context: *mut c_void,
        handle: &mut HANDLE,
    ) -> NTSTATUS {
        // SAFETY: the caller's promise.
        unsafe { NmrRegisterClient(characteristics, context, handle) }
    }

    unsafe fn deregister(handle: HANDLE) -> NTSTATUS {
        // SAFETY: the caller's promise.
        unsafe { NmrDeregisterClient(handle) }
    }

    unsafe fn wait(handle: HANDLE) -> NTSTATUS {
        // SAFETY: the caller's promise.
        unsafe { NmrWaitForClientDeregisterComplete(handle) }
    }

    unsafe fn complete_detach(binding: HANDLE) {
        // SAFETY: the caller's promise.
        unsafe { NmrClientDetachProviderComplete(binding) }
    }
}

impl sealed::Functions for AsProvider {
    type Characteristics = NPI_PROVIDER_CHARACTERISTICS;
    const REGISTER: &'static str = "NmrRegisterProvider";
    const DEREGISTER: &'static str = "NmrDeregisterProvider";

    fn instance(characteristics: &mut Self::Characteristics) -> &mut NPI_REGISTRATION_INSTANCE {
        &mut characteristics.ProviderRegistrationInstance
    }

    unsafe fn register(
        characteristics: *const Self::Characteristics,
        context: *mut c_void,
        handle: &mut HANDLE,
    ) -> NTSTATUS {
        // SAFETY: the caller's promise.
        unsafe { NmrRegisterProvider(characteristics, context, handle) }
    }

    unsafe fn deregister(handle: HANDLE) -> NTSTATUS {
        // SAFETY: the caller's promise.
        unsafe { NmrDeregisterProvider(handle) }
    }

    unsafe fn wait(handle: HANDLE) -> NTSTATUS {
        // SAFETY: the caller's promise.
        unsafe { NmrWaitForProviderDeregisterComplete(handle) }
    }

    unsafe fn complete_detach(binding: HANDLE) {
        // SAFETY: the caller's promise.
        unsafe { NmrProviderDetachClientComplete(binding) }
    }
}
