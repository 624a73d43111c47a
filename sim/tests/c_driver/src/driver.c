/* The device: reading tells how many bytes were echoed, writing keeps a note, which a work item copies before the request
 * completes. Nothing here knows of sockets.
 */
#include "echo.h"

#define NOTE_SIZE 64

typedef struct EXTENSION {
    ECHO_SERVER *Server;
    FAST_MUTEX Lock;
    /* Guarded by Lock. */
    CHAR Note[NOTE_SIZE];
    ULONG NoteLength;
} EXTENSION;

typedef struct WRITE {
    PIO_WORKITEM Item;
    PIRP Irp;
} WRITE;

static UNICODE_STRING DeviceName = RTL_CONSTANT_STRING(L"\\Device\\EchoC");
static UNICODE_STRING LinkName = RTL_CONSTANT_STRING(L"\\DosDevices\\EchoC");

static NTSTATUS Complete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static NTSTATUS NTAPI Succeed(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    return Complete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI Read(PDEVICE_OBJECT Device, PIRP Irp)
{
    EXTENSION *Extension = Device->DeviceExtension;
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG Count = EchoCount(Extension->Server);

    if (Stack->Parameters.Read.Length < sizeof(Count)) {
        return Complete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
    }
    RtlCopyMemory(Irp->AssociatedIrp.SystemBuffer, &Count, sizeof(Count));
    return Complete(Irp, STATUS_SUCCESS, sizeof(Count));
}

static VOID NTAPI KeepNote(PDEVICE_OBJECT Device, PVOID Context)
{
    EXTENSION *Extension = Device->DeviceExtension;
    WRITE *Write = Context;
    PIRP Irp = Write->Irp;
    ULONG Length = IoGetCurrentIrpStackLocation(Irp)->Parameters.Write.Length;

    if (Length > NOTE_SIZE) {
        Length = NOTE_SIZE;
    }
    ExAcquireFastMutex(&Extension->Lock);
    RtlCopyMemory(Extension->Note, Irp->AssociatedIrp.SystemBuffer, Length);
    Extension->NoteLength = Length;
    ExReleaseFastMutex(&Extension->Lock);
    DbgPrint("echo: a note of %lu bytes\n", Length);

    IoFreeWorkItem(Write->Item);
    ExFreePoolWithTag(Write, ECHO_TAG);
    Complete(Irp, STATUS_SUCCESS, Length);
}

static NTSTATUS NTAPI Write(PDEVICE_OBJECT Device, PIRP Irp)
{
    WRITE *Write = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(WRITE), ECHO_TAG);

    if (Write == NULL) {
        return Complete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    Write->Irp = Irp;
    Write->Item = IoAllocateWorkItem(Device);
    if (Write->Item == NULL) {
        ExFreePoolWithTag(Write, ECHO_TAG);
        return Complete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    IoMarkIrpPending(Irp);
    IoQueueWorkItem(Write->Item, KeepNote, DelayedWorkQueue, Write);
    return STATUS_PENDING;
}

static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    EXTENSION *Extension = Driver->DeviceObject->DeviceExtension;

    EchoStop(Extension->Server);
    IoDeleteSymbolicLink(&LinkName);
    IoDeleteDevice(Driver->DeviceObject);
}

DRIVER_INITIALIZE DriverEntry;

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT Device;
    EXTENSION *Extension;
    NTSTATUS Status;

    DbgPrint("echo: %wZ\n", RegistryPath);
    Status = IoCreateDevice(Driver, sizeof(EXTENSION), &DeviceName, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Extension = Device->DeviceExtension;
    ExInitializeFastMutex(&Extension->Lock);
    Status = IoCreateSymbolicLink(&LinkName, &DeviceName);
    if (NT_SUCCESS(Status)) {
        Status = EchoStart(&Extension->Server);
        if (!NT_SUCCESS(Status)) {
            IoDeleteSymbolicLink(&LinkName);
        }
    }
    if (!NT_SUCCESS(Status)) {
        IoDeleteDevice(Device);
        return Status;
    }
    Driver->MajorFunction[IRP_MJ_CREATE] = Succeed;
    Driver->MajorFunction[IRP_MJ_CLEANUP] = Succeed;
    Driver->MajorFunction[IRP_MJ_CLOSE] = Succeed;
    Driver->MajorFunction[IRP_MJ_READ] = Read;
    Driver->MajorFunction[IRP_MJ_WRITE] = Write;
    Driver->DriverUnload = Unload;
    Device->Flags |= DO_BUFFERED_IO;
    Device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}
