//! Views of the structures that driver and kernel share in memory.
//!
//! One unsafe cast per export makes a view; everything behind it is then safe Rust on atomics and
//! cells. The views have the layouts of `wdk-sys` (asserted below) but spell out the members which
//! bindgen hides in numbered unions. They know layouts, no behaviour.

// UNSAFETY: turning an address that a driver passed into a reference is what an export of the
// kernel does.
#![expect(unsafe_code, reason = "views of structures in the driver's memory")]

use core::cell::Cell;
use core::mem::{offset_of, size_of};
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU8, AtomicU32, AtomicUsize};

use wdk_sys::{
    FAST_MUTEX, IO_STACK_LOCATION, IRP, KDPC, KEVENT, KGUARDED_MUTEX, KMUTANT, KQUEUE, KSEMAPHORE,
    KTIMER, LIST_ENTRY, LOOKASIDE_LIST_EX, MDL, NPAGED_LOOKASIDE_LIST, PDEVICE_OBJECT,
    PIO_COMPLETION_ROUTINE, PKDEFERRED_ROUTINE, POOL_TYPE, SLIST_ENTRY, SLIST_HEADER,
    WORK_QUEUE_ITEM,
};

/// Makes a view of `T` at `address`.
///
/// # Safety
///
/// `address` points to memory with the layout of `T` that stays allocated while the view is used,
/// and that only the kernel and the protocol of the object's owner write to.
pub(crate) unsafe fn view<'a, T>(address: *mut impl Sized) -> &'a T {
    // SAFETY: promised by the caller; every member of a view is an atomic or a cell, so that
    // sharing is allowed.
    unsafe { &*address.cast::<T>() }
}

/// `DISPATCHER_HEADER`: the start of every object that can be waited for.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) kind: AtomicU8,
    pub(crate) reserved: AtomicU8,
    /// In units of four bytes, as the kernel counts.
    pub(crate) size: AtomicU8,
    pub(crate) inserted: AtomicU8,
    pub(crate) state: AtomicI32,
    pub(crate) wait_list: [AtomicUsize; 2],
}

/// `KSEMAPHORE`.
#[repr(C)]
pub(crate) struct Semaphore {
    pub(crate) header: Header,
    pub(crate) limit: AtomicI32,
}

/// `KMUTANT`, alias `KMUTEX`.
#[repr(C)]
pub(crate) struct Mutant {
    pub(crate) header: Header,
    pub(crate) list: [AtomicUsize; 2],
    pub(crate) owner: AtomicUsize,
    pub(crate) abandoned: AtomicU8,
    pub(crate) apc_disable: AtomicU8,
}

/// `FAST_MUTEX`, and `KGUARDED_MUTEX`, which has a gate where the other has an event.
#[repr(C)]
pub(crate) struct FastMutex {
    /// 1 while it is free; less by one for its owner and for each thread that waits.
    pub(crate) count: AtomicI32,
    pub(crate) owner: AtomicUsize,
    pub(crate) contention: AtomicU32,
    pub(crate) event: Header,
    pub(crate) old_irql: AtomicU32,
}

/// `KQUEUE`.
#[repr(C)]
pub(crate) struct Queue {
    pub(crate) header: Header,
    pub(crate) entries: Links,
    pub(crate) current: AtomicU32,
    pub(crate) maximum: AtomicU32,
    pub(crate) threads: Links,
}

/// `LIST_ENTRY`.
#[repr(C)]
pub(crate) struct Links {
    pub(crate) next: AtomicPtr<LIST_ENTRY>,
    pub(crate) previous: AtomicPtr<LIST_ENTRY>,
}

/// `SLIST_HEADER`: how many entries there are, and the first. Drivers leave its inside alone.
#[repr(C)]
pub(crate) struct SListHeader {
    pub(crate) depth: AtomicUsize,
    pub(crate) first: AtomicPtr<SLIST_ENTRY>,
}

/// `LOOKASIDE_LIST_EX`, `NPAGED_LOOKASIDE_LIST` and `PAGED_LOOKASIDE_LIST`, as far as the inline
/// functions of the headers use them.
#[repr(C)]
pub(crate) struct Lookaside {
    pub(crate) head: SListHeader,
    pub(crate) depth: Cell<u16>,
    pub(crate) maximum_depth: Cell<u16>,
    pub(crate) total_allocates: Cell<u32>,
    pub(crate) allocate_misses: Cell<u32>,
    pub(crate) total_frees: Cell<u32>,
    pub(crate) free_misses: Cell<u32>,
    pub(crate) pool: Cell<POOL_TYPE>,
    pub(crate) tag: Cell<u32>,
    pub(crate) size: Cell<u32>,
    pub(crate) allocate: Cell<*const ()>,
    pub(crate) free: Cell<*const ()>,
}

/// `WORK_QUEUE_ITEM`.
#[repr(C)]
pub(crate) struct WorkQueueItem {
    pub(crate) list: [AtomicUsize; 2],
    pub(crate) routine: Cell<wdk_sys::PWORKER_THREAD_ROUTINE>,
    pub(crate) parameter: Cell<*mut core::ffi::c_void>,
}

/// `KTIMER`.
#[repr(C)]
pub(crate) struct Timer {
    pub(crate) header: Header,
    pub(crate) due: AtomicUsize,
    pub(crate) list: [AtomicUsize; 2],
    pub(crate) dpc: AtomicPtr<KDPC>,
    pub(crate) processor: AtomicU32,
    /// Milliseconds, 0 for a timer that fires once.
    pub(crate) period: AtomicU32,
}

/// `KDPC`.
#[repr(C)]
pub(crate) struct Dpc {
    pub(crate) kind: AtomicU8,
    pub(crate) importance: AtomicU8,
    pub(crate) number: Cell<u16>,
    pub(crate) list: [AtomicUsize; 2],
    pub(crate) routine: Cell<PKDEFERRED_ROUTINE>,
    pub(crate) context: Cell<*mut core::ffi::c_void>,
    pub(crate) argument1: Cell<*mut core::ffi::c_void>,
    pub(crate) argument2: Cell<*mut core::ffi::c_void>,
    /// Not null while the DPC is queued.
    pub(crate) queued: AtomicUsize,
}

/// `IRP`.
#[repr(C)]
pub(crate) struct Irp {
    pub(crate) kind: Cell<i16>,
    pub(crate) size: Cell<u16>,
    pub(crate) mdl: Cell<*mut MDL>,
    pub(crate) flags: Cell<u32>,
    pub(crate) system_buffer: Cell<*mut core::ffi::c_void>,
    pub(crate) thread_list: [AtomicUsize; 2],
    pub(crate) status: Cell<i32>,
    pub(crate) information: Cell<usize>,
    pub(crate) requestor_mode: Cell<i8>,
    pub(crate) pending_returned: Cell<u8>,
    pub(crate) stack_count: Cell<i8>,
    pub(crate) current_location: Cell<i8>,
    pub(crate) cancel: AtomicU8,
    pub(crate) cancel_irql: AtomicU8,
    pub(crate) apc_environment: Cell<i8>,
    pub(crate) allocation_flags: Cell<u8>,
    pub(crate) user_iosb: Cell<usize>,
    pub(crate) user_event: Cell<usize>,
    pub(crate) overlay: [Cell<usize>; 2],
    pub(crate) cancel_routine: AtomicUsize,
    pub(crate) user_buffer: Cell<*mut core::ffi::c_void>,
    pub(crate) driver_context: [Cell<usize>; 4],
    pub(crate) thread: Cell<usize>,
    pub(crate) auxiliary_buffer: Cell<usize>,
    pub(crate) list_entry: [AtomicUsize; 2],
    pub(crate) current_stack: Cell<*mut IO_STACK_LOCATION>,
    pub(crate) original_file: Cell<usize>,
    tail: usize,
}

/// `IO_STACK_LOCATION`.
#[repr(C)]
pub(crate) struct Stack {
    pub(crate) major: Cell<u8>,
    pub(crate) minor: Cell<u8>,
    pub(crate) flags: Cell<u8>,
    pub(crate) control: Cell<u8>,
    pub(crate) parameters: [Cell<usize>; 4],
    pub(crate) device: Cell<PDEVICE_OBJECT>,
    pub(crate) file: Cell<usize>,
    pub(crate) routine: Cell<PIO_COMPLETION_ROUTINE>,
    pub(crate) context: Cell<*mut core::ffi::c_void>,
}

/// `MDL`.
#[repr(C)]
pub(crate) struct Mdl {
    pub(crate) next: Cell<*mut MDL>,
    pub(crate) size: Cell<i16>,
    pub(crate) flags: Cell<i16>,
    pub(crate) process: Cell<usize>,
    pub(crate) mapped: Cell<*mut u8>,
    pub(crate) start: Cell<*mut u8>,
    pub(crate) byte_count: Cell<u32>,
    pub(crate) byte_offset: Cell<u32>,
}

impl Header {
    /// A header of the kernel's own, outside of driver memory.
    pub(crate) const fn new(kind: u8, size: usize, state: i32) -> Self {
        Self {
            kind: AtomicU8::new(kind),
            reserved: AtomicU8::new(0),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "objects are at most 64 bytes long"
            )]
            size: AtomicU8::new((size / 4) as u8),
            inserted: AtomicU8::new(0),
            state: AtomicI32::new(state),
            wait_list: [const { AtomicUsize::new(0) }; 2],
        }
    }
}

impl Irp {
    /// The stack location numbered `location` (1 is the lowest driver's).
    pub(crate) fn stack(&self, location: i8) -> &Stack {
        // SAFETY: an IRP of `stack_count` locations is followed by that many of them in the same
        // allocation (IoSizeOfIrp), and the callers pass 1..=stack_count.
        unsafe { view(self.stack_address(location)) }
    }

    fn stack_address(&self, location: i8) -> *mut IO_STACK_LOCATION {
        let first = ptr::from_ref(self)
            .wrapping_add(1)
            .cast::<IO_STACK_LOCATION>()
            .cast_mut();
        first.wrapping_add(usize::from(location.unsigned_abs() - 1))
    }

    /// Makes `location` the current one, in both members that say so.
    pub(crate) fn set_location(&self, location: i8) {
        self.current_location.set(location);
        self.current_stack.set(self.stack_address(location));
    }
}

const _: () = {
    assert!(size_of::<Header>() == size_of::<KEVENT>());
    assert!(size_of::<Semaphore>() <= size_of::<KSEMAPHORE>());
    assert!(offset_of!(Semaphore, limit) == offset_of!(KSEMAPHORE, Limit));
    assert!(size_of::<Mutant>() == size_of::<KMUTANT>());
    assert!(offset_of!(Mutant, owner) == offset_of!(KMUTANT, OwnerThread));
    assert!(size_of::<FastMutex>() == size_of::<FAST_MUTEX>());
    assert!(offset_of!(FastMutex, owner) == offset_of!(FAST_MUTEX, Owner));
    assert!(offset_of!(FastMutex, event) == offset_of!(FAST_MUTEX, Event));
    assert!(offset_of!(FastMutex, old_irql) == offset_of!(FAST_MUTEX, OldIrql));
    assert!(size_of::<FastMutex>() == size_of::<KGUARDED_MUTEX>());
    assert!(size_of::<Queue>() == size_of::<KQUEUE>());
    assert!(offset_of!(Queue, entries) == offset_of!(KQUEUE, EntryListHead));
    assert!(offset_of!(Queue, maximum) == offset_of!(KQUEUE, MaximumCount));
    assert!(size_of::<Links>() == size_of::<LIST_ENTRY>());
    assert!(size_of::<SListHeader>() == size_of::<SLIST_HEADER>());
    assert!(size_of::<Lookaside>() <= size_of::<LOOKASIDE_LIST_EX>());
    assert!(offset_of!(Lookaside, depth) == offset_of!(LOOKASIDE_LIST_EX, L.Depth));
    assert!(offset_of!(Lookaside, total_frees) == offset_of!(LOOKASIDE_LIST_EX, L.TotalFrees));
    assert!(offset_of!(Lookaside, size) == offset_of!(LOOKASIDE_LIST_EX, L.Size));
    assert!(offset_of!(Lookaside, size) == offset_of!(NPAGED_LOOKASIDE_LIST, L.Size));
    assert!(offset_of!(Lookaside, free) + 8 == offset_of!(LOOKASIDE_LIST_EX, L.ListEntry));
    assert!(offset_of!(Lookaside, free) + 8 == offset_of!(NPAGED_LOOKASIDE_LIST, L.ListEntry));
    assert!(size_of::<WorkQueueItem>() == size_of::<WORK_QUEUE_ITEM>());
    assert!(offset_of!(WorkQueueItem, parameter) == offset_of!(WORK_QUEUE_ITEM, Parameter));
    assert!(size_of::<Timer>() == size_of::<KTIMER>());
    assert!(offset_of!(Timer, dpc) == offset_of!(KTIMER, Dpc));
    assert!(offset_of!(Timer, period) == offset_of!(KTIMER, Period));
    assert!(size_of::<Dpc>() == size_of::<KDPC>());
    assert!(offset_of!(Dpc, routine) == offset_of!(KDPC, DeferredRoutine));
    assert!(offset_of!(Dpc, queued) == offset_of!(KDPC, DpcData));
    assert!(size_of::<Irp>() == size_of::<IRP>());
    assert!(offset_of!(Irp, status) == offset_of!(IRP, IoStatus));
    assert!(offset_of!(Irp, current_location) == offset_of!(IRP, CurrentLocation));
    assert!(offset_of!(Irp, cancel_routine) == offset_of!(IRP, CancelRoutine));
    assert!(offset_of!(Irp, thread) == offset_of!(IRP, Tail.Overlay.Thread));
    assert!(
        offset_of!(Irp, current_stack)
            == offset_of!(
                IRP,
                Tail.Overlay
                    .__bindgen_anon_2
                    .__bindgen_anon_1
                    .CurrentStackLocation
            )
    );
    assert!(size_of::<Stack>() == size_of::<IO_STACK_LOCATION>());
    assert!(offset_of!(Stack, routine) == offset_of!(IO_STACK_LOCATION, CompletionRoutine));
    assert!(offset_of!(Stack, parameters) == offset_of!(IO_STACK_LOCATION, Parameters));
    assert!(size_of::<Mdl>() == size_of::<MDL>());
    assert!(offset_of!(Mdl, byte_offset) == offset_of!(MDL, ByteOffset));
};
