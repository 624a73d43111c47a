//! The kernel's exports, used as they are meant.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "calls the exports of the kernel")]

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;
use core::time::Duration;
use std::sync::Mutex;

use crate::common::{Client, Io, Memory, Socket};
use crate::driver::{event, start_thread, unicode, wait};
use wdk_sys::ntddk::{
    DbgPrint, IoAllocateWorkItem, IoCreateDevice, IoDeleteDevice, IoFreeWorkItem, IoQueueWorkItem,
    IofCompleteRequest, KeAcquireSpinLockRaiseToDpc, KeDelayExecutionThread, KeGetCurrentIrql,
    KeInitializeDpc, KeInitializeSemaphore, KeInitializeTimer, KeInsertQueueDpc, KeReadStateEvent,
    KeReleaseSemaphore, KeReleaseSpinLock, KeSetEvent, KeSetTimer, KeWaitForMultipleObjects,
    MmGetSystemRoutineAddress, ObReferenceObjectByHandle, ObfDereferenceObject,
    PsTerminateSystemThread, ZwClose, ZwOpenKey, ZwQueryValueKey,
};
use wdk_sys::{
    _KEY_VALUE_INFORMATION_CLASS, _WAIT_TYPE, KDPC, KEVENT, KEY_VALUE_PARTIAL_INFORMATION,
    KSEMAPHORE, KSPIN_LOCK, KTIMER, LARGE_INTEGER, NTSTATUS, OBJECT_ATTRIBUTES, PCUNICODE_STRING,
    PDEVICE_OBJECT, PDRIVER_OBJECT, PIRP, PKDPC, PVOID, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_SUCCESS, STATUS_TIMEOUT,
};
use wsk_sim::{RegistryValue, every_fault, run, seeds};

/// Starts a system thread and waits for its end through its handle, as drivers do.
fn run_thread(start: unsafe extern "C" fn(PVOID), context: PVOID) {
    let (handle, mut object) = (start_thread(start, context), ptr::null_mut());
    // SAFETY: the handle is open.
    let status = unsafe {
        ObReferenceObjectByHandle(
            handle,
            0,
            ptr::null_mut(),
            0,
            &raw mut object,
            ptr::null_mut(),
        )
    };
    assert_eq!(status, STATUS_SUCCESS);
    // SAFETY: the handle is open.
    assert_eq!(unsafe { ZwClose(handle) }, STATUS_SUCCESS);
    assert_eq!(wait(object, None), STATUS_SUCCESS);
    // SAFETY: referenced above.
    unsafe { ObfDereferenceObject(object) };
}

#[test]
fn time_out_of_a_minute_passes_in_virtual_time() {
    run(|sim| {
        let mut event = event();
        assert_eq!(wait(&raw mut *event, Some(-600_000_000)), STATUS_TIMEOUT);
        assert!(sim.now() >= Duration::from_mins(1));
    });
}

#[test]
fn allocations_are_counted() {
    run(|sim| {
        let before = sim.allocations();
        let memory = Memory::new(8);
        assert_eq!(sim.allocations(), before + 2, "memory and its MDL");
        drop(memory);
        assert_eq!(sim.allocations(), before + 2);
    });
}

#[test]
fn thread_ended_by_terminate_or_return_can_be_waited_for() {
    unsafe extern "C" fn terminates(context: PVOID) {
        // SAFETY: the context is the counter of the test.
        unsafe { &*context.cast::<AtomicU32>() }.fetch_add(1, SeqCst);
        // SAFETY: nothing on this stack needs dropping.
        let _ = unsafe { PsTerminateSystemThread(0) };
        unreachable!("a terminated thread does not go on");
    }
    unsafe extern "C" fn returns(context: PVOID) {
        // SAFETY: the context is the counter of the test.
        unsafe { &*context.cast::<AtomicU32>() }.fetch_add(10, SeqCst);
    }
    seeds(50, |_| {
        let mut count = AtomicU32::new(0);
        run_thread(terminates, (&raw mut count).cast());
        run_thread(returns, (&raw mut count).cast());
        assert_eq!(count.load(SeqCst), 11);
    });
}

#[test]
fn timer_due_signals_and_queues_its_dpc_at_dispatch() {
    unsafe extern "C" fn routine(_: PKDPC, context: PVOID, _: PVOID, _: PVOID) {
        // SAFETY: there are no conditions.
        let irql = unsafe { KeGetCurrentIrql() };
        // SAFETY: the context is the cell of the test.
        unsafe { &*context.cast::<AtomicU32>() }.store(u32::from(irql), SeqCst);
    }
    seeds(50, |sim| {
        let mut irql = AtomicU32::new(0);
        // SAFETY: initialised below.
        let mut dpc: Box<KDPC> = unsafe { Box::new(MaybeUninit::zeroed().assume_init()) };
        // SAFETY: as above.
        let mut timer: Box<KTIMER> = unsafe { Box::new(MaybeUninit::zeroed().assume_init()) };
        // SAFETY: the DPC has its place.
        unsafe { KeInitializeDpc(&raw mut *dpc, Some(routine), (&raw mut irql).cast()) };
        // SAFETY: the timer has its place.
        unsafe { KeInitializeTimer(&raw mut *timer) };
        // SAFETY: both are initialised.
        unsafe {
            KeSetTimer(
                &raw mut *timer,
                LARGE_INTEGER { QuadPart: -10_000 },
                &raw mut *dpc,
            )
        };
        assert_eq!(wait(&raw mut *timer, None), STATUS_SUCCESS);
        sim.sleep(Duration::from_millis(1));
        assert_eq!(irql.load(SeqCst), 2);
    });
}

#[test]
fn dpc_queued_twice_runs_once() {
    unsafe extern "C" fn routine(_: PKDPC, context: PVOID, _: PVOID, _: PVOID) {
        // SAFETY: the context is the counter of the test.
        unsafe { &*context.cast::<AtomicU32>() }.fetch_add(1, SeqCst);
    }
    seeds(50, |sim| {
        let sim = sim.clone();
        let mut count = AtomicU32::new(0);
        // SAFETY: initialised below.
        let mut dpc: Box<KDPC> = unsafe { Box::new(MaybeUninit::zeroed().assume_init()) };
        // SAFETY: the DPC has its place.
        unsafe { KeInitializeDpc(&raw mut *dpc, Some(routine), (&raw mut count).cast()) };
        let queued: u32 = sim.at_dispatch(|| {
            let mut queue = || {
                // SAFETY: the DPC is initialised.
                let queued =
                    unsafe { KeInsertQueueDpc(&raw mut *dpc, ptr::null_mut(), ptr::null_mut()) };
                u32::from(queued)
            };
            queue() + queue()
        });
        sim.sleep(Duration::from_millis(1));
        assert_eq!(count.load(SeqCst), queued);
    });
}

#[test]
fn semaphore_released_lets_as_many_waits_end() {
    run(|_| {
        // SAFETY: initialised below.
        let mut semaphore: Box<KSEMAPHORE> =
            unsafe { Box::new(MaybeUninit::zeroed().assume_init()) };
        // SAFETY: the semaphore has its place.
        unsafe { KeInitializeSemaphore(&raw mut *semaphore, 0, 5) };
        // SAFETY: initialised above.
        unsafe { KeReleaseSemaphore(&raw mut *semaphore, 0, 2, 0) };
        let object: PVOID = (&raw mut *semaphore).cast();
        let waits = [(); 3].map(|()| wait(object, Some(0)));
        assert_eq!(waits, [STATUS_SUCCESS, STATUS_SUCCESS, STATUS_TIMEOUT]);
    });
}

#[test]
fn wait_for_any_returns_the_index_of_the_signalled() {
    run(|_| {
        let (mut first, mut second) = (event(), event());
        // SAFETY: the event is initialised.
        unsafe { KeSetEvent(&raw mut *second, 0, 0) };
        let mut objects: [PVOID; 2] = [(&raw mut *first).cast(), (&raw mut *second).cast()];
        let any = _WAIT_TYPE::WaitAny;
        // SAFETY: two live objects.
        let status = unsafe {
            KeWaitForMultipleObjects(
                2,
                objects.as_mut_ptr(),
                any,
                0,
                0,
                0,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        assert_eq!(status, 1);
    });
}

#[test]
fn spin_lock_contended_excludes_under_any_schedule() {
    struct Shared {
        lock: UnsafeCell<KSPIN_LOCK>,
        event: UnsafeCell<KEVENT>,
        inside: AtomicU32,
        total: AtomicU32,
    }
    unsafe extern "C" fn work(context: PVOID) {
        // SAFETY: the test keeps the structure alive.
        let shared: &Shared = unsafe { &*context.cast() };
        for _ in 0..10 {
            // SAFETY: the lock is initialised.
            let irql = unsafe { KeAcquireSpinLockRaiseToDpc(shared.lock.get()) };
            assert_eq!(shared.inside.fetch_add(1, SeqCst), 0);
            // A scheduling point within the lock.
            // SAFETY: the event is initialised.
            unsafe { KeReadStateEvent(shared.event.get()) };
            shared.total.fetch_add(1, SeqCst);
            shared.inside.fetch_sub(1, SeqCst);
            // SAFETY: the lock is held.
            unsafe { KeReleaseSpinLock(shared.lock.get(), irql) };
        }
    }
    seeds(50, |sim| {
        let shared = Box::leak(Box::new(Shared {
            lock: UnsafeCell::new(0),
            event: UnsafeCell::new(*event()),
            inside: AtomicU32::new(0),
            total: AtomicU32::new(0),
        }));
        let address = ptr::from_mut(shared).expose_provenance();
        let tasks = [(); 3].map(|()| {
            // SAFETY: the structure lives on.
            sim.spawn(move || unsafe { work(ptr::with_exposed_provenance_mut(address)) })
        });
        tasks.into_iter().for_each(wsk_sim::Task::join);
        let shared: *mut Shared = ptr::with_exposed_provenance_mut(address);
        // SAFETY: leaked above, and no task uses it any more.
        let shared = unsafe { Box::from_raw(shared) };
        assert_eq!(shared.total.load(SeqCst), 30);
    });
}

#[test]
fn schedule_same_seed_replays_exactly() {
    let trace = |seed| {
        wsk_sim::builder().seed(seed).run(|sim| {
            let order = std::sync::Arc::new(Mutex::new(Vec::new()));
            let tasks = [1, 2, 3].map(|name| {
                let order = order.clone();
                sim.spawn(move || {
                    let mut event = event();
                    for _ in 0..20 {
                        order.lock().unwrap().push(name);
                        // SAFETY: the event is initialised.
                        unsafe { KeSetEvent(&raw mut *event, 0, 0) };
                    }
                })
            });
            tasks.into_iter().for_each(wsk_sim::Task::join);

            order.lock().unwrap().clone()
        })
    };
    assert_eq!(trace(3), trace(3));
    assert!(
        (4..20).any(|seed| trace(seed) != trace(3)),
        "all seeds give one schedule"
    );
}

#[test]
fn delay_moves_virtual_time_only() {
    run(|sim| {
        let mut interval = LARGE_INTEGER {
            QuadPart: -36_000_000_000,
        };
        // SAFETY: the interval is valid.
        let status = unsafe { KeDelayExecutionThread(0, 0, &raw mut interval) };
        assert_eq!(status, STATUS_SUCCESS);
        assert_eq!(sim.now(), Duration::from_hours(1));
    });
}

#[test]
fn work_item_queued_at_dispatch_runs_at_passive() {
    unsafe extern "C" fn routine(_: PDEVICE_OBJECT, context: PVOID) {
        // SAFETY: there are no conditions.
        assert_eq!(unsafe { KeGetCurrentIrql() }, 0);
        // SAFETY: the context is the event of the test.
        unsafe { KeSetEvent(context.cast(), 0, 0) };
    }
    seeds(50, |sim| {
        let mut event = event();
        // SAFETY: within a simulation; the device is not used.
        let item = unsafe { IoAllocateWorkItem(ptr::null_mut()) };
        // SAFETY: the item is idle.
        sim.at_dispatch(|| unsafe {
            IoQueueWorkItem(item, Some(routine), 1, (&raw mut *event).cast());
        });
        assert_eq!(wait(&raw mut *event, None), STATUS_SUCCESS);
        // SAFETY: the item has run.
        unsafe { IoFreeWorkItem(item) };
    });
}

#[test]
fn debug_print_is_captured_with_its_arguments() {
    run(|sim| {
        // SAFETY: format and arguments fit.
        unsafe {
            DbgPrint(
                c"%s: %d of %u\n".as_ptr().cast(),
                c"echo".as_ptr(),
                -1_i32,
                7_u32,
            )
        };
        assert_eq!(sim.debug_output(), ["echo: -1 of 7\n"]);
    });
}

#[test]
fn registry_value_set_by_the_test_is_read() {
    run(|sim| {
        sim.set_registry_value(
            "\\Registry\\Machine\\X\\Parameters",
            "Port",
            RegistryValue::Dword(7777),
        );
        let (_path, mut path) = unicode("\\REGISTRY\\MACHINE\\X\\PARAMETERS");
        let (_name, mut name) = unicode("port");
        let mut attributes = OBJECT_ATTRIBUTES {
            ObjectName: &raw mut path,
            ..OBJECT_ATTRIBUTES::default()
        };
        let mut key = ptr::null_mut();
        // SAFETY: the attributes are complete.
        let status = unsafe { ZwOpenKey(&raw mut key, 0, &raw mut attributes) };
        assert_eq!(status, STATUS_SUCCESS);
        let (mut answer, mut length) = ([0_u32; 8], 0);
        let class = _KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation;
        // SAFETY: the buffer has the size that is passed.
        let status = unsafe {
            ZwQueryValueKey(
                key,
                &raw mut name,
                class,
                answer.as_mut_ptr().cast(),
                32,
                &raw mut length,
            )
        };
        assert_eq!((status, length), (STATUS_SUCCESS, 16));
        assert_eq!(answer[1..4], [4, 4, 7777]);
        assert_eq!(
            core::mem::offset_of!(KEY_VALUE_PARTIAL_INFORMATION, Data),
            12
        );
        // SAFETY: the key is open.
        assert_eq!(unsafe { ZwClose(key) }, STATUS_SUCCESS);
    });
}

#[test]
fn system_routine_known_is_found() {
    run(|_| {
        let find = |name| {
            let (_text, mut name) = unicode(name);
            // SAFETY: a counted string.
            unsafe { MmGetSystemRoutineAddress(&raw mut name) }
        };
        assert!(!find("ExAllocatePool2").is_null());
        assert!(find("NoSuchRoutine").is_null());
    });
}

unsafe extern "system" fn driver_entry(driver: PDRIVER_OBJECT, _: PCUNICODE_STRING) -> NTSTATUS {
    unsafe extern "C" fn complete(_: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
        // SAFETY: the I/O manager gave us the IRP.
        unsafe { (*irp).IoStatus.Information = 3 };
        // SAFETY: as above.
        unsafe { IofCompleteRequest(irp, 0) };
        STATUS_SUCCESS
    }
    unsafe extern "C" fn unload(driver: PDRIVER_OBJECT) {
        // SAFETY: the I/O manager passes our driver object.
        let device = unsafe { (*driver).DeviceObject };
        // SAFETY: the driver has one device.
        unsafe { IoDeleteDevice(device) };
    }
    let (_name, mut name) = unicode("\\Device\\Sample");
    let mut device = ptr::null_mut();
    // SAFETY: the I/O manager passes our driver object.
    unsafe { (*driver).DriverUnload = Some(unload) };
    // SAFETY: as above.
    unsafe { (*driver).MajorFunction = [Some(complete); 28] };
    // SAFETY: as above.
    unsafe { IoCreateDevice(driver, 8, &raw mut name, 0x22, 0, 0, &raw mut device) }
}

#[test]
fn driver_loaded_serves_requests_and_unloads() {
    run(|sim| {
        let driver = sim.load("sample", driver_entry).unwrap();
        let device = sim.open_device("\\Device\\Sample").unwrap();
        assert_eq!(device.write(b"abc"), Ok(3));
        device.close().unwrap();
        driver.unload(sim);
    });
}

#[test]
fn driver_load_without_memory_leaves_nothing() {
    every_fault(|sim| match sim.load("sample", driver_entry) {
        Ok(driver) => driver.unload(sim),
        Err(status) => assert_eq!(status, STATUS_INSUFFICIENT_RESOURCES),
    });
}

#[test]
fn every_fault_strikes_each_call_once() {
    static STRUCK: AtomicU32 = AtomicU32::new(0);
    wsk_sim::builder().inline_only().every_fault(|_| {
        let mut io = Io::new_unless_out_of_memory();
        let Some(io) = io.as_mut() else { return };
        let Some(client) = Client::try_new() else {
            STRUCK.fetch_add(1, SeqCst);
            return;
        };
        let (status, socket) = client.try_socket(io, wsk_sys::WSK_FLAG_LISTEN_SOCKET, false);
        if status == STATUS_SUCCESS {
            Socket::new(socket).close(io);
        } else {
            STRUCK.fetch_add(1, SeqCst);
        }
    });
    // WskRegister, WskCaptureProviderNPI and WskSocket failed once each; then the IRP of WskSocket
    // completed with a failure.
    assert_eq!(STRUCK.load(SeqCst), 4);
}
