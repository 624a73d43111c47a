/*
 * ntifs.h: mingw-w64's, with the functions that it has inline and Windows exports declared as functions.
 *
 * The first header that wdk-build includes, so what is declared here wins over every later header.
 */
#pragma once

#define KeGetCurrentIrql      mingw_KeGetCurrentIrql
#define KfRaiseIrql           mingw_KfRaiseIrql
#define KeLowerIrql           mingw_KeLowerIrql
#define KeRaiseIrqlToDpcLevel mingw_KeRaiseIrqlToDpcLevel
#define KeInitializeSpinLock  mingw_KeInitializeSpinLock
#include_next <ntifs.h>
#undef KeGetCurrentIrql
#undef KfRaiseIrql
#undef KeLowerIrql
#undef KeRaiseIrqlToDpcLevel
#undef KeInitializeSpinLock

NTKERNELAPI KIRQL NTAPI KeGetCurrentIrql(VOID);
NTKERNELAPI KIRQL NTAPI KfRaiseIrql(KIRQL NewIrql);
NTKERNELAPI VOID NTAPI KeLowerIrql(KIRQL NewIrql);
NTKERNELAPI KIRQL NTAPI KeRaiseIrqlToDpcLevel(VOID);
NTKERNELAPI VOID NTAPI KeInitializeSpinLock(PKSPIN_LOCK SpinLock);
