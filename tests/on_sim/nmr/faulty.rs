//! Peers that break the rules, and what this side makes of them: a distinct error, nothing kept.

// UNSAFETY: plays faulty drivers in C, which are called by the registrar and call it.
#![expect(unsafe_code, reason = "faulty network modules in the manner of C")]

use core::{
    ffi::c_void,
    ptr::{null, null_mut},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering::SeqCst},
    },
    time::Duration,
};

use wsk::{ErrorKind, Status, nmr::AttachError, nmr::Npi};
use wsk_sim::{Rule, Sim, builder};
use wsk_sys::{
    NPI_CLIENT_CHARACTERISTICS, NPI_MODULEID, NPI_PROVIDER_CHARACTERISTICS,
    NPI_REGISTRATION_INSTANCE, NPIID, NmrClientAttachProvider, NmrDeregisterClient,
    NmrDeregisterProvider, NmrRegisterClient, NmrRegisterProvider,
    NmrWaitForClientDeregisterComplete, NmrWaitForProviderDeregisterComplete,
    PNPI_REGISTRATION_INSTANCE, npi_moduleid_guid,
    wdk_sys::{GUID, HANDLE, NTSTATUS, PVOID, STATUS_PENDING, STATUS_SUCCESS},
};

use super::{Counter, Log, client, pair, provider};
use crate::common::passive;

/// What a peer registers with, wrong in one place if the test says so.
struct Registered {
    npi: NPIID,
    id: NPI_MODULEID,
    instance: NPI_REGISTRATION_INSTANCE,
}

type Spoil = fn(&mut Registered);

impl Registered {
    fn new(spoil: Spoil) -> Box<Self> {
        let id = u32::try_from(Counter::ID_DATA1).expect("32 bits");
        let mut registered = Box::new(Self {
            npi: GUID {
                Data1: id,
                Data2: 0x3E0F,
                Data3: 0x4C7A,
                Data4: 0x9B1D_2F6A_84E1_903C_u64.to_be_bytes(),
            },
            id: npi_moduleid_guid(GUID::default()),
            instance: NPI_REGISTRATION_INSTANCE {
                Version: 0,
                Size: 40,
                ..NPI_REGISTRATION_INSTANCE::default()
            },
        });
        registered.instance.NpiId = &raw const registered.npi;
        registered.instance.ModuleId = &raw const registered.id;
        spoil(&mut registered);
        registered
    }
}

trait Data1 {
    const ID_DATA1: u128;
}

impl Data1 for Counter {
    const ID_DATA1: u128 = 0x8B0F_7D52;
}
