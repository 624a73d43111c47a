/* The server: a thread that registers with Winsock Kernel, listens, and echoes what each connection sends, until it is told
 * to stop. Every request is waited for together with that, and cancelled if the driver stops.
 */
#include "echo.h"

#include <wsk.h>

/* In network byte order. */
#define ECHO_PORT (7 << 8)
#define BUFFER_SIZE 512

struct ECHO_SERVER {
    WSK_REGISTRATION Registration;
    WSK_PROVIDER_NPI Provider;
    PKTHREAD Thread;
    KEVENT Stop;
    LONG Echoed;
    /* One request at a time, with one IRP. */
    PIRP Irp;
    KEVENT Completed;
    PUCHAR Memory;
    PMDL Mdl;
};

static const WSK_CLIENT_DISPATCH ClientDispatch = {MAKE_WSK_VERSION(1, 0), 0, NULL};

static NTSTATUS NTAPI RequestCompleted(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
    KeSetEvent(Context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

/* Makes the IRP ready for a request. */
static PIRP Prepare(ECHO_SERVER *Server)
{
    IoReuseIrp(Server->Irp, STATUS_UNSUCCESSFUL);
    KeClearEvent(&Server->Completed);
    IoSetCompletionRoutine(Server->Irp, RequestCompleted, &Server->Completed, TRUE, TRUE, TRUE);
    return Server->Irp;
}

/* Waits for the request, and for nothing else. */
static NTSTATUS Finish(ECHO_SERVER *Server)
{
    KeWaitForSingleObject(&Server->Completed, Executive, KernelMode, FALSE, NULL);
    return Server->Irp->IoStatus.Status;
}

/* Waits for the request, which is cancelled when the server is to stop. */
static NTSTATUS FinishOrStop(ECHO_SERVER *Server)
{
    PVOID Objects[] = {&Server->Completed, &Server->Stop};

    if (KeWaitForMultipleObjects(2, Objects, WaitAny, Executive, KernelMode, FALSE, NULL, NULL) == STATUS_WAIT_1) {
        IoCancelIrp(Server->Irp);
    }
    return Finish(Server);
}

static BOOLEAN IsStopping(ECHO_SERVER *Server)
{
    return KeReadStateEvent(&Server->Stop) != 0;
}

static VOID Close(ECHO_SERVER *Server, PWSK_SOCKET Socket)
{
    const WSK_PROVIDER_BASIC_DISPATCH *Basic = Socket->Dispatch;

    Basic->WskCloseSocket(Socket, Prepare(Server));
    Finish(Server);
}

/* Echoes until the peer ends its side, the connection fails, or the server is to stop. */
static VOID Echo(ECHO_SERVER *Server, PWSK_SOCKET Socket)
{
    const WSK_PROVIDER_CONNECTION_DISPATCH *Dispatch = Socket->Dispatch;

    for (;;) {
        WSK_BUF Buffer = {Server->Mdl, 0, BUFFER_SIZE};

        Dispatch->WskReceive(Socket, &Buffer, 0, Prepare(Server));
        if (!NT_SUCCESS(FinishOrStop(Server)) || Server->Irp->IoStatus.Information == 0) {
            break;
        }
        Buffer.Length = Server->Irp->IoStatus.Information;
        Dispatch->WskSend(Socket, &Buffer, 0, Prepare(Server));
        if (!NT_SUCCESS(FinishOrStop(Server))) {
            break;
        }
        InterlockedExchangeAdd(&Server->Echoed, (LONG)Buffer.Length);
    }
    Dispatch->WskDisconnect(Socket, NULL, 0, Prepare(Server));
    FinishOrStop(Server);
}

static PWSK_SOCKET Listen(ECHO_SERVER *Server)
{
    SOCKADDR_IN Address = {AF_INET, ECHO_PORT};
    const WSK_PROVIDER_LISTEN_DISPATCH *Dispatch;
    PWSK_SOCKET Socket;

    Server->Provider.Dispatch->WskSocket(Server->Provider.Client, AF_INET, SOCK_STREAM, IPPROTO_TCP,
                                         WSK_FLAG_LISTEN_SOCKET, NULL, NULL, NULL, NULL, NULL, Prepare(Server));
    if (!NT_SUCCESS(Finish(Server))) {
        return NULL;
    }
    Socket = (PWSK_SOCKET)Server->Irp->IoStatus.Information;
    Dispatch = Socket->Dispatch;
    Dispatch->WskBind(Socket, (PSOCKADDR)&Address, 0, Prepare(Server));
    if (!NT_SUCCESS(Finish(Server))) {
        Close(Server, Socket);
        return NULL;
    }
    return Socket;
}

static VOID Serve(ECHO_SERVER *Server)
{
    const WSK_PROVIDER_LISTEN_DISPATCH *Dispatch;
    PWSK_SOCKET Listener = Listen(Server);

    if (Listener == NULL) {
        DbgPrint("echo: cannot listen: 0x%08x\n", Server->Irp->IoStatus.Status);
        return;
    }
    Dispatch = Listener->Dispatch;
    while (!IsStopping(Server)) {
        Dispatch->WskAccept(Listener, 0, NULL, NULL, NULL, NULL, Prepare(Server));
        if (NT_SUCCESS(FinishOrStop(Server))) {
            PWSK_SOCKET Socket = (PWSK_SOCKET)Server->Irp->IoStatus.Information;
            Echo(Server, Socket);
            Close(Server, Socket);
        }
    }
    Close(Server, Listener);
}

static VOID NTAPI ServerThread(PVOID Context)
{
    ECHO_SERVER *Server = Context;
    NTSTATUS Status;

    /* A second at a time: the provider may become ready late or never, and the driver may have to stop meanwhile. */
    do {
        Status = WskCaptureProviderNPI(&Server->Registration, 1000, &Server->Provider);
    } while (!NT_SUCCESS(Status) && !IsStopping(Server));
    if (NT_SUCCESS(Status)) {
        Serve(Server);
        WskReleaseProviderNPI(&Server->Registration);
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static VOID Free(ECHO_SERVER *Server)
{
    if (Server->Mdl != NULL) {
        IoFreeMdl(Server->Mdl);
    }
    if (Server->Memory != NULL) {
        ExFreePoolWithTag(Server->Memory, ECHO_TAG);
    }
    if (Server->Irp != NULL) {
        IoFreeIrp(Server->Irp);
    }
    ExFreePoolWithTag(Server, ECHO_TAG);
}

static ECHO_SERVER *Allocate(VOID)
{
    ECHO_SERVER *Server = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(ECHO_SERVER), ECHO_TAG);

    if (Server == NULL) {
        return NULL;
    }
    KeInitializeEvent(&Server->Stop, NotificationEvent, FALSE);
    KeInitializeEvent(&Server->Completed, NotificationEvent, FALSE);
    Server->Irp = IoAllocateIrp(1, FALSE);
    Server->Memory = ExAllocatePool2(POOL_FLAG_NON_PAGED, BUFFER_SIZE, ECHO_TAG);
    if (Server->Memory != NULL) {
        Server->Mdl = IoAllocateMdl(Server->Memory, BUFFER_SIZE, FALSE, FALSE, NULL);
    }
    if (Server->Irp == NULL || Server->Mdl == NULL) {
        Free(Server);
        return NULL;
    }
    MmBuildMdlForNonPagedPool(Server->Mdl);
    return Server;
}

static NTSTATUS StartThread(ECHO_SERVER *Server)
{
    OBJECT_ATTRIBUTES Attributes;
    HANDLE Handle;
    NTSTATUS Status;

    InitializeObjectAttributes(&Attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    Status = PsCreateSystemThread(&Handle, THREAD_ALL_ACCESS, &Attributes, NULL, NULL, ServerThread, Server);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = ObReferenceObjectByHandle(Handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode,
                                       (PVOID *)&Server->Thread, NULL);
    ZwClose(Handle);
    return Status;
}

NTSTATUS EchoStart(ECHO_SERVER **Result)
{
    WSK_CLIENT_NPI Client = {NULL, &ClientDispatch};
    ECHO_SERVER *Server = Allocate();
    NTSTATUS Status;

    if (Server == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Status = WskRegister(&Client, &Server->Registration);
    if (NT_SUCCESS(Status)) {
        Status = StartThread(Server);
        if (!NT_SUCCESS(Status)) {
            WskDeregister(&Server->Registration);
        }
    }
    if (!NT_SUCCESS(Status)) {
        Free(Server);
        return Status;
    }
    *Result = Server;
    return STATUS_SUCCESS;
}

VOID EchoStop(ECHO_SERVER *Server)
{
    KeSetEvent(&Server->Stop, IO_NO_INCREMENT, FALSE);
    KeWaitForSingleObject(Server->Thread, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Server->Thread);
    WskDeregister(&Server->Registration);
    Free(Server);
}

ULONG EchoCount(ECHO_SERVER *Server)
{
    return (ULONG)InterlockedExchangeAdd(&Server->Echoed, 0);
}
