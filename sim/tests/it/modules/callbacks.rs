//! The callbacks of the modules, and the function of their tables.

// UNSAFETY: plays drivers in C, which are called by the registrar and call it.
#![expect(unsafe_code, reason = "callbacks in the manner of C")]

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::Ordering::SeqCst;

use wdk_sys::ntddk::{
    ExFreePoolWithTag, IoAllocateWorkItem, IoFreeWorkItem, IoQueueWorkItemEx,
    KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock,
};
use wdk_sys::{
    HANDLE, KSPIN_LOCK, NTSTATUS, PIO_WORKITEM, PVOID, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_NOINTERFACE, STATUS_PENDING, STATUS_SUCCESS,
};
use wsk_sys::{NmrClientAttachProvider, PNPI_REGISTRATION_INSTANCE};

use super::log::What;
use super::{ALIVE, Attach, Context, Detach, Module, TABLES, Table, locked};
use crate::common::TAG;

/// The module whose registration context this is.
fn module<'a>(context: PVOID) -> &'a Module {
    // SAFETY: the registration context is a module that lives until it is deregistered.
    unsafe { &*context.cast::<Module>() }
}

/// The number and the module of a binding whose context must be alive.
fn alive<'a>(context: PVOID) -> (usize, &'a Module) {
    // SAFETY: a context that is freed too early is still mapped: the simulator keeps and fills it.
    let context = unsafe { context.cast::<Context>().read() };
    assert_eq!(context.alive, ALIVE, "used after it was freed");
    // SAFETY: a context that is alive names its module.
    (context.binding, unsafe { &*context.module })
}

/// The version of a table.
fn version(table: *const c_void) -> u32 {
    // SAFETY: the peer passes a table of this interface.
    unsafe { (*table.cast::<Table>()).version }
}

fn table(version: u32) -> *const c_void {
    ptr::from_ref(&TABLES[version as usize]).cast()
}

pub(super) unsafe extern "C" fn client_attach(
    handle: HANDLE,
    context: PVOID,
    instance: PNPI_REGISTRATION_INSTANCE,
) -> NTSTATUS {
    let module = module(context);
    module.write(What::Asked, 0);
    // SAFETY: the registrar passes the provider's instance.
    assert_eq!(unsafe { (*instance).Size }, 40);
    let versions = match module.plan.attach {
        Attach::Refuse(status) => return status,
        Attach::Accept => vec![0],
        Attach::Versions(one, two) => vec![one, two],
    };
    let binding = module.log.next_binding();
    let own = module.context(binding);
    if own.is_null() {
        return STATUS_NOINTERFACE;
    }
    let (mut peer, mut peer_table) = (ptr::null_mut(), ptr::null());
    let mut status = STATUS_NOINTERFACE;
    for version in versions {
        // SAFETY: inside of ClientAttachProvider, with its handle [wsk 12.5, 12.7].
        status = unsafe {
            NmrClientAttachProvider(
                handle,
                own.cast(),
                table(version),
                &raw mut peer,
                &raw mut peer_table,
            )
        };
        if status != STATUS_NOINTERFACE {
            break;
        }
    }
    if status == STATUS_SUCCESS {
        module.bind(own, binding, handle, peer, peer_table.expose_provenance());
    } else if module.plan.cleanup {
        // SAFETY: allocated above, and nothing is attached [wsk 12.6].
        unsafe { ExFreePoolWithTag(own.cast(), TAG) };
    }
    status
}

pub(super) unsafe extern "C" fn provider_attach(
    handle: HANDLE,
    context: PVOID,
    instance: PNPI_REGISTRATION_INSTANCE,
    client_context: PVOID,
    client_table: *const c_void,
    own_context: *mut PVOID,
    own_table: *mut *const c_void,
) -> NTSTATUS {
    let module = module(context);
    let (binding, _) = alive(client_context);
    module.write(What::Asked, binding);
    // SAFETY: the registrar passes the client's instance.
    assert_eq!(unsafe { (*instance).Size }, 40);
    match module.plan.attach {
        Attach::Refuse(status) => return status,
        Attach::Versions(wanted, _) if version(client_table) != wanted => {
            return STATUS_NOINTERFACE;
        }
        _ => {}
    }
    let own = module.context(binding);
    if own.is_null() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    module.bind(
        own,
        binding,
        handle,
        client_context,
        client_table.expose_provenance(),
    );
    // SAFETY: the registrar passes a place for the context.
    unsafe { own_context.write(own.cast()) };
    // SAFETY: the registrar passes a place for the table.
    unsafe { own_table.write(table(version(client_table))) };
    STATUS_SUCCESS
}

/// The function of both tables.
pub(super) unsafe extern "C" fn serve(context: PVOID) {
    let (_, module) = alive(context);
    let mut lock: KSPIN_LOCK = 0;
    // SAFETY: a lock of this call's own; taking it is a scheduling point in the middle of the call.
    let irql = unsafe { KeAcquireSpinLockRaiseToDpc(&raw mut lock) };
    // SAFETY: taken above.
    unsafe { KeReleaseSpinLock(&raw mut lock, irql) };
    alive(context);
    module.served.fetch_add(1, SeqCst);
}

pub(super) unsafe extern "C" fn detach(context: PVOID) -> NTSTATUS {
    let (_, module) = alive(context);
    let mut bindings = locked(&module.bindings);
    let bound = bindings
        .get_mut(&context.addr())
        .expect("kept until the cleanup");
    assert!(!bound.detaching, "called to detach once [wsk 12.10]");
    bound.detaching = true;
    let (binding, handle, busy) = (bound.binding, bound.handle, bound.calls > 0);
    drop(bindings);
    module.write(What::Detach, binding);
    if busy {
        return STATUS_PENDING;
    }
    match module.plan.detach {
        Detach::AtOnce => {
            module.write(What::Detached, binding);
            STATUS_SUCCESS
        }
        Detach::WhileRunning => {
            module.write(What::Detached, binding);
            module.complete(handle);
            STATUS_PENDING
        }
        Detach::Later => {
            complete_later(context);
            STATUS_PENDING
        }
        Detach::Never => STATUS_PENDING,
    }
}

fn complete_later(context: PVOID) {
    // SAFETY: within a simulation; the device is not used.
    let item = unsafe { IoAllocateWorkItem(ptr::null_mut()) };
    assert!(!item.is_null(), "no memory for a work item");
    // SAFETY: the context stays until the cleanup, which waits for the completion.
    unsafe { IoQueueWorkItemEx(item, Some(complete), 1, context) };
}

unsafe extern "C" fn complete(_: PVOID, context: PVOID, item: PIO_WORKITEM) {
    // SAFETY: the item has run.
    unsafe { IoFreeWorkItem(item) };
    let (_, module) = alive(context);
    let (handle, binding) = {
        let bindings = locked(&module.bindings);
        let bound = &bindings[&context.addr()];
        (bound.handle, bound.binding)
    };
    module.write(What::Detached, binding);
    module.complete(handle);
}

pub(super) unsafe extern "C" fn cleanup(context: PVOID) {
    let (binding, module) = alive(context);
    let bound = locked(&module.bindings).remove(&context.addr());
    assert!(bound.is_some_and(|bound| bound.detaching && bound.calls == 0));
    module.write(What::Cleanup, binding);
    // SAFETY: allocated when the two attached [wsk 12.6].
    unsafe { ExFreePoolWithTag(context, TAG) };
}
