//! Errors of the host as the NTSTATUS that WSK gives.

use std::io::{Error, ErrorKind};

use wdk_sys::{
    NTSTATUS, STATUS_ACCESS_DENIED, STATUS_ADDRESS_ALREADY_EXISTS, STATUS_CONNECTION_ABORTED,
    STATUS_CONNECTION_REFUSED, STATUS_CONNECTION_RESET, STATUS_HOST_UNREACHABLE,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_ADDRESS_COMPONENT, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER, STATUS_IO_TIMEOUT, STATUS_NETWORK_UNREACHABLE, STATUS_UNSUCCESSFUL,
};

/// The status for an error of a socket.
pub(super) fn of(error: &Error) -> NTSTATUS {
    match error.kind() {
        ErrorKind::ConnectionRefused => STATUS_CONNECTION_REFUSED,
        // A pipe is broken by a reset; sending after the own end is refused before.
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => STATUS_CONNECTION_RESET,
        ErrorKind::ConnectionAborted => STATUS_CONNECTION_ABORTED,
        ErrorKind::TimedOut => STATUS_IO_TIMEOUT,
        ErrorKind::HostUnreachable => STATUS_HOST_UNREACHABLE,
        ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => STATUS_NETWORK_UNREACHABLE,
        ErrorKind::AddrInUse => STATUS_ADDRESS_ALREADY_EXISTS,
        ErrorKind::AddrNotAvailable => STATUS_INVALID_ADDRESS_COMPONENT,
        ErrorKind::PermissionDenied => STATUS_ACCESS_DENIED,
        ErrorKind::NotConnected => STATUS_INVALID_DEVICE_STATE,
        ErrorKind::InvalidInput => STATUS_INVALID_PARAMETER,
        ErrorKind::OutOfMemory => STATUS_INSUFFICIENT_RESOURCES,
        _ => STATUS_UNSUCCESSFUL,
    }
}

/// Connecting has begun and will end later.
pub(super) fn is_in_progress(error: &Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(nix::libc::EINPROGRESS) {
        return true;
    }
    error.kind() == ErrorKind::WouldBlock
}
