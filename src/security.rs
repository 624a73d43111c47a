//! Security descriptors: who else may use a socket's address.
//!
//! The check of the bytes lies here; caching and releasing in `op::descriptor`.

use core::fmt;

use crate::{
    mem::buffer::Buffer,
    op::descriptor::DescriptorRef,
    registration::Provider,
    status::{Error, Result, Status},
};

/// A security descriptor that WSK has cached: for sockets that share their address with others [wsk
/// 4.5].
///
/// Clones are cheap and equal. Sockets and requests that use one keep it as long as they need it;
/// it is released when all are gone. It keeps the registration from ending.
///
/// ```no_run
/// use wsk::{ListenSocket, OpenOptions, Provider, SecurityDescriptor};
///
/// /// Everybody may share the address: a descriptor with an empty list of what is allowed, absent.
/// const EVERYBODY: [u8; 20] = [1, 0, 4, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
///
/// # async fn f(provider: &Provider, family: wsk::AddressFamily) -> wsk::Result<()> {
/// let descriptor = SecurityDescriptor::cache(provider, &EVERYBODY)?;
/// let options = OpenOptions::new().security(&descriptor);
/// let listener = options.listen(provider, family).await?;
/// # drop(listener);
/// # Ok(())
/// # }
/// ```
///
/// IRQL: cloning and dropping <= DISPATCH_LEVEL.
///
/// [WSK_CACHE_SD](https://learn.microsoft.com/windows-hardware/drivers/network/wsk-cache-sd)
#[derive(Clone)]
#[doc(alias = "WSK_RELEASE_SD")]
pub struct SecurityDescriptor {
    pub(crate) cached: DescriptorRef,
}

impl SecurityDescriptor {
    /// Has WSK cache the self-relative security descriptor in `bytes`: a
    /// `SECURITY_DESCRIPTOR_RELATIVE` and what it refers to, as `RtlAbsoluteToSelfRelativeSD` makes
    /// it, and as it is stored in the registry.
    ///
    /// IRQL: <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) if the bytes are no such
    /// descriptor, or have entries other than for allowing, denying, auditing and labels;
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory); or what `WskControlClient` says.
    ///
    /// [SECURITY_DESCRIPTOR](https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/ns-ntifs-_security_descriptor)
    #[doc(alias = "WSK_CACHE_SD")]
    pub fn cache(provider: &Provider, bytes: &[u8]) -> Result<Self> {
        let valid = Valid::check(bytes)?;
        DescriptorRef::cache(provider, &valid).map(|cached| Self { cached })
    }
}

impl fmt::Debug for SecurityDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityDescriptor").finish_non_exhaustive()
    }
}

/// A self-relative security descriptor that was found valid.
pub(crate) struct Valid {
    /// Nonpaged, and aligned as the kernel wants it.
    bytes: Buffer,
}

impl Valid {
    fn check(bytes: &[u8]) -> Result<Self> {
        if !is_valid(bytes) {
            return Err(Error::new("WskControlClient", Status::INVALID_PARAMETER));
        }
        let mut aligned = Buffer::with_capacity(bytes.len())?;
        aligned.extend_from_slice(bytes)?;
        Ok(Self { bytes: aligned })
    }

    pub(crate) fn bytes(&self) -> &Buffer {
        &self.bytes
    }
}

const HEADER: usize = 20;
const SELF_RELATIVE: u16 = 0x8000;
const DACL_PRESENT: u16 = 4;
const SACL_PRESENT: u16 = 0x10;

/// Entries that are a mask and a SID: allow, deny, audit, label.
const SIMPLE_ENTRIES: [u8; 4] = [0, 1, 2, 0x11];

/// Whether `bytes` are a complete self-relative security descriptor, in which everything that it
/// refers to lies within.
fn is_valid(bytes: &[u8]) -> bool {
    parts_are_valid(bytes) == Some(true)
}

/// `None`: something is not there.
fn parts_are_valid(bytes: &[u8]) -> Option<bool> {
    let control = word(bytes, 2)?;
    let [owner, group, sacl, dacl] = [
        double_word(bytes, 4)?,
        double_word(bytes, 8)?,
        double_word(bytes, 12)?,
        double_word(bytes, 16)?,
    ];
    let part = |offset: usize| {
        let placed = offset >= HEADER && offset.is_multiple_of(4);
        placed.then(|| bytes.get(offset..)).flatten()
    };
    let sid = |offset| offset == 0 || part(offset).is_some_and(|bytes| sid_length(bytes).is_some());
    let acl = |present, offset| {
        let absent = control & present == 0 || offset == 0;
        absent || part(offset).is_some_and(|bytes| is_valid_acl(bytes) == Some(true))
    };
    Some(
        bytes[0] == 1
            && control & SELF_RELATIVE != 0
            && sid(owner)
            && sid(group)
            && acl(SACL_PRESENT, sacl)
            && acl(DACL_PRESENT, dacl),
    )
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.get(..2)?.try_into().ok()?;
    Some(u16::from_le_bytes(bytes))
}

fn double_word(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.get(..4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

/// The length of the SID at the start of `bytes`.
fn sid_length(bytes: &[u8]) -> Option<usize> {
    let [revision, parts, ..] = *bytes else {
        return None;
    };
    let length = 8 + 4 * usize::from(parts);
    (revision == 1 && parts <= 15 && length <= bytes.len()).then_some(length)
}

fn is_valid_acl(bytes: &[u8]) -> Option<bool> {
    let (size, count) = (usize::from(word(bytes, 2)?), word(bytes, 4)?);
    let mut entries = bytes.get(8..size)?;
    for _ in 0..count {
        let length = usize::from(word(entries, 2)?);
        let entry = entries.get(..length)?;
        let simple = SIMPLE_ENTRIES.contains(&entry[0]);
        if !simple || !length.is_multiple_of(4) || sid_length(entry.get(8..)?).is_none() {
            return Some(false);
        }
        entries = &entries[length..];
    }
    Some((2..=4).contains(&bytes[0]) && size.is_multiple_of(4))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{vec, vec::Vec};

    use super::is_valid;

    /// `S-1-1-0`, everyone.
    const EVERYONE: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];

    /// Owned by everyone, and everyone may do anything.
    fn example() -> Vec<u8> {
        let mut bytes = vec![
            1, 0, 4, 0x80, 20, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0,
        ];
        bytes.extend(EVERYONE);
        bytes.extend([2, 0, 28, 0, 1, 0, 0, 0]);
        bytes.extend([0, 0, 20, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
        bytes.extend(EVERYONE);
        bytes
    }

    #[test]
    fn descriptor_complete_is_valid() {
        assert!(is_valid(&example()));
        let empty = [
            1, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert!(is_valid(&empty));
    }

    #[test]
    fn descriptor_cut_short_anywhere_is_not_valid() {
        let whole = example();
        for length in 0..whole.len() {
            assert!(!is_valid(&whole[..length]), "{length} bytes");
        }
    }

    #[test]
    fn descriptor_that_refers_outside_or_lies_is_not_valid() {
        for (at, byte) in [
            (0, 2),   // revision
            (3, 0),   // not self-relative
            (4, 21),  // an owner that is not aligned
            (4, 4),   // an owner in the header
            (8, 60),  // a group outside
            (16, 56), // a list that does not fit
            (20, 2),  // revision of a SID
            (21, 16), // too many parts of a SID
            (32, 9),  // revision of a list
            (34, 36), // a list longer than the descriptor
            (36, 2),  // more entries than there are
            (40, 5),  // an entry of another form
            (42, 24), // an entry longer than its list
            (42, 12), // an entry without its SID
        ] {
            let mut bytes = example();
            bytes[at] = byte;
            assert!(!is_valid(&bytes), "byte {at} is {byte}");
        }
    }
}
