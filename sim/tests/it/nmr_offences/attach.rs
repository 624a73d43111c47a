//! Offences while attaching.

// UNSAFETY: plays drivers in C, which are called by the registrar and call it.
#![expect(unsafe_code, reason = "breaks the rules of the registrar")]

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::Ordering::SeqCst;

use wdk_sys::ntddk::{KeLowerIrql, KeRaiseIrqlToDpcLevel};
use wdk_sys::{
    HANDLE, NTSTATUS, PVOID, STATUS_NOINTERFACE, STATUS_PENDING, STATUS_SUCCESS,
    STATUS_UNSUCCESSFUL,
};
use wsk_sim::{Rule, builder};
use wsk_sys::PNPI_REGISTRATION_INSTANCE;

use super::{
    HONEST, Handles, Pair, ask, client_attach, client_of, handles, meet, provider_attach,
    register_client, register_provider,
};
use crate::driver::expect;

/// Lets a pair with this client meet, and expects a report.
fn expect_of_client(rule: Rule, what: &str, client_attach: super::ClientAttach) {
    let pair = Pair {
        client_attach,
        ..HONEST
    };
    expect(rule, what, move |sim| {
        meet(sim, pair);
    });
}

/// Lets a pair with this provider meet, and expects a report.
fn expect_of_provider(rule: Rule, what: &str, provider_attach: super::ProviderAttach) {
    let pair = Pair {
        provider_attach,
        ..HONEST
    };
    expect(rule, what, move |sim| {
        meet(sim, pair);
    });
}

#[test]
fn wsk_12_5_attach_after_the_callback_is_reported() {
    expect(Rule::NmrAttach, "has returned", |sim| {
        let met = meet(sim, HONEST);
        ask(met.clients(), ptr::null_mut());
    });
}

#[test]
fn wsk_12_5_attach_with_an_unknown_handle_is_reported() {
    expect(Rule::NmrAttach, "no client's handle", |_| {
        ask(ptr::null_mut(), ptr::null_mut());
    });
}

#[test]
fn wsk_12_5_attach_with_the_providers_handle_is_reported() {
    expect(Rule::NmrAttach, "no client's handle", |sim| {
        let met = meet(sim, HONEST);
        ask(met.providers(), ptr::null_mut());
    });
}

#[test]
fn wsk_12_5_attach_twice_is_reported() {
    client_attach!(attaches_twice(handle, context) {
        ask(handle, context);
        ask(handle, context).0
    });
    expect_of_client(Rule::NmrAttach, "has succeeded already", attaches_twice);
}

/// A scheduling point.
fn let_others_run() {
    // SAFETY: within a simulation.
    let irql = unsafe { KeRaiseIrqlToDpcLevel() };
    // SAFETY: raised above.
    unsafe { KeLowerIrql(irql) };
}

#[test]
fn wsk_12_5_attach_on_another_thread_is_reported() {
    client_attach!(waits_for_ever(handle, context) {
        let handles = handles(context);
        handles.client.store(handle.addr(), SeqCst);
        while handles.provider.load(SeqCst) == 0 {
            let_others_run();
        }
        STATUS_NOINTERFACE
    });
    expect(Rule::NmrAttach, "on another thread", |sim| {
        let handles: &'static Handles = Box::leak(Box::default());
        sim.spawn(move || {
            while handles.client.load(SeqCst) == 0 {
                let_others_run();
            }
            let handle = ptr::without_provenance_mut(handles.client.load(SeqCst));
            ask(handle, ptr::null_mut());
        });
        let context: PVOID = ptr::from_ref(handles).cast_mut().cast();
        let pair = Pair {
            client_attach: waits_for_ever,
            ..HONEST
        };
        register_provider(pair, context);
        register_client(Box::leak(Box::new(client_of(pair))), context);
    });
}

#[test]
fn wsk_12_5_failing_after_attaching_is_reported() {
    client_attach!(fails(handle, context) {
        ask(handle, context);
        STATUS_UNSUCCESSFUL
    });
    expect_of_client(Rule::NmrAttachStatus, "returned 0xc0000001", fails);
}

client_attach!(succeeds(_, _) { STATUS_SUCCESS });

#[test]
fn wsk_12_5_success_without_attaching_is_reported() {
    expect_of_client(Rule::NmrAttachStatus, "was not called", succeeds);
}

#[test]
fn wsk_12_5_success_after_a_refusal_is_reported() {
    provider_attach!(refuses(_, _, _, _) { STATUS_NOINTERFACE });
    client_attach!(succeeds_anyway(handle, context) {
        ask(handle, context);
        STATUS_SUCCESS
    });
    expect(Rule::NmrAttachStatus, "returned 0xc00002b9", |sim| {
        let pair = Pair {
            client_attach: succeeds_anyway,
            provider_attach: refuses,
            ..HONEST
        };
        meet(sim, pair);
    });
}

#[test]
fn wsk_12_8_provider_that_answers_pending_is_reported() {
    provider_attach!(answers_pending(_, _, _, _) { STATUS_PENDING });
    expect_of_provider(
        Rule::NmrAttachStatus,
        "ProviderAttachClient",
        answers_pending,
    );
}

#[test]
fn wsk_12_8_provider_that_writes_no_table_is_reported() {
    provider_attach!(writes_nothing(_, _, _, _) { STATUS_SUCCESS });
    expect_of_provider(
        Rule::NmrDispatch,
        "wrote no context or table",
        writes_nothing,
    );
}

provider_attach!(writes_null(handle, context, own, table) {
    handles(context).provider.store(handle.addr(), SeqCst);
    // SAFETY: the registrar passes a place for the context.
    unsafe { own.write(ptr::null_mut()) };
    // SAFETY: the registrar passes a place for the table.
    unsafe { table.write(ptr::null()) };
    STATUS_SUCCESS
});

#[test]
fn wsk_12_8_provider_with_a_null_table_is_reported() {
    expect_of_provider(Rule::NmrDispatch, "null table", writes_null);
}

#[test]
fn wsk_12_8_null_table_that_is_tolerated_reaches_the_client() {
    client_attach!(looks(handle, context) {
        let (status, table) = ask(handle, context);
        assert!(table.is_null());
        handles(context).client.store(handle.addr(), SeqCst);
        status
    });
    let pair = Pair {
        client_attach: looks,
        provider_attach: writes_null,
        ..HONEST
    };
    // The test's own modules are left registered: that is the one offence.
    let report = builder()
        .tolerate(Rule::NmrDispatch)
        .offence(move |sim| assert!(!meet(sim, pair).clients().is_null()));
    assert_eq!(report.rule, Rule::Leak, "{report}");
}

#[test]
fn wsk_12_2_attach_callback_that_returns_at_dispatch_is_reported() {
    client_attach!(raises(handle, context) {
        let (status, _) = ask(handle, context);
        // SAFETY: breaks the rule: not lowered again.
        unsafe { KeRaiseIrqlToDpcLevel() };
        status
    });
    expect_of_client(Rule::IrqlChanged, "ClientAttachProvider", raises);
}

#[test]
fn wsk_1_attach_at_dispatch_is_reported() {
    client_attach!(asks_at_dispatch(handle, context) {
        // SAFETY: within a simulation.
        unsafe { KeRaiseIrqlToDpcLevel() };
        ask(handle, context).0
    });
    expect_of_client(Rule::Irql, "NmrClientAttachProvider", asks_at_dispatch);
}
