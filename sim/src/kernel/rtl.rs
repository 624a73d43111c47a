//! Strings of the run-time library.

// UNSAFETY: counted strings are pointers and lengths that a driver passes.
#![expect(
    unsafe_code,
    reason = "exports of the kernel over the driver's strings"
)]

use wdk_sys::{BOOLEAN, LONG, PCUNICODE_STRING, PCWSTR, PUNICODE_STRING, UNICODE_STRING};

/// The text of a counted string; empty for null.
///
/// # Safety
///
/// `string` is null or points to a counted string whose buffer is readable.
pub(crate) unsafe fn read_unicode(string: PCUNICODE_STRING) -> String {
    // SAFETY: promised by the caller.
    String::from_utf16_lossy(&unsafe { read_units(string) })
}

/// The code units of a counted string; none for null.
///
/// # Safety
///
/// As [`read_unicode`].
unsafe fn read_units(string: PCUNICODE_STRING) -> Vec<u16> {
    if string.is_null() {
        return Vec::new();
    }
    // SAFETY: promised by the caller.
    let string = unsafe { string.read() };
    if string.Buffer.is_null() {
        return Vec::new();
    }
    // SAFETY: the buffer of a counted string holds Length bytes.
    let units =
        unsafe { core::slice::from_raw_parts(string.Buffer, usize::from(string.Length) / 2) };
    units.to_vec()
}

/// A counted string over `units`, which must outlive it.
pub(crate) fn counted(units: &mut [u16]) -> UNICODE_STRING {
    let length = u16::try_from(size_of_val(units)).unwrap_or(u16::MAX);
    UNICODE_STRING {
        Length: length,
        MaximumLength: length,
        Buffer: units.as_mut_ptr(),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn RtlInitUnicodeString(destination: PUNICODE_STRING, source: PCWSTR) {
    /// The longest string that a `UNICODE_STRING` can hold with its terminating zero, in bytes.
    const MAXIMUM: u16 = 0xFFFC;
    let mut bytes: u16 = 0;
    let mut maximum = 0;
    if !source.is_null() {
        let mut unit = source;
        // SAFETY: the driver passes null or a zero-terminated string, and every unit before this
        // one was not zero.
        while unsafe { unit.read() } != 0 && bytes < MAXIMUM {
            unit = unit.wrapping_add(1);
            bytes += 2;
        }
        maximum = bytes + 2;
    }
    let string = UNICODE_STRING {
        Length: bytes,
        MaximumLength: maximum,
        Buffer: source.cast_mut(),
    };
    // SAFETY: the driver passes a place for the string.
    unsafe { destination.write(string) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn RtlCopyUnicodeString(
    destination: PUNICODE_STRING,
    source: PCUNICODE_STRING,
) {
    // SAFETY: the driver passes a counted string.
    let units = unsafe { read_units(source) };
    // SAFETY: the driver passes an initialised destination.
    let mut target = unsafe { destination.read() };
    let count = units.len().min(usize::from(target.MaximumLength) / 2);
    if count > 0 {
        // SAFETY: the destination has room for MaximumLength bytes.
        unsafe {
            target
                .Buffer
                .copy_from_nonoverlapping(units.as_ptr(), count);
        };
    }
    target.Length = u16::try_from(count * 2).unwrap_or(0);
    // SAFETY: as above.
    unsafe { destination.write(target) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn RtlCompareUnicodeString(
    first: PCUNICODE_STRING,
    second: PCUNICODE_STRING,
    ignore_case: BOOLEAN,
) -> LONG {
    // SAFETY: the driver passes two counted strings.
    let (first, second) = (unsafe { read_unicode(first) }, unsafe {
        read_unicode(second)
    });
    let order = if ignore_case == 0 {
        first.cmp(&second)
    } else {
        first.to_uppercase().cmp(&second.to_uppercase())
    };
    order as LONG
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn RtlEqualUnicodeString(
    first: PCUNICODE_STRING,
    second: PCUNICODE_STRING,
    ignore_case: BOOLEAN,
) -> BOOLEAN {
    // SAFETY: the caller's promise is the same.
    BOOLEAN::from(unsafe { RtlCompareUnicodeString(first, second, ignore_case) } == 0)
}
