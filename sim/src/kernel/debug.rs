//! `DbgPrint`, captured; and the ends that a driver can bring about: bug checks.
//!
//! The C file receives the variable arguments and hands them out one by one; the format is
//! understood here, with Windows' sizes (a long has 32 bits) and its own conversions (%wZ, %ws,
//! %I64d).

// UNSAFETY: arguments come from C, and strings from the driver's memory.
#![expect(unsafe_code, reason = "exports of the kernel, and C")]

use core::ffi::{CStr, c_char, c_void};

use wdk_sys::{PUNICODE_STRING, ULONG, ULONG_PTR};

use super::rtl::read_unicode;
use crate::current::try_current;
use crate::sim::{Sim, lock, offence};
use crate::verifier::Rule;

unsafe extern "C" {
    fn wsk_sim_next_argument(arguments: *mut c_void) -> u64;
}

impl Sim {
    /// What the driver has printed with `DbgPrint` so far, one call an item.
    #[must_use]
    pub fn debug_output(&self) -> Vec<String> {
        lock(&self.0.kernel.debug).clone()
    }
}

/// One conversion of a format: flags and width, whether the argument has 64 bits, and its letter.
struct Conversion<'a> {
    flags: &'a str,
    wide: bool,
    letter: char,
}

/// Expands `format`, taking arguments from `next`.
fn expand(format: &str, next: &mut dyn FnMut() -> u64) -> String {
    let mut text = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        if let Some(percent) = after.strip_prefix('%') {
            text.push('%');
            rest = percent;
            continue;
        }
        let (conversion, left) = parse(after);
        text.push_str(&convert(&conversion, next));
        rest = left;
    }
    text.push_str(rest);
    text
}

fn parse(text: &str) -> (Conversion<'_>, &str) {
    let is_flag = |letter: char| letter.is_ascii_digit() || "-+ #.*".contains(letter);
    let end = text.find(|letter| !is_flag(letter)).unwrap_or(text.len());
    let (flags, mut rest) = text.split_at(end);
    let mut wide = false;
    for (prefix, is_wide) in [
        ("I64", true),
        ("ll", true),
        ("I32", false),
        ("I", true),
        ("z", true),
        ("l", false),
        ("h", false),
        ("w", false),
    ] {
        if let Some(after) = rest.strip_prefix(prefix) {
            // %ws, %ls and %wZ take wide strings; for numbers these prefixes mean 32 bits.
            wide = is_wide || (matches!(prefix, "w" | "l") && after.starts_with(['s', 'Z']));
            rest = after;
            break;
        }
    }
    let letter = rest.chars().next().unwrap_or('%');
    (
        Conversion {
            flags,
            wide,
            letter,
        },
        rest.get(letter.len_utf8()..).unwrap_or(""),
    )
}

fn convert(conversion: &Conversion<'_>, next: &mut dyn FnMut() -> u64) -> String {
    let value = next();
    let low = value & 0xFFFF_FFFF;
    let number = if conversion.wide { value } else { low };
    let text = match conversion.letter {
        'd' | 'i' if conversion.wide => value.cast_signed().to_string(),
        'd' | 'i' => u32::try_from(low).unwrap_or(0).cast_signed().to_string(),
        'u' => number.to_string(),
        'x' => format!("{number:x}"),
        'X' => format!("{number:X}"),
        'p' => format!("{value:016X}"),
        'c' => char::from_u32(u32::try_from(low & 0xFF).unwrap_or(0))
            .map_or(String::new(), String::from),
        's' if conversion.wide => read_wide(value),
        'S' => read_wide(value),
        's' => read_narrow(value),
        'Z' => read_counted(value),
        other => format!("%{other}"),
    };
    pad(&text, conversion.flags)
}

fn pad(text: &str, flags: &str) -> String {
    let digits = flags.trim_start_matches(['-', '+', ' ', '#', '0']);
    let width = digits
        .split('.')
        .next()
        .and_then(|width| width.parse().ok())
        .unwrap_or(0);
    if flags.starts_with('-') {
        format!("{text:<width$}")
    } else if flags.starts_with('0') {
        format!("{text:0>width$}")
    } else {
        format!("{text:>width$}")
    }
}

fn pointer<T>(value: u64) -> *mut T {
    core::ptr::with_exposed_provenance_mut(usize::try_from(value).unwrap_or(0))
}

fn read_narrow(value: u64) -> String {
    let start: *mut c_char = pointer(value);
    if start.is_null() {
        return "(null)".to_owned();
    }
    // SAFETY: the format says that the driver passed a zero-terminated string.
    let text = unsafe { CStr::from_ptr(start) };
    text.to_string_lossy().into_owned()
}

fn read_wide(value: u64) -> String {
    let mut string = core::mem::MaybeUninit::uninit();
    // SAFETY: the format says that the driver passed a zero-terminated string of 16-bit units.
    unsafe { super::rtl::RtlInitUnicodeString(string.as_mut_ptr(), pointer(value)) };
    // SAFETY: initialised by the call above.
    unsafe { read_unicode(string.as_ptr()) }
}

fn read_counted(value: u64) -> String {
    let string: PUNICODE_STRING = pointer(value);
    // SAFETY: the format says that the driver passed a counted string.
    unsafe { read_unicode(string) }
}

/// Called by `DbgPrint` and `DbgPrintEx` of the C file.
#[unsafe(no_mangle)]
unsafe extern "C" fn wsk_sim_debug_print(format: *const c_char, arguments: *mut c_void) -> u32 {
    // SAFETY: the driver passes a zero-terminated format.
    let format = unsafe { CStr::from_ptr(format) }.to_string_lossy();
    // SAFETY: the arguments are those of the running call of DbgPrint.
    let text = expand(&format, &mut || unsafe { wsk_sim_next_argument(arguments) });
    match try_current() {
        Some(me) => lock(&me.sim.kernel.debug).push(text),
        None => eprint!("{text}"),
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeBugCheckEx(
    code: ULONG,
    parameter1: ULONG_PTR,
    parameter2: ULONG_PTR,
    parameter3: ULONG_PTR,
    parameter4: ULONG_PTR,
) -> ! {
    let four = format!("{parameter1:#x}, {parameter2:#x}, {parameter3:#x}, {parameter4:#x}");
    offence(
        Rule::BugCheck,
        &format!("KeBugCheckEx {code:#x} with {four}"),
    )
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn KeBugCheck(code: ULONG) -> ! {
    // SAFETY: there are no conditions.
    unsafe { KeBugCheckEx(code, 0, 0, 0, 0) }
}

#[cfg(test)]
mod tests {
    use super::expand;

    fn print(format: &str, arguments: &[u64]) -> String {
        let mut arguments = arguments.iter().copied();
        expand(format, &mut || arguments.next().unwrap_or(0))
    }

    #[test]
    fn expand_numbers_have_windows_sizes() {
        assert_eq!(
            print("%d|%lu|%I64u", &[0xFFFF_FFFF, 0x1_0000_0002, 0x1_0000_0002]),
            "-1|2|4294967298"
        );
    }

    #[test]
    fn expand_width_and_percent_are_kept() {
        assert_eq!(print("%08x %% %-4d|", &[0xAB, 7]), "000000ab % 7   |");
    }
}
