//! Constants that are casts, complements or sizes in C, which bindgen does not evaluate.

#![expect(clippy::cast_possible_truncation, reason = "sizes of small structures")]

use wdk_sys::{INT, UCHAR, ULONG, USHORT};

use crate::{_SS_MAXSIZE, IN6_ADDR, MAKE_WSK_VERSION, SO_LINGER, SO_REUSEADDR};

/// The version of WSK that every Windows since Vista has.
pub const WSK_CLIENT_VERSION_1_0: USHORT = MAKE_WSK_VERSION(1, 0);

/// Option of `SOL_SOCKET`: closing does not wait for data that is still to be sent.
pub const SO_DONTLINGER: INT = !SO_LINGER.cast_signed();
/// Option of `SOL_SOCKET`: no other socket may bind to the same address.
pub const SO_EXCLUSIVEADDRUSE: INT = !SO_REUSEADDR.cast_signed();

/// Any local IPv4 address.
pub const INADDR_ANY: ULONG = 0x0000_0000;
/// 127.0.0.1, in host byte order.
pub const INADDR_LOOPBACK: ULONG = 0x7F00_0001;
/// 255.255.255.255.
pub const INADDR_BROADCAST: ULONG = 0xFFFF_FFFF;
/// No IPv4 address; the same number as [`INADDR_BROADCAST`].
pub const INADDR_NONE: ULONG = 0xFFFF_FFFF;

/// Bits of an IPv6 address.
pub const IPV6_ADDRESS_BITS: ULONG = size_of::<IN6_ADDR>() as ULONG * 8;

/// Alignment of [`SOCKADDR_STORAGE`](crate::SOCKADDR_STORAGE).
pub const _SS_ALIGNSIZE: ULONG = size_of::<i64>() as ULONG;
/// Bytes between the family and the aligned member of
/// [`SOCKADDR_STORAGE`](crate::SOCKADDR_STORAGE).
pub const _SS_PAD1SIZE: ULONG = _SS_ALIGNSIZE - size_of::<USHORT>() as ULONG;
/// Bytes behind the aligned member of [`SOCKADDR_STORAGE`](crate::SOCKADDR_STORAGE).
pub const _SS_PAD2SIZE: ULONG =
    _SS_MAXSIZE - (size_of::<USHORT>() as ULONG + _SS_PAD1SIZE + _SS_ALIGNSIZE);

/// Value of `IP_TOS`: the system's choice.
pub const IP_UNSPECIFIED_TYPE_OF_SERVICE: INT = -1;
/// Value of `IP_USER_MTU`: the system's choice.
pub const IP_UNSPECIFIED_USER_MTU: ULONG = ULONG::MAX;
/// Value of the hop limit options: the system's choice.
pub const IP_UNSPECIFIED_HOP_LIMIT: INT = -1;
/// Value of `IPV6_PROTECTION_LEVEL`: the system's choice.
pub const PROTECTION_LEVEL_DEFAULT: ULONG = ULONG::MAX;

/// `Rtt` of [`TCP_INITIAL_RTO_PARAMETERS`](crate::TCP_INITIAL_RTO_PARAMETERS): leave it as it is.
pub const TCP_INITIAL_RTO_UNSPECIFIED_RTT: USHORT = USHORT::MAX;
/// `MaxSynRetransmissions` of [`TCP_INITIAL_RTO_PARAMETERS`](crate::TCP_INITIAL_RTO_PARAMETERS):
/// leave it as it is.
pub const TCP_INITIAL_RTO_UNSPECIFIED_MAX_SYN_RETRANSMISSIONS: UCHAR = UCHAR::MAX;
/// `Rtt` of [`TCP_INITIAL_RTO_PARAMETERS`](crate::TCP_INITIAL_RTO_PARAMETERS): the system's
/// choice.
pub const TCP_INITIAL_RTO_DEFAULT_RTT: USHORT = 0;
/// `MaxSynRetransmissions` of [`TCP_INITIAL_RTO_PARAMETERS`](crate::TCP_INITIAL_RTO_PARAMETERS):
/// the system's choice.
pub const TCP_INITIAL_RTO_DEFAULT_MAX_SYN_RETRANSMISSIONS: UCHAR = 0;
/// `MaxSynRetransmissions` of [`TCP_INITIAL_RTO_PARAMETERS`](crate::TCP_INITIAL_RTO_PARAMETERS):
/// none at all.
pub const TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS: UCHAR = UCHAR::MAX - 1;
