//! Names of the few status codes that Wine's service control manager and drivers report here.
//!
//! Used for messages by the rest of `wine` and by the tests through Wine. Not a complete list: an
//! unknown code is shown as its number, which is what a reader would look up.

use std::fmt;

/// An error of a Windows program (`sc`): a Win32 error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Win32Error(pub u32);

/// The status with which `DriverEntry` returned, or which a driver names in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NtStatus(pub u32);

impl Win32Error {
    /// The service is running already.
    pub const SERVICE_ALREADY_RUNNING: Self = Self(1056);
    /// There is no service of this name.
    pub const SERVICE_DOES_NOT_EXIST: Self = Self(1060);

    /// What it means when a driver is started or stopped, if it says more than its name.
    pub fn meaning(self) -> Option<&'static str> {
        Some(match self.0 {
            109 => {
                "the process that hosts the driver died: target/wine/debug.log has its last words"
            }
            1053 => "the driver does not return from DriverEntry or DriverUnload",
            _ => return None,
        })
    }

    fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            2 => "ERROR_FILE_NOT_FOUND",
            5 => "ERROR_ACCESS_DENIED",
            87 => "ERROR_INVALID_PARAMETER",
            109 => "ERROR_BROKEN_PIPE",
            1053 => "ERROR_SERVICE_REQUEST_TIMEOUT",
            1056 => "ERROR_SERVICE_ALREADY_RUNNING",
            1058 => "ERROR_SERVICE_DISABLED",
            1060 => "ERROR_SERVICE_DOES_NOT_EXIST",
            1061 => "ERROR_SERVICE_CANNOT_ACCEPT_CTRL",
            1062 => "ERROR_SERVICE_NOT_ACTIVE",
            1072 => "ERROR_SERVICE_MARKED_FOR_DELETE",
            1073 => "ERROR_SERVICE_EXISTS",
            _ => return None,
        })
    }
}

impl NtStatus {
    /// A registry value, or anything else that was passed in, is not usable.
    pub const INVALID_PARAMETER: Self = Self(0xC000_000D);
    /// What a provider gives for a function that it lacks.
    pub const NOT_IMPLEMENTED: Self = Self(0xC000_0002);
    /// There is a device, or another object, of this name.
    pub const OBJECT_NAME_COLLISION: Self = Self(0xC000_0035);
    /// What Windows gives for a bind to an address in use.
    pub const ADDRESS_ALREADY_EXISTS: Self = Self(0xC000_020A);
    /// What Wine 8 gives for a bind to an address in use.
    pub const ADDRESS_ALREADY_ASSOCIATED: Self = Self(0xC000_0238);

    fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0xC000_0001 => "STATUS_UNSUCCESSFUL",
            0xC000_0002 => "STATUS_NOT_IMPLEMENTED",
            0xC000_000D => "STATUS_INVALID_PARAMETER",
            0xC000_0022 => "STATUS_ACCESS_DENIED",
            0xC000_0034 => "STATUS_OBJECT_NAME_NOT_FOUND",
            0xC000_0035 => "STATUS_OBJECT_NAME_COLLISION",
            0xC000_009A => "STATUS_INSUFFICIENT_RESOURCES",
            0xC000_00A3 => "STATUS_DEVICE_NOT_READY",
            0xC000_0120 => "STATUS_CANCELLED",
            0xC000_0142 => "STATUS_DLL_INIT_FAILED",
            0xC000_020A => "STATUS_ADDRESS_ALREADY_EXISTS",
            0xC000_0238 => "STATUS_ADDRESS_ALREADY_ASSOCIATED",
            0xC000_0263 => "STATUS_DRIVER_ENTRYPOINT_NOT_FOUND",
            _ => return None,
        })
    }
}

impl fmt::Display for Win32Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "Win32 error {}", self.0),
        }
    }
}

/// As the driver writes it: `STATUS_NAME (0xC000000D)`.
impl fmt::Display for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} (0x{:08X})", self.0),
            None => write!(f, "NTSTATUS 0x{:08X}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_with_a_name_shows_name_and_number() {
        assert_eq!(
            Win32Error::SERVICE_DOES_NOT_EXIST.to_string(),
            "ERROR_SERVICE_DOES_NOT_EXIST (1060)"
        );
        assert_eq!(
            NtStatus::INVALID_PARAMETER.to_string(),
            "STATUS_INVALID_PARAMETER (0xC000000D)"
        );
    }

    #[test]
    fn code_without_a_name_shows_its_number() {
        assert_eq!(Win32Error(9999).to_string(), "Win32 error 9999");
        assert_eq!(NtStatus(0xC0DE_0001).to_string(), "NTSTATUS 0xC0DE0001");
    }
}
