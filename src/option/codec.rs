//! What the values of options are in C, and what they are here.

use core::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use crate::{
    addr::SocketAddress,
    op::slot::{Extra, pack, unpack},
};

mod sealed {
    use super::Encoded;

    /// How a value crosses into C and back.
    pub trait Convert {
        type Value;
        /// Bytes of the C type.
        const SIZE: u32;
        /// `None`: the C type cannot express it.
        fn encode(value: Self::Value) -> Option<Encoded>;
        /// `None`: the provider gave something else.
        fn decode(bytes: &[u8]) -> Option<Self::Value>;
    }
}

pub(crate) use sealed::Convert;

/// The type of an option's value. Implemented by the library only.
pub trait Codec: Convert {}

impl<C: Convert> Codec for C {}

/// A value as C has it.
#[derive(Debug)]
pub struct Encoded {
    pub(crate) extra: Extra,
    pub(crate) length: u32,
}

impl Encoded {
    fn new(bytes: &[u8]) -> Option<Self> {
        let length = u32::try_from(bytes.len()).ok()?;
        let fits = bytes.len() <= size_of::<Extra>();
        fits.then(|| Self {
            extra: pack(bytes),
            length,
        })
    }
}

/// The value that the provider wrote.
pub(crate) fn decode<C: Convert>(extra: &Extra, written: usize) -> Option<C::Value> {
    C::decode(unpack(extra).get(..written)?)
}

macro_rules! codecs {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* #[derive(Debug)] pub enum $name {})*
    };
}

codecs! {
    /// `bool`; a `ULONG` of 0 or 1 in C [wsk 5.2].
    Flag;
    /// `u32`; a `ULONG`.
    Number;
    /// `i32`; an `INT`.
    Signed;
    /// A [`Duration`], rounded up; a `ULONG` of seconds.
    Seconds;
    /// A [`Duration`], rounded up; a `ULONG` of milliseconds.
    Milliseconds;
    /// The index of an IPv4 interface, a `u32`; a `ULONG` in network byte order.
    InterfaceV4;
    /// A [`GroupV4`]; an `IP_MREQ`.
    MembershipV4;
    /// A [`GroupV6`]; an `IPV6_MREQ`.
    MembershipV6;
    /// An [`IcmpError`]; an `ICMP_ERROR_INFO`.
    IcmpErrorInfo;
}

/// A multicast group on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupV4 {
    /// The group.
    pub group: Ipv4Addr,
    /// The interface, by one of its addresses; the unspecified address lets the system choose.
    pub interface: Ipv4Addr,
}

/// A multicast group on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupV6 {
    /// The group.
    pub group: Ipv6Addr,
    /// The index of the interface; 0 lets the system choose.
    pub interface: u32,
}

/// The ICMP message that ended a connection attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// Who sent it; `None` for an address of another family than IPv4 and IPv6.
    pub source: Option<IpAddr>,
    /// The protocol: ICMP or ICMPv6.
    pub protocol: u32,
    /// The type of the message.
    pub kind: u8,
    /// The code of the message.
    pub code: u8,
}

/// The bytes at the front, if there are so many.
fn first<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.get(..N)?.try_into().ok()
}

impl Convert for Number {
    type Value = u32;
    const SIZE: u32 = 4;

    fn encode(value: u32) -> Option<Encoded> {
        Encoded::new(&value.to_ne_bytes())
    }

    fn decode(bytes: &[u8]) -> Option<u32> {
        first(bytes).map(u32::from_ne_bytes)
    }
}

impl Convert for Flag {
    type Value = bool;
    const SIZE: u32 = 4;

    fn encode(value: bool) -> Option<Encoded> {
        Number::encode(value.into())
    }

    fn decode(bytes: &[u8]) -> Option<bool> {
        Number::decode(bytes).map(|number| number != 0)
    }
}

impl Convert for Signed {
    type Value = i32;
    const SIZE: u32 = 4;

    fn encode(value: i32) -> Option<Encoded> {
        Number::encode(value.cast_unsigned())
    }

    fn decode(bytes: &[u8]) -> Option<i32> {
        Number::decode(bytes).map(u32::cast_signed)
    }
}

impl Convert for Seconds {
    type Value = Duration;
    const SIZE: u32 = 4;

    fn encode(value: Duration) -> Option<Encoded> {
        let seconds = value.as_nanos().div_ceil(1_000_000_000);
        Number::encode(u32::try_from(seconds).ok()?)
    }

    fn decode(bytes: &[u8]) -> Option<Duration> {
        Number::decode(bytes).map(|seconds| Duration::from_secs(seconds.into()))
    }
}

impl Convert for Milliseconds {
    type Value = Duration;
    const SIZE: u32 = 4;

    fn encode(value: Duration) -> Option<Encoded> {
        Number::encode(milliseconds(value)?)
    }

    fn decode(bytes: &[u8]) -> Option<Duration> {
        Number::decode(bytes).map(|milliseconds| Duration::from_millis(milliseconds.into()))
    }
}

/// Rounded up; `None` for more than a `ULONG` holds, which is 49 days.
pub(crate) fn milliseconds(duration: Duration) -> Option<u32> {
    u32::try_from(duration.as_nanos().div_ceil(1_000_000)).ok()
}

impl Convert for InterfaceV4 {
    type Value = u32;
    const SIZE: u32 = 4;

    fn encode(value: u32) -> Option<Encoded> {
        Encoded::new(&value.to_be_bytes())
    }

    fn decode(bytes: &[u8]) -> Option<u32> {
        first(bytes).map(u32::from_be_bytes)
    }
}

impl Convert for MembershipV4 {
    type Value = GroupV4;
    const SIZE: u32 = 8;

    fn encode(value: GroupV4) -> Option<Encoded> {
        let [group, interface] = [value.group.octets(), value.interface.octets()];
        Encoded::new([group, interface].as_flattened())
    }

    fn decode(bytes: &[u8]) -> Option<GroupV4> {
        let octets: [u8; 8] = first(bytes)?;
        Some(GroupV4 {
            group: first::<4>(&octets)?.into(),
            interface: first::<4>(&octets[4..])?.into(),
        })
    }
}

impl Convert for MembershipV6 {
    type Value = GroupV6;
    const SIZE: u32 = 20;

    fn encode(value: GroupV6) -> Option<Encoded> {
        let mut bytes = [0; 20];
        bytes[..16].copy_from_slice(&value.group.octets());
        bytes[16..].copy_from_slice(&value.interface.to_ne_bytes());
        Encoded::new(&bytes)
    }

    fn decode(bytes: &[u8]) -> Option<GroupV6> {
        let octets: [u8; 20] = first(bytes)?;
        Some(GroupV6 {
            group: first::<16>(&octets)?.into(),
            interface: u32::from_ne_bytes(first(&octets[16..])?),
        })
    }
}

impl Convert for IcmpErrorInfo {
    type Value = IcmpError;
    const SIZE: u32 = 36;

    fn encode(_: IcmpError) -> Option<Encoded> {
        None
    }

    fn decode(bytes: &[u8]) -> Option<IcmpError> {
        let bytes: [u8; 36] = first(bytes)?;
        Some(IcmpError {
            source: SocketAddress::read_from(&bytes[..28]).map(|address| address.ip()),
            protocol: u32::from_ne_bytes(first(&bytes[28..])?),
            kind: bytes[32],
            code: bytes[33],
        })
    }
}

#[cfg(test)]
mod tests {
    use core::{mem::offset_of, time::Duration};

    use wsk_sys::{ICMP_ERROR_INFO, IP_MREQ, IPV6_MREQ};

    use super::{
        Convert, Encoded, Flag, GroupV4, GroupV6, IcmpErrorInfo, InterfaceV4, MembershipV4,
        MembershipV6, Milliseconds, Number, Seconds, Signed, decode,
    };
    use crate::op::slot::unpack;

    const _: () = {
        assert!(size_of::<IP_MREQ>() == MembershipV4::SIZE as usize);
        assert!(offset_of!(IP_MREQ, imr_interface) == 4);
        assert!(size_of::<IPV6_MREQ>() == MembershipV6::SIZE as usize);
        assert!(offset_of!(IPV6_MREQ, ipv6mr_interface) == 16);
        assert!(size_of::<ICMP_ERROR_INFO>() == IcmpErrorInfo::SIZE as usize);
        assert!(offset_of!(ICMP_ERROR_INFO, protocol) == 28);
        assert!(offset_of!(ICMP_ERROR_INFO, type_) == 32);
    };

    fn bytes(encoded: Option<Encoded>) -> ([u8; 128], u32) {
        let encoded = encoded.expect("it can be expressed");
        (unpack(&encoded.extra), encoded.length)
    }

    /// [wsk 5.2]
    #[test]
    fn flag_is_a_ulong_of_zero_or_one() {
        let (raw, length) = bytes(Flag::encode(true));
        assert_eq!((&raw[..4], length), (&1_u32.to_ne_bytes()[..], 4));
        assert_eq!(Flag::decode(&7_u32.to_ne_bytes()), Some(true));
        assert_eq!(Flag::decode(&[0; 4]), Some(false));
        assert_eq!(Flag::decode(&[1]), None, "one byte is not a ULONG");
    }

    #[test]
    fn durations_are_rounded_up_and_bounded() {
        let second = Seconds::encode(Duration::from_millis(1001));
        assert_eq!(bytes(second).0[..4], 2_u32.to_ne_bytes());
        let millisecond = Milliseconds::encode(Duration::from_micros(1));
        assert_eq!(bytes(millisecond).0[..4], 1_u32.to_ne_bytes());
        assert!(Seconds::encode(Duration::MAX).is_none());
        assert!(Milliseconds::encode(Duration::from_secs(1 << 32)).is_none());
        let decoded = Milliseconds::decode(&1500_u32.to_ne_bytes());
        assert_eq!(decoded, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn values_come_back_as_they_went() {
        fn there_and_back<C: Convert>(value: C::Value) -> C::Value {
            let encoded = C::encode(value).expect("it can be expressed");
            assert_eq!(encoded.length, C::SIZE);
            let written = usize::try_from(encoded.length).expect("small");
            decode::<C>(&encoded.extra, written).expect("its own encoding")
        }
        assert_eq!(there_and_back::<Number>(0x0102_0304), 0x0102_0304);
        assert_eq!(there_and_back::<Signed>(-1), -1);
        assert_eq!(there_and_back::<InterfaceV4>(7), 7);
        let group = GroupV4 {
            group: [224, 0, 0, 9].into(),
            interface: [10, 0, 0, 1].into(),
        };
        assert_eq!(there_and_back::<MembershipV4>(group), group);
        let group = GroupV6 {
            group: [0xFF02, 0, 0, 0, 0, 0, 0, 9].into(),
            interface: 3,
        };
        assert_eq!(there_and_back::<MembershipV6>(group), group);
    }

    #[test]
    fn interface_of_ipv4_is_in_network_byte_order() {
        let (raw, _) = bytes(InterfaceV4::encode(1));
        assert_eq!(raw[..4], [0, 0, 0, 1]);
    }

    #[test]
    fn output_shorter_than_its_type_is_none() {
        assert!(decode::<Number>(&[0; 16], 3).is_none());
        assert!(decode::<Number>(&[0; 16], 129).is_none(), "more than fits");
    }
}
