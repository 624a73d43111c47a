//! Who may open a device: the system and administrators, to do what the driver says.

// UNSAFETY: calls of the kernel about an object.
#![expect(unsafe_code, reason = "calls of the kernel about an object")]

use core::ptr::null_mut;

use wdk_sys::{
    CCHAR, DACL_SECURITY_INFORMATION, HANDLE, NTSTATUS, OBJ_KERNEL_HANDLE, PDEVICE_OBJECT, PVOID,
    WRITE_DAC,
    ntddk::{ObOpenObjectByPointer, ZwClose},
};
use wsk::Result;

use crate::device::check;

/// What those who may open a device may do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// `FILE_GENERIC_READ`.
    Read,
    /// `FILE_GENERIC_READ` and `FILE_GENERIC_WRITE`.
    ReadAndWrite,
}

unsafe extern "system" {
    // ntifs.h has it; not every wdk-sys does.
    fn ZwSetSecurityObject(handle: HANDLE, information: u32, descriptor: PVOID) -> NTSTATUS;
}

const KERNEL_MODE: CCHAR = 0;

/// Says who may open `device`, which nobody has open.
///
/// IRQL: PASSIVE_LEVEL.
///
/// # Safety
///
/// `device` is the driver's own.
pub(crate) unsafe fn restrict(device: PDEVICE_OBJECT, rights: Rights) -> Result<()> {
    let mut handle: HANDLE = null_mut();
    // SAFETY: PASSIVE_LEVEL; the driver's own device; a place for the handle.
    let status = unsafe {
        ObOpenObjectByPointer(
            device.cast(),
            OBJ_KERNEL_HANDLE,
            null_mut(),
            WRITE_DAC,
            null_mut(),
            KERNEL_MODE,
            &raw mut handle,
        )
    };
    check("ObOpenObjectByPointer", status)?;
    let descriptor = match rights {
        Rights::Read => &READ,
        Rights::ReadAndWrite => &READ_AND_WRITE,
    };
    let descriptor = core::ptr::from_ref(descriptor).cast_mut().cast();
    // SAFETY: PASSIVE_LEVEL; the handle is open; the descriptor is whole, and only read.
    let status = unsafe { ZwSetSecurityObject(handle, DACL_SECURITY_INFORMATION, descriptor) };
    // SAFETY: our own handle, closed once.
    let _ = unsafe { ZwClose(handle) };
    check("ZwSetSecurityObject", status)
}

#[repr(C, align(4))]
struct Descriptor([u8; 72]);

/// `D:P(A;;FR;;;SY)(A;;FR;;;BA)`
static READ: Descriptor = descriptor(0x0012_0089);
/// `D:P(A;;FRFW;;;SY)(A;;FRFW;;;BA)`
static READ_AND_WRITE: Descriptor = descriptor(0x0012_019F);

/// The system and administrators may do what `mask` says, nobody else anything.
const fn descriptor(mask: u32) -> Descriptor {
    let [a, b, c, d] = mask.to_le_bytes();
    #[rustfmt::skip]
    let bytes = [
        // SECURITY_DESCRIPTOR_RELATIVE: revision; SE_DACL_PRESENT, SE_DACL_PROTECTED,
        // SE_SELF_RELATIVE; no owner, no group, no system list; where the discretionary list is.
        1, 0, 0x04, 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0,
        // ACL: revision, length, number of entries.
        2, 0, 52, 0, 2, 0, 0, 0,
        // ACCESS_ALLOWED_ACE: length, mask, S-1-5-18.
        0, 0, 20, 0, a, b, c, d, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0,
        // ACCESS_ALLOWED_ACE: length, mask, S-1-5-32-544.
        0, 0, 24, 0, a, b, c, d, 1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 0x02, 0, 0,
    ];
    Descriptor(bytes)
}
