//! What `netiodef.h` has besides types: making and comparing module identifiers, and the
//! identifiers of the system.
//!
//! The headers only declare those; their data is in a library of the SDK that drivers need not
//! link.

// UNSAFETY: a module identifier holds a union, and C passes it by pointer.
#![expect(unsafe_code, reason = "access to a C union behind a pointer")]
#![expect(non_snake_case, reason = "the names of the C headers")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "the size of a small structure"
)]

use wdk_sys::{BOOLEAN, GUID, INT, LUID, USHORT, WCHAR};

use crate::{NPI_MODULEID, NPIID, PNPI_MODULEID};

/// [`NPI_MODULEID::Type`](crate::_NPI_MODULEID::Type): the module is named by a GUID.
pub const MIT_GUID: INT = 1;
/// [`NPI_MODULEID::Type`](crate::_NPI_MODULEID::Type): the module is named by the LUID of an
/// interface.
pub const MIT_IF_LUID: INT = 2;

/// The network programming interface of WSK.
pub static NPI_WSK_INTERFACE_ID: NPIID = NPIID {
    Data1: 0x2227_E803,
    Data2: 0x8D8B,
    Data3: 0x11D4,
    Data4: [0xAB, 0xAD, 0x00, 0x90, 0x27, 0x71, 0x9E, 0x09],
};

/// The module of IPv4.
pub static NPI_MS_IPV4_MODULEID: NPI_MODULEID = microsoft_module(0xEB00_4A00);
/// The module of IPv6.
pub static NPI_MS_IPV6_MODULEID: NPI_MODULEID = microsoft_module(0xEB00_4A01);
/// The module of UDP.
pub static NPI_MS_UDP_MODULEID: NPI_MODULEID = microsoft_module(0xEB00_4A02);
/// The module of TCP.
pub static NPI_MS_TCP_MODULEID: NPI_MODULEID = microsoft_module(0xEB00_4A03);
/// The module of NDIS.
pub static NPI_MS_NDIS_MODULEID: NPI_MODULEID = microsoft_module(0xEB00_4A11);

/// The registry key of the providers that the registrar starts on demand, ended by a zero as in C.
pub const NMR_REG_KEY_PATH: [WCHAR; REG_KEY_PATH.len()] = widen(REG_KEY_PATH);

const REG_KEY_PATH: &[u8; 65] =
    b"\\Registry\\Machine\\System\\CurrentControlSet\\Control\\NMR\\providers\0";

/// Whether two identifiers name the same module. Identifiers of a type that is not known are never
/// equal.
///
/// # Safety
/// Both pointers are valid for reads, and the arm that `Type` names is initialised.
#[must_use]
pub unsafe fn NmrIsEqualNpiModuleId(ModuleId1: PNPI_MODULEID, ModuleId2: PNPI_MODULEID) -> BOOLEAN {
    // SAFETY: the caller's promise.
    let one = unsafe { name_of(ModuleId1) };
    // SAFETY: the caller's promise.
    let other = unsafe { name_of(ModuleId2) };
    BOOLEAN::from(one.is_some() && one == other)
}

/// An identifier that names a module by `guid`.
#[must_use]
pub const fn npi_moduleid_guid(guid: GUID) -> NPI_MODULEID {
    let mut id = empty_moduleid(MIT_GUID);
    id.__bindgen_anon_1.Guid = guid;
    id
}

/// An identifier that names a module by the LUID of an interface.
#[must_use]
pub const fn npi_moduleid_if_luid(luid: LUID) -> NPI_MODULEID {
    let mut id = empty_moduleid(MIT_IF_LUID);
    id.__bindgen_anon_1.IfLuid = luid;
    id
}

/// An identifier of `r#type` whose union is zero: initialised, whichever arm is read.
const fn empty_moduleid(r#type: INT) -> NPI_MODULEID {
    // SAFETY: integers only, for which zero is a value.
    let mut id: NPI_MODULEID = unsafe { core::mem::zeroed() };
    id.Length = size_of::<NPI_MODULEID>() as USHORT;
    id.Type = r#type;
    id
}

/// The modules of the system differ in the first number only.
const fn microsoft_module(data1: u32) -> NPI_MODULEID {
    npi_moduleid_guid(GUID {
        Data1: data1,
        Data2: 0x9B1A,
        Data3: 0x11D4,
        Data4: [0x91, 0x23, 0x00, 0x50, 0x04, 0x77, 0x59, 0xBC],
    })
}

/// What an identifier says: the members of a GUID, or those of a LUID.
#[derive(PartialEq, Eq)]
enum Name {
    Guid(u32, u16, u16, [u8; 8]),
    IfLuid(u32, i32),
}

/// # Safety
/// `id` is valid for reads, and the arm that `Type` names is initialised.
unsafe fn name_of(id: PNPI_MODULEID) -> Option<Name> {
    // SAFETY: the caller's promise.
    let id = unsafe { &*id };
    match id.Type {
        MIT_GUID => {
            // SAFETY: `Type` names this arm.
            let guid = unsafe { id.__bindgen_anon_1.Guid };
            Some(Name::Guid(guid.Data1, guid.Data2, guid.Data3, guid.Data4))
        }
        MIT_IF_LUID => {
            // SAFETY: `Type` names this arm.
            let luid = unsafe { id.__bindgen_anon_1.IfLuid };
            Some(Name::IfLuid(luid.LowPart, luid.HighPart))
        }
        _ => None,
    }
}

const fn widen<const N: usize>(text: &[u8; N]) -> [WCHAR; N] {
    let mut wide = [0; N];
    let mut at = 0;
    while at < N {
        wide[at] = text[at] as WCHAR;
        at += 1;
    }
    wide
}
