//! The list of the kernel's exports.
//!
//! It serves `MmGetSystemRoutineAddress`, makes the linker take every export as soon as a test uses
//! the simulator, and checks at compile time that each has the signature which `wdk-sys` declares.

// UNSAFETY: the list is looked up by name on behalf of a driver.
#![expect(unsafe_code, reason = "exports of the kernel")]

use wdk_sys::{PUNICODE_STRING, PVOID};

use super::rtl::read_unicode;
use super::{
    cancel, completion, csq, debug, device, dispatch, dpc, event, fast_mutex, handle, interlocked,
    irp, irql, lookaside, mdl, pages, pool, queue, region, registry, resource, rtl, rundown,
    security, slist, spin_lock, thread, time, timer, wait, work_item,
};

unsafe extern "C" {
    fn DbgPrint();
    fn DbgPrintEx();
}

macro_rules! exports {
    (
        declared: $($module:ident { $($name:ident),* $(,)? })* ;
        others: $($other:ident { $($extra:ident),* $(,)? })*
    ) => {
        /// Never called: compiles only if both arms have one type.
        #[expect(dead_code, reason = "a check at compile time")]
        fn check_signatures(which: bool) {
            $($(let _ = if which { wdk_sys::ntddk::$name } else { $module::$name };)*)*
        }

        fn find(name: &str) -> Option<*const ()> {
            match name {
                $($(stringify!($name) => Some($module::$name as *const ()),)*)*
                $($(stringify!($extra) => Some($other::$extra as *const ()),)*)*
                "DbgPrint" => Some(DbgPrint as *const ()),
                "DbgPrintEx" => Some(DbgPrintEx as *const ()),
                "MmGetSystemRoutineAddress" => Some(MmGetSystemRoutineAddress as *const ()),
                _ => None,
            }
        }
    };
}

exports! {
    declared:
    cancel { IoAcquireCancelSpinLock, IoCancelIrp, IoReleaseCancelSpinLock }
    completion { IoSetCompletionRoutineEx, IofCompleteRequest }
    csq {
        IoCsqInitialize, IoCsqInitializeEx, IoCsqInsertIrp, IoCsqInsertIrpEx, IoCsqRemoveIrp,
        IoCsqRemoveNextIrp,
    }
    debug { KeBugCheck, KeBugCheckEx }
    device {
        IoCreateDevice, IoCreateSymbolicLink, IoDeleteDevice, IoDeleteSymbolicLink,
    }
    dispatch { IofCallDriver }
    dpc { KeFlushQueuedDpcs, KeInitializeDpc, KeInsertQueueDpc, KeRemoveQueueDpc }
    event {
        KeClearEvent, KeInitializeEvent, KeInitializeMutex, KeInitializeSemaphore, KeReadStateEvent,
        KeReadStateMutex, KeReadStateSemaphore, KeReleaseMutex, KeReleaseSemaphore, KeResetEvent,
        KeSetEvent,
    }
    fast_mutex {
        ExAcquireFastMutex, ExAcquireFastMutexUnsafe, ExReleaseFastMutex, ExReleaseFastMutexUnsafe,
        ExTryToAcquireFastMutex, KeAcquireGuardedMutex, KeInitializeGuardedMutex,
        KeReleaseGuardedMutex, KeTryToAcquireGuardedMutex,
    }
    handle {
        ObReferenceObjectByHandle, ObfDereferenceObject, ObfReferenceObject, ZwClearEvent, ZwClose,
        ZwCreateEvent, ZwResetEvent, ZwSetEvent,
    }
    interlocked {
        ExInterlockedAddLargeInteger, ExInterlockedAddUlong, ExInterlockedInsertHeadList,
        ExInterlockedInsertTailList, ExInterlockedPopEntryList, ExInterlockedPushEntryList,
        ExInterlockedRemoveHeadList,
    }
    irp { IoAllocateIrp, IoFreeIrp, IoInitializeIrp, IoReuseIrp }
    irql { KeGetCurrentIrql, KeLowerIrql, KeRaiseIrqlToDpcLevel, KfRaiseIrql }
    lookaside {
        ExDeleteLookasideListEx, ExDeleteNPagedLookasideList, ExDeletePagedLookasideList,
        ExFlushLookasideListEx, ExInitializeLookasideListEx, ExInitializeNPagedLookasideList,
        ExInitializePagedLookasideList,
    }
    mdl {
        IoAllocateMdl, IoBuildPartialMdl, IoFreeMdl, MmBuildMdlForNonPagedPool,
        MmMapLockedPagesSpecifyCache, MmProbeAndLockPages, MmUnlockPages, MmUnmapLockedPages,
    }
    pages {
        MmAllocateContiguousMemory, MmAllocatePagesForMdl, MmAllocatePagesForMdlEx,
        MmFreeContiguousMemory, MmFreePagesFromMdl,
    }
    pool { ExAllocatePool2, ExFreePool, ExFreePoolWithTag }
    queue {
        KeInitializeQueue, KeInsertHeadQueue, KeInsertQueue, KeReadStateQueue, KeRemoveQueue,
        KeRundownQueue,
    }
    region {
        KeAreAllApcsDisabled, KeAreApcsDisabled, KeEnterCriticalRegion, KeEnterGuardedRegion,
        KeLeaveCriticalRegion, KeLeaveGuardedRegion,
    }
    registry { ZwOpenKey, ZwQueryValueKey }
    resource {
        ExAcquireResourceExclusiveLite, ExAcquireResourceSharedLite, ExAcquireSharedStarveExclusive,
        ExConvertExclusiveToSharedLite, ExDeleteResourceLite, ExGetExclusiveWaiterCount,
        ExInitializeResourceLite, ExIsResourceAcquiredExclusiveLite,
        ExIsResourceAcquiredSharedLite, ExReleaseResourceForThreadLite, ExReleaseResourceLite,
    }
    rtl {
        RtlCompareUnicodeString, RtlCopyUnicodeString, RtlEqualUnicodeString, RtlInitUnicodeString,
    }
    rundown {
        ExAcquireRundownProtection, ExAcquireRundownProtectionEx, ExInitializeRundownProtection,
        ExReInitializeRundownProtection, ExReleaseRundownProtection, ExReleaseRundownProtectionEx,
        ExRundownCompleted, ExWaitForRundownProtectionRelease,
    }
    security { ObOpenObjectByPointer }
    slist {
        ExQueryDepthSList, ExpInterlockedFlushSList, ExpInterlockedPopEntrySList,
        ExpInterlockedPushEntrySList, InitializeSListHead,
    }
    spin_lock {
        KeAcquireInStackQueuedSpinLock, KeAcquireInStackQueuedSpinLockAtDpcLevel,
        KeAcquireSpinLockAtDpcLevel, KeAcquireSpinLockRaiseToDpc, KeReleaseInStackQueuedSpinLock,
        KeReleaseInStackQueuedSpinLockFromDpcLevel, KeReleaseSpinLock,
        KeReleaseSpinLockFromDpcLevel, KeTryToAcquireSpinLockAtDpcLevel,
    }
    thread {
        IoGetCurrentProcess, KeSetPriorityThread, PsCreateSystemThread, PsGetCurrentProcessId,
        PsGetCurrentThreadId, PsGetProcessId, PsGetThreadId, PsLookupProcessByProcessId,
        PsLookupThreadByThreadId, PsTerminateSystemThread,
    }
    time {
        KeGetCurrentProcessorNumberEx, KeQueryActiveProcessorCountEx, KeQueryPerformanceCounter,
        KeQueryTimeIncrement, KeStallExecutionProcessor,
    }
    timer {
        KeCancelTimer, KeInitializeTimer, KeInitializeTimerEx, KeReadStateTimer, KeSetTimer,
        KeSetTimerEx,
    }
    wait { KeDelayExecutionThread,
        KeWaitForMultipleObjects, KeWaitForSingleObject,
        ZwWaitForSingleObject,
    }
    work_item {
        ExQueueWorkItem, IoAllocateWorkItem, IoFreeWorkItem, IoInitializeWorkItem, IoQueueWorkItem,
        IoQueueWorkItemEx, IoSizeofWorkItem, IoUninitializeWorkItem,
    }
    ;
    others:
    pool { ExAllocatePoolWithTag }
    security { ZwSetSecurityObject }
    spin_lock { KeInitializeSpinLock }
    thread { KeGetCurrentThread, PsGetCurrentProcess, PsGetCurrentThread }
    time { KeQueryInterruptTime, KeQuerySystemTimePrecise }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn MmGetSystemRoutineAddress(name: PUNICODE_STRING) -> PVOID {
    // SAFETY: the driver passes a counted string.
    let name = unsafe { read_unicode(name) };
    find(&name).map_or(core::ptr::null_mut(), |routine| routine.cast_mut().cast())
}

/// Names a function of every object file of the exports, so that the linker takes them.
pub(crate) fn link() -> bool {
    find("MmGetSystemRoutineAddress").is_some()
}
