//! The anonymous member of socket addresses.

// UNSAFETY: the member is a union.
#![expect(unsafe_code, reason = "access to a C union")]

use wdk_sys::ULONG;

use crate::SOCKADDR_IN6;

/// The scope id of an IPv6 socket address.
#[must_use]
pub const fn sin6_scope_id(address: &SOCKADDR_IN6) -> ULONG {
    // SAFETY: both arms of the union are four bytes of plain integers, so every value is valid.
    unsafe { address.__bindgen_anon_1.sin6_scope_id }
}

/// Sets the scope id of an IPv6 socket address.
pub const fn set_sin6_scope_id(address: &mut SOCKADDR_IN6, scope_id: ULONG) {
    address.__bindgen_anon_1.sin6_scope_id = scope_id;
}
