/*
 * ntstrsafe.h: mingw-w64's, then what its kernel headers, which stand at Windows 7, lack and the crates need.
 *
 * The last header that wdk-build includes in every driver model.
 */
#pragma once
#include_next <ntstrsafe.h>

/* Windows 10 2004. The POOL_FLAG_ constants are in wdk-sys. */
typedef ULONG64 POOL_FLAGS;
NTKERNELAPI PVOID NTAPI ExAllocatePool2(POOL_FLAGS Flags, SIZE_T NumberOfBytes, ULONG Tag);

/* Windows 8: bits that go with the priority of a mapping. */
#define MdlMappingNoWrite   0x80000000
#define MdlMappingNoExecute 0x40000000
