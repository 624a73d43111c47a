/*
 * What a driver of this repository imports from ntoskrnl.exe and Wine 8 does not export, or
 * exports without doing anything.
 *
 * Linked by `cargo xtask build --wine` into the image that is loaded there, and into no other: a
 * definition in the image wins over the import library. Must not be used to replace anything that
 * works in Wine. Only what is listed here differs from the shipping image.
 */

typedef unsigned char BOOLEAN, KIRQL, UCHAR;
typedef unsigned short USHORT;
typedef int NTSTATUS;
typedef void *HANDLE;
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

/* Wine accepts DPCs and runs none. Here each runs on a thread of its own. */

typedef struct KDPC KDPC;
typedef void DEFERRED_ROUTINE(KDPC *, void *, void *, void *);

struct KDPC {
    UCHAR Type, Importance;
    USHORT Number;
    void *DpcListEntry[2];
    DEFERRED_ROUTINE *DeferredRoutine;
    void *DeferredContext, *SystemArgument1, *SystemArgument2;
    void *DpcData;
};

/* A thread that was made for a DPC. */
struct run {
    struct run *next;
    KDPC *dpc;
    /* None until it is known; NO_THREAD if there was none to be had. */
    HANDLE thread;
};

#define NO_THREAD ((HANDLE)-1)
#define TAG_RUN 0x63704457 /* WDpc */

void ExFreePoolWithTag(void *, ULONG);
NTSTATUS KeDelayExecutionThread(char, BOOLEAN, const long long *);
NTSTATUS PsCreateSystemThread(HANDLE *, ULONG, void *, HANDLE, void *, void (*)(void *), void *);
NTSTATUS PsTerminateSystemThread(NTSTATUS);
NTSTATUS ZwClose(HANDLE);
NTSTATUS ZwWaitForSingleObject(HANDLE, BOOLEAN, const long long *);

void KeInitializeDpc(KDPC *, DEFERRED_ROUTINE *, void *);
BOOLEAN KeInsertQueueDpc(KDPC *, void *, void *);
void KeFlushQueuedDpcs(void);

static const long long moment = -10000;
static struct run *runs;
/* How many look through the runs at this moment, which are not in the list then. */
static int reapers;

static void add(struct run *run)
{
    run->next = __atomic_load_n(&runs, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&runs, &run->next, run, 1, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED))
        ;
}

static void execute(KDPC *dpc)
{
    DEFERRED_ROUTINE *routine = dpc->DeferredRoutine;
    void *context = dpc->DeferredContext;
    void *argument1 = dpc->SystemArgument1, *argument2 = dpc->SystemArgument2;

    /* From here on it may be queued again. */
    __atomic_store_n(&dpc->DpcData, 0, __ATOMIC_SEQ_CST);
    routine(dpc, context, argument1, argument2);
}

static void execute_on_thread(void *run)
{
    execute(((struct run *)run)->dpc);
    PsTerminateSystemThread(0);
}

/* Frees what is left of the threads that have ended; waits for them if it is told to. */
static void reap(BOOLEAN wait)
{
    static const long long now = 0;
    struct run *run;

    __atomic_add_fetch(&reapers, 1, __ATOMIC_SEQ_CST);
    run = __atomic_exchange_n(&runs, 0, __ATOMIC_SEQ_CST);
    while (run) {
        struct run *next = run->next;
        HANDLE thread;

        while (!(thread = __atomic_load_n(&run->thread, __ATOMIC_SEQ_CST)) && wait)
            KeDelayExecutionThread(0, 0, &moment);
        if (!thread || (thread != NO_THREAD && ZwWaitForSingleObject(thread, 0, wait ? 0 : &now))) {
            add(run);
        } else {
            if (thread != NO_THREAD)
                ZwClose(thread);
            ExFreePoolWithTag(run, TAG_RUN);
        }
        run = next;
    }
    __atomic_sub_fetch(&reapers, 1, __ATOMIC_SEQ_CST);
}

void KeInitializeDpc(KDPC *dpc, DEFERRED_ROUTINE *routine, void *context)
{
    memset(dpc, 0, sizeof(*dpc));
    dpc->DeferredRoutine = routine;
    dpc->DeferredContext = context;
}

/* Without memory or a thread it runs at once: a DPC may do so as well, on another processor. */
BOOLEAN KeInsertQueueDpc(KDPC *dpc, void *argument1, void *argument2)
{
    struct run *run;
    HANDLE thread = NO_THREAD;

    if (__atomic_exchange_n(&dpc->DpcData, dpc, __ATOMIC_SEQ_CST))
        return 0;
    dpc->SystemArgument1 = argument1;
    dpc->SystemArgument2 = argument2;
    reap(0);
    run = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*run), TAG_RUN);
    if (!run) {
        execute(dpc);
        return 1;
    }
    run->dpc = dpc;
    run->thread = 0;
    add(run);
    if (PsCreateSystemThread(&thread, 0x1FFFFF, 0, 0, 0, execute_on_thread, run)) {
        thread = NO_THREAD;
        execute(dpc);
    }
    __atomic_store_n(&run->thread, thread, __ATOMIC_SEQ_CST);
    return 1;
}

void KeFlushQueuedDpcs(void)
{
    do {
        reap(1);
        if (__atomic_load_n(&reapers, __ATOMIC_SEQ_CST))
            KeDelayExecutionThread(0, 0, &moment);
    } while (__atomic_load_n(&reapers, __ATOMIC_SEQ_CST) ||
             __atomic_load_n(&runs, __ATOMIC_SEQ_CST));
}

/* Wine's threads have no IRQL: whatever runs there could be preempted and may wait. */
KIRQL KeGetCurrentIrql(void)
{
    return 0;
}
