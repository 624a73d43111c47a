//! What a network module's characteristics say [wsk 12.1].
//!
//! They are in the module's memory. They are read once, when it registers, and compared later: see
//! `module`.

// UNSAFETY: characteristics are read in the driver's memory.
#![expect(unsafe_code, reason = "reads structures in the driver's memory")]

use core::fmt;

use wdk_sys::{GUID, HANDLE, NTSTATUS, PVOID};
use wsk_sys::{
    MIT_GUID, MIT_IF_LUID, NPI_CLIENT_CHARACTERISTICS, NPI_MODULEID, NPI_PROVIDER_CHARACTERISTICS,
    NPI_REGISTRATION_INSTANCE, PNPI_CLIENT_CHARACTERISTICS, PNPI_PROVIDER_CHARACTERISTICS,
    PNPI_REGISTRATION_INSTANCE,
};

/// `ClientAttachProvider`
pub(super) type ClientAttach =
    unsafe extern "C" fn(HANDLE, PVOID, PNPI_REGISTRATION_INSTANCE) -> NTSTATUS;
/// `ProviderAttachClient`
pub(super) type ProviderAttach = unsafe extern "C" fn(
    HANDLE,
    PVOID,
    PNPI_REGISTRATION_INSTANCE,
    PVOID,
    *const core::ffi::c_void,
    *mut PVOID,
    *mut *const core::ffi::c_void,
) -> NTSTATUS;
/// `ClientDetachProvider`, `ProviderDetachClient`
pub(super) type Detach = unsafe extern "C" fn(PVOID) -> NTSTATUS;
/// `ClientCleanupBindingContext`, `ProviderCleanupBindingContext`
pub(super) type Cleanup = unsafe extern "C" fn(PVOID);

/// What a module is in a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Provider,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Client, Self::Provider];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Provider => "provider",
        }
    }
}

/// The members of a GUID, as they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guid(u32, u16, u16, [u8; 8]);

impl Guid {
    pub(crate) const fn new(guid: &GUID) -> Self {
        Self(guid.Data1, guid.Data2, guid.Data3, guid.Data4)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(one, two, three, rest) = self;
        write!(f, "{{{one:08X}-{two:04X}-{three:04X}-")?;
        for (index, byte) in rest.iter().enumerate() {
            let dash = if index == 2 { "-" } else { "" };
            write!(f, "{dash}{byte:02X}")?;
        }
        f.write_str("}")
    }
}

/// What an `NPI_MODULEID` says: its type decides which member counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModuleId {
    Guid(Guid),
    IfLuid(u32, i32),
    Unknown(i32),
}

impl fmt::Display for ModuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guid(guid) => write!(f, "{guid}"),
            Self::IfLuid(low, high) => write!(f, "interface {high:#x}:{low:#x}"),
            Self::Unknown(kind) => write!(f, "of unknown type {kind}"),
        }
    }
}

/// The callbacks of a module.
#[derive(Clone, Copy)]
pub(super) struct Callbacks {
    pub(super) attach: Attach,
    pub(super) detach: Detach,
    pub(super) cleanup: Option<Cleanup>,
}

#[derive(Clone, Copy)]
pub(super) enum Attach {
    Client(ClientAttach),
    Provider(ProviderAttach),
}

/// What a module's characteristics say, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Characteristics {
    pub(super) address: usize,
    /// `Version` and `Length`; `Version` and `Size` of the instance; `Length` of the module id.
    sizes: [usize; 5],
    callbacks: [usize; 3],
    /// `NpiId`, `ModuleId`, `NpiSpecificCharacteristics`
    pointers: [usize; 3],
    pub(super) number: u32,
    pub(super) npi: Guid,
    pub(super) id: ModuleId,
}

/// The sizes that `Characteristics::sizes` must have.
const SIZES: [usize; 5] = [
    0,
    size_of::<NPI_CLIENT_CHARACTERISTICS>(),
    0,
    size_of::<NPI_REGISTRATION_INSTANCE>(),
    size_of::<NPI_MODULEID>(),
];

const _: () = assert!(
    size_of::<NPI_CLIENT_CHARACTERISTICS>() == size_of::<NPI_PROVIDER_CHARACTERISTICS>(),
    "one size for both"
);

impl Characteristics {
    /// What is wrong with the versions, sizes and types.
    pub(super) fn fault(&self) -> Option<String> {
        const MEMBERS: [&str; 5] = [
            "Version",
            "Length",
            "RegistrationInstance.Version",
            "RegistrationInstance.Size",
            "RegistrationInstance.ModuleId->Length",
        ];
        for ((member, found), expected) in MEMBERS.iter().zip(self.sizes).zip(SIZES) {
            if found != expected {
                return Some(format!("{member} is {found}, not {expected}"));
            }
        }
        match self.id {
            ModuleId::Unknown(kind) => Some(format!(
                "RegistrationInstance.ModuleId->Type is {kind}, neither MIT_GUID nor MIT_IF_LUID"
            )),
            _ => None,
        }
    }

    /// The memory that must stay: start, length and name. Of what only the module knows the size
    /// of, the first byte.
    pub(super) fn memory(&self) -> [(usize, usize, &'static str); 4] {
        let [npi, id, specific] = self.pointers;
        [
            (self.address, SIZES[1], "the characteristics"),
            (npi, size_of::<GUID>(), "the NPIID"),
            (id, size_of::<NPI_MODULEID>(), "the NPI_MODULEID"),
            (specific, 1, "the NPI-specific characteristics"),
        ]
    }
}

/// What is found at the address that a module registered with.
pub(super) struct Found {
    pub(super) characteristics: Characteristics,
    pub(super) callbacks: Callbacks,
}

/// Reads the characteristics of a client.
///
/// # Safety
///
/// `address` and the pointers behind it are null or valid for reads.
pub(super) unsafe fn read_client(address: PNPI_CLIENT_CHARACTERISTICS) -> Result<Found, String> {
    if address.is_null() {
        return Err("the characteristics are null".to_owned());
    }
    // SAFETY: promised by the caller.
    let all = unsafe { address.read() };
    let Some(attach) = all.ClientAttachProvider else {
        return Err("ClientAttachProvider is null".to_owned());
    };
    let Some(detach) = all.ClientDetachProvider else {
        return Err("ClientDetachProvider is null".to_owned());
    };
    let callbacks = Callbacks {
        attach: Attach::Client(attach),
        detach,
        cleanup: all.ClientCleanupBindingContext,
    };
    let sizes = [all.Version, all.Length];
    let (address, instance) = (address.addr(), &all.ClientRegistrationInstance);
    // SAFETY: promised by the caller.
    unsafe { read(address, sizes, callbacks, attach as usize, instance) }
}

/// Reads the characteristics of a provider.
///
/// # Safety
///
/// As for `read_client`.
pub(super) unsafe fn read_provider(
    address: PNPI_PROVIDER_CHARACTERISTICS,
) -> Result<Found, String> {
    if address.is_null() {
        return Err("the characteristics are null".to_owned());
    }
    // SAFETY: promised by the caller.
    let all = unsafe { address.read() };
    let Some(attach) = all.ProviderAttachClient else {
        return Err("ProviderAttachClient is null".to_owned());
    };
    let Some(detach) = all.ProviderDetachClient else {
        return Err("ProviderDetachClient is null".to_owned());
    };
    let callbacks = Callbacks {
        attach: Attach::Provider(attach),
        detach,
        cleanup: all.ProviderCleanupBindingContext,
    };
    let sizes = [all.Version, all.Length];
    let (address, instance) = (address.addr(), &all.ProviderRegistrationInstance);
    // SAFETY: promised by the caller.
    unsafe { read(address, sizes, callbacks, attach as usize, instance) }
}

/// Reads what the registration instance points to.
///
/// # Safety
///
/// Its pointers are null or valid for reads.
unsafe fn read(
    address: usize,
    sizes: [u16; 2],
    callbacks: Callbacks,
    attach: usize,
    instance: &NPI_REGISTRATION_INSTANCE,
) -> Result<Found, String> {
    if instance.NpiId.is_null() || instance.ModuleId.is_null() {
        return Err("RegistrationInstance.NpiId or ModuleId is null".to_owned());
    }
    // SAFETY: promised by the caller.
    let npi = unsafe { instance.NpiId.read() };
    // SAFETY: promised by the caller.
    let id = unsafe { instance.ModuleId.read() };
    let cleanup = callbacks.cleanup.map_or(0, |cleanup| cleanup as usize);
    let characteristics = Characteristics {
        address,
        sizes: [
            sizes[0],
            sizes[1],
            instance.Version,
            instance.Size,
            id.Length,
        ]
        .map(usize::from),
        callbacks: [attach, callbacks.detach as usize, cleanup],
        pointers: [
            instance.NpiId.addr(),
            instance.ModuleId.addr(),
            instance.NpiSpecificCharacteristics.addr(),
        ],
        number: instance.Number,
        npi: Guid::new(&npi),
        id: name_of(&id),
    };
    Ok(Found {
        characteristics,
        callbacks,
    })
}

fn name_of(id: &NPI_MODULEID) -> ModuleId {
    match id.Type {
        MIT_GUID => {
            // SAFETY: the type says that this member holds; every value is one.
            let guid = unsafe { id.__bindgen_anon_1.Guid };
            ModuleId::Guid(Guid::new(&guid))
        }
        MIT_IF_LUID => {
            // SAFETY: as above.
            let luid = unsafe { id.__bindgen_anon_1.IfLuid };
            ModuleId::IfLuid(luid.LowPart, luid.HighPart)
        }
        other => ModuleId::Unknown(other),
    }
}
