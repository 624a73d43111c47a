//! `NTSTATUS` with its name, and the error of a failed call.
//!
//! The kernel's numbers cross the library here and nowhere else: below, functions return
//! [`Status`]; above, a failure is an [`Error`] that says which call failed. Unknown numbers
//! survive.

use core::fmt;

use wsk_sys::wdk_sys::{self, NTSTATUS};

/// An `NTSTATUS`, which may be a success, an information, a warning or an error.
///
/// [Using NTSTATUS values](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-ntstatus-values)
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Status(NTSTATUS);

macro_rules! statuses {
    ($($constant:ident = $name:ident, $doc:literal;)*) => {
        impl Status {
            $(#[doc = $doc] #[doc = ""] #[doc = concat!("`", stringify!($name), "`")]
            pub const $constant: Self = Self(wdk_sys::$name);)*

            /// The C name of the number, if it is one that network calls give.
            ///
            /// ```
            /// assert_eq!(wsk::Status::CANCELLED.name(), Some("STATUS_CANCELLED"));
            /// ```
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $(wdk_sys::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    SUCCESS = STATUS_SUCCESS, "It worked.";
    PENDING = STATUS_PENDING, "The request goes on; its IRP completes later.";
    TIMEOUT = STATUS_TIMEOUT, "A wait ended by its deadline. A success code.";
    BUFFER_OVERFLOW = STATUS_BUFFER_OVERFLOW, "The output does not fit. A warning.";
    UNSUCCESSFUL = STATUS_UNSUCCESSFUL, "Failed without a nearer reason.";
    NOT_IMPLEMENTED = STATUS_NOT_IMPLEMENTED, "The provider has no such function.";
    INVALID_HANDLE = STATUS_INVALID_HANDLE, "The object does not exist (any more).";
    INVALID_PARAMETER = STATUS_INVALID_PARAMETER, "An argument is wrong.";
    INVALID_DEVICE_REQUEST = STATUS_INVALID_DEVICE_REQUEST,
        "The object does not take this request.";
    ACCESS_DENIED = STATUS_ACCESS_DENIED,
        "Forbidden, for example by another socket's exclusive use of the address.";
    BUFFER_TOO_SMALL = STATUS_BUFFER_TOO_SMALL, "The output does not fit.";
    UNMAPPABLE_CHARACTER = STATUS_UNMAPPABLE_CHARACTER, "The text is not well-formed.";
    OBJECT_TYPE_MISMATCH = STATUS_OBJECT_TYPE_MISMATCH, "The object or value is of another type.";
    OBJECT_NAME_INVALID = STATUS_OBJECT_NAME_INVALID, "The name is malformed.";
    OBJECT_NAME_COLLISION = STATUS_OBJECT_NAME_COLLISION, "There is an object of this name.";
    OBJECT_NAME_NOT_FOUND = STATUS_OBJECT_NAME_NOT_FOUND, "No object of this name.";
    OBJECT_PATH_NOT_FOUND = STATUS_OBJECT_PATH_NOT_FOUND, "No object on the way to this name.";
    INSUFFICIENT_RESOURCES = STATUS_INSUFFICIENT_RESOURCES,
        "No memory, or another resource is used up.";
    DEVICE_NOT_READY = STATUS_DEVICE_NOT_READY,
        "The WSK subsystem is not ready, or the client is deregistering.";
    IO_TIMEOUT = STATUS_IO_TIMEOUT, "The deadline passed before the request completed.";
    NOT_SUPPORTED = STATUS_NOT_SUPPORTED,
        "Not supported, for example by this transport or this Windows.";
    CANCELLED = STATUS_CANCELLED, "Cancelled, by the caller or by closing the socket.";
    LOCAL_DISCONNECT = STATUS_LOCAL_DISCONNECT, "This side disconnected.";
    REMOTE_DISCONNECT = STATUS_REMOTE_DISCONNECT, "The other side disconnected.";
    ADDRESS_CLOSED = STATUS_ADDRESS_CLOSED, "The transport closed the address.";
    CONNECTION_DISCONNECTED = STATUS_CONNECTION_DISCONNECTED, "The transport disconnected.";
    CONNECTION_RESET = STATUS_CONNECTION_RESET, "The other side reset the connection.";
    CONNECTION_REFUSED = STATUS_CONNECTION_REFUSED, "Nobody accepts connections at the address.";
    GRACEFUL_DISCONNECT = STATUS_GRACEFUL_DISCONNECT,
        "The connection was closed in an orderly way.";
    ADDRESS_ALREADY_EXISTS = STATUS_ADDRESS_ALREADY_EXISTS, "The address is in use.";
    ADDRESS_ALREADY_ASSOCIATED = STATUS_ADDRESS_ALREADY_ASSOCIATED,
        "The address is still associated with an old connection.";
    CONNECTION_INVALID = STATUS_CONNECTION_INVALID, "There is no such connection.";
    CONNECTION_ACTIVE = STATUS_CONNECTION_ACTIVE, "The connection exists already.";
    CONNECTION_ABORTED = STATUS_CONNECTION_ABORTED, "The connection was aborted.";
    NETWORK_UNREACHABLE = STATUS_NETWORK_UNREACHABLE, "No route to the network.";
    HOST_UNREACHABLE = STATUS_HOST_UNREACHABLE, "No route to the host.";
    PROTOCOL_UNREACHABLE = STATUS_PROTOCOL_UNREACHABLE, "The host does not speak the protocol.";
    PORT_UNREACHABLE = STATUS_PORT_UNREACHABLE, "Nobody listens at the port.";
    REQUEST_ABORTED = STATUS_REQUEST_ABORTED, "The request was aborted.";
    FILE_FORCED_CLOSED = STATUS_FILE_FORCED_CLOSED, "The socket is dead and must be closed.";
    FILE_CLOSED = STATUS_FILE_CLOSED, "The object has been closed.";
    INVALID_DEVICE_STATE = STATUS_INVALID_DEVICE_STATE,
        "The object is not in the state for this request.";
    INVALID_BUFFER_SIZE = STATUS_INVALID_BUFFER_SIZE, "The size of a buffer is wrong.";
    INVALID_ADDRESS_COMPONENT = STATUS_INVALID_ADDRESS_COMPONENT, "Part of the address is wrong.";
    INVALID_ADDRESS = STATUS_INVALID_ADDRESS, "The address is wrong.";
    TOO_MANY_ADDRESSES = STATUS_TOO_MANY_ADDRESSES, "No free port, or too many addresses.";
    DATA_NOT_ACCEPTED = STATUS_DATA_NOT_ACCEPTED, "The data was not accepted.";
    REQUEST_NOT_ACCEPTED = STATUS_REQUEST_NOT_ACCEPTED, "The request was not accepted.";
    DATA_OVERRUN = STATUS_DATA_OVERRUN, "Data was lost.";
    NOINTERFACE = STATUS_NOINTERFACE, "The interface, or this version of it, is not offered.";
    NO_MATCH = STATUS_NO_MATCH, "Nothing matches.";
    NOT_FOUND = STATUS_NOT_FOUND, "Not found.";
    DELETE_PENDING = STATUS_DELETE_PENDING, "The object is going away.";
}

impl Status {
    /// Takes any `NTSTATUS`.
    #[must_use]
    pub const fn from_raw(raw: NTSTATUS) -> Self {
        Self(raw)
    }

    /// The `NTSTATUS`.
    #[must_use]
    pub const fn as_raw(self) -> NTSTATUS {
        self.0
    }

    /// `NT_SUCCESS`: a success or an information.
    ///
    /// ```
    /// assert!(wsk::Status::TIMEOUT.is_success());
    /// assert!(!wsk::Status::BUFFER_OVERFLOW.is_success());
    /// ```
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 >= 0
    }
}

impl fmt::Display for Status {
    /// `STATUS_CANCELLED (0xC0000120)`, or `NTSTATUS (0x....)` for a number without a name here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({:#010X})",
            self.name().unwrap_or("NTSTATUS"),
            self.0
        )
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a failed call says: its name and the status.
///
/// ```
/// # use wsk::{Error, ErrorKind, Status};
/// let error = Error::new("WskBind", Status::ADDRESS_ALREADY_EXISTS);
/// assert_eq!(error.kind(), ErrorKind::AddressInUse);
/// assert_eq!(error.to_string(), "WskBind: STATUS_ADDRESS_ALREADY_EXISTS (0xC000020A)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    call: &'static str,
    status: Status,
}

/// The kinds of failure that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The WSK subsystem is not ready yet (or no more): try again later. `STATUS_DEVICE_NOT_READY`
    NotReady,
    /// The WSK subsystem does not offer the registered version. `STATUS_NOINTERFACE`
    VersionNotSupported,
    /// No memory. `STATUS_INSUFFICIENT_RESOURCES`
    OutOfMemory,
    /// The address is in use.
    AddressInUse,
    /// The address, or part of it, is wrong.
    InvalidAddress,
    /// The caller gave an argument that cannot be right.
    InvalidParameter,
    /// Somebody else's settings forbid it.
    AccessDenied,
    /// The request was cancelled, by the caller or by closing the socket.
    Cancelled,
    /// The deadline passed.
    TimedOut,
    /// The other side, or the transport, ended the connection without an orderly close.
    ConnectionLost,
    /// Nobody accepts connections at the address.
    ConnectionRefused,
    /// The network, host or port cannot be reached.
    Unreachable,
    /// The socket has been closed by this driver; nothing can be started on it any more.
    Closed,
    /// The socket is dead (`STATUS_FILE_FORCED_CLOSED`): close it [wsk 9.9].
    Dead,
    /// Bytes were lost because a pending receive was dropped; the stream cannot be continued.
    DataLost,
    /// This Windows is too old for the call: its WSK does not have the function.
    NotImplemented,
    /// The provider or the transport does not support it.
    NotSupported,
    /// No host or service of this name, or nothing that fits the hints.
    NameNotFound,
    /// A name is ill-formed UTF-16.
    NotUnicode,
    /// The room for the answer is too small.
    BufferTooSmall,
    /// The socket is not in the state for this call.
    InvalidState,
    /// Anything else: see the status.
    Other,
}

/// The result of a call.
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// The failure of `call`, a function of the kernel, with `status`.
    #[must_use]
    pub const fn new(call: &'static str, status: Status) -> Self {
        Self { call, status }
    }

    /// The C name of the function that failed.
    #[must_use]
    pub const fn call(self) -> &'static str {
        self.call
    }

    /// The status, for example to return it from `DriverEntry`.
    #[must_use]
    pub const fn status(self) -> Status {
        self.status
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(self) -> ErrorKind {
        match self.status {
            Status::DEVICE_NOT_READY => ErrorKind::NotReady,
            Status::NOINTERFACE => ErrorKind::VersionNotSupported,
            Status::INSUFFICIENT_RESOURCES => ErrorKind::OutOfMemory,
            Status::ADDRESS_ALREADY_EXISTS
            | Status::ADDRESS_ALREADY_ASSOCIATED
            | Status::TOO_MANY_ADDRESSES => ErrorKind::AddressInUse,
            Status::INVALID_ADDRESS | Status::INVALID_ADDRESS_COMPONENT => {
                ErrorKind::InvalidAddress
            }
            Status::INVALID_PARAMETER | Status::INVALID_BUFFER_SIZE => ErrorKind::InvalidParameter,
            Status::ACCESS_DENIED => ErrorKind::AccessDenied,
            Status::CANCELLED => ErrorKind::Cancelled,
            Status::IO_TIMEOUT => ErrorKind::TimedOut,
            Status::LOCAL_DISCONNECT
            | Status::REMOTE_DISCONNECT
            | Status::ADDRESS_CLOSED
            | Status::CONNECTION_DISCONNECTED
            | Status::CONNECTION_RESET
            | Status::CONNECTION_ABORTED
            | Status::CONNECTION_INVALID
            | Status::REQUEST_ABORTED => ErrorKind::ConnectionLost,
            Status::CONNECTION_REFUSED => ErrorKind::ConnectionRefused,
            Status::NETWORK_UNREACHABLE
            | Status::HOST_UNREACHABLE
            | Status::PROTOCOL_UNREACHABLE
            | Status::PORT_UNREACHABLE => ErrorKind::Unreachable,
            Status::FILE_CLOSED => ErrorKind::Closed,
            Status::FILE_FORCED_CLOSED => ErrorKind::Dead,
            Status::DATA_OVERRUN => ErrorKind::DataLost,
            Status::NOT_IMPLEMENTED => ErrorKind::NotImplemented,
            Status::NOT_SUPPORTED => ErrorKind::NotSupported,
            Status::INVALID_DEVICE_STATE | Status::INVALID_DEVICE_REQUEST => {
                ErrorKind::InvalidState
            }
            Status::NO_MATCH => ErrorKind::NameNotFound,
            Status::UNMAPPABLE_CHARACTER => ErrorKind::NotUnicode,
            Status::BUFFER_TOO_SMALL => ErrorKind::BufferTooSmall,
            _ => ErrorKind::Other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, self.status)
    }
}

impl core::error::Error for Error {}

/// `Ok` for what `NT_SUCCESS` calls a success, else the failure of `call`.
pub(crate) const fn check(call: &'static str, status: NTSTATUS) -> Result<()> {
    let status = Status::from_raw(status);
    if status.is_success() {
        Ok(())
    } else {
        Err(Error::new(call, status))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::{Error, ErrorKind, Status, check};

    #[test]
    fn status_unknown_number_keeps_its_value() {
        let status = Status::from_raw(0xC0FF_EE00_u32.cast_signed());
        assert_eq!(status.name(), None);
        assert_eq!(status.to_string(), "NTSTATUS (0xC0FFEE00)");
    }

    #[test]
    fn capture_failures_not_ready_and_no_interface_are_distinct() {
        let kind = |status| Error::new("WskCaptureProviderNPI", status).kind();
        assert_eq!(kind(Status::DEVICE_NOT_READY), ErrorKind::NotReady);
        assert_eq!(kind(Status::NOINTERFACE), ErrorKind::VersionNotSupported);
    }

    #[test]
    fn check_information_is_success_warning_is_not() {
        assert!(check("call", Status::PENDING.as_raw()).is_ok());
        assert!(check("call", 0x4000_0013).is_ok());
        assert!(check("call", Status::BUFFER_OVERFLOW.as_raw()).is_err());
    }
}
