//! Handles and references of events, threads and the process; whole pages.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "calls the exports of the kernel")]

use core::ptr;

use wdk_sys::ntddk::{
    ExFreePool, IoGetCurrentProcess, MmAllocateContiguousMemory, MmAllocatePagesForMdlEx,
    MmFreeContiguousMemory, MmFreePagesFromMdl, MmMapLockedPagesSpecifyCache,
    ObReferenceObjectByHandle, ObfDereferenceObject, ObfReferenceObject, PsGetCurrentProcessId,
    PsGetCurrentThreadId, PsGetProcessId, PsGetThreadId, PsLookupProcessByProcessId,
    PsLookupThreadByThreadId, ZwClearEvent, ZwClose, ZwCreateEvent, ZwResetEvent, ZwSetEvent,
    ZwWaitForSingleObject,
};
use wdk_sys::{
    HANDLE, KEVENT, LARGE_INTEGER, NTSTATUS, PMDL, PVOID, STATUS_INVALID_HANDLE,
    STATUS_INVALID_PARAMETER, STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS, STATUS_TIMEOUT,
};
use wsk_sim::{RegistryValue, Rule, run};

use crate::driver::{expect, start_thread, unicode, wait};

/// An event of kind 0 (notification) or 1 (synchronization) that is not set.
fn create_event(kind: i32) -> HANDLE {
    let mut handle = ptr::null_mut();
    // SAFETY: the place for the handle is there.
    let status = unsafe { ZwCreateEvent(&raw mut handle, 0, ptr::null_mut(), kind, 0) };
    assert_eq!(status, STATUS_SUCCESS);
    handle
}

fn reference(handle: HANDLE) -> Result<PVOID, NTSTATUS> {
    let mut object = ptr::null_mut();
    let (kind, information) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the place for the pointer is there.
    let status =
        unsafe { ObReferenceObjectByHandle(handle, 0, kind, 0, &raw mut object, information) };
    if status < 0 { Err(status) } else { Ok(object) }
}

fn close(handle: HANDLE) {
    // SAFETY: the handle is open.
    assert_eq!(unsafe { ZwClose(handle) }, STATUS_SUCCESS);
}

fn wait_for_handle(handle: HANDLE) -> NTSTATUS {
    let mut now = LARGE_INTEGER { QuadPart: 0 };
    // SAFETY: the time-out is there.
    unsafe { ZwWaitForSingleObject(handle, 0, &raw mut now) }
}

#[test]
fn event_by_handle_is_set_cleared_and_waited_for() {
    run(|_| {
        let (notification, synchronization) = (create_event(0), create_event(1));
        let mut before = 7;
        // SAFETY: the handles are open.
        unsafe { ZwSetEvent(notification, &raw mut before) }.check();
        assert_eq!(before, 0);
        // SAFETY: as above.
        unsafe { ZwSetEvent(synchronization, ptr::null_mut()) }.check();
        let twice = |handle| [wait_for_handle(handle), wait_for_handle(handle)];
        assert_eq!(twice(notification), [STATUS_SUCCESS; 2]);
        assert_eq!(twice(synchronization), [STATUS_SUCCESS, STATUS_TIMEOUT]);
        // SAFETY: as above.
        unsafe { ZwResetEvent(notification, &raw mut before) }.check();
        assert_eq!((before, wait_for_handle(notification)), (1, STATUS_TIMEOUT));
        // SAFETY: as above.
        unsafe { ZwClearEvent(synchronization) }.check();
        [notification, synchronization].into_iter().for_each(close);
        // SAFETY: a handle that is closed is refused.
        assert_eq!(unsafe { ZwClearEvent(notification) }, STATUS_INVALID_HANDLE);
    });
}

trait Check {
    fn check(self);
}

impl Check for NTSTATUS {
    fn check(self) {
        assert_eq!(self, STATUS_SUCCESS);
    }
}

#[test]
fn event_referenced_outlives_its_handle() {
    run(|sim| {
        let handle = create_event(0);
        let event: *mut KEVENT = reference(handle).unwrap().cast();
        close(handle);
        let address = event.expose_provenance();
        sim.spawn(move || {
            let event: *mut KEVENT = ptr::with_exposed_provenance_mut(address);
            // SAFETY: referenced above.
            unsafe { wdk_sys::ntddk::KeSetEvent(event, 0, 0) };
        });
        // SAFETY: as above.
        assert_eq!(wait(event, None), STATUS_SUCCESS);
        // SAFETY: as above.
        assert_eq!(unsafe { ObfDereferenceObject(event.cast()) }, 0);
    });
}

#[test]
fn event_handle_left_open_is_reported() {
    expect(Rule::Leak, "handle of notification event", |_| {
        create_event(0);
    });
}

#[test]
fn handle_of_a_key_is_no_object_to_wait_for() {
    run(|sim| {
        let path = "\\Registry\\Machine\\X";
        sim.set_registry_value(path, "Port", RegistryValue::Dword(1));
        let (_text, mut name) = unicode(path);
        let mut attributes = wdk_sys::OBJECT_ATTRIBUTES {
            ObjectName: &raw mut name,
            ..Default::default()
        };
        let mut key = ptr::null_mut();
        // SAFETY: the attributes are complete.
        unsafe { wdk_sys::ntddk::ZwOpenKey(&raw mut key, 0, &raw mut attributes) }.check();
        assert_eq!(wait_for_handle(key), STATUS_OBJECT_TYPE_MISMATCH);
        assert_eq!(reference(key), Err(STATUS_OBJECT_TYPE_MISMATCH));
        // SAFETY: a key is no event.
        let status = unsafe { ZwSetEvent(key, ptr::null_mut()) };
        assert_eq!(status, STATUS_OBJECT_TYPE_MISMATCH);
        close(key);
    });
}

#[test]
fn thread_found_by_its_id_can_be_waited_for() {
    unsafe extern "C" fn start(context: PVOID) {
        // SAFETY: there are no conditions.
        let id = unsafe { PsGetCurrentThreadId() };
        // SAFETY: the context is the test's.
        unsafe { context.cast::<HANDLE>().write(id) };
        // SAFETY: the test's thread gets on.
        unsafe { wdk_sys::ntddk::KeReadStateEvent(&raw mut *crate::driver::event()) };
    }
    run(|sim| {
        // SAFETY: there are no conditions.
        let own = unsafe { PsGetCurrentThreadId() };
        let mut thread = ptr::null_mut();
        // SAFETY: the place for the pointer is there.
        unsafe { PsLookupThreadByThreadId(own, &raw mut thread) }.check();
        // SAFETY: referenced by the lookup.
        assert_eq!(unsafe { PsGetThreadId(thread) }, own);
        // SAFETY: as above.
        assert_eq!(unsafe { ObfDereferenceObject(thread.cast()) }, 0);

        let mut id: Box<HANDLE> = Box::new(ptr::null_mut());
        close(start_thread(start, (&raw mut *id).cast()));
        sim.sleep(core::time::Duration::from_secs(1));
        // SAFETY: the place for the pointer is there.
        let ended = unsafe { PsLookupThreadByThreadId(*id, &raw mut thread) };
        assert_eq!((id.is_null(), ended), (false, STATUS_INVALID_PARAMETER));
    });
}

#[test]
fn process_is_the_system_process() {
    run(|_| {
        // SAFETY: there are no conditions.
        let id = unsafe { PsGetCurrentProcessId() };
        // SAFETY: as above.
        let own = unsafe { IoGetCurrentProcess() };
        assert_eq!(id.addr(), 4);
        let mut process = ptr::null_mut();
        // SAFETY: the place for the pointer is there.
        unsafe { PsLookupProcessByProcessId(id, &raw mut process) }.check();
        // SAFETY: the process is there.
        assert_eq!((process, unsafe { PsGetProcessId(process) }), (own, id));
        // SAFETY: referenced by the lookup.
        assert_eq!(unsafe { ObfReferenceObject(process.cast()) }, 2);
        // SAFETY: referenced twice.
        let left = [(); 2].map(|()| unsafe { ObfDereferenceObject(process.cast()) });
        assert_eq!(left, [1, 0]);
    });
}

#[test]
fn reference_left_is_reported() {
    expect(Rule::Leak, "1 references to the system process", |_| {
        // SAFETY: there are no conditions.
        let process = unsafe { IoGetCurrentProcess() };
        // SAFETY: breaks the rule: never given up.
        unsafe { ObfReferenceObject(process.cast()) };
    });
}

fn pages(size: u64) -> PMDL {
    let any = |quad| LARGE_INTEGER { QuadPart: quad };
    // SAFETY: there are no conditions.
    unsafe { MmAllocatePagesForMdlEx(any(0), any(-1), any(0), size, 1, 0) }
}

#[test]
fn pages_are_mapped_by_their_mdl() {
    run(|_| {
        let mdl = pages(5000);
        // SAFETY: the MDL describes locked pages.
        let memory = unsafe { MmMapLockedPagesSpecifyCache(mdl, 0, 1, ptr::null_mut(), 0, 16) };
        // SAFETY: two pages, zeroed.
        let bytes = unsafe { core::slice::from_raw_parts_mut(memory.cast::<u8>(), 8192) };
        assert!(bytes.iter().all(|byte| *byte == 0));
        bytes.fill(1);
        // SAFETY: nobody uses the pages any more.
        unsafe { MmFreePagesFromMdl(mdl) };
        // SAFETY: the MDL of freed pages is pool memory of the driver's.
        unsafe { ExFreePool(mdl.cast()) };
    });
}

#[test]
fn pages_left_are_reported() {
    expect(Rule::Leak, "'MmPg'", |_| {
        let mdl = pages(100);
        // SAFETY: breaks the rule: the pages are not freed.
        unsafe { ExFreePool(mdl.cast()) };
    });
}

#[test]
fn contiguous_memory_is_whole_pages() {
    run(|_| {
        let highest = LARGE_INTEGER { QuadPart: -1 };
        // SAFETY: there are no conditions.
        let memory = unsafe { MmAllocateContiguousMemory(100, highest) };
        assert_eq!(memory.addr() % 4096, 0);
        // SAFETY: allocated above.
        unsafe { memory.cast::<u8>().write_bytes(1, 4096) };
        // SAFETY: as above.
        unsafe { MmFreeContiguousMemory(memory) };
    });
}

#[test]
fn contiguous_memory_freed_to_pool_with_its_tag_missing_is_reported() {
    expect(Rule::BadFree, "freed with tag 'MmCm'", |_| {
        let memory = crate::driver::allocate(crate::driver::NON_PAGED, 100);
        // SAFETY: breaks the rule: pool memory.
        unsafe { MmFreeContiguousMemory(memory.cast()) };
    });
}
