//! `wskndk.h`: the extension interface of WSK to Network Direct adapters.
//!
//! Written by hand, because that header needs the whole Network Direct interface, which none of
//! this concerns.

#![expect(
    non_camel_case_types,
    non_snake_case,
    reason = "the names of the C headers"
)]

use core::marker::{PhantomData, PhantomPinned};

use wdk_sys::{NTSTATUS, ULONG, USHORT};

use crate::{NET_IFINDEX, PWSK_CLIENT};

/// Control code of `WskControlClient` that asks for [`WSK_PROVIDER_NDK_DISPATCH`]: the characters
/// `NDKD`.
pub const WSKNDK_GET_WSK_PROVIDER_NDK_DISPATCH: ULONG = ULONG::from_be_bytes(*b"NDKD");

/// A version of the Network Direct kernel interface.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NDK_VERSION {
    /// Major number.
    pub Major: USHORT,
    /// Minor number.
    pub Minor: USHORT,
}

/// A Network Direct adapter, opaque.
#[repr(C)]
pub struct NDK_ADAPTER {
    opaque: [u8; 0],
    marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// Opens the adapter of an interface. At `PASSIVE_LEVEL`.
pub type PFN_WSK_NDK_OPEN_ADAPTER = Option<
    unsafe extern "C" fn(
        Client: PWSK_CLIENT,
        NdkVersion: NDK_VERSION,
        IfIndex: NET_IFINDEX,
        ppNdkAdapter: *mut *mut NDK_ADAPTER,
    ) -> NTSTATUS,
>;

/// Closes an adapter. At `PASSIVE_LEVEL`.
pub type PFN_WSK_NDK_CLOSE_ADAPTER =
    Option<unsafe extern "C" fn(Client: PWSK_CLIENT, pNdkAdapter: *mut NDK_ADAPTER)>;

/// The table of the extension interface.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct _WSK_PROVIDER_NDK_DISPATCH {
    /// Opens an adapter.
    pub WskOpenNdkAdapter: PFN_WSK_NDK_OPEN_ADAPTER,
    /// Closes an adapter.
    pub WskCloseNdkAdapter: PFN_WSK_NDK_CLOSE_ADAPTER,
}

/// [`_WSK_PROVIDER_NDK_DISPATCH`].
pub type WSK_PROVIDER_NDK_DISPATCH = _WSK_PROVIDER_NDK_DISPATCH;
/// Pointer to [`WSK_PROVIDER_NDK_DISPATCH`].
pub type PWSK_PROVIDER_NDK_DISPATCH = *mut WSK_PROVIDER_NDK_DISPATCH;
