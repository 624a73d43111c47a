/*
 * netioddk.h: the Network Module Registrar (NMR), which attaches client modules to provider modules of the same NPI.
 *
 * Written for this project from the published interface. The functions are exports of netio.sys.
 */
#pragma once

#include <netiodef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a module registers under: an interface, a module, a number among several of the same module. */
typedef struct _NPI_REGISTRATION_INSTANCE {
    USHORT Version;
    USHORT Size;
    PNPIID NpiId;
    PNPI_MODULEID ModuleId;
    ULONG Number;
    CONST VOID *NpiSpecificCharacteristics;
} NPI_REGISTRATION_INSTANCE;
typedef CONST NPI_REGISTRATION_INSTANCE *PNPI_REGISTRATION_INSTANCE;

/* One side of an interface: what to pass, and the table to call through. */
typedef struct _NPI {
    HANDLE Handle;
    CONST VOID *Dispatch;
} NPI;

/* Callbacks of a client module, called at PASSIVE_LEVEL. */
typedef NTSTATUS
(NTAPI NPI_CLIENT_ATTACH_PROVIDER_FN)(
    HANDLE NmrBindingHandle,
    PVOID ClientContext,
    PNPI_REGISTRATION_INSTANCE ProviderRegistrationInstance
    );
typedef NPI_CLIENT_ATTACH_PROVIDER_FN *PNPI_CLIENT_ATTACH_PROVIDER_FN;

typedef NTSTATUS
(NTAPI NPI_CLIENT_DETACH_PROVIDER_FN)(
    PVOID ClientBindingContext
    );
typedef NPI_CLIENT_DETACH_PROVIDER_FN *PNPI_CLIENT_DETACH_PROVIDER_FN;

typedef VOID
(NTAPI NPI_CLIENT_CLEANUP_BINDING_CONTEXT_FN)(
    PVOID ClientBindingContext
    );
typedef NPI_CLIENT_CLEANUP_BINDING_CONTEXT_FN *PNPI_CLIENT_CLEANUP_BINDING_CONTEXT_FN;

typedef struct _NPI_CLIENT_CHARACTERISTICS {
    USHORT Version;
    USHORT Length;
    PNPI_CLIENT_ATTACH_PROVIDER_FN ClientAttachProvider;
    PNPI_CLIENT_DETACH_PROVIDER_FN ClientDetachProvider;
    PNPI_CLIENT_CLEANUP_BINDING_CONTEXT_FN ClientCleanupBindingContext;
    NPI_REGISTRATION_INSTANCE ClientRegistrationInstance;
} NPI_CLIENT_CHARACTERISTICS;
typedef CONST NPI_CLIENT_CHARACTERISTICS *PNPI_CLIENT_CHARACTERISTICS;

/* Callbacks of a provider module, called at PASSIVE_LEVEL. */
typedef NTSTATUS
(NTAPI NPI_PROVIDER_ATTACH_CLIENT_FN)(
    HANDLE NmrBindingHandle,
    PVOID ProviderContext,
    PNPI_REGISTRATION_INSTANCE ClientRegistrationInstance,
    PVOID ClientBindingContext,
    CONST VOID *ClientDispatch,
    PVOID *ProviderBindingContext,
    CONST VOID **ProviderDispatch
    );
typedef NPI_PROVIDER_ATTACH_CLIENT_FN *PNPI_PROVIDER_ATTACH_CLIENT_FN;

typedef NTSTATUS
(NTAPI NPI_PROVIDER_DETACH_CLIENT_FN)(
    PVOID ProviderBindingContext
    );
typedef NPI_PROVIDER_DETACH_CLIENT_FN *PNPI_PROVIDER_DETACH_CLIENT_FN;

typedef VOID
(NTAPI NPI_PROVIDER_CLEANUP_BINDING_CONTEXT_FN)(
    PVOID ProviderBindingContext
    );
typedef NPI_PROVIDER_CLEANUP_BINDING_CONTEXT_FN *PNPI_PROVIDER_CLEANUP_BINDING_CONTEXT_FN;

typedef struct _NPI_PROVIDER_CHARACTERISTICS {
    USHORT Version;
    USHORT Length;
    PNPI_PROVIDER_ATTACH_CLIENT_FN ProviderAttachClient;
    PNPI_PROVIDER_DETACH_CLIENT_FN ProviderDetachClient;
    PNPI_PROVIDER_CLEANUP_BINDING_CONTEXT_FN ProviderCleanupBindingContext;
    NPI_REGISTRATION_INSTANCE ProviderRegistrationInstance;
} NPI_PROVIDER_CHARACTERISTICS;
typedef CONST NPI_PROVIDER_CHARACTERISTICS *PNPI_PROVIDER_CHARACTERISTICS;

NTSTATUS
NmrRegisterClient(
    PNPI_CLIENT_CHARACTERISTICS ClientCharacteristics,
    PVOID ClientContext,
    PHANDLE NmrClientHandle
    );

NTSTATUS
NmrDeregisterClient(
    HANDLE NmrClientHandle
    );

NTSTATUS
NmrWaitForClientDeregisterComplete(
    HANDLE NmrClientHandle
    );

NTSTATUS
NmrClientAttachProvider(
    HANDLE NmrBindingHandle,
    PVOID ClientBindingContext,
    CONST VOID *ClientDispatch,
    PVOID *ProviderBindingContext,
    CONST VOID **ProviderDispatch
    );

VOID
NmrClientDetachProviderComplete(
    HANDLE NmrBindingHandle
    );

NTSTATUS
NmrRegisterProvider(
    PNPI_PROVIDER_CHARACTERISTICS ProviderCharacteristics,
    PVOID ProviderContext,
    PHANDLE NmrProviderHandle
    );

NTSTATUS
NmrDeregisterProvider(
    HANDLE NmrProviderHandle
    );

NTSTATUS
NmrWaitForProviderDeregisterComplete(
    HANDLE NmrProviderHandle
    );

VOID
NmrProviderDetachClientComplete(
    HANDLE NmrBindingHandle
    );

#ifdef __cplusplus
}
#endif
