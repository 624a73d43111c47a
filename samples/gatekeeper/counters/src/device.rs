//! Device controls.

// UNSAFETY: a call of Windows with a buffer.
#![expect(unsafe_code, reason = "a call of Windows")]

use std::fs::File;
use std::io;
use std::os::windows::io::AsRawHandle;
use std::ptr::{null, null_mut};

use windows_sys::Win32::System::IO::DeviceIoControl;

/// Sends a control code without input; gives how many bytes of `output` came back.
pub fn control(device: &File, code: u32, output: &mut [u8]) -> io::Result<usize> {
    let size = u32::try_from(output.len()).map_err(io::Error::other)?;
    let mut length = 0;
    // SAFETY: an open file; a buffer of the size that is said; the call is not asynchronous.
    let done = unsafe {
        DeviceIoControl(
            device.as_raw_handle(),
            code,
            null(),
            0,
            output.as_mut_ptr().cast(),
            size,
            &raw mut length,
            null_mut(),
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(length as usize)
}
