/*
 * armddk.h: what of the kernel's interface depends on the processor, for ARM64. Included by mingw-w64's wdm.h.
 *
 * Enough to check the types of a driver. Images for ARM64 are built with the WDK.
 */
#pragma once

#define PASSIVE_LEVEL  0
#define LOW_LEVEL      0
#define APC_LEVEL      1
#define DISPATCH_LEVEL 2
#define CLOCK_LEVEL    13
#define IPI_LEVEL      14
#define DRS_LEVEL      14
#define POWER_LEVEL    14
#define PROFILE_LEVEL  15
#define HIGH_LEVEL     15

#define PAGE_SIZE  0x1000
#define PAGE_SHIFT 12L

#define KI_USER_SHARED_DATA 0xFFFFF78000000000ULL
#define SharedUserData      ((PKUSER_SHARED_DATA const)KI_USER_SHARED_DATA)

typedef struct _KFLOATING_SAVE {
    ULONG Dummy;
} KFLOATING_SAVE, *PKFLOATING_SAVE;

NTSYSAPI PKTHREAD NTAPI KeGetCurrentThread(VOID);

/* wdm.h declares these for every processor but x86 and ARM. */
NTKERNELAPI KIRQL NTAPI KeAcquireSpinLockRaiseToDpc(PKSPIN_LOCK SpinLock);
NTKERNELAPI VOID NTAPI KeAcquireSpinLockAtDpcLevel(PKSPIN_LOCK SpinLock);
NTKERNELAPI VOID NTAPI KeReleaseSpinLock(PKSPIN_LOCK SpinLock, KIRQL NewIrql);
NTKERNELAPI VOID NTAPI KeReleaseSpinLockFromDpcLevel(PKSPIN_LOCK SpinLock);
