//! What names interfaces and modules: values, and reading them where a peer keeps them.

// UNSAFETY: reads the registration instance of a peer.
#![expect(unsafe_code, reason = "memory of the peer's")]

use core::fmt;

use wsk_sys::{
    MIT_GUID, MIT_IF_LUID, NPI_MODULEID, NPI_REGISTRATION_INSTANCE, npi_moduleid_guid,
    npi_moduleid_if_luid,
    wdk_sys::{GUID, LUID},
};

use super::AttachError;

/// The size of a structure, as a member of it says it.
#[expect(clippy::cast_possible_truncation, reason = "checked")]
pub(super) const fn size_of_u16<T>() -> u16 {
    const { assert!(size_of::<T>() <= u16::MAX as usize, "a small structure") };
    size_of::<T>() as u16
}

/// A globally unique identifier.
///
/// ```
/// let wsk = wsk::nmr::Guid::from_u128(0x2227E803_8D8B_11D4_ABAD_009027719E09);
/// assert_eq!(wsk.to_string(), "{2227E803-8D8B-11D4-ABAD-009027719E09}");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(u128);

impl Guid {
    /// The identifier with these digits, as in its usual notation.
    #[must_use]
    pub const fn from_u128(digits: u128) -> Self {
        Self(digits)
    }

    /// The identifier's digits.
    #[must_use]
    pub const fn to_u128(self) -> u128 {
        self.0
    }

    /// An identifier that depends on all of this: by the hash function FNV-1a, of 128 bits.
    #[doc(hidden)]
    #[must_use]
    pub const fn of_definition(digits: u128, tables: [&[&str]; 2]) -> Self {
        let hash = add_to_hash(OFFSET_BASIS, &digits.to_be_bytes());
        Self(add_table(add_table(hash, tables[0]), tables[1]))
    }

    /// As C has it.
    #[expect(clippy::cast_possible_truncation, reason = "takes it apart")]
    pub(crate) const fn to_raw(self) -> GUID {
        GUID {
            Data1: (self.0 >> 96) as u32,
            Data2: (self.0 >> 80) as u16,
            Data3: (self.0 >> 64) as u16,
            Data4: (self.0 as u64).to_be_bytes(),
        }
    }

    pub(crate) const fn from_raw(raw: &GUID) -> Self {
        let first = (raw.Data1 as u128) << 96;
        let second = (raw.Data2 as u128) << 80;
        let third = (raw.Data3 as u128) << 64;
        Self(first | second | third | u64::from_be_bytes(raw.Data4) as u128)
    }
}

const OFFSET_BASIS: u128 = 0x6C62_272E_07BB_0142_62B8_2175_6295_C58D;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013B;

const fn add_table(mut hash: u128, texts: &[&str]) -> u128 {
    let mut index = 0;
    while index < texts.len() {
        hash = add_to_hash(hash, texts[index].as_bytes());
        hash = add_to_hash(hash, &[0]);
        index += 1;
    }
    add_to_hash(hash, &[0])
}

const fn add_to_hash(mut hash: u128, bytes: &[u8]) -> u128 {
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u128).wrapping_mul(PRIME);
        index += 1;
    }
    hash
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raw = self.to_raw();
        let last = u64::from_be_bytes(raw.Data4);
        let (fourth, fifth) = (last >> 48, last & 0xFFFF_FFFF_FFFF);
        let (first, second, third) = (raw.Data1, raw.Data2, raw.Data3);
        write!(
            f,
            "{{{first:08X}-{second:04X}-{third:04X}-{fourth:04X}-{fifth:012X}}}"
        )
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What names a module. Equal as `NmrIsEqualNpiModuleId` has it.
///
/// [NPI_MODULEID](https://learn.microsoft.com/windows-hardware/drivers/ddi/netiodef/ns-netiodef-npi_moduleid)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "NPI_MODULEID")]
pub enum ModuleId {
    /// `MIT_GUID`
    Guid(Guid),
    /// `MIT_IF_LUID`: the locally unique identifier of a network interface.
    InterfaceLuid(u64),
}

impl ModuleId {
    #[expect(clippy::cast_possible_truncation, reason = "takes it apart")]
    pub(crate) const fn to_raw(self) -> NPI_MODULEID {
        match self {
            Self::Guid(guid) => npi_moduleid_guid(guid.to_raw()),
            Self::InterfaceLuid(luid) => npi_moduleid_if_luid(LUID {
                LowPart: luid as u32,
                HighPart: (luid >> 32) as i32,
            }),
        }
    }

    fn from_raw(raw: &NPI_MODULEID) -> Option<Self> {
        match raw.Type {
            MIT_GUID => {
                // SAFETY: `Type` names this arm; every value is one.
                let guid = unsafe { raw.__bindgen_anon_1.Guid };
                Some(Self::Guid(Guid::from_raw(&guid)))
            }
            MIT_IF_LUID => {
                // SAFETY: as above.
                let luid = unsafe { raw.__bindgen_anon_1.IfLuid };
                let high = u64::from(luid.HighPart.cast_unsigned());
                Some(Self::InterfaceLuid(high << 32 | u64::from(luid.LowPart)))
            }
            _ => None,
        }
    }
}

/// What a module says about itself: to its peers, who decide by it whether to attach.
///
/// [NPI_REGISTRATION_INSTANCE](https://learn.microsoft.com/windows-hardware/drivers/ddi/netiodef/ns-netiodef-npi_registration_instance)
#[derive(Debug)]
#[doc(alias = "NPI_REGISTRATION_INSTANCE")]
pub struct Instance<'a, C> {
    /// Names the module.
    pub module: ModuleId,
    /// Tells instances of the same module apart.
    pub number: u32,
    /// What is specific to the interface.
    pub characteristics: Option<&'a C>,
}

impl<C> Instance<'_, C> {
    /// The only instance of a module that has nothing more to say.
    #[must_use]
    pub const fn of(module: ModuleId) -> Self {
        Self {
            module,
            number: 0,
            characteristics: None,
        }
    }
}

impl<C> Clone for Instance<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Instance<'_, C> {}

impl<C> Instance<'_, C> {
    /// What a peer says about itself.
    ///
    /// # Safety
    ///
    /// `raw` is null or points to the instance that a module of the interface registered with; it
    /// stays while the result is used, its `ModuleId` is null or valid, and its
    /// `NpiSpecificCharacteristics` is null or points to a `C`.
    pub(super) unsafe fn read(
        raw: *const NPI_REGISTRATION_INSTANCE,
    ) -> core::result::Result<Self, AttachError> {
        let malformed = |member| Err(AttachError::Malformed(member));
        // SAFETY: the caller's promise.
        let Some(raw) = (unsafe { raw.as_ref() }) else {
            return malformed("the registration instance is null");
        };
        if raw.Version != 0 {
            return malformed("RegistrationInstance.Version");
        }
        if usize::from(raw.Size) != size_of::<NPI_REGISTRATION_INSTANCE>() {
            return malformed("RegistrationInstance.Size");
        }
        // SAFETY: the caller's promise.
        let Some(module) = (unsafe { raw.ModuleId.as_ref() }) else {
            return malformed("RegistrationInstance.ModuleId is null");
        };
        if usize::from(module.Length) != size_of::<NPI_MODULEID>() {
            return malformed("RegistrationInstance.ModuleId.Length");
        }
        let Some(module) = ModuleId::from_raw(module) else {
            return malformed("RegistrationInstance.ModuleId.Type");
        };
        Ok(Self {
            module,
            number: raw.Number,
            // SAFETY: the caller's promise.
            characteristics: unsafe { raw.NpiSpecificCharacteristics.cast::<C>().as_ref() },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Guid, ModuleId, OFFSET_BASIS, add_to_hash};

    const DIGITS: u128 = 0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF;

    #[test]
    fn guid_is_its_digits_and_back() {
        let guid = Guid::from_u128(DIGITS);
        let raw = guid.to_raw();
        assert_eq!(
            (raw.Data1, raw.Data2, raw.Data3),
            (0x0011_2233, 0x4455, 0x6677)
        );
        assert_eq!(raw.Data4, [0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF]);
        assert_eq!(Guid::from_raw(&raw), guid);
        assert_eq!(
            Guid::from_raw(&wsk_sys::NPI_WSK_INTERFACE_ID),
            Guid::from_u128(0x2227_E803_8D8B_11D4_ABAD_0090_2771_9E09)
        );
    }

    // Vectors of the function's authors: of nothing, and of "a".
    #[test]
    fn hash_is_fnv_1a() {
        assert_eq!(add_to_hash(OFFSET_BASIS, b""), OFFSET_BASIS);
        let of_a = 0xD228_CB69_6F1A_8CAF_7891_2B70_4E4A_8964;
        assert_eq!(add_to_hash(OFFSET_BASIS, b"a"), of_a);
    }

    #[test]
    fn module_id_is_what_it_was_made_of() {
        for id in [
            ModuleId::Guid(Guid::from_u128(DIGITS)),
            ModuleId::InterfaceLuid(0xFEDC_BA98_7654_3210),
        ] {
            assert_eq!(ModuleId::from_raw(&id.to_raw()), Some(id));
        }
        let mut unknown = ModuleId::InterfaceLuid(1).to_raw();
        unknown.Type = 3;
        assert_eq!(ModuleId::from_raw(&unknown), None);
    }

    #[test]
    fn module_ids_are_equal_as_the_interface_has_it() {
        let ids = [
            ModuleId::Guid(Guid::from_u128(DIGITS)),
            ModuleId::Guid(Guid::from_u128(DIGITS + 1)),
            ModuleId::Guid(Guid::from_u128(1)),
            ModuleId::InterfaceLuid(1),
            ModuleId::InterfaceLuid(1 << 32),
        ];
        for (a, b) in ids.iter().flat_map(|a| ids.iter().map(move |b| (a, b))) {
            let (mut first, mut second) = (a.to_raw(), b.to_raw());
            // SAFETY: two valid identifiers.
            let same = unsafe { wsk_sys::NmrIsEqualNpiModuleId(&raw mut first, &raw mut second) };
            assert_eq!(a == b, same != 0, "{a:?} {b:?}");
        }
    }
}
