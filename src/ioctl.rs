//! Control operations: the values that they take and give, and which of them may be asked for by
//! number.
//!
//! Knows bytes only; the sockets make the calls.

use core::{
    mem::{offset_of, size_of},
    net::SocketAddr,
    time::Duration,
};

use wsk_sys::{
    IPPROTO, IPPROTO_IP, SIO_ABSORB_RTRALERT, SIO_ACQUIRE_PORT_RESERVATION,
    SIO_ASSOCIATE_PORT_RESERVATION, SIO_CPU_AFFINITY, SIO_DELETE_PEER_TARGET_NAME,
    SIO_ENABLE_CIRCULAR_QUEUEING, SIO_FLUSH, SIO_GET_BROADCAST_ADDRESS, SIO_GET_INTERFACE_LIST,
    SIO_GET_INTERFACE_LIST_EX, SIO_GET_MULTICAST_FILTER, SIO_GET_TX_TIMESTAMP,
    SIO_IDEAL_SEND_BACKLOG_CHANGE, SIO_IDEAL_SEND_BACKLOG_QUERY, SIO_INDEX_ADD_MCAST,
    SIO_INDEX_BIND, SIO_INDEX_DEL_MCAST, SIO_INDEX_MCASTIF, SIO_KEEPALIVE_VALS,
    SIO_LIMIT_BROADCASTS, SIO_MULTICAST_SCOPE, SIO_MULTIPOINT_LOOPBACK, SIO_PRIORITY_HINT,
    SIO_QUERY_RSS_PROCESSOR_INFO, SIO_QUERY_RSS_SCALABILITY_INFO, SIO_RCVALL, SIO_RCVALL_IF,
    SIO_RCVALL_IGMPMCAST, SIO_RCVALL_MCAST, SIO_RCVALL_MCAST_IF, SIO_RELEASE_PORT_RESERVATION,
    SIO_ROUTING_INTERFACE_CHANGE, SIO_ROUTING_INTERFACE_QUERY, SIO_SET_COMPATIBILITY_MODE,
    SIO_SET_MULTICAST_FILTER, SIO_SET_PEER_TARGET_NAME, SIO_SET_SECURITY, SIO_TCP_INFO,
    SIO_TCP_INITIAL_RTO, SIO_TCP_SET_ACK_FREQUENCY, SIO_TCP_SET_ICW, SIO_TIMESTAMPING,
    SIO_UCAST_IF, SIO_WSK_QUERY_IDEAL_SEND_BACKLOG, SIO_WSK_QUERY_RECEIVE_BACKLOG,
    SIO_WSK_SET_REMOTE_ADDRESS, SIO_WSK_SET_SENDTO_ADDRESS, SO_WSK_EVENT_CALLBACK, SO_WSK_SECURITY,
    SOCKADDR_IN6, SOCKET_ADDRESS, SOCKET_ADDRESS_LIST, SOL_SOCKET, tcp_keepalive,
};

use crate::{
    addr::SocketAddress,
    mem::buffer::Buffer,
    op::slot::{Extra, pack},
    option::codec::milliseconds,
    status::{Error, Result, Status},
};

/// Whether the value of an option is plain bytes: of a level that has only such options, and none
/// of the two of WSK itself that contain addresses [wsk 5.2].
pub(crate) fn is_plain_option(level: u32, name: u32) -> bool {
    const PROTOCOLS: [u32; 4] = [
        IPPROTO_IP,
        IPPROTO::IPPROTO_IPV6.cast_unsigned(),
        IPPROTO::IPPROTO_TCP.cast_unsigned(),
        IPPROTO::IPPROTO_UDP.cast_unsigned(),
    ];
    match level {
        SOL_SOCKET => !(SO_WSK_SECURITY..=SO_WSK_EVENT_CALLBACK).contains(&name),
        level => PROTOCOLS.contains(&level),
    }
}

/// Whether a control operation takes and gives plain bytes, with an IRP, at up to DISPATCH_LEVEL.
pub(crate) fn is_plain(code: u32) -> bool {
    PLAIN.contains(&code)
}

/// Those that are known to, and that [wsk 1] does not keep for PASSIVE_LEVEL. Silence is not among
/// them: it ends what a socket can do.
const PLAIN: [u32; 47] = [
    SIO_ABSORB_RTRALERT,
    SIO_ACQUIRE_PORT_RESERVATION,
    SIO_ASSOCIATE_PORT_RESERVATION,
    SIO_CPU_AFFINITY,
    SIO_DELETE_PEER_TARGET_NAME,
    SIO_ENABLE_CIRCULAR_QUEUEING,
    SIO_FLUSH,
    SIO_GET_BROADCAST_ADDRESS,
    SIO_GET_INTERFACE_LIST,
    SIO_GET_INTERFACE_LIST_EX,
    SIO_GET_MULTICAST_FILTER,
    SIO_GET_TX_TIMESTAMP,
    SIO_IDEAL_SEND_BACKLOG_CHANGE,
    SIO_IDEAL_SEND_BACKLOG_QUERY,
    SIO_INDEX_ADD_MCAST,
    SIO_INDEX_BIND,
    SIO_INDEX_DEL_MCAST,
    SIO_INDEX_MCASTIF,
    SIO_KEEPALIVE_VALS,
    SIO_LIMIT_BROADCASTS,
    SIO_MULTICAST_SCOPE,
    SIO_MULTIPOINT_LOOPBACK,
    SIO_PRIORITY_HINT,
    SIO_QUERY_RSS_PROCESSOR_INFO,
    SIO_QUERY_RSS_SCALABILITY_INFO,
    SIO_RCVALL,
    SIO_RCVALL_IF,
    SIO_RCVALL_IGMPMCAST,
    SIO_RCVALL_MCAST,
    SIO_RCVALL_MCAST_IF,
    SIO_RELEASE_PORT_RESERVATION,
    SIO_ROUTING_INTERFACE_CHANGE,
    SIO_ROUTING_INTERFACE_QUERY,
    SIO_SET_COMPATIBILITY_MODE,
    SIO_SET_MULTICAST_FILTER,
    SIO_SET_PEER_TARGET_NAME,
    SIO_SET_SECURITY,
    SIO_TCP_INFO,
    SIO_TCP_INITIAL_RTO,
    SIO_TCP_SET_ACK_FREQUENCY,
    SIO_TCP_SET_ICW,
    SIO_TIMESTAMPING,
    SIO_UCAST_IF,
    SIO_WSK_QUERY_IDEAL_SEND_BACKLOG,
    SIO_WSK_QUERY_RECEIVE_BACKLOG,
    SIO_WSK_SET_REMOTE_ADDRESS,
    SIO_WSK_SET_SENDTO_ADDRESS,
];

/// How a connection asks an idle peer for signs of life: see
/// [`set_keep_alive`](crate::ConnectionSocket::set_keep_alive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// How long it is idle before the first question. In milliseconds, rounded up; at most 49 days.
    pub time: Duration,
    /// How long after an unanswered question the next one follows. As `time`.
    pub interval: Duration,
}

impl KeepAlive {
    /// As a `tcp_keepalive`; off without any.
    pub(crate) fn encode(this: Option<Self>) -> Option<(Extra, u32)> {
        const {
            assert!(size_of::<tcp_keepalive>() == 12);
            assert!(offset_of!(tcp_keepalive, keepalivetime) == 4);
            assert!(offset_of!(tcp_keepalive, keepaliveinterval) == 8);
        };
        let [on, time, interval] = match this {
            Some(this) => [1, milliseconds(this.time)?, milliseconds(this.interval)?],
            None => [0; 3],
        };
        let words = [on, time, interval].map(u32::to_ne_bytes);
        Some((pack(words.as_flattened()), 12))
    }
}

/// The local addresses of an address family: see
/// [`address_list`](crate::ListenSocket::address_list).
#[derive(Debug)]
pub struct AddressList {
    bytes: Buffer,
}

const HEADER: usize = offset_of!(SOCKET_ADDRESS_LIST, Address);
const ENTRY: usize = size_of::<SOCKET_ADDRESS>();
const LENGTH: usize = offset_of!(SOCKET_ADDRESS, iSockaddrLength);
/// Room for an address of either family, aligned.
const PLACE: usize = 32;

const _: () = assert!(size_of::<SOCKADDR_IN6>() <= PLACE);

impl AddressList {
    /// Room for a list of so many bytes; all of it is to be written.
    pub(crate) fn with_room(size: usize) -> Result<Self> {
        let mut bytes = Buffer::with_capacity(size.max(HEADER + ENTRY))?;
        bytes.set_filled(bytes.capacity())?;
        Ok(Self { bytes })
    }

    /// A list of `addresses`, as WSK takes one.
    pub(crate) fn of(addresses: &[SocketAddr]) -> Result<Self> {
        let too_many = Error::new("WskControlSocket", Status::INVALID_PARAMETER);
        let count = i32::try_from(addresses.len()).map_err(|_| too_many)?;
        let places = HEADER + addresses.len() * ENTRY;
        let mut list = Self::with_room(places + addresses.len() * PLACE)?;
        let start = list.bytes.as_ptr().expose_provenance();
        list.bytes[..4].copy_from_slice(&count.to_ne_bytes());
        for (index, address) in addresses.iter().enumerate() {
            let raw = SocketAddress::from(*address);
            let place = places + index * PLACE;
            let entry = HEADER + index * ENTRY;
            let length = raw.length();
            list.bytes[place..place + raw.as_bytes().len()].copy_from_slice(raw.as_bytes());
            list.bytes[entry..entry + 8].copy_from_slice(&(start + place).to_ne_bytes());
            list.bytes[entry + LENGTH..entry + LENGTH + 4].copy_from_slice(&length.to_ne_bytes());
        }
        Ok(list)
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The addresses, in the order of the system. Those of other families are left out.
    pub fn iter(&self) -> impl Iterator<Item = SocketAddr> {
        self.entries(self.bytes.as_ptr().addr(), &self.bytes)
    }

    /// The addresses, which lie in `memory`, whose first byte is at `start`.
    pub(crate) fn entries(&self, start: usize, memory: &[u8]) -> impl Iterator<Item = SocketAddr> {
        let count = u32::from_ne_bytes(bytes_at(&self.bytes, 0).unwrap_or_default());
        let count = usize::try_from(count.cast_signed()).unwrap_or(0);
        let entry = move |index| {
            let at = HEADER + index * ENTRY;
            let address = usize::from_ne_bytes(bytes_at(&self.bytes, at)?);
            let length = u32::from_ne_bytes(bytes_at(&self.bytes, at + LENGTH)?);
            let place = address.checked_sub(start)?;
            let end = place.checked_add(usize::try_from(length).ok()?)?;
            SocketAddress::read_from(memory.get(place..end)?)
        };
        (0..count)
            .map_while(move |index| {
                (HEADER + index * ENTRY < self.bytes.len()).then(|| entry(index))
            })
            .flatten()
    }
}

/// Some bytes of a list, if it is so long.
fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.get(..N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{net::SocketAddr, vec::Vec};

    use super::{AddressList, KeepAlive, is_plain, is_plain_option};
    use crate::op::slot::unpack;
    use core::time::Duration;

    #[test]
    fn options_with_addresses_are_not_plain() {
        for (level, name) in [
            (wsk_sys::SOL_SOCKET, wsk_sys::SO_WSK_SECURITY),
            (wsk_sys::SOL_SOCKET, wsk_sys::SO_WSK_EVENT_CALLBACK),
            (0x1234, 1),
        ] {
            assert!(!is_plain_option(level, name), "{level:#x} {name:#x}");
        }
        assert!(is_plain_option(wsk_sys::SOL_SOCKET, wsk_sys::SO_KEEPALIVE));
        assert!(is_plain_option(6, wsk_sys::TCP_NODELAY));
    }

    /// [wsk 3a] Those that must not have an IRP, that need PASSIVE_LEVEL, or that contain
    /// addresses.
    #[test]
    fn control_operations_with_rules_of_their_own_are_not_plain() {
        for code in [
            wsk_sys::SIO_WSK_REGISTER_EXTENSION,
            wsk_sys::SIO_WSK_QUERY_INSPECT_ID,
            wsk_sys::SIO_WSK_SET_TCP_SILENT_MODE,
            wsk_sys::SIO_WSK_SET_RECEIVE_EX_CALLBACK,
            wsk_sys::SIO_ADDRESS_LIST_QUERY,
            wsk_sys::SIO_ADDRESS_LIST_CHANGE,
            wsk_sys::SIO_ADDRESS_LIST_SORT,
            wsk_sys::SIO_LOOPBACK_FAST_PATH,
            wsk_sys::SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS,
            wsk_sys::SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS,
            wsk_sys::SIO_ASSOCIATE_HANDLE,
            wsk_sys::SIO_APPLY_TRANSPORT_SETTING,
            wsk_sys::SIO_QUERY_TRANSPORT_SETTING,
            0,
        ] {
            assert!(!is_plain(code), "{code:#x}");
        }
    }

    #[test]
    fn keep_alive_is_in_milliseconds() {
        let (extra, length) = KeepAlive::encode(Some(KeepAlive {
            time: Duration::from_mins(1),
            interval: Duration::from_micros(1),
        }))
        .expect("it can be expressed");
        let words: Vec<u32> = unpack(&extra)[..12]
            .chunks(4)
            .map(|word| u32::from_ne_bytes(word.try_into().expect("four bytes")))
            .collect();
        assert_eq!((&words[..], length), (&[1, 60_000, 1][..], 12));
        assert!(KeepAlive::encode(None).is_some_and(|(extra, _)| extra == [0; 16]));
        let too_long = KeepAlive {
            time: Duration::MAX,
            interval: Duration::ZERO,
        };
        assert!(KeepAlive::encode(Some(too_long)).is_none());
    }

    #[test]
    fn address_list_comes_back_as_it_went() {
        wsk_sim::run(|_| {
            let addresses: [SocketAddr; 3] = [
                ([10, 0, 0, 1], 1).into(),
                "[fe80::1%7]:2".parse().expect("an address"),
                ([10, 0, 0, 2], 3).into(),
            ];
            let list = AddressList::of(&addresses).expect("memory");
            assert_eq!(list.iter().collect::<Vec<_>>(), addresses);
        });
    }

    #[test]
    fn address_list_that_lies_gives_nothing() {
        wsk_sim::run(|_| {
            let mut list = AddressList::with_room(64).expect("memory");
            list.bytes()[..4].copy_from_slice(&i32::MAX.to_ne_bytes());
            assert_eq!(list.iter().count(), 0, "addresses outside");
            list.bytes()[..4].copy_from_slice(&(-1_i32).to_ne_bytes());
            assert_eq!(list.iter().count(), 0, "fewer than none");
        });
    }
}
