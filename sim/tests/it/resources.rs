//! Executive resources.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "calls the exports of the kernel")]

use wdk_sys::ntddk::{
    ExAcquireResourceExclusiveLite, ExAcquireResourceSharedLite, ExConvertExclusiveToSharedLite,
    ExDeleteResourceLite, ExFreePool, ExGetExclusiveWaiterCount, ExInitializeResourceLite,
    ExIsResourceAcquiredExclusiveLite, ExIsResourceAcquiredSharedLite, ExReleaseResourceLite,
    KeEnterCriticalRegion, KeLeaveCriticalRegion,
};
use wdk_sys::{ERESOURCE, PERESOURCE, STATUS_SUCCESS};
use wsk_sim::{Rule, run, seeds};

use crate::driver::{NON_PAGED, Shared, allocate, check_excludes, expect, point, zeroed};

#[expect(clippy::unnecessary_box_returns, reason = "a resource does not move")]
fn resource() -> Box<ERESOURCE> {
    let mut resource = zeroed();
    // SAFETY: the resource has its place.
    let status = unsafe { ExInitializeResourceLite(&raw mut *resource) };
    assert_eq!(status, STATUS_SUCCESS);
    resource
}

fn delete(resource: &mut ERESOURCE) {
    // SAFETY: initialised before.
    assert_eq!(unsafe { ExDeleteResourceLite(&raw mut *resource) }, 0);
}

/// Acquires, with APCs held back; false if it would have to wait and must not.
fn acquire(resource: PERESOURCE, exclusive: bool, wait: bool) -> bool {
    // SAFETY: there are no conditions.
    unsafe { KeEnterCriticalRegion() };
    let wait = u8::from(wait);
    let function = if exclusive {
        ExAcquireResourceExclusiveLite
    } else {
        ExAcquireResourceSharedLite
    };
    // SAFETY: the tests pass an initialised resource.
    let acquired = unsafe { function(resource, wait) };
    if acquired == 0 {
        // SAFETY: entered above.
        unsafe { KeLeaveCriticalRegion() };
    }
    acquired == 1
}

fn release(resource: PERESOURCE) {
    // SAFETY: acquired by the caller.
    unsafe { ExReleaseResourceLite(resource) };
    // SAFETY: entered when it was acquired.
    unsafe { KeLeaveCriticalRegion() };
}

#[test]
fn resource_exclusive_excludes_under_any_schedule() {
    seeds(50, |sim| {
        let mut resource = resource();
        let shared = Shared(&raw mut *resource);
        check_excludes(sim, move |body| {
            assert!(acquire(shared.get(), true, true));
            // SAFETY: initialised above.
            let exclusive = unsafe { ExIsResourceAcquiredExclusiveLite(shared.get()) };
            assert_eq!(exclusive, 1);
            body();
            release(shared.get());
        });
        delete(&mut resource);
    });
}

#[test]
fn resource_shared_is_held_by_many_and_lets_an_exclusive_waiter_in() {
    seeds(50, |sim| {
        let mut resource = resource();
        let shared = Shared(&raw mut *resource);
        assert!(acquire(shared.get(), false, false));
        assert!(
            sim.spawn(move || {
                let acquired = acquire(shared.get(), false, false);
                release(shared.get());
                acquired
            })
            .join()
        );
        let writer = sim.spawn(move || {
            assert!(acquire(shared.get(), true, true));
            release(shared.get());
        });
        // SAFETY: initialised above.
        while unsafe { ExGetExclusiveWaiterCount(shared.get()) } == 0 {
            point();
        }
        // Who shares it already may share it again; nobody else may, while a writer waits.
        assert!(acquire(shared.get(), false, false));
        // SAFETY: initialised above.
        assert_eq!(unsafe { ExIsResourceAcquiredSharedLite(shared.get()) }, 2);
        assert!(
            !sim.spawn(move || acquire(shared.get(), false, false))
                .join()
        );
        release(shared.get());
        release(shared.get());
        writer.join();
        delete(&mut resource);
    });
}

#[test]
fn resource_converted_is_shared() {
    run(|sim| {
        let mut resource = resource();
        let shared = Shared(&raw mut *resource);
        assert!(acquire(shared.get(), true, true));
        assert!(
            !sim.spawn(move || acquire(shared.get(), false, false))
                .join()
        );
        // SAFETY: held exclusively.
        unsafe { ExConvertExclusiveToSharedLite(shared.get()) };
        sim.spawn(move || {
            assert!(acquire(shared.get(), false, false));
            release(shared.get());
        })
        .join();
        release(shared.get());
        delete(&mut resource);
    });
}

#[test]
fn resource_acquired_with_apcs_delivered_is_reported() {
    expect(Rule::Resource, "outside of any region", |_| {
        // SAFETY: breaks the rule: in no region.
        unsafe { ExAcquireResourceExclusiveLite(&raw mut *resource(), 1) };
    });
}

#[test]
fn resource_made_exclusive_while_shared_is_reported() {
    expect(Rule::Resource, "shares", |_| {
        let mut resource = resource();
        acquire(&raw mut *resource, false, true);
        acquire(&raw mut *resource, true, true);
    });
}

#[test]
fn resource_released_without_holding_is_reported() {
    expect(Rule::Resource, "does not hold", |_| {
        release(&raw mut *resource());
    });
}

#[test]
fn resource_deleted_while_held_is_reported() {
    expect(Rule::Resource, "with 1 owners", |_| {
        let mut resource = resource();
        acquire(&raw mut *resource, false, true);
        delete(&mut resource);
    });
}

#[test]
fn resource_left_is_reported() {
    expect(Rule::Leak, "resource", |_| {
        let _ = Box::leak(resource());
    });
}

#[test]
fn resource_in_freed_memory_is_reported() {
    expect(Rule::FreedInUse, "resource", |_| {
        let memory = allocate(NON_PAGED, size_of::<ERESOURCE>());
        // SAFETY: the memory is large enough.
        assert_eq!(unsafe { ExInitializeResourceLite(memory.cast()) }, 0);
        // SAFETY: breaks the rule: not deleted.
        unsafe { ExFreePool(memory.cast()) };
    });
}
