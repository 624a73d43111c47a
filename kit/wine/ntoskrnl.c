/*
 * What a driver of this repository imports from ntoskrnl.exe and Wine 8 does not export.
 *
 * Linked by `cargo xtask build --wine` into the image that is loaded there, and into no other: a
 * definition in the image wins over the import library. Must not be used to replace anything that
 * Wine has. Only what is listed here differs from the shipping image.
 */

typedef unsigned char KIRQL;
typedef unsigned long ULONG;
typedef unsigned long long POOL_FLAGS, SIZE_T;
typedef enum { NonPagedPoolNx = 512, PagedPool = 1 } POOL_TYPE;

enum {
    POOL_FLAG_UNINITIALIZED = 0x2,
    POOL_FLAG_NON_PAGED = 0x40,
    POOL_FLAG_PAGED = 0x100,
};

void *ExAllocatePoolWithTag(POOL_TYPE, SIZE_T, ULONG);
void *memset(void *, int, SIZE_T);

void *ExAllocatePool2(POOL_FLAGS, SIZE_T, ULONG);
KIRQL KeGetCurrentIrql(void);

/* The flags of the upper half are requests that may be ignored; those of the lower half have to be
   obeyed or refused. The memory is zeroed unless the caller asks for it as it is. */
void *ExAllocatePool2(POOL_FLAGS flags, SIZE_T size, ULONG tag)
{
    ULONG required = (ULONG)flags & ~(ULONG)POOL_FLAG_UNINITIALIZED;
    POOL_TYPE type = required == POOL_FLAG_PAGED ? PagedPool : NonPagedPoolNx;
    void *memory;

    if ((required != POOL_FLAG_PAGED && required != POOL_FLAG_NON_PAGED) || size == 0 || tag == 0)
        return 0;
    memory = ExAllocatePoolWithTag(type, size, tag);
    if (memory && !(flags & POOL_FLAG_UNINITIALIZED))
        memset(memory, 0, size);
    return memory;
}

/* Wine's threads have no IRQL: whatever runs there could be preempted and may wait. */
KIRQL KeGetCurrentIrql(void)
{
    return 0;
}
