//! The list of the kernel's exports.
//!
//! It serves `MmGetSystemRoutineAddress`, makes the linker take every export as soon as a test uses
//! the simulator, and checks at compile time that each has the signature which `wdk-sys` declares.

// UNSAFETY: the list is looked up by name on behalf of a driver.
#![expect(unsafe_code, reason = "exports of the kernel")]

use wdk_sys::{PUNICODE_STRING, PVOID};

use super::rtl::read_unicode;
use super::{
    debug, device, dpc, event, handle, irp, irql, mdl, pool, registry, rtl, rundown, spin_lock,
    thread, time, timer, wait, work_item,
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
    debug { KeBugCheck, KeBugCheckEx }
    device {
        IoCreateDevice, IoCreateSymbolicLink, IoDeleteDevice, IoDeleteSymbolicLink, IofCallDriver,
    }
    dpc { KeFlushQueuedDpcs, KeInitializeDpc, KeInsertQueueDpc, KeRemoveQueueDpc }
    event {
        KeClearEvent, KeInitializeEvent, KeInitializeMutex, KeInitializeSemaphore, KeReadStateEvent,
        KeReadStateMutex, KeReadStateSemaphore, KeReleaseMutex, KeReleaseSemaphore, KeResetEvent,
        KeSetEvent,
    }
    handle { ObReferenceObjectByHandle, ObfDereferenceObject, ObfReferenceObject, ZwClose }
    irp {
        IoAcquireCancelSpinLock, IoAllocateIrp, IoCancelIrp, IoFreeIrp, IoInitializeIrp,
        IoReleaseCancelSpinLock, IoReuseIrp, IofCompleteRequest,
    }
    irql { KeGetCurrentIrql, KeLowerIrql, KeRaiseIrqlToDpcLevel, KfRaiseIrql }
    mdl {
        IoAllocateMdl, IoBuildPartialMdl, IoFreeMdl, MmBuildMdlForNonPagedPool,
        MmMapLockedPagesSpecifyCache, MmProbeAndLockPages, MmUnlockPages, MmUnmapLockedPages,
    }
    pool { ExAllocatePool2, ExFreePool, ExFreePoolWithTag }
    registry { ZwOpenKey, ZwQueryValueKey }
    rtl {
        RtlCompareUnicodeString, RtlCopyUnicodeString, RtlEqualUnicodeString, RtlInitUnicodeString,
    }
    rundown {
        ExAcquireRundownProtection, ExAcquireRundownProtectionEx, ExInitializeRundownProtection,
        ExReInitializeRundownProtection, ExReleaseRundownProtection, ExReleaseRundownProtectionEx,
        ExRundownCompleted, ExWaitForRundownProtectionRelease,
    }
    spin_lock {
        KeAcquireSpinLockAtDpcLevel, KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock,
        KeReleaseSpinLockFromDpcLevel, KeTryToAcquireSpinLockAtDpcLevel,
    }
    thread {
        IoGetCurrentProcess, KeSetPriorityThread, PsCreateSystemThread, PsGetCurrentThreadId,
        PsTerminateSystemThread,
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
    work_item { IoAllocateWorkItem, IoFreeWorkItem, IoQueueWorkItem, IoQueueWorkItemEx }
    ;
    others:
    pool { ExAllocatePoolWithTag }
    spin_lock { KeInitializeSpinLock }
    thread { KeGetCurrentThread }
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
