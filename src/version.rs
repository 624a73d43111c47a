//! Versions of the WSK interface, and registering with one that the system has.

use core::{fmt, ops::RangeInclusive, time::Duration};

use crate::{
    irql::Passive,
    registration::{Provider, Registration},
    status::{Error, ErrorKind, Result, Status},
};

/// A version of the WSK interface. A later one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// The major number.
    pub major: u8,
    /// The minor number.
    pub minor: u8,
}

impl Version {
    /// 1.0, the only version so far.
    pub const V1_0: Self = Self { major: 1, minor: 0 };

    pub(crate) const fn as_raw(self) -> u16 {
        wsk_sys::MAKE_WSK_VERSION(self.major as u16, self.minor as u16)
    }

    pub(crate) const fn from_raw(raw: u16) -> Self {
        Self {
            major: wsk_sys::WSK_MAJOR_VERSION(raw),
            minor: wsk_sys::WSK_MINOR_VERSION(raw),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Registration {
    /// Registers for the latest of the `wanted` versions, and captures the provider; if the system
    /// does not have that version, registers anew for the latest that both have [wsk 2.5].
    ///
    /// IRQL: PASSIVE_LEVEL. As [`capture_timeout`](Self::capture_timeout), twice at most.
    ///
    /// # Errors
    ///
    /// [`VersionNotSupported`](ErrorKind::VersionNotSupported) if there is no version that both
    /// have; as [`register`](Self::register) and [`capture_timeout`](Self::capture_timeout).
    ///
    /// ```no_run
    /// use core::time::Duration;
    /// use wsk::{Passive, Registration, Version};
    ///
    /// # fn f(passive: Passive) -> wsk::Result<()> {
    /// let wanted = Version::V1_0..=Version { major: 1, minor: 9 };
    /// let (registration, provider) =
    ///     Registration::negotiate(wanted, Duration::from_secs(1), passive)?;
    /// # drop((provider, registration));
    /// # Ok(())
    /// # }
    /// ```
    pub fn negotiate(
        wanted: RangeInclusive<Version>,
        timeout: Duration,
        passive: Passive,
    ) -> Result<(Self, Provider)> {
        let first = Self::register(*wanted.end(), passive)?;
        match first.capture_timeout(timeout, passive) {
            Err(error) if error.kind() == ErrorKind::VersionNotSupported => {}
            captured => return captured.map(|provider| (first, provider)),
        }
        let latest = latest_of_both(&wanted, &first.supported_versions()?);
        let latest = latest.ok_or(Error::new("WskCaptureProviderNPI", Status::NOINTERFACE))?;
        first.deregister(passive);
        let second = Self::register(latest, passive)?;
        let provider = second.capture_timeout(timeout, passive)?;
        Ok((second, provider))
    }
}

/// The latest version in both ranges.
pub(crate) fn latest_of_both(
    wanted: &RangeInclusive<Version>,
    offered: &RangeInclusive<Version>,
) -> Option<Version> {
    let latest = *wanted.end().min(offered.end());
    (wanted.contains(&latest) && offered.contains(&latest)).then_some(latest)
}

#[cfg(test)]
mod tests {
    use super::{Version, latest_of_both};

    const fn version(major: u8, minor: u8) -> Version {
        Version { major, minor }
    }

    #[test]
    fn version_is_its_number_and_back() {
        assert_eq!(Version::V1_0.as_raw(), 0x0100);
        assert_eq!(Version::from_raw(0x0203), version(2, 3));
    }

    #[test]
    fn latest_of_both_is_in_both() {
        let offered = version(1, 0)..=version(1, 2);
        let both = |low, high| latest_of_both(&(low..=high), &offered);
        assert_eq!(both(version(1, 0), version(2, 0)), Some(version(1, 2)));
        assert_eq!(both(version(0, 1), version(1, 1)), Some(version(1, 1)));
        assert_eq!(both(version(1, 3), version(2, 0)), None, "too late");
        assert_eq!(both(version(0, 1), version(0, 9)), None, "too early");
        assert_eq!(both(version(1, 1), version(1, 0)), None, "none is wanted");
    }
}
