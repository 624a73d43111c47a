/* netiodef.h: identifiers of network programming interfaces and modules. Written for this project. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/* Names a network programming interface (NPI). */
typedef GUID NPIID;
typedef CONST NPIID *PNPIID;

typedef enum _NPI_MODULEID_TYPE {
    MIT_GUID = 1,
    MIT_IF_LUID = 2
} NPI_MODULEID_TYPE;

/* Names a network module. Length is sizeof(NPI_MODULEID); Type says which arm of the union counts. */
typedef struct _NPI_MODULEID {
    USHORT Length;
    NPI_MODULEID_TYPE Type;
    union {
        GUID Guid;
        LUID IfLuid;
    };
} NPI_MODULEID;
typedef CONST NPI_MODULEID *PNPI_MODULEID;

__inline
BOOLEAN
NmrIsEqualNpiModuleId(
    PNPI_MODULEID ModuleId1,
    PNPI_MODULEID ModuleId2
    )
{
    if (ModuleId1->Type != ModuleId2->Type) {
        return FALSE;
    }
    if (ModuleId1->Type == MIT_GUID) {
        return RtlCompareMemory(&ModuleId1->Guid, &ModuleId2->Guid, sizeof(GUID)) == sizeof(GUID);
    }
    if (ModuleId1->Type == MIT_IF_LUID) {
        return RtlCompareMemory(&ModuleId1->IfLuid, &ModuleId2->IfLuid, sizeof(LUID)) == sizeof(LUID);
    }
    return FALSE;
}

/* Where the registrar keeps the providers that are to be started on demand. */
#define NMR_REG_KEY_PATH L"\\Registry\\Machine\\System\\CurrentControlSet\\Control\\NMR\\providers"

/* Module identifiers of the system's own modules; their data is in uuid.lib. */
extern CONST NPI_MODULEID NPI_MS_IPV4_MODULEID;
extern CONST NPI_MODULEID NPI_MS_IPV6_MODULEID;
extern CONST NPI_MODULEID NPI_MS_UDP_MODULEID;
extern CONST NPI_MODULEID NPI_MS_TCP_MODULEID;
extern CONST NPI_MODULEID NPI_MS_NDIS_MODULEID;

#ifdef __cplusplus
}
#endif
