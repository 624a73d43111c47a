//! The rules which the verifier enforces, each with its statement.
//!
//! A number in brackets is the rule's number in docs/CONTRACT.md. The checks are where the
//! functions are; here are only words.

macro_rules! rules {
    ($($name:ident: $statement:literal,)*) => {
        /// A rule of the kernel or of WSK that a driver can break.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $statement] $name,)*
        }

        impl Rule {
            /// The rule in words.
            #[must_use]
            pub const fn statement(self) -> &'static str {
                match self {
                    $(Self::$name => $statement,)*
                }
            }
        }
    };
}

rules! {
    Irql: "a function was called above the highest IRQL at which it may be called [wsk 1]",
    IrqlChanged: "a callback must return at the IRQL at which it was called",
    BlockingAboveApc:
        "a thread may wait only at `PASSIVE_LEVEL` or `APC_LEVEL`, except with a time-out of zero",
    SpinLock:
        "a spin lock is released once, by the thread that took it, with the IRQL that taking it \
         returned",
    UninitialisedObject:
        "an event, semaphore, mutex or timer must be initialised before it is used",
    FastMutex:
        "a fast mutex or guarded mutex is acquired once at a time, with APCs held back, and \
         released by the same thread at the same IRQL",
    Region: "a thread leaves each critical and guarded region that it entered, once",
    Resource:
        "a resource is acquired with APCs held back, released by whoever holds it, and deleted \
         once, when nobody does",
    InterlockedList: "the header and the entries of an interlocked list lie at multiples of 16",
    CorruptList: "the links of a list must lead forth and back",
    MutexOwner: "a mutex is released only by the thread that owns it",
    DoubleFree: "pool memory is freed once",
    BadFree:
        "only an address that an allocation returned can be freed, with the tag it was \
         allocated with",
    Overrun: "a driver must not write outside the memory it allocated",
    WriteAfterFree: "a driver must not write to memory it has freed",
    FreedInUse: "memory must not be freed while the kernel uses an object in it",
    PagedAtDispatch: "paged pool must not be used at `DISPATCH_LEVEL` [wsk 1.4]",
    LookasideList:
        "a lookaside list is initialised in nonpaged memory, and deleted once, when every entry \
         that was taken from it has been freed to it",
    IrpCompletedTwice: "an IRP is completed once by each driver that was given it",
    IrpCompletion:
        "an IRP is completed with a final status, after its cancel routine was taken out",
    IrpPending:
        "a dispatch routine returns `STATUS_PENDING` if it has marked the IRP pending, and only \
         then [wsk 3.14]",
    IrpForgotten:
        "a dispatch routine that does not return `STATUS_PENDING` has completed the IRP, or \
         passed it on and returns what that returned",
    IrpStatus: "a dispatch routine that has completed the IRP returns the IRP's status",
    CancelRoutine: "a cancel routine releases the cancel spin lock, and returns at that IRQL",
    IrpFreedInFlight: "an IRP must not be freed while another driver owns it [wsk 3.5]",
    IrpReusedInFlight:
        "an IRP must not be initialised again while another driver owns it [wsk 3.5]",
    IrpUnknown:
        "an IRP must come from `IoAllocateIrp` or `IoInitializeIrp` and must not have been \
         freed [wsk 3.1]",
    IrpStackLocation: "an IRP needs a stack location for the driver that it is given to [wsk 3.1]",
    NoCompletionRoutine:
        "an IRP of the client's own needs a completion routine for success, error and cancel \
         before every call [wsk 3.2]",
    CompletionStatus:
        "the completion routine of the client's own IRP must return \
         `STATUS_MORE_PROCESSING_REQUIRED` [wsk 3.2]",
    IrpRequired: "this WSK function needs an IRP [wsk 3a]",
    IrpMustBeNull: "this control operation must not be given an IRP [wsk 3a]",
    OutputSizeRequired:
        "this control operation tells how much it gives by `OutputSizeReturned` [wsk 3a]",
    WskFromCompletion: "a completion routine must not call WSK functions [wsk 3.9]",
    MdlFreedInUse: "an MDL must stay until the request that uses it completes [wsk 3.12]",
    MdlUnknown: "an MDL must come from `IoAllocateMdl`, be built before use, and be freed once",
    BufferBeyondMdl: "the range of a `WSK_BUF` must lie within its MDL chain [wsk 8.9]",
    BufferFreed:
        "the memory of a request must stay allocated until the request completes [wsk 3.12]",
    CallAfterClose:
        "nothing may be called on a socket after `WskCloseSocket` was called [wsk 10.3]",
    CloseDuringCall: "no other call may run on a socket when `WskCloseSocket` is called [wsk 10.1]",
    BadSocket:
        "a WSK function must be given a socket that WSK returned, of the category that its \
         table is for",
    RetainedAtClose:
        "every list that was retained must be released before the socket is closed [wsk 8.6]",
    ReleaseUnknown:
        "only a list that a receive event gave, and that the client retained by returning \
         `STATUS_PENDING`, is released, once, by its head [wsk 8.2, 8.6]",
    EventStatus: "an event callback must return one of the values that its event knows",
    EventWithoutCallback: "an event that is enabled needs its callback in the socket's table",
    AcceptAnswer:
        "`WskAcceptEvent` must write the context and the table of a socket, or null, when it \
         accepts it, and before it enables the socket's events [wsk 6.8, 7.2]",
    Inspection:
        "`WskInspectComplete` is called once for an inspection that was pended, with a copy of \
         its ID [wsk 7.9, 7.11]",
    SecurityDescriptor:
        "a security descriptor that WSK is given is one that it has cached and that was not \
         released; it is released once, when no request uses it [wsk 4.5]",
    Owner: "a socket is owned by a process and a thread of the system [wsk 4.5]",
    ParallelAccept: "a listening socket takes one `WskAccept` at a time",
    Registration:
        "`WskRegister` and `WskDeregister` come in pairs on one registration that stays in \
         place, with a table whose `Reserved` is 0 [wsk 2.1, 2.3, 2.4]",
    Capture:
        "each captured provider NPI is released exactly once, and not used afterwards [wsk 2.5]",
    ReleasedDuringRequest:
        "a provider NPI is released only when the requests for names that were made through it \
         are over [wsk 11.5]",
    NameString: "the text of a name must be terminated by NUL, within its buffer [wsk 11.1]",
    AddressList:
        "a list of addresses is freed once, by `WskFreeAddressInfo`, for the client that asked \
         for it [wsk 11.1]",
    CallAfterRelease: "a provider NPI must not be used after it was released [wsk 2.8]",
    NmrHandle:
        "a network module is deregistered once, by the handle that registering it returned \
         [wsk 12.12]",
    NmrCharacteristics:
        "the characteristics of a network module have the sizes and versions of the interface, and \
         stay valid, unchanged and resident while it is registered [wsk 12.1]",
    NmrAttach:
        "`NmrClientAttachProvider` is called from inside `ClientAttachProvider`, with the handle \
         that was passed there, until it succeeds [wsk 12.5]",
    NmrAttachStatus:
        "`ClientAttachProvider` returns the status of `NmrClientAttachProvider`, or a failure if \
         it did not call that; `ProviderAttachClient` returns `STATUS_SUCCESS` or a failure \
         [wsk 12.5, 12.8]",
    NmrDispatch:
        "a provider that attaches gives its context and its dispatch table; tables stay valid \
         until both modules have detached [wsk 12.8]",
    NmrDetachStatus: "a detach callback returns `STATUS_SUCCESS` or `STATUS_PENDING` [wsk 12.10]",
    NmrDetachComplete:
        "each side completes its own detach, exactly once, and only if its detach callback \
         returned `STATUS_PENDING` [wsk 12.10]",
    NmrBindingContext:
        "a binding context must stay allocated until its cleanup callback is called \
         [wsk 12.6, 12.10]",
    NmrCallAfterDetach: "a module that has detached calls nothing of the other's [wsk 12.11]",
    Handle: "a handle or object reference is closed or given up exactly once",
    WorkItem: "a work item is queued once at a time and not freed while queued",
    Rundown: "rundown protection is released as often as it was acquired",
    Device: "device objects and symbolic links are created once and deleted once",
    Leak:
        "everything that a driver created must be gone when it is unloaded and when the test ends",
    BugCheck: "the driver stopped the system",
    Hang: "no thread can ever run again: each waits for what only another could do",
    Livelock: "the simulation goes on and on (for more scheduling points than the test allows)",
    Unresponsive:
        "a simulation must not do nothing for long (a minute of real time, unless the test says \
         otherwise): a thread does not call the kernel, or what all wait for does not arrive",
}
