//! Peers that break the rules, and what this side makes of them: a distinct error, nothing kept.

// UNSAFETY: plays faulty drivers in C, which are called by the registrar and call it.
#![expect(unsafe_code, reason = "faulty network modules in the manner of C")]

use core::{
    ffi::c_void,
    ptr::{from_ref, null, null_mut},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering::SeqCst},
    },
    time::Duration,
};

use wsk::nmr::{AttachError, Npi};
use wsk_sim::{Rule, Sim, builder};
use wsk_sys::{
    NPI_CLIENT_CHARACTERISTICS, NPI_MODULEID, NPI_PROVIDER_CHARACTERISTICS,
    NPI_REGISTRATION_INSTANCE, NPIID, NmrClientAttachProvider, NmrDeregisterClient,
    NmrDeregisterProvider, NmrRegisterClient, NmrRegisterProvider,
    NmrWaitForClientDeregisterComplete, NmrWaitForProviderDeregisterComplete,
    PNPI_REGISTRATION_INSTANCE, npi_moduleid_guid,
    wdk_sys::{
        GUID, HANDLE, NTSTATUS, PVOID, STATUS_INVALID_PARAMETER, STATUS_PENDING, STATUS_SUCCESS,
    },
};

use super::{Counter, Log, client, pair, provider};
use crate::common::passive;

/// The interface of these tests, as C has it.
static NPI: NPIID = as_in_c(Counter::ID.to_u128());

#[expect(clippy::cast_possible_truncation, reason = "takes it apart")]
const fn as_in_c(digits: u128) -> GUID {
    GUID {
        Data1: (digits >> 96) as u32,
        Data2: (digits >> 80) as u16,
        Data3: (digits >> 64) as u16,
        Data4: (digits as u64).to_be_bytes(),
    }
}

/// What a peer says about itself, wrong in one place if the test says so.
type Spoil = fn(&mut NPI_REGISTRATION_INSTANCE, &mut NPI_MODULEID);

/// A module in C, of one kind or the other. Leaks what it registers with.
struct Peer {
    handle: HANDLE,
    is_client: bool,
    /// What its `NmrClientAttachProvider` returned.
    answer: &'static AtomicI32,
}

const NOT_ASKED: NTSTATUS = 1;

impl Peer {
    fn instance(spoil: Spoil) -> NPI_REGISTRATION_INSTANCE {
        let id = Box::leak(Box::new(npi_moduleid_guid(GUID::default())));
        let mut instance = NPI_REGISTRATION_INSTANCE {
            Version: 0,
            Size: 40,
            NpiId: &raw const NPI,
            ModuleId: null(),
            Number: 0,
            NpiSpecificCharacteristics: null(),
        };
        spoil(&mut instance, id);
        instance.ModuleId = id;
        instance
    }

    /// A client that attaches with a null table.
    fn client(spoil: Spoil) -> Self {
        let characteristics = Box::leak(Box::new(NPI_CLIENT_CHARACTERISTICS {
            Version: 0,
            Length: 72,
            ClientAttachProvider: Some(attach_with_null),
            ClientDetachProvider: Some(detach),
            ClientCleanupBindingContext: None,
            ClientRegistrationInstance: Self::instance(spoil),
        }));
        let answer: &AtomicI32 = Box::leak(Box::new(AtomicI32::new(NOT_ASKED)));
        let (context, mut handle) = (from_ref(answer).cast_mut().cast(), null_mut());
        // SAFETY: what it registers with stays.
        let status = unsafe { NmrRegisterClient(characteristics, context, &raw mut handle) };
        assert_eq!(status, STATUS_SUCCESS);
        Self {
            handle,
            is_client: true,
            answer,
        }
    }

    /// A provider that agrees with a null table.
    fn provider(spoil: Spoil) -> Self {
        let characteristics = Box::leak(Box::new(NPI_PROVIDER_CHARACTERISTICS {
            Version: 0,
            Length: 72,
            ProviderAttachClient: Some(agree_with_null),
            ProviderDetachClient: Some(detach),
            ProviderCleanupBindingContext: None,
            ProviderRegistrationInstance: Self::instance(spoil),
        }));
        let mut handle = null_mut();
        // SAFETY: what it registers with stays.
        let status = unsafe { NmrRegisterProvider(characteristics, null_mut(), &raw mut handle) };
        assert_eq!(status, STATUS_SUCCESS);
        Self {
            handle,
            is_client: false,
            answer: Box::leak(Box::new(AtomicI32::new(NOT_ASKED))),
        }
    }

    fn deregister(self) {
        let (deregister, wait): (
            unsafe extern "C" fn(HANDLE) -> NTSTATUS,
            unsafe extern "C" fn(HANDLE) -> NTSTATUS,
        ) = if self.is_client {
            (NmrDeregisterClient, NmrWaitForClientDeregisterComplete)
        } else {
            (NmrDeregisterProvider, NmrWaitForProviderDeregisterComplete)
        };
        // SAFETY: registered once.
        assert_eq!(unsafe { deregister(self.handle) }, STATUS_PENDING);
        // SAFETY: deregistered before.
        assert_eq!(unsafe { wait(self.handle) }, STATUS_SUCCESS);
    }
}

unsafe extern "C" fn attach_with_null(
    handle: HANDLE,
    context: PVOID,
    _: PNPI_REGISTRATION_INSTANCE,
) -> NTSTATUS {
    let (mut peer, mut table) = (null_mut(), null());
    // SAFETY: within ClientAttachProvider, with its handle.
    let status =
        unsafe { NmrClientAttachProvider(handle, context, null(), &raw mut peer, &raw mut table) };
    // SAFETY: the registration context of a client is its `answer`.
    unsafe { &*context.cast::<AtomicI32>() }.store(status, SeqCst);
    status
}

unsafe extern "C" fn agree_with_null(
    _: HANDLE,
    _: PVOID,
    _: PNPI_REGISTRATION_INSTANCE,
    _: PVOID,
    _: *const c_void,
    context: *mut PVOID,
    table: *mut *const c_void,
) -> NTSTATUS {
    // SAFETY: a place for the context.
    unsafe { context.write(null_mut()) };
    // SAFETY: a place for the table.
    unsafe { table.write(null()) };
    STATUS_SUCCESS
}

unsafe extern "C" fn detach(_: PVOID) -> NTSTATUS {
    STATUS_SUCCESS
}

fn settle(sim: &Sim) {
    sim.sleep(Duration::from_millis(10));
}

// [wsk 12.8]: the registrar has attached the two, so that it detaches them again; nobody gets in.
#[test]
fn provider_that_attaches_with_a_null_table_is_never_called() {
    for seed in 0..100 {
        let tolerant = builder().tolerate(Rule::NmrDispatch).seed(seed);
        tolerant.run(|sim| {
            let log = Arc::new(Log::default());
            let peer = Peer::provider(|_, _| ());
            let client = client(&log);
            settle(sim);
            assert_eq!(log.failures(), [AttachError::NullDispatch]);
            assert!(log.clients.lock().expect("not poisoned").is_empty());
            assert_eq!(log.contexts(), 1, "until the cleanup [wsk 12.10]");
            client.deregister(passive());
            assert_eq!(log.contexts(), 0);
            peer.deregister();
        });
    }
}

// [wsk 12.5, 12.8]
#[test]
fn client_that_attaches_with_a_null_table_is_refused() {
    wsk_sim::seeds(100, |sim| {
        let log = Arc::new(Log::default());
        let provider = provider(&log);
        let peer = Peer::client(|_, _| ());
        settle(sim);
        assert_eq!(peer.answer.load(SeqCst), STATUS_INVALID_PARAMETER);
        assert_eq!(log.failures(), [AttachError::NullDispatch]);
        assert_eq!(log.contexts(), 0);
        provider.deregister(passive());
        peer.deregister();
    });
}

const SPOILED: [(Spoil, &str); 4] = [
    (
        |instance, _| instance.Version = 1,
        "RegistrationInstance.Version",
    ),
    (
        |instance, _| instance.Size = 32,
        "RegistrationInstance.Size",
    ),
    (
        |_, id| id.Length = 20,
        "RegistrationInstance.ModuleId.Length",
    ),
    (|_, id| id.Type = 7, "RegistrationInstance.ModuleId.Type"),
];

// [wsk 12.1]: what the peer says about itself is wrong: neither side's handler is asked.
#[test]
fn peer_with_wrong_lengths_is_told_apart_and_not_offered() {
    for (spoil, member) in SPOILED {
        for is_client in [false, true] {
            let tolerant = builder().tolerate(Rule::NmrCharacteristics);
            tolerant.run(move |sim| {
                let log = Arc::new(Log::default());
                let (ours, peer) = if is_client {
                    (Ok(provider(&log)), Peer::client(spoil))
                } else {
                    (Err(client(&log)), Peer::provider(spoil))
                };
                settle(sim);
                assert_eq!(log.failures(), [AttachError::Malformed(member)]);
                assert_eq!(log.contexts(), 0);
                drop(ours);
                peer.deregister();
            });
        }
    }
}

// [wsk 12.10, 12.11]: a binding that is entered for good keeps the driver from unloading, which the
// simulator reports.
#[test]
fn detach_that_never_completes_is_reported_as_a_hang() {
    let report = builder().offence(|sim| {
        let log = Arc::new(Log::default());
        let (client, _provider) = pair(sim, &log);
        let binding = log.client(sim);
        let entered = binding.enter().expect("attached");
        core::mem::forget(entered);
        client.deregister(passive());
    });
    assert_eq!(report.rule, Rule::Hang);
    let words = "NmrWaitForClientDeregisterComplete";
    assert!(report.details.contains(words), "{}", report.details);
}

// [wsk 12.4, 12.6]
#[test]
fn fault_anywhere_is_an_error_and_leaves_nothing() {
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = heard.clone();
    wsk_sim::every_fault(move |sim| {
        let log = Arc::new(Log::default());
        let modules = (super::try_provider(&log), super::try_client(&log));
        settle(sim);
        let mut errors: Vec<wsk::Error> = Vec::new();
        errors.extend(modules.0.as_ref().err());
        errors.extend(modules.1.as_ref().err());
        errors.extend(log.failures().into_iter().map(|failure| match failure {
            AttachError::Failed(error) => error,
            other => panic!("{other}"),
        }));
        let attached = log.clients.lock().expect("not poisoned").len();
        assert_eq!(attached == 1, errors.is_empty(), "{errors:?}");
        drop(modules);
        assert_eq!(log.contexts(), 0);
        seen.lock().expect("not poisoned").push(errors);
    });
    let heard = heard.lock().expect("not poisoned");
    let (whole, faulty) = heard.split_first().expect("a run without a fault");
    assert!(whole.is_empty(), "{whole:?}");
    // Two registrations, of two allocations each; and for the binding two for each side, and one of
    // the registrar's.
    assert_eq!(faulty.len(), 9);
    for errors in faulty {
        let no_memory = |error: &wsk::Error| error.kind() == wsk::ErrorKind::OutOfMemory;
        assert!(
            !errors.is_empty() && errors.iter().all(no_memory),
            "{errors:?}"
        );
    }
}
