//! The other macros and inline functions of the kernel's headers that users of this crate need.

// UNSAFETY: they write through pointers, and one is an export.
#![expect(unsafe_code, reason = "pointer access to kernel structures")]
#![expect(non_snake_case, reason = "the names of the C headers")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "the size of a small structure"
)]

use core::ptr;

use wdk_sys::{
    HANDLE, KSPIN_LOCK, OBJECT_ATTRIBUTES, PKSPIN_LOCK, PKTHREAD, POBJECT_ATTRIBUTES,
    PSECURITY_DESCRIPTOR, PUNICODE_STRING, ULONG,
};

unsafe extern "C" {
    /// The thread that this runs on, at any IRQL: what a DPC has interrupted, if this is one.
    ///
    /// Inline in some headers; an export everywhere.
    // SAFETY: it reads the processor's own record of what it runs.
    pub safe fn KeGetCurrentThread() -> PKTHREAD;
}

/// The value of a spin lock that no one holds, for a lock that is part of a constant.
pub const KSPIN_LOCK_UNOWNED: KSPIN_LOCK = 0;

/// Makes a spin lock that no one holds. Inline in some headers and an export in others; here it is
/// always inline.
///
/// # Safety
/// `SpinLock` is valid for writes, and no one uses the lock yet.
pub const unsafe fn KeInitializeSpinLock(SpinLock: PKSPIN_LOCK) {
    // SAFETY: the caller's promise.
    unsafe { SpinLock.write(KSPIN_LOCK_UNOWNED) };
}

/// Fills in the attributes with which an object is opened or made.
///
/// # Safety
/// `InitializedAttributes` is valid for writes. What the other pointers point to must live as long
/// as the attributes are used.
pub const unsafe fn InitializeObjectAttributes(
    InitializedAttributes: POBJECT_ATTRIBUTES,
    ObjectName: PUNICODE_STRING,
    Attributes: ULONG,
    RootDirectory: HANDLE,
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
) {
    let attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as ULONG,
        RootDirectory,
        ObjectName,
        Attributes,
        SecurityDescriptor,
        SecurityQualityOfService: ptr::null_mut(),
    };
    // SAFETY: the caller's promise.
    unsafe { InitializedAttributes.write(attributes) };
}
