//! Structures of `mstcpip.h` for reserved ports. In C their members are unnamed structures, which
//! bindgen loses; here they have the names that the header gives them in C++.

#![expect(
    non_camel_case_types,
    non_snake_case,
    reason = "the names of the C headers"
)]

use wdk_sys::ULONG;

use crate::{INET_PORT_RESERVATION, INET_PORT_RESERVATION_TOKEN};

/// What `SIO_ACQUIRE_PORT_RESERVATION` gives: the reserved range and the token that stands for it.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct INET_PORT_RESERVATION_INSTANCE {
    /// The reserved ports.
    pub Reservation: INET_PORT_RESERVATION,
    /// Input of `SIO_ASSOCIATE_PORT_RESERVATION` and `SIO_RELEASE_PORT_RESERVATION`.
    pub Token: INET_PORT_RESERVATION_TOKEN,
}

/// Pointer to [`INET_PORT_RESERVATION_INSTANCE`].
pub type PINET_PORT_RESERVATION_INSTANCE = *mut INET_PORT_RESERVATION_INSTANCE;

/// Who owns a reservation.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct INET_PORT_RESERVATION_INFORMATION {
    /// The process that acquired it.
    pub OwningPid: ULONG,
}

/// Pointer to [`INET_PORT_RESERVATION_INFORMATION`].
pub type PINET_PORT_RESERVATION_INFORMATION = *mut INET_PORT_RESERVATION_INFORMATION;
