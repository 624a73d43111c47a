//! Who may connect: address prefixes that are allowed or denied.
//!
//! 1. Who is in a prefix of `Deny` may not connect, whatever `Allow` says.
//! 2. If `Allow` has prefixes, who is in none of them may not connect either.
//! 3. Everybody else may.
//!
//! An IPv4 client of an IPv6 socket counts as what it is, an IPv4 address.

use alloc::vec::Vec;
use core::net::IpAddr;

/// The addresses whose first bits are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    length: u32,
}

impl Prefix {
    /// Reads `192.168.0.0/16`, `fd00::/8`, or one address. `None` if it is neither, if bits are set
    /// after the prefix, or if it could match nobody.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let whole = bits(address).1;
        let length = match length {
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse().ok().filter(|length| *length <= whole)?
            }
            Some(_) => return None,
            None => whole,
        };
        let rest = bits(address).0.checked_shl(length).unwrap_or(0);
        (rest == 0 && address.to_canonical() == address).then_some(Self { address, length })
    }

    /// Whether `address` begins with it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let ((own, whole), (other, other_whole)) = (bits(self.address), bits(address));
        let differing = (own ^ other)
            .checked_shr(u128::BITS - self.length)
            .unwrap_or(0);
        whole == other_whole && differing == 0
    }
}

/// The bits of an address, from the highest of 128 on, and how many there are.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Who may connect; everybody if empty.
    pub allow: Vec<Prefix>,
    /// Who may not.
    pub deny: Vec<Prefix>,
}

impl Rules {
    /// Whether `address` may connect.
    pub fn admit(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_in = |prefixes: &[Prefix]| prefixes.iter().any(|prefix| prefix.contains(address));
        !is_in(&self.deny) && (self.allow.is_empty() || is_in(&self.allow))
    }
}
