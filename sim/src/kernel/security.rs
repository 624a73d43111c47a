//! Who may open a device: drivers set it with a handle of the device and a security descriptor.
//!
//! It is kept for tests to look at. Nothing is refused because of it: the programs of a simulation
//! are the test itself.

// UNSAFETY: handles and descriptors are in the driver's memory.
#![expect(unsafe_code, reason = "exports of the kernel over the driver's memory")]

use wdk_sys::{
    ACCESS_MASK, DACL_SECURITY_INFORMATION, HANDLE, KPROCESSOR_MODE, NTSTATUS, PACCESS_STATE,
    PHANDLE, POBJECT_TYPE, PVOID, STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE,
    STATUS_INVALID_SECURITY_DESCR, STATUS_NOT_SUPPORTED, STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS, ULONG, WRITE_DAC,
};

use super::handle::HandleObject;
use super::irql::{PASSIVE, require};
use crate::current::current;
use crate::sim::lock;

const REVISION: u8 = 1;
const SE_DACL_PRESENT: u16 = 4;
const SE_SELF_RELATIVE: u16 = 0x8000;
/// `SECURITY_DESCRIPTOR_RELATIVE`: revision, padding, control, and the offsets of owner, group,
/// system list and discretionary list.
const DESCRIPTOR_LENGTH: usize = 20;
/// `ACL`: revision, padding, length, number of entries, padding.
const ACL_LENGTH: usize = 8;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ObOpenObjectByPointer(
    object: PVOID,
    _attributes: ULONG,
    _state: PACCESS_STATE,
    access: ACCESS_MASK,
    object_type: POBJECT_TYPE,
    _mode: KPROCESSOR_MODE,
    handle: PHANDLE,
) -> NTSTATUS {
    let me = current();
    require(&me, PASSIVE, "ObOpenObjectByPointer");
    if !object_type.is_null() || !lock(&me.sim.kernel.devices).has(object.addr()) {
        return STATUS_OBJECT_TYPE_MISMATCH;
    }
    let device = HandleObject::Device(object.addr(), access);
    let opened = lock(&me.sim.kernel.handles).open(&me.sim, device);
    // SAFETY: the driver passes a place for the handle.
    unsafe { handle.write(opened) };
    STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ZwSetSecurityObject(
    handle: HANDLE,
    information: ULONG,
    descriptor: PVOID,
) -> NTSTATUS {
    let me = current();
    require(&me, PASSIVE, "ZwSetSecurityObject");
    let Some(HandleObject::Device(device, access)) = lock(&me.sim.kernel.handles).get(handle)
    else {
        return STATUS_INVALID_HANDLE;
    };
    if information != DACL_SECURITY_INFORMATION {
        return STATUS_NOT_SUPPORTED;
    }
    if access & WRITE_DAC == 0 {
        return STATUS_ACCESS_DENIED;
    }
    // SAFETY: the driver passes a security descriptor.
    let Some(list) = (unsafe { discretionary_list(descriptor.cast()) }) else {
        return STATUS_INVALID_SECURITY_DESCR;
    };
    lock(&me.sim.kernel.devices).set_access(device, list);
    STATUS_SUCCESS
}

/// The discretionary list of a self-relative descriptor; `None` if it has none.
///
/// # Safety
///
/// `descriptor` points to a whole descriptor.
unsafe fn discretionary_list(descriptor: *const u8) -> Option<Vec<u8>> {
    // SAFETY: every descriptor is as long.
    let head = unsafe { core::slice::from_raw_parts(descriptor, DESCRIPTOR_LENGTH) };
    let control = u16::from_le_bytes([head[2], head[3]]);
    let wanted = SE_SELF_RELATIVE | SE_DACL_PRESENT;
    if head[0] != REVISION || control & wanted != wanted {
        return None;
    }
    let offset = u32::from_le_bytes([head[16], head[17], head[18], head[19]]);
    let list = descriptor.wrapping_add(offset as usize);
    // SAFETY: the list begins there, with its head.
    let head = unsafe { core::slice::from_raw_parts(list, ACL_LENGTH) };
    let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
    // SAFETY: the list has the length that it says.
    let list = unsafe { core::slice::from_raw_parts(list, length.max(ACL_LENGTH)) };
    Some(list.to_vec())
}
