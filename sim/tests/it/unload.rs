//! What a driver leaves behind when it is unloaded, each in a test of its own.

// UNSAFETY: plays drivers in C, which call the kernel directly.
#![expect(unsafe_code, reason = "calls the exports of the kernel")]

use core::ptr;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::SeqCst;

use wdk_sys::ntddk::{
    ExInitializeLookasideListEx, ExInitializeResourceLite, ExQueueWorkItem, IoAllocateIrp,
    IoAllocateMdl, IoAllocateWorkItem, IoCreateDevice, IoCreateSymbolicLink, IoDeleteDevice,
    IofCompleteRequest, KeDelayExecutionThread, KeInitializeDpc, KeInitializeTimer,
    KeInsertQueueDpc, KeSetTimer, ZwClose, ZwCreateEvent,
};
use wdk_sys::{
    _POOL_TYPE, ERESOURCE, IRP, KDPC, KTIMER, LARGE_INTEGER, LOOKASIDE_LIST_EX, NTSTATUS,
    PCUNICODE_STRING, PDEVICE_OBJECT, PDRIVER_OBJECT, PIRP, PKDPC, PVOID, STATUS_PENDING,
    STATUS_SUCCESS, STATUS_UNSUCCESSFUL, WORK_QUEUE_ITEM,
};
use wsk_sim::{Rule, Sim, run};
use wsk_sys::{IoMarkIrpPending, WSK_FLAG_LISTEN_SOCKET};

use crate::common::{Client, Io, TAG};
use crate::driver::{NON_PAGED, allocate, expect, start_thread, unicode, zeroed};

/// What a driver does when it is loaded.
trait Loads {
    fn load(driver: PDRIVER_OBJECT);
}

unsafe extern "C" fn unload(_: PDRIVER_OBJECT) {}

unsafe extern "system" fn entry<L: Loads>(driver: PDRIVER_OBJECT, _: PCUNICODE_STRING) -> NTSTATUS {
    // SAFETY: the I/O manager passes our driver object.
    unsafe { (*driver).DriverUnload = Some(unload) };
    L::load(driver);
    STATUS_SUCCESS
}

/// Loads and unloads a driver that does `$body` when it is loaded, and expects a report that says
/// `$what`.
macro_rules! left {
    ($what:literal, $driver:pat => $body:block) => {
        struct Left;

        impl Loads for Left {
            fn load($driver: PDRIVER_OBJECT) $body
        }

        expect(Rule::Leak, concat!("when it was unloaded:\n  ", $what), |sim| {
            let driver = sim.load("left", entry::<Left>).unwrap();
            driver.unload(sim);
        });
    };
}

/// Memory for a structure in the driver's image.
fn place<T: Copy>() -> *mut T {
    Box::leak(zeroed())
}

#[test]
fn unload_with_pool_is_reported() {
    left!("100 bytes of nonpaged pool", _ => { allocate(NON_PAGED, 100); });
}

#[test]
fn unload_with_thread_is_reported() {
    unsafe extern "C" fn start(_: PVOID) {
        let mut forever = LARGE_INTEGER { QuadPart: i64::MIN };
        // SAFETY: the interval is there.
        let _ = unsafe { KeDelayExecutionThread(0, 0, &raw mut forever) };
    }
    left!("thread 1 \"system thread\"", _ => {
        let thread = start_thread(start, ptr::null_mut());
        // SAFETY: the handle is open.
        let _ = unsafe { ZwClose(thread) };
    });
}

#[test]
fn unload_with_work_item_is_reported() {
    left!("work item, allocated", _ => {
        // SAFETY: within a simulation; the device is not used.
        unsafe { IoAllocateWorkItem(ptr::null_mut()) };
    });
}

#[test]
fn unload_with_queued_work_item_is_reported() {
    unsafe extern "C" fn nothing(_: PVOID) {}
    left!("work item, queued", _ => {
        let item: *mut WORK_QUEUE_ITEM = place();
        // SAFETY: the item is ours.
        unsafe { (*item).WorkerRoutine = Some(nothing) };
        // SAFETY: the item is initialised.
        unsafe { ExQueueWorkItem(item, 1) };
    });
}

#[test]
fn unload_with_set_timer_is_reported() {
    left!("timer at", _ => {
        let timer: *mut KTIMER = place();
        // SAFETY: the timer has its place.
        unsafe { KeInitializeTimer(timer) };
        let hour = LARGE_INTEGER { QuadPart: -36_000_000_000 };
        // SAFETY: initialised above.
        unsafe { KeSetTimer(timer, hour, ptr::null_mut()) };
    });
}

#[test]
fn unload_with_queued_dpc_is_reported() {
    unsafe extern "C" fn nothing(_: PKDPC, _: PVOID, _: PVOID, _: PVOID) {}
    left!("DPC at", _ => {
        for _ in 0..100 {
            let dpc: *mut KDPC = place();
            // SAFETY: the DPC has its place.
            unsafe { KeInitializeDpc(dpc, Some(nothing), ptr::null_mut()) };
            // SAFETY: initialised above; under this schedule one of them has not run at the end.
            unsafe { KeInsertQueueDpc(dpc, ptr::null_mut(), ptr::null_mut()) };
        }
    });
}

#[test]
fn unload_with_irp_is_reported() {
    left!("IRP", _ => {
        // SAFETY: within a simulation.
        unsafe { IoAllocateIrp(1, 0) };
    });
}

#[test]
fn unload_with_mdl_is_reported() {
    left!("MDL", _ => {
        let memory = place::<IRP>().cast();
        // SAFETY: within a simulation.
        unsafe { IoAllocateMdl(memory, 8, 0, 0, ptr::null_mut()) };
    });
}

#[test]
fn unload_with_open_handle_is_reported() {
    left!("handle of notification event", _ => {
        let mut handle = ptr::null_mut();
        // SAFETY: the place for the handle is there.
        let _ = unsafe { ZwCreateEvent(&raw mut handle, 0, ptr::null_mut(), 0, 0) };
    });
}

fn create_device(driver: PDRIVER_OBJECT, name: &str) -> PDEVICE_OBJECT {
    let (_text, mut name) = unicode(name);
    let mut device = ptr::null_mut();
    let place = &raw mut device;
    // SAFETY: the driver object is ours, and the place for the pointer is there.
    let status = unsafe { IoCreateDevice(driver, 0, &raw mut name, 0x22, 0, 0, place) };
    assert_eq!(status, STATUS_SUCCESS);
    device
}

#[test]
fn unload_with_device_is_reported() {
    left!("device \\device\\left", driver => { create_device(driver, "\\Device\\Left"); });
}

#[test]
fn unload_with_symbolic_link_is_reported() {
    left!("symbolic link \\??\\left", driver => {
        let device = create_device(driver, "\\Device\\Left");
        let ((_link, mut link), (_name, mut name)) =
            (unicode("\\??\\Left"), unicode("\\Device\\Left"));
        // SAFETY: counted strings.
        let _ = unsafe { IoCreateSymbolicLink(&raw mut link, &raw mut name) };
        // SAFETY: the device is ours.
        unsafe { IoDeleteDevice(device) };
    });
}

#[test]
fn unload_with_request_of_a_program_is_reported() {
    struct Holds;

    unsafe extern "C" fn hold(_: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
        // SAFETY: a dispatch routine has its IRP.
        unsafe { IoMarkIrpPending(irp) };
        STATUS_PENDING
    }
    unsafe extern "C" fn delete(driver: PDRIVER_OBJECT) {
        // SAFETY: the I/O manager passes our driver object.
        let device = unsafe { (*driver).DeviceObject };
        // SAFETY: the device is ours.
        unsafe { IoDeleteDevice(device) };
    }
    unsafe extern "C" fn complete(_: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
        // SAFETY: a dispatch routine has its IRP.
        unsafe { IofCompleteRequest(irp, 0) };
        STATUS_SUCCESS
    }
    impl Loads for Holds {
        fn load(driver: PDRIVER_OBJECT) {
            create_device(driver, "\\Device\\Left");
            // SAFETY: the driver object is ours.
            let object = unsafe { &mut *driver };
            object.DriverUnload = Some(delete);
            object.MajorFunction = [Some(complete); 28];
            object.MajorFunction[3] = Some(hold);
        }
    }
    expect(Rule::Leak, "request IRP_MJ 0x3 of a program", |sim| {
        let driver = sim.load("left", entry::<Holds>).unwrap();
        let reader = sim.clone();
        sim.spawn(move || {
            let device = reader.open_device("\\Device\\Left").unwrap();
            device.read(&mut [0; 4])
        });
        sim.sleep(core::time::Duration::from_secs(1));
        driver.unload(sim);
    });
}

#[test]
fn unload_with_lookaside_list_is_reported() {
    left!("lookaside list", _ => {
        let (list, pool): (*mut LOOKASIDE_LIST_EX, _) = (place(), _POOL_TYPE::NonPagedPool);
        // SAFETY: the list has its place.
        let _ = unsafe { ExInitializeLookasideListEx(list, None, None, pool, 0, 32, TAG, 0) };
    });
}

#[test]
fn unload_with_resource_is_reported() {
    left!("resource", _ => {
        // SAFETY: the resource has its place.
        let _ = unsafe { ExInitializeResourceLite(place::<ERESOURCE>()) };
    });
}

#[test]
fn unload_with_socket_and_registration_is_reported() {
    left!("Listen socket", _ => {
        let client = Client::new();
        let (status, _socket) = client.try_socket(&mut Io::new(), WSK_FLAG_LISTEN_SOCKET, false);
        assert_eq!(status, STATUS_SUCCESS);
        core::mem::forget(client);
    });
}

#[test]
fn entry_that_fails_and_leaves_something_is_reported() {
    unsafe extern "system" fn fails(_: PDRIVER_OBJECT, _: PCUNICODE_STRING) -> NTSTATUS {
        allocate(NON_PAGED, 100);
        STATUS_UNSUCCESSFUL
    }
    expect(Rule::Leak, "its entry point failed", |sim| {
        let _ = sim.load("fails", fails);
    });
}

#[test]
fn driver_not_unloaded_is_reported() {
    expect(Rule::Leak, "was not unloaded", |sim| {
        struct Nothing;
        impl Loads for Nothing {
            fn load(_: PDRIVER_OBJECT) {}
        }
        drop(sim.load("nothing", entry::<Nothing>).unwrap());
    });
}

#[test]
fn unload_does_not_ask_for_what_others_have() {
    static OTHERS: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());

    struct Innocent;
    struct Other;

    impl Loads for Innocent {
        fn load(_: PDRIVER_OBJECT) {}
    }
    impl Loads for Other {
        fn load(driver: PDRIVER_OBJECT) {
            unsafe extern "C" fn free(_: PDRIVER_OBJECT) {
                // SAFETY: allocated when the driver was loaded.
                unsafe { wdk_sys::ntddk::ExFreePool(OTHERS.load(SeqCst).cast()) };
            }
            OTHERS.store(allocate(NON_PAGED, 10), SeqCst);
            // SAFETY: the driver object is ours.
            unsafe { (*driver).DriverUnload = Some(free) };
        }
    }
    run(|sim: &Sim| {
        let innocent = sim.load("innocent", entry::<Innocent>).unwrap();
        let other = sim.load("other", entry::<Other>).unwrap();
        let own = allocate(NON_PAGED, 10);
        innocent.unload(sim);
        other.unload(sim);
        // SAFETY: allocated above.
        unsafe { wdk_sys::ntddk::ExFreePool(own.cast()) };
    });
}
