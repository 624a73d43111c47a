/*
 * wdm.h: mingw-w64's, which knows no ARM64.
 *
 * Where only the width of pointers matters (packing, lists, lookaside lists) it asks for x64 or IA-64, so for ARM64 it
 * is given the latter's name while it is read. What depends on the processor it takes from armddk.h, a header that
 * mingw-w64 does not have; the one beside this file is for ARM64.
 */
#pragma once

#if defined(_M_ARM64)
#define _M_ARM 8
#define _IA64_
/* Named in an inline function, for IA-64 in truth. */
#define CV_IA64_CPUID4  0
#define KF_16BYTE_INSTR 0
#endif
#include_next <wdm.h>
#if defined(_M_ARM64)
#undef _IA64_
#undef CV_IA64_CPUID4
#undef KF_16BYTE_INSTR
#endif
