/*
 * bcryptprimitives.dll with the one function that Rust's standard library takes from it: Wine 8 has no
 * such library. Random bytes come from the function under which advapi32 exports RtlGenRandom.
 */

#include <windows.h>

BOOLEAN WINAPI SystemFunction036(void *buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(BYTE *buffer, SIZE_T length)
{
    const SIZE_T most = 0x10000;

    while (length) {
        ULONG count = (ULONG)(length < most ? length : most);

        if (!SystemFunction036(buffer, count))
            return FALSE;
        buffer += count;
        length -= count;
    }
    return TRUE;
}
