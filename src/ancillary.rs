//! Ancillary data: what travels with a datagram besides its data, as C has it and as a driver wants
//! it.
//!
//! C has a row of messages, each a header (length, level, type) and data behind it, padded to 8
//! bytes. Everything here works on plain bytes: what arrives is read with each length checked, and
//! what does not fit is left out. Knows no socket.

use core::{
    fmt,
    mem::{offset_of, size_of},
    net::IpAddr,
};

use wsk_sys::{
    CMSGHDR, IP_ECN, IP_HOPLIMIT, IP_PKTINFO, IP_TCLASS, IP_TOS, IP_TTL, IPPROTO, IPPROTO_IP,
    IPV6_ECN, IPV6_HOPLIMIT, IPV6_PKTINFO, IPV6_TCLASS, WSA_CMSG_LEN, WSA_CMSG_SPACE,
};

use crate::{
    addr::AddressFamily,
    op::slot::{Extra, pack, unpack},
    status::{Error, Result, Status},
};

const V4: u32 = IPPROTO_IP;
const V6: u32 = IPPROTO::IPPROTO_IPV6.cast_unsigned();
const HEADER: usize = size_of::<CMSGHDR>();
const CAPACITY: usize = size_of::<Extra>();
/// To what lengths are padded.
const ALIGNMENT: usize = 8;

const _: () = {
    assert!(HEADER == 16 && WSA_CMSG_LEN(0) == 16 && WSA_CMSG_LEN(5) == 21);
    assert!(WSA_CMSG_SPACE(5) == 24 && WSA_CMSG_SPACE(8) == 24 && WSA_CMSG_SPACE(20) == 40);
    assert!(offset_of!(CMSGHDR, cmsg_len) == 0 && offset_of!(CMSGHDR, cmsg_level) == 8);
    assert!(offset_of!(CMSGHDR, cmsg_type) == 12);
};

/// What can be said about a datagram besides its data. Received, a field is there if the option of
/// the same name was set on the socket (in [`option::ipv4`](crate::option::ipv4) and
/// [`option::ipv6`](crate::option::ipv6)); sent, if the datagram is to differ from the socket's
/// options.
///
/// [`ControlData::encode`] makes what is sent of it. It is a value like any other: IRQL: any.
///
/// [Winsock control messages](https://learn.microsoft.com/windows/win32/api/ws2def/ns-ws2def-wsacmsghdr)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ancillary {
    /// The local address and interface.
    pub packet_info: Option<PacketInfo>,
    /// Time to live, or hop limit.
    pub hop_limit: Option<u8>,
    /// Type of service, or traffic class: the whole byte.
    pub traffic_class: Option<u8>,
    /// The congestion notification: the lowest two bits of that byte.
    pub ecn: Option<Ecn>,
}

/// Where a datagram has arrived; or from where it is to be sent.
///
/// [IN_PKTINFO](https://learn.microsoft.com/windows/win32/api/ws2ipdef/ns-ws2ipdef-in_pktinfo)
#[doc(alias = "IN_PKTINFO")]
#[doc(alias = "IN6_PKTINFO")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketInfo {
    /// The address to which it was sent, perhaps that of a group; or the source address, where the
    /// unspecified one lets the system choose.
    pub address: IpAddr,
    /// The index of the interface; 0 lets the system choose.
    pub interface: u32,
}

/// Explicit congestion notification.
///
/// [IP_ECN](https://learn.microsoft.com/windows/win32/winsock/ipproto-ip-socket-options)
#[doc(alias = "ECN_CODEPOINT")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ecn {
    /// The transport does not understand it. `ECN_CODEPOINT_NON_ECT`
    NotCapable = 0,
    /// ECT(1) `ECN_CODEPOINT_ECT_1`
    Capable1 = 1,
    /// ECT(0) `ECN_CODEPOINT_ECT_0`
    Capable0 = 2,
    /// A router on the way was congested. `ECN_CODEPOINT_CE`
    CongestionExperienced = 3,
}

impl Ecn {
    /// The code point, of two bits.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::NotCapable,
            1 => Self::Capable1,
            2 => Self::Capable0,
            3 => Self::CongestionExperienced,
            _ => return None,
        })
    }
}

impl Ancillary {
    /// Reads control data; what is cut short, unknown or impossible is left out.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut this = Self::default();
        for message in ControlMessages::new(bytes) {
            this.note(message);
        }
        this
    }

    fn note(&mut self, message: ControlMessage<'_>) {
        let data = message.data;
        match (message.level, message.kind) {
            (V4, IP_PKTINFO) => set(&mut self.packet_info, packet_info::<4>(data)),
            (V6, IPV6_PKTINFO) => set(&mut self.packet_info, packet_info::<16>(data)),
            (V4, IP_TTL | IP_HOPLIMIT) | (V6, IPV6_HOPLIMIT) => {
                set(&mut self.hop_limit, number(data));
            }
            (V4, IP_TOS | IP_TCLASS) | (V6, IPV6_TCLASS) => {
                set(&mut self.traffic_class, number(data));
            }
            (V4, IP_ECN) | (V6, IPV6_ECN) => {
                set(&mut self.ecn, number(data).and_then(Ecn::from_bits));
            }
            _ => {}
        }
    }
}

fn set<T>(place: &mut Option<T>, value: Option<T>) {
    *place = value.or(place.take());
}

/// An address, in network byte order, and the index of an interface, in that of the processor.
fn packet_info<const N: usize>(data: &[u8]) -> Option<PacketInfo>
where
    IpAddr: From<[u8; N]>,
{
    let (address, rest) = data.split_first_chunk::<N>()?;
    let interface = rest.first_chunk()?;
    Some(PacketInfo {
        address: IpAddr::from(*address),
        interface: u32::from_ne_bytes(*interface),
    })
}

/// An `INT` with the value of a byte.
fn number(data: &[u8]) -> Option<u8> {
    let bytes = data.first_chunk()?;
    u8::try_from(i32::from_ne_bytes(*bytes)).ok()
}

/// Control data of a datagram, as C has it: messages in at most 128 bytes, which is enough for
/// everything in [`Ancillary`]. A request copies it.
///
/// IRQL: any.
///
/// ```
/// use wsk::{AddressFamily, Ancillary, ControlData, Ecn};
///
/// let wanted = Ancillary { hop_limit: Some(1), ecn: Some(Ecn::Capable0), ..Ancillary::default() };
/// let control = ControlData::encode(AddressFamily::Inet, &wanted)?;
/// assert_eq!(control.ancillary(), wanted);
/// # Ok::<(), wsk::Error>(())
/// ```
///
/// [WSACMSGHDR](https://learn.microsoft.com/windows/win32/api/ws2def/ns-ws2def-wsacmsghdr)
///
/// # Invariants
///
/// `length` is at most the capacity.
#[doc(alias = "CMSGHDR")]
#[derive(Clone, Copy)]
pub struct ControlData {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl ControlData {
    /// No messages.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; CAPACITY],
            length: 0,
        }
    }

    /// The messages for datagrams of `family`. For a mapped IPv4 address on a socket of both
    /// families that is [`Inet`](AddressFamily::Inet).
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter): the address in the packet
    /// information is of another family.
    pub fn encode(family: AddressFamily, ancillary: &Ancillary) -> Result<Self> {
        let [level, packet_info, hop_limit, traffic_class, ecn] = match family {
            AddressFamily::Inet => [V4, IP_PKTINFO, IP_TTL, IP_TOS, IP_ECN],
            AddressFamily::Inet6 => [V6, IPV6_PKTINFO, IPV6_HOPLIMIT, IPV6_TCLASS, IPV6_ECN],
        };
        let mut this = Self::new();
        if let Some(info) = &ancillary.packet_info {
            this.push_packet_info(level, packet_info, info)?;
        }
        // The class before the notification, which is a part of it.
        let numbers = [
            (hop_limit, ancillary.hop_limit),
            (traffic_class, ancillary.traffic_class),
            (ecn, ancillary.ecn.map(|ecn| ecn as u8)),
        ];
        for (kind, value) in numbers {
            if let Some(value) = value {
                this.push(level, kind, &i32::from(value).to_ne_bytes())?;
            }
        }
        Ok(this)
    }

    fn push_packet_info(&mut self, level: u32, kind: u32, info: &PacketInfo) -> Result<()> {
        let mut data = [0; 20];
        let length = match info.address {
            IpAddr::V4(address) if level == V4 => {
                data[..4].copy_from_slice(&address.octets());
                4
            }
            IpAddr::V6(address) if level == V6 => {
                data[..16].copy_from_slice(&address.octets());
                16
            }
            _ => {
                let call = "ControlData::encode";
                return Err(Error::new(call, Status::INVALID_PARAMETER));
            }
        };
        data[length..length + 4].copy_from_slice(&info.interface.to_ne_bytes());
        self.push(level, kind, &data[..length + 4])
    }

    /// Appends any message, `data` as [`ControlMessage`] has it. The transport refuses to send what
    /// it does not know.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter): no room; nothing is appended.
    pub fn push(&mut self, level: u32, kind: u32, data: &[u8]) -> Result<()> {
        let length = HEADER + data.len();
        let room = &mut self.bytes[self.length..];
        let Some(message) = room.get_mut(..length.next_multiple_of(ALIGNMENT)) else {
            let call = "ControlData::push";
            return Err(Error::new(call, Status::INVALID_BUFFER_SIZE));
        };
        message[..8].copy_from_slice(&length.to_ne_bytes());
        message[8..12].copy_from_slice(&level.to_ne_bytes());
        message[12..HEADER].copy_from_slice(&kind.to_ne_bytes());
        message[HEADER..length].copy_from_slice(data);
        self.length += message.len();
        Ok(())
    }

    /// The messages, up to one that is cut short.
    #[must_use]
    pub fn messages(&self) -> ControlMessages<'_> {
        ControlMessages::new(self.as_bytes())
    }

    /// What the messages say; unknown ones, and such as are cut short or impossible, are left out.
    #[must_use]
    pub fn ancillary(&self) -> Ancillary {
        Ancillary::parse(self.as_bytes())
    }

    /// As C has it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// What the slot of a request has.
    pub(crate) fn to_raw(self) -> (Extra, u32) {
        // At most the capacity.
        let length = u32::try_from(self.length).unwrap_or(0);
        (pack(self.as_bytes()), length)
    }

    /// What WSK has left in the slot of a request. It may say that there is more than fits.
    pub(crate) fn from_raw(extra: &Extra, length: u32) -> Self {
        Self {
            bytes: unpack(extra),
            length: CAPACITY.min(length as usize),
        }
    }
}

impl Default for ControlData {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ControlData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.messages()).finish()
    }
}

/// One message of control data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlMessage<'a> {
    /// The protocol: `IPPROTO_IP` for example.
    pub level: u32,
    /// The type within the level: `IP_PKTINFO` for example.
    pub kind: u32,
    /// What it says, as C has it: as a rule addresses in network byte order, and numbers in that of
    /// the processor.
    pub data: &'a [u8],
}

/// The messages of control data, up to one that is cut short.
#[derive(Clone, Debug)]
pub struct ControlMessages<'a> {
    rest: &'a [u8],
}

impl<'a> ControlMessages<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for ControlMessages<'a> {
    type Item = ControlMessage<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        // If this one is cut short, it is the last.
        let bytes = core::mem::take(&mut self.rest);
        let (length, header) = bytes.split_first_chunk()?;
        let (level, header) = header.split_first_chunk()?;
        let (kind, _) = header.split_first_chunk()?;
        let length = usize::from_ne_bytes(*length);
        let data = bytes.get(HEADER..length)?;
        self.rest = bytes
            .get(length.next_multiple_of(ALIGNMENT)..)
            .unwrap_or(&[]);
        Some(ControlMessage {
            level: u32::from_ne_bytes(*level),
            kind: u32::from_ne_bytes(*kind),
            data,
        })
    }
}

#[cfg(test)]
mod tests;
