//! The inline functions and accessors other than those on IRPs, against raw offsets of 64-bit
//! Windows.
//!
//! The one export of the kernel that an inline function calls is defined here, so nothing but this
//! crate is tested.

// UNSAFETY: the functions under test work on memory behind pointers.
#![expect(
    unsafe_code,
    reason = "calls of unsafe functions on memory of the test"
)]

use std::{mem, ptr};

use wsk_sys::{
    ADDRESS_AND_SIZE_TO_SPAN_PAGES, InitializeObjectAttributes, KeInitializeSpinLock,
    MmGetMdlByteCount, MmGetMdlByteOffset, MmGetMdlVirtualAddress, MmGetSystemAddressForMdlSafe,
    MmInitializeMdl, NPI_MODULEID, NmrIsEqualNpiModuleId, SOCKADDR_IN6, WSA_CMSG_DATA, WSACMSGHDR,
    WSK_PROVIDER_BASIC_DISPATCH, WSK_PROVIDER_CONNECTION_DISPATCH,
    WSK_PROVIDER_CONNECTION_DISPATCH_FULL, basic_dispatch, npi_moduleid_guid, npi_moduleid_if_luid,
    set_sin6_scope_id, sin6_scope_id,
    wdk_sys::{GUID, IRP, LUID, MDL, NTSTATUS, OBJECT_ATTRIBUTES, PVOID, STATUS_CANCELLED},
};

/// An address with this value; nothing is there.
fn address(value: usize) -> PVOID {
    ptr::without_provenance_mut(value)
}

#[test]
fn pages_of_a_range_are_counted_at_both_ends() {
    assert_eq!(ADDRESS_AND_SIZE_TO_SPAN_PAGES(address(0x5000), 0), 0);
    assert_eq!(ADDRESS_AND_SIZE_TO_SPAN_PAGES(address(0x5000), 1), 1);
    assert_eq!(ADDRESS_AND_SIZE_TO_SPAN_PAGES(address(0x5000), 0x1000), 1);
    assert_eq!(ADDRESS_AND_SIZE_TO_SPAN_PAGES(address(0x5FFF), 2), 2);
    assert_eq!(ADDRESS_AND_SIZE_TO_SPAN_PAGES(address(0x5001), 0x1000), 2);
}

#[test]
fn initialized_mdl_has_its_members_at_raw_offsets() {
    let mut memory = [0xFF_u8; 48 + 2 * 8];
    let mut aligned = [0_u64; 8];
    let mdl: *mut MDL = aligned.as_mut_ptr().cast();
    // SAFETY: memory of this test, of that size.
    unsafe { mdl.cast::<u8>().copy_from(memory.as_ptr(), memory.len()) };
    // SAFETY: room for the header and two page numbers.
    unsafe { MmInitializeMdl(mdl, address(0x0012_3FF0), 0x20) };
    // SAFETY: as above.
    unsafe { mdl.cast::<u8>().copy_to(memory.as_mut_ptr(), memory.len()) };
    assert_eq!(memory[..8], [0; 8], "Next");
    assert_eq!(
        memory[8..10],
        64_u16.to_ne_bytes(),
        "Size: the header and two pages"
    );
    assert_eq!(memory[10..12], [0; 2], "MdlFlags");
    assert_eq!(memory[0x20..0x28], 0x0012_3000_u64.to_ne_bytes(), "StartVa");
    assert_eq!(memory[0x28..0x2C], 0x20_u32.to_ne_bytes(), "ByteCount");
    assert_eq!(memory[0x2C..0x30], 0xFF0_u32.to_ne_bytes(), "ByteOffset");
    assert_eq!(
        memory[0x10..0x20],
        [0xFF; 16],
        "Process and MappedSystemVa are left alone"
    );
    assert_eq!(memory[48..], [0xFF; 16], "the page numbers are left alone");
    // SAFETY: an initialised MDL.
    assert_eq!(unsafe { MmGetMdlByteCount(mdl) }, 0x20);
    // SAFETY: as above.
    assert_eq!(unsafe { MmGetMdlByteOffset(mdl) }, 0xFF0);
    // SAFETY: as above.
    assert_eq!(unsafe { MmGetMdlVirtualAddress(mdl) }.addr(), 0x0012_3FF0);
}

const NEW_MAPPING: usize = 0x7000;

/// The kernel's export: checks what it is called with, and gives an address that nothing else
/// gives.
#[unsafe(no_mangle)]
extern "C" fn MmMapLockedPagesSpecifyCache(
    mdl: *mut MDL,
    access_mode: i8,
    cache_type: i32,
    requested_address: PVOID,
    bug_check_on_failure: u32,
    priority: u32,
) -> PVOID {
    assert!(!mdl.is_null());
    assert_eq!((access_mode, cache_type), (0, 1), "for the kernel, cached");
    assert!(requested_address.is_null());
    assert_eq!(bug_check_on_failure, 0);
    assert_eq!(priority, 0x4000_0010);
    address(NEW_MAPPING)
}

#[test]
fn system_address_of_a_mapped_mdl_is_the_one_it_has() {
    // Mapped, of nonpaged pool, or both, with another bit set.
    for flags in [0x1, 0x4, 0x5, 0x8 | 0x4] {
        let mut mdl = MDL {
            MdlFlags: flags,
            MappedSystemVa: address(0x9000),
            ..MDL::default()
        };
        // SAFETY: a mapped MDL, which no one changes.
        let found = unsafe { MmGetSystemAddressForMdlSafe(&raw mut mdl, 0x4000_0010) };
        assert_eq!(found.addr(), 0x9000, "flags {flags:#x}");
    }
}

#[test]
fn system_address_of_an_unmapped_mdl_comes_from_the_kernel() {
    let mut mdl = MDL {
        MdlFlags: 0x2,
        MappedSystemVa: address(0x9000),
        ..MDL::default()
    };
    // SAFETY: the kernel's function is the one above.
    let found = unsafe { MmGetSystemAddressForMdlSafe(&raw mut mdl, 0x4000_0010) };
    assert_eq!(found.addr(), NEW_MAPPING);
}

#[test]
fn object_attributes_are_at_raw_offsets() {
    let mut attributes = OBJECT_ATTRIBUTES {
        SecurityQualityOfService: address(0xBAD),
        ..OBJECT_ATTRIBUTES::default()
    };
    let (name, root, security) = (address(0x11), address(0x22), address(0x33));
    // SAFETY: memory of this test; no one follows the pointers.
    unsafe { InitializeObjectAttributes(&raw mut attributes, name.cast(), 0x240, root, security) };
    // SAFETY: plain data of that size, all of it initialised but four bytes of padding twice, which
    // are not looked at.
    let words: [mem::MaybeUninit<u32>; 12] = unsafe { mem::transmute(attributes) };
    for (index, expected) in [
        (0, 48),
        (2, 0x22),
        (4, 0x11),
        (6, 0x240),
        (8, 0x33),
        (10, 0),
    ] {
        // SAFETY: a word of a member, which is initialised.
        let word = unsafe { words[index].assume_init() };
        assert_eq!(word, expected, "word {index}");
    }
}

#[test]
fn initialized_spin_lock_is_zero() {
    let mut lock = 1;
    // SAFETY: memory of this test.
    unsafe { KeInitializeSpinLock(&raw mut lock) };
    assert_eq!(lock, 0);
}

fn equal(one: &NPI_MODULEID, other: &NPI_MODULEID) -> bool {
    // SAFETY: both are references to identifiers made by the functions below, which initialise the
    // whole union.
    unsafe { NmrIsEqualNpiModuleId(one, other) != 0 }
}

#[test]
fn module_ids_are_equal_by_type_and_value() {
    let guid = GUID {
        Data1: 1,
        Data2: 2,
        Data3: 3,
        Data4: [4; 8],
    };
    let named = npi_moduleid_guid(guid);
    let numbered = npi_moduleid_if_luid(LUID {
        LowPart: 1,
        HighPart: 0x0003_0002,
    });
    assert_eq!(named.Length, 24);
    assert!(equal(&named, &npi_moduleid_guid(guid)));
    assert!(!equal(
        &named,
        &npi_moduleid_guid(GUID { Data1: 9, ..guid })
    ));
    assert!(!equal(
        &named,
        &npi_moduleid_guid(GUID { Data2: 9, ..guid })
    ));
    assert!(!equal(
        &named,
        &npi_moduleid_guid(GUID { Data3: 9, ..guid })
    ));
    assert!(!equal(
        &named,
        &npi_moduleid_guid(GUID {
            Data4: [9; 8],
            ..guid
        })
    ));
    assert!(equal(&numbered, &numbered));
    assert!(!equal(
        &numbered,
        &npi_moduleid_if_luid(LUID {
            LowPart: 1,
            HighPart: 0
        })
    ));
    // The first eight bytes are the same.
    assert!(!equal(&named, &numbered));
    let unknown = NPI_MODULEID { Type: 3, ..named };
    assert!(!equal(&unknown, &unknown));
}

#[test]
fn scope_id_is_the_last_member_of_an_ipv6_address() {
    let mut address = SOCKADDR_IN6::default();
    set_sin6_scope_id(&mut address, 0x1234_5678);
    assert_eq!(sin6_scope_id(&address), 0x1234_5678);
    // SAFETY: 28 bytes of integers without padding.
    let words: [u32; 7] = unsafe { mem::transmute(address) };
    assert_eq!(words, [0, 0, 0, 0, 0, 0, 0x1234_5678]);
}

#[test]
fn control_message_data_follows_the_header() {
    let mut message = [WSACMSGHDR::default(); 2];
    let header = message.as_mut_ptr();
    // SAFETY: the second element is the data of the first.
    assert_eq!(unsafe { WSA_CMSG_DATA(header) }.addr(), header.addr() + 16);
}

unsafe extern "C" fn close(_socket: *mut wsk_sys::WSK_SOCKET, _irp: *mut IRP) -> NTSTATUS {
    STATUS_CANCELLED
}

#[test]
fn basic_functions_of_a_built_table_are_its_prefix() {
    let basic = WSK_PROVIDER_BASIC_DISPATCH {
        WskControlSocket: None,
        WskCloseSocket: Some(close),
    };
    let full = WSK_PROVIDER_CONNECTION_DISPATCH_FULL {
        Basic: basic,
        ..Default::default()
    };
    let table: &WSK_PROVIDER_CONNECTION_DISPATCH = full.as_c();
    // SAFETY: the table was built above.
    let found = unsafe { basic_dispatch(table) };
    assert!(found.WskControlSocket.is_none());
    let found = found.WskCloseSocket.expect("it was set above");
    // SAFETY: the function above looks at nothing.
    let found = unsafe { found(ptr::null_mut(), ptr::null_mut()) };
    assert_eq!(found, STATUS_CANCELLED);
}
