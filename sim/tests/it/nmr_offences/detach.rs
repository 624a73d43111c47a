//! Offences while detaching.

// UNSAFETY: plays drivers in C, which are called by the registrar and call it.
#![expect(unsafe_code, reason = "breaks the rules of the registrar")]

use core::ptr;
use core::sync::atomic::Ordering::SeqCst;
use core::time::Duration;

use wdk_sys::ntddk::{ExFreePoolWithTag, KeDelayExecutionThread, KeRaiseIrqlToDpcLevel};
use wdk_sys::{
    LARGE_INTEGER, NTSTATUS, PVOID, STATUS_PENDING, STATUS_SUCCESS, STATUS_UNSUCCESSFUL,
};
use wsk_sim::{Rule, Sim, builder};
use wsk_sys::{NmrClientDetachProviderComplete, NmrProviderDetachClientComplete};

use super::{HONEST, Met, Pair, handles, meet};
use crate::common::TAG;
use crate::driver::expect;
use crate::modules::{self, Log, PLAIN, Plan, Registered, Side};

unsafe extern "C" fn pending(_: PVOID) -> NTSTATUS {
    STATUS_PENDING
}

/// Completes the client's detach.
fn complete(met: Met) {
    // SAFETY: breaks a rule where a test says so.
    unsafe { NmrClientDetachProviderComplete(met.clients()) };
}

/// Lets a pair meet, and its client deregister.
fn part(sim: &Sim, pair: Pair) -> Met {
    let met = meet(sim, pair);
    met.deregister_client();
    sim.sleep(Duration::from_millis(1));
    met
}

const CLIENT_PENDS: Pair = Pair {
    client_detach: pending,
    ..HONEST
};

#[test]
fn wsk_12_10_detach_completed_before_it_began_is_reported() {
    expect(Rule::NmrDetachComplete, "has not been called", |sim| {
        complete(meet(sim, HONEST));
    });
}

#[test]
fn wsk_12_10_detach_completed_after_success_is_reported() {
    expect(Rule::NmrDetachComplete, "returned STATUS_SUCCESS", |sim| {
        complete(part(sim, HONEST));
    });
}

#[test]
fn wsk_12_10_detach_completed_twice_is_reported() {
    expect(Rule::NmrDetachComplete, "completed it before", |sim| {
        let met = part(sim, CLIENT_PENDS);
        complete(met);
        complete(met);
    });
}

#[test]
fn wsk_12_10_detach_completed_with_an_unknown_handle_is_reported() {
    expect(Rule::NmrDetachComplete, "no provider's handle", |_| {
        // SAFETY: breaks the rule.
        unsafe { NmrProviderDetachClientComplete(ptr::null_mut()) };
    });
}

#[test]
fn wsk_12_10_detach_completed_for_the_other_side_is_reported() {
    expect(Rule::NmrDetachComplete, "no client's handle", |sim| {
        let met = part(sim, CLIENT_PENDS);
        // SAFETY: breaks the rule.
        unsafe { NmrClientDetachProviderComplete(met.providers()) };
    });
}

#[test]
fn wsk_12_10_detach_completed_and_successful_is_reported() {
    unsafe extern "C" fn completes_and_succeeds(context: PVOID) -> NTSTATUS {
        let handle = ptr::without_provenance_mut(handles(context).client.load(SeqCst));
        // SAFETY: breaks the rule, because STATUS_SUCCESS follows.
        unsafe { NmrClientDetachProviderComplete(handle) };
        STATUS_SUCCESS
    }
    expect(Rule::NmrDetachComplete, "completed by the client", |sim| {
        let pair = Pair {
            client_detach: completes_and_succeeds,
            ..HONEST
        };
        part(sim, pair);
    });
}

#[test]
fn wsk_12_10_detach_that_fails_is_reported() {
    unsafe extern "C" fn fails(_: PVOID) -> NTSTATUS {
        STATUS_UNSUCCESSFUL
    }
    expect(Rule::NmrDetachStatus, "of the provider", |sim| {
        let pair = Pair {
            provider_detach: fails,
            ..HONEST
        };
        part(sim, pair);
    });
}

#[test]
fn wsk_12_13_detach_that_returns_at_another_irql_is_reported() {
    unsafe extern "C" fn raises(_: PVOID) -> NTSTATUS {
        // SAFETY: breaks the rule: not lowered again.
        unsafe { KeRaiseIrqlToDpcLevel() };
        STATUS_SUCCESS
    }
    // A callback that is called at DISPATCH_LEVEL already changes nothing: some of these seeds call
    // it at PASSIVE_LEVEL.
    let reported = |seed| {
        let report = builder().seed(seed).offence(|sim| {
            let pair = Pair {
                provider_detach: raises,
                ..HONEST
            };
            part(sim, pair);
        });
        report.rule == Rule::IrqlChanged && report.details.contains("ProviderDetachClient")
    };
    assert!(
        (0..20).any(reported),
        "no schedule called it at PASSIVE_LEVEL"
    );
}

#[test]
fn wsk_12_13_detach_that_blocks_at_dispatch_is_reported() {
    unsafe extern "C" fn waits(_: PVOID) -> NTSTATUS {
        let mut interval = LARGE_INTEGER { QuadPart: -10_000 };
        // SAFETY: breaks the rule if it is called at DISPATCH_LEVEL.
        let _ = unsafe { KeDelayExecutionThread(0, 0, &raw mut interval) };
        STATUS_SUCCESS
    }
    let reported = |seed| {
        let report = builder().seed(seed).offence(|sim| {
            let pair = Pair {
                client_detach: waits,
                ..HONEST
            };
            part(sim, pair);
        });
        report.rule == Rule::BlockingAboveApc
    };
    assert!(
        (0..20).any(reported),
        "no schedule called it at DISPATCH_LEVEL"
    );
}

#[test]
fn wsk_12_10_binding_context_freed_before_the_cleanup_is_reported() {
    unsafe extern "C" fn frees(context: PVOID) -> NTSTATUS {
        // SAFETY: breaks the rule: the cleanup callback is still to come.
        unsafe { ExFreePoolWithTag(context, TAG) };
        STATUS_SUCCESS
    }
    expect(Rule::NmrBindingContext, "context of the client", |sim| {
        let log = Log::default();
        let client = modules::Module::new(Side::Client, 1, PLAIN, &log);
        let characteristics = client.characteristics_with_detach(frees);
        let client = client.register_as(characteristics).unwrap();
        let provider = Registered::new(Side::Provider, 2, PLAIN, &log);
        sim.sleep(Duration::from_millis(1));
        client.start_deregistering();
        sim.sleep(Duration::from_millis(1));
        core::mem::forget((client, provider));
    });
}

// [wsk 12.10, 12.12]
#[test]
fn detach_that_never_completes_is_reported_as_hang() {
    for side in modules::SIDES {
        let body = move |sim: &Sim| {
            let log = Log::default();
            let plan = |owner| Plan {
                detach: if owner == side {
                    modules::Detach::Never
                } else {
                    modules::Detach::AtOnce
                },
                ..PLAIN
            };
            let provider = Registered::new(Side::Provider, 2, plan(Side::Provider), &log);
            let client = Registered::new(Side::Client, 1, plan(Side::Client), &log);
            sim.sleep(Duration::from_millis(1));
            client.deregister();
            provider.deregister();
        };
        let who = match side {
            Side::Client => "the client has detach pending, the provider is detached",
            Side::Provider => "the client is detached, the provider has detach pending",
        };
        expect(Rule::Hang, who, body);
        expect(Rule::Hang, "NmrWaitForClientDeregisterComplete", body);
        expect(Rule::Hang, "client module {00000001-1234", body);
    }
}
