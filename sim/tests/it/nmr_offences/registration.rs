//! Offences with registrations: handles, characteristics, memory, and what is left.

// UNSAFETY: plays drivers in C, which are called by the registrar and call it.
#![expect(unsafe_code, reason = "breaks the rules of the registrar")]

use core::ptr;

use wdk_sys::ntddk::{ExAllocatePool2, ExFreePoolWithTag};
use wdk_sys::{
    DRIVER_OBJECT, HANDLE, NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT, STATUS_PENDING,
    STATUS_SUCCESS,
};
use wsk_sim::{Rule, Sim, builder, run};
use wsk_sys::{
    NPI_CLIENT_CHARACTERISTICS, NPI_MODULEID, NmrDeregisterClient, NmrDeregisterProvider,
    NmrRegisterClient, NmrWaitForClientDeregisterComplete,
};

use super::{HONEST, MODULE, client_of, meet, register_client};
use crate::common::TAG;
use crate::driver::expect;
use crate::modules::{Log, PLAIN, Registered, SIDES, Side};

const NON_PAGED: u64 = 0x40;
const PAGED: u64 = 0x100;

#[test]
fn wsk_12_12_deregister_of_a_null_handle_is_reported() {
    expect(Rule::NmrHandle, "NmrDeregisterClient", |_| {
        // SAFETY: breaks the rule.
        let _ = unsafe { NmrDeregisterClient(ptr::null_mut()) };
    });
}

#[test]
fn wsk_12_12_deregister_of_the_other_side_is_reported() {
    expect(Rule::NmrHandle, "no provider's handle", |sim| {
        let met = meet(sim, HONEST);
        // SAFETY: breaks the rule.
        let _ = unsafe { NmrDeregisterProvider(met.client) };
    });
}

#[test]
fn wsk_12_12_deregister_twice_is_reported() {
    expect(Rule::NmrHandle, "NmrDeregisterClient once more", |sim| {
        let met = meet(sim, HONEST);
        met.deregister_client();
        met.deregister_client();
    });
}

#[test]
fn wsk_12_12_deregister_after_the_wait_is_reported() {
    expect(Rule::NmrHandle, "once more", |sim| {
        let met = meet(sim, HONEST);
        met.deregister_client();
        // SAFETY: deregistered above.
        let status = unsafe { NmrWaitForClientDeregisterComplete(met.client) };
        assert_eq!(status, STATUS_SUCCESS);
        met.deregister_client();
    });
}

#[test]
fn wsk_1_register_at_dispatch_is_reported() {
    expect(Rule::Irql, "NmrRegisterClient", |sim| {
        sim.at_dispatch(|| {
            register_client(Box::leak(Box::new(client_of(HONEST))), ptr::null_mut());
        });
    });
}

#[test]
fn wsk_1_wait_at_dispatch_is_reported() {
    expect(
        Rule::BlockingAboveApc,
        "NmrWaitForClientDeregisterComplete",
        |sim| {
            let module = Registered::new(Side::Client, 1, PLAIN, &Log::default());
            module.start_deregistering();
            sim.at_dispatch(|| module.wait());
        },
    );
}

/// A change that makes characteristics wrong, and what the report says.
type Fault = (fn(&mut NPI_CLIENT_CHARACTERISTICS), &'static str);

/// A module id with a wrong length, and one with an unknown type.
fn bad_ids() -> [&'static NPI_MODULEID; 2] {
    let short = NPI_MODULEID {
        Length: 8,
        ..MODULE
    };
    let strange = NPI_MODULEID { Type: 3, ..MODULE };
    [Box::leak(Box::new(short)), Box::leak(Box::new(strange))]
}

const WRONG_SIZES: [Fault; 6] = [
    (|all| all.Version = 1, "Version is 1, not 0"),
    (|all| all.Length = 40, "Length is 40, not 72"),
    (
        |all| all.ClientRegistrationInstance.Version = 1,
        "RegistrationInstance.Version is 1, not 0",
    ),
    (
        |all| all.ClientRegistrationInstance.Size = 72,
        "RegistrationInstance.Size is 72, not 40",
    ),
    (
        |all| all.ClientRegistrationInstance.ModuleId = bad_ids()[0],
        "ModuleId->Length is 8, not 24",
    ),
    (
        |all| all.ClientRegistrationInstance.ModuleId = bad_ids()[1],
        "ModuleId->Type is 3",
    ),
];

const NULL_POINTERS: [Fault; 4] = [
    (
        |all| all.ClientAttachProvider = None,
        "ClientAttachProvider is null",
    ),
    (
        |all| all.ClientDetachProvider = None,
        "ClientDetachProvider is null",
    ),
    (
        |all| all.ClientRegistrationInstance.NpiId = ptr::null(),
        "NpiId or ModuleId is null",
    ),
    (
        |all| all.ClientRegistrationInstance.ModuleId = ptr::null(),
        "NpiId or ModuleId is null",
    ),
];

#[test]
fn wsk_12_1_wrong_characteristics_are_reported() {
    for (change, what) in WRONG_SIZES.into_iter().chain(NULL_POINTERS) {
        expect(Rule::NmrCharacteristics, what, move |_| {
            let mut client = client_of(HONEST);
            change(&mut client);
            register_client(&raw const client, ptr::null_mut());
        });
    }
    expect(Rule::NmrCharacteristics, "characteristics are null", |_| {
        register_client(ptr::null(), ptr::null_mut());
    });
}

#[test]
fn wsk_12_1_wrong_sizes_that_are_tolerated_reach_the_peer() {
    for (change, _) in WRONG_SIZES {
        builder().tolerate(Rule::NmrCharacteristics).run(move |_| {
            let mut client = Box::new(client_of(HONEST));
            change(&mut client);
            let handle = register_client(&raw const *client, ptr::null_mut());
            // SAFETY: registered above.
            assert_eq!(unsafe { NmrDeregisterClient(handle) }, STATUS_PENDING);
            // SAFETY: deregistered above.
            let status = unsafe { NmrWaitForClientDeregisterComplete(handle) };
            assert_eq!(status, STATUS_SUCCESS);
        });
    }
}

#[test]
fn wsk_12_1_characteristics_that_change_are_reported() {
    expect(Rule::NmrCharacteristics, "not what they were", |_| {
        let mut client = client_of(HONEST);
        let client = &raw mut client;
        let handle = register_client(client, ptr::null_mut());
        // SAFETY: breaks the rule, as if the memory were used for something else.
        unsafe { (*client).ClientRegistrationInstance.Number = 5 };
        // SAFETY: registered above.
        let _ = unsafe { NmrDeregisterClient(handle) };
    });
}

fn in_pool<T>(flags: u64, value: T) -> *mut T {
    // SAFETY: within a simulation.
    let memory = unsafe { ExAllocatePool2(flags, size_of::<T>() as u64, TAG) }.cast::<T>();
    // SAFETY: allocated above.
    unsafe { memory.write(value) };
    memory
}

fn free<T>(memory: *mut T) {
    // SAFETY: breaks the rule: a module is registered with it.
    unsafe { ExFreePoolWithTag(memory.cast(), TAG) };
}

#[test]
fn wsk_12_1_characteristics_freed_while_registered_are_reported() {
    expect(Rule::NmrCharacteristics, "the characteristics of", |_| {
        let client = in_pool(NON_PAGED, client_of(HONEST));
        register_client(client, ptr::null_mut());
        free(client);
    });
}

#[test]
fn wsk_12_1_module_id_freed_before_the_wait_is_reported() {
    expect(Rule::NmrCharacteristics, "the NPI_MODULEID of", |_| {
        let id = in_pool(NON_PAGED, MODULE);
        let mut client = client_of(HONEST);
        client.ClientRegistrationInstance.ModuleId = id;
        let handle = register_client(&raw const client, ptr::null_mut());
        // SAFETY: registered above.
        let _ = unsafe { NmrDeregisterClient(handle) };
        free(id);
    });
}

#[test]
fn wsk_12_1_context_freed_while_registered_is_reported() {
    expect(Rule::NmrCharacteristics, "the registration context", |_| {
        let context = in_pool(NON_PAGED, 0_u64);
        let client = client_of(HONEST);
        register_client(&raw const client, context.cast());
        free(context);
    });
}

#[test]
fn wsk_12_1_paged_characteristics_are_reported() {
    expect(Rule::NmrCharacteristics, "in paged pool", |_| {
        let client = in_pool(PAGED, client_of(HONEST));
        register_client(client, ptr::null_mut());
    });
}

// [wsk 12.12]
#[test]
fn module_left_registered_is_reported() {
    for side in SIDES {
        let what = match side {
            Side::Client => "client module {00000001-1234-5678-0102-030405060708} number 1",
            Side::Provider => "provider module {00000001-1234-5678-0102-030405060708} number 1",
        };
        expect(Rule::Leak, what, move |_| {
            core::mem::forget(Registered::new(side, 1, PLAIN, &Log::default()));
        });
    }
}

#[test]
fn wsk_12_12_deregistration_not_waited_for_is_reported() {
    expect(Rule::Leak, "deregistered, but not waited for", |_| {
        let module = Registered::new(Side::Client, 1, PLAIN, &Log::default());
        module.start_deregistering();
    });
}

/// What the driver below keeps, in pool.
struct Kept {
    client: NPI_CLIENT_CHARACTERISTICS,
    handle: HANDLE,
}

/// A driver that registers a client, and may wait for its deregistration when it is unloaded.
unsafe extern "system" fn driver<const WAITS: bool>(
    driver: PDRIVER_OBJECT,
    _: PCUNICODE_STRING,
) -> NTSTATUS {
    let kept = in_pool(
        NON_PAGED,
        Kept {
            client: client_of(HONEST),
            handle: ptr::null_mut(),
        },
    );
    // SAFETY: the driver object is the driver's; the member is used for nothing else here.
    unsafe { (*driver).DriverStart = kept.cast() };
    // SAFETY: as above.
    unsafe { (*driver).DriverUnload = Some(unload::<WAITS>) };
    // SAFETY: what is kept stays until the driver is unloaded.
    let client = unsafe { &raw const (*kept).client };
    // SAFETY: as above.
    let handle = unsafe { &raw mut (*kept).handle };
    // SAFETY: as above.
    unsafe { NmrRegisterClient(client, ptr::null_mut(), handle) }
}

unsafe extern "C" fn unload<const WAITS: bool>(driver: *mut DRIVER_OBJECT) {
    // SAFETY: the entry point has left it there.
    let kept = unsafe { (*driver).DriverStart }.cast::<Kept>();
    // SAFETY: as above.
    let handle = unsafe { (*kept).handle };
    // SAFETY: registered by the entry point.
    let _ = unsafe { NmrDeregisterClient(handle) };
    if WAITS {
        // SAFETY: deregistered above.
        let _ = unsafe { NmrWaitForClientDeregisterComplete(handle) };
        free(kept);
    }
}

#[test]
fn wsk_12_12_unload_without_waiting_is_reported() {
    let body = |sim: &Sim| {
        let driver = sim.load("hasty", driver::<false>).unwrap();
        driver.unload(sim);
    };
    expect(
        Rule::Leak,
        "driver hasty left behind when it was unloaded",
        body,
    );
    expect(Rule::Leak, "deregistered, but not waited for", body);
}

#[test]
fn unload_asks_only_for_what_the_driver_itself_has() {
    run(|sim| {
        let first = sim.load("first", driver::<true>).unwrap();
        let second = sim.load("second", driver::<true>).unwrap();
        first.unload(sim);
        second.unload(sim);
    });
}
