//! How names are resolved: flags, as WSK takes them.
//!
//! The bits of the headers; what a query does with them is the provider's business, with one
//! exception: a flag must not make the provider read more than the hints are.

use bitflags::bitflags;
use wsk_sys::{
    AI_ADDRCONFIG, AI_ALL, AI_BYPASS_DNS_CACHE, AI_CANONNAME, AI_DISABLE_IDN_ENCODING, AI_DNS_ONLY,
    AI_EXCLUSIVE_CUSTOM_SERVERS, AI_EXTENDED, AI_FILESERVER, AI_FQDN, AI_NON_AUTHORITATIVE,
    AI_NUMERICHOST, AI_NUMERICSERV, AI_PASSIVE, AI_RESOLUTION_HANDLE, AI_RETURN_PREFERRED_NAMES,
    AI_RETURN_RESPONSE_FLAGS, AI_SECURE, AI_V4MAPPED, NI_DGRAM, NI_NAMEREQD, NI_NOFQDN,
    NI_NUMERICHOST, NI_NUMERICSERV,
};

/// They say that the hints are a larger structure, `ADDRINFOEX2W` or a later one, or are about what
/// only those have.
const OF_LARGER_HINTS: u32 =
    AI_EXTENDED | AI_RESOLUTION_HANDLE | AI_EXCLUSIVE_CUSTOM_SERVERS | AI_RETURN_RESPONSE_FLAGS;

bitflags! {
    /// How [`Provider::get_address_info`](crate::Provider::get_address_info) looks for addresses.
    ///
    /// Which of them a Windows honours is its own affair; it may refuse others as
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct AddressInfoFlags: u32 {
        /// Without a node: addresses to bind a listener to. `AI_PASSIVE`
        const PASSIVE = AI_PASSIVE;
        /// The first element has the canonical name of the node. `AI_CANONNAME`
        const CANONICAL_NAME = AI_CANONNAME;
        /// The node is an address in digits; nobody is asked. `AI_NUMERICHOST`
        const NUMERIC_HOST = AI_NUMERICHOST;
        /// The service is a port in digits. `AI_NUMERICSERV`
        const NUMERIC_SERVICE = AI_NUMERICSERV;
        /// DNS is asked, and nothing else. `AI_DNS_ONLY`
        const DNS_ONLY = AI_DNS_ONLY;
        /// DNS is asked even if the answer is known from before. `AI_BYPASS_DNS_CACHE`
        const BYPASS_DNS_CACHE = AI_BYPASS_DNS_CACHE;
        /// With [`V4_MAPPED`](Self::V4_MAPPED): addresses of IPv4 besides those of IPv6. `AI_ALL`
        const ALL = AI_ALL;
        /// Only families of which this host has an address. `AI_ADDRCONFIG`
        const CONFIGURED = AI_ADDRCONFIG;
        /// Addresses of IPv4 as such of IPv6, if there are no others. `AI_V4MAPPED`
        const V4_MAPPED = AI_V4MAPPED;
        /// Also answers that are not authoritative. `AI_NON_AUTHORITATIVE`
        const NON_AUTHORITATIVE = AI_NON_AUTHORITATIVE;
        /// Answers that came over a secure channel only. `AI_SECURE`
        const SECURE = AI_SECURE;
        /// The names that the answers prefer. `AI_RETURN_PREFERRED_NAMES`
        const PREFERRED_NAMES = AI_RETURN_PREFERRED_NAMES;
        /// The canonical name is fully qualified. `AI_FQDN`
        const FULLY_QUALIFIED = AI_FQDN;
        /// The node is a file server. `AI_FILESERVER`
        const FILE_SERVER = AI_FILESERVER;
        /// The node is not encoded as an international domain name. `AI_DISABLE_IDN_ENCODING`
        const DISABLE_IDN_ENCODING = AI_DISABLE_IDN_ENCODING;
        /// Flags without a name here are passed on, but those that need larger hints.
        const _ = !0;
    }
}

impl AddressInfoFlags {
    /// Whether the provider would read beyond an `ADDRINFOEXW`.
    pub(super) const fn need_larger_hints(self) -> bool {
        self.bits() & OF_LARGER_HINTS != 0
    }
}

bitflags! {
    /// How [`Provider::get_name_info`](crate::Provider::get_name_info) looks for names.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct NameInfoFlags: u32 {
        /// Hosts of this domain without it. `NI_NOFQDN`
        const NO_DOMAIN = NI_NOFQDN;
        /// The host as an address in digits. `NI_NUMERICHOST`
        const NUMERIC_HOST = NI_NUMERICHOST;
        /// Fails if there is no name, instead of giving the digits. `NI_NAMEREQD`
        const NAME_REQUIRED = NI_NAMEREQD;
        /// The service as a port in digits. `NI_NUMERICSERV`
        const NUMERIC_SERVICE = NI_NUMERICSERV;
        /// The service is one for datagrams. `NI_DGRAM`
        const DATAGRAM = NI_DGRAM;
        /// Flags without a name here are passed on.
        const _ = !0;
    }
}
