//! What the provider needs of the host's kernel, and of its process.
//!
//! The names of modules are in the image: no import library is needed.

// UNSAFETY: calls functions of the host's kernel.
#![expect(unsafe_code, reason = "calls of ntoskrnl.exe and kernel32.dll")]

use core::ffi::{CStr, c_char, c_void};
use std::ffi::CString;

use wdk_sys::{CCHAR, KIRQL, PIRP, ULONG};

#[link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "C" {
    fn DbgPrint(format: *const c_char, ...) -> ULONG;
    fn IoReleaseCancelSpinLock(irql: KIRQL);
    fn IofCompleteRequest(irp: PIRP, boost: CCHAR);
}

#[link(name = "kernel32.dll", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    fn GetModuleHandleExW(flags: u32, within: *const u16, module: *mut *mut c_void) -> i32;
}

const PIN: u32 = 1;
const FROM_ADDRESS: u32 = 4;

/// Prints a line where drivers print theirs.
pub(crate) fn print(line: &str) {
    const FORMAT: &CStr = c"%s\n";
    let text: Vec<u8> = line.bytes().filter(|byte| *byte != 0).collect();
    let text = CString::new(text).unwrap_or_default();
    // SAFETY: the format asks for one string, which ends with a zero.
    unsafe { DbgPrint(FORMAT.as_ptr(), text.as_ptr()) };
}

/// `IoReleaseCancelSpinLock`.
///
/// # Safety
///
/// The calling thread holds the cancel spin lock; `irql` is that of before.
pub(super) unsafe fn release_cancel_lock(irql: KIRQL) {
    // SAFETY: promised by the caller.
    unsafe { IoReleaseCancelSpinLock(irql) };
}

/// `IoCompleteRequest`.
///
/// # Safety
///
/// The provider owns the IRP [wsk 3.5].
pub(super) unsafe fn complete(irp: PIRP) {
    // SAFETY: promised by the caller.
    unsafe { IofCompleteRequest(irp, 0) };
}

/// Keeps this image loaded for as long as the process lives: its threads never end.
pub(crate) fn pin_image() {
    let mut module = core::ptr::null_mut();
    let here = pin_image as *const () as *const u16;
    // SAFETY: the address is one of this image, and there is a place for the answer.
    let found = unsafe { GetModuleHandleExW(PIN | FROM_ADDRESS, here, &raw mut module) };
    assert_ne!(found, 0, "an image can be pinned");
}
