//! The function-like macros of the headers, as constant functions.

// UNSAFETY: one macro computes a pointer into a buffer of the caller.
#![expect(unsafe_code, reason = "pointer arithmetic of a C macro")]
#![expect(non_snake_case, reason = "the names of the C headers")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "the size of a small structure"
)]

use wdk_sys::{PUCHAR, SIZE_T, UCHAR, ULONG, USHORT};

use crate::{IOC_IN, IOC_INOUT, IOC_OUT, IOC_VOID, WSACMSGHDR};

/// Size of the length field of a control code in the form of BSD.
const IOCPARM_MASK: ULONG = 0x7F;

/// The largest alignment of a basic type.
const MAX_NATURAL_ALIGNMENT: SIZE_T = align_of::<u64>() as SIZE_T;

/// The version of WSK with the major number `Mj` and the minor number `Mn`.
#[must_use]
pub const fn MAKE_WSK_VERSION(Mj: USHORT, Mn: USHORT) -> USHORT {
    (Mj << 8) | (Mn & 0xFF)
}

/// The major number of a version of WSK.
#[must_use]
pub const fn WSK_MAJOR_VERSION(V: USHORT) -> UCHAR {
    V.to_be_bytes()[0]
}

/// The minor number of a version of WSK.
#[must_use]
pub const fn WSK_MINOR_VERSION(V: USHORT) -> UCHAR {
    V.to_be_bytes()[1]
}

/// A control code that takes and gives nothing.
#[must_use]
pub const fn _WSAIO(x: ULONG, y: ULONG) -> ULONG {
    IOC_VOID | x | y
}

/// A control code with output.
#[must_use]
pub const fn _WSAIOR(x: ULONG, y: ULONG) -> ULONG {
    IOC_OUT | x | y
}

/// A control code with input.
#[must_use]
pub const fn _WSAIOW(x: ULONG, y: ULONG) -> ULONG {
    IOC_IN | x | y
}

/// A control code with input and output.
#[must_use]
pub const fn _WSAIORW(x: ULONG, y: ULONG) -> ULONG {
    IOC_INOUT | x | y
}

/// A control code in the form of BSD, without arguments.
#[must_use]
pub const fn _IO(x: ULONG, y: ULONG) -> ULONG {
    IOC_VOID | (x << 8) | y
}

/// A control code in the form of BSD, with `size` bytes of output. C takes a type instead of its
/// size.
#[must_use]
pub const fn _IOR(x: ULONG, y: ULONG, size: ULONG) -> ULONG {
    IOC_OUT | ((size & IOCPARM_MASK) << 16) | (x << 8) | y
}

/// A control code in the form of BSD, with `size` bytes of input. C takes a type instead of its
/// size.
#[must_use]
pub const fn _IOW(x: ULONG, y: ULONG, size: ULONG) -> ULONG {
    IOC_IN | ((size & IOCPARM_MASK) << 16) | (x << 8) | y
}

/// `length` rounded up to the alignment of a control message's header.
#[must_use]
pub const fn WSA_CMSGHDR_ALIGN(length: SIZE_T) -> SIZE_T {
    align_up(length, align_of::<WSACMSGHDR>() as SIZE_T)
}

/// `length` rounded up to the alignment of a control message's data.
#[must_use]
pub const fn WSA_CMSGDATA_ALIGN(length: SIZE_T) -> SIZE_T {
    align_up(length, MAX_NATURAL_ALIGNMENT)
}

/// Bytes that a control message with `length` bytes of data occupies, padding included.
#[must_use]
pub const fn WSA_CMSG_SPACE(length: SIZE_T) -> SIZE_T {
    WSA_CMSGDATA_ALIGN(size_of::<WSACMSGHDR>() as SIZE_T + WSA_CMSGHDR_ALIGN(length))
}

/// `cmsg_len` of a control message with `length` bytes of data.
#[must_use]
pub const fn WSA_CMSG_LEN(length: SIZE_T) -> SIZE_T {
    WSA_CMSGDATA_ALIGN(size_of::<WSACMSGHDR>() as SIZE_T) + length
}

/// Where the data of a control message starts.
///
/// # Safety
/// `cmsg` points to a header with the data behind it in the same allocation.
#[must_use]
pub const unsafe fn WSA_CMSG_DATA(cmsg: *mut WSACMSGHDR) -> PUCHAR {
    const OFFSET: usize = WSA_CMSG_LEN(0) as usize;
    // SAFETY: the data starts this far behind the header, in the same allocation by the caller's
    // promise.
    unsafe { cmsg.byte_add(OFFSET).cast() }
}

const fn align_up(length: SIZE_T, alignment: SIZE_T) -> SIZE_T {
    (length + alignment - 1) & !(alignment - 1)
}
