//! Options and control operations for which the library has no type: by number, in bytes.
//!
//! The simulator has few of them. What it has not, the provider refuses as not supported; what the
//! library kept back would be an invalid parameter.

use crate::common::{Client, buffer, passive};
use wsk::{AddressFamily, Buffer, DatagramSocket, ErrorKind};
use wsk_sys::{IPPROTO, IPPROTO_IP, SOL_SOCKET};

const SCHEDULES: u64 = 10;

fn empty(capacity: usize) -> Buffer {
    Buffer::with_capacity(capacity).expect("memory")
}

fn opened(client: &Client, family: AddressFamily) -> DatagramSocket {
    let opening = DatagramSocket::open(&client.provider, family);
    opening.wait(passive()).expect("opened")
}

/// Both directions reach the provider, and the buffers come back.
fn check_options(family: AddressFamily, level: u32, names: &'static [u32]) {
    wsk_sim::seeds(SCHEDULES, move |_| {
        let client = Client::new();
        let socket = opened(&client, family);
        for &name in names {
            let value = buffer(&[1, 0, 0, 0]);
            let (set, value) = socket.set_raw_option(level, name, value).wait(passive());
            assert_eq!(
                set.unwrap_err().kind(),
                ErrorKind::NotSupported,
                "{name:#x}"
            );
            assert_eq!(value[..], [1, 0, 0, 0]);
            let (read, output) = socket.raw_option(level, name, empty(8)).wait(passive());
            assert_eq!(
                read.unwrap_err().kind(),
                ErrorKind::NotSupported,
                "{name:#x}"
            );
            assert!(output.is_empty());
        }
        drop(socket);
        client.end();
    });
}

#[test]
fn options_of_sockets_reach_the_provider() {
    const NAMES: &[u32] = &[
        wsk_sys::SO_ACCEPTCONN,
        wsk_sys::SO_BSP_STATE,
        wsk_sys::SO_COMPARTMENT_ID,
        wsk_sys::SO_DEBUG,
        wsk_sys::SO_DONTLINGER.cast_unsigned(),
        wsk_sys::SO_DONTROUTE,
        wsk_sys::SO_ERROR,
        wsk_sys::SO_GROUP_ID,
        wsk_sys::SO_GROUP_PRIORITY,
        wsk_sys::SO_LINGER,
        wsk_sys::SO_MAX_MSG_SIZE,
        wsk_sys::SO_OOBINLINE,
        wsk_sys::SO_ORIGINAL_DST,
        wsk_sys::SO_PAUSE_ACCEPT,
        wsk_sys::SO_PORT_SCALABILITY,
        wsk_sys::SO_RANDOMIZE_PORT,
        wsk_sys::SO_RCVLOWAT,
        wsk_sys::SO_RCVTIMEO,
        wsk_sys::SO_REUSE_MULTICASTPORT,
        wsk_sys::SO_REUSE_UNICASTPORT,
        wsk_sys::SO_SNDBUF,
        wsk_sys::SO_SNDLOWAT,
        wsk_sys::SO_SNDTIMEO,
        wsk_sys::SO_TIMESTAMP,
        wsk_sys::SO_TIMESTAMP_ID,
        wsk_sys::SO_TYPE,
        wsk_sys::SO_USELOOPBACK,
    ];

    check_options(AddressFamily::Inet, SOL_SOCKET, NAMES);
}

#[test]
fn options_of_ipv4_reach_the_provider() {
    check_options(
        AddressFamily::Inet,
        IPPROTO_IP,
        &[
            wsk_sys::IP_ADD_IFLIST,
            wsk_sys::IP_ADD_SOURCE_MEMBERSHIP,
            wsk_sys::IP_BLOCK_SOURCE,
            wsk_sys::IP_DEL_IFLIST,
            wsk_sys::IP_DROP_SOURCE_MEMBERSHIP,
            wsk_sys::IP_GET_IFLIST,
            wsk_sys::IP_HDRINCL,
            wsk_sys::IP_IFLIST,
            wsk_sys::IP_NRT_INTERFACE,
            wsk_sys::IP_OPTIONS,
            wsk_sys::IP_ORIGINAL_ARRIVAL_IF,
            wsk_sys::IP_PKTINFO_EX,
            wsk_sys::IP_PROTECTION_LEVEL,
            wsk_sys::IP_RECVDSTADDR,
            wsk_sys::IP_RECVERR,
            wsk_sys::IP_RECVIF,
            wsk_sys::IP_RECVRTHDR,
            wsk_sys::IP_RTHDR,
            wsk_sys::IP_TCLASS,
            wsk_sys::IP_UNBLOCK_SOURCE,
            wsk_sys::IP_WFP_REDIRECT_CONTEXT,
            wsk_sys::IP_WFP_REDIRECT_RECORDS,
            wsk_sys::MCAST_BLOCK_SOURCE,
            wsk_sys::MCAST_JOIN_SOURCE_GROUP,
            wsk_sys::MCAST_LEAVE_SOURCE_GROUP,
            wsk_sys::MCAST_UNBLOCK_SOURCE,
        ],
    );
}

#[test]
fn options_of_ipv6_reach_the_provider() {
    check_options(
        AddressFamily::Inet6,
        IPPROTO::IPPROTO_IPV6.cast_unsigned(),
        &[
            wsk_sys::IPV6_ADD_IFLIST,
            wsk_sys::IPV6_CHECKSUM,
            wsk_sys::IPV6_DEL_IFLIST,
            wsk_sys::IPV6_GET_IFLIST,
            wsk_sys::IPV6_HDRINCL,
            wsk_sys::IPV6_HOPOPTS,
            wsk_sys::IPV6_IFLIST,
            wsk_sys::IPV6_NRT_INTERFACE,
            wsk_sys::IPV6_PKTINFO_EX,
            wsk_sys::IPV6_RECVDSTADDR,
            wsk_sys::IPV6_RECVERR,
            wsk_sys::IPV6_RECVIF,
            wsk_sys::IPV6_RECVRTHDR,
            wsk_sys::IPV6_RTHDR,
            wsk_sys::IPV6_WFP_REDIRECT_CONTEXT,
            wsk_sys::IPV6_WFP_REDIRECT_RECORDS,
        ],
    );
}

/// A `GROUP_REQ`: the index of an interface and a group in a `SOCKADDR_STORAGE`.
fn group_request() -> Buffer {
    let mut bytes = [0; size_of::<wsk_sys::GROUP_REQ>()];
    let family = u16::try_from(wsk_sys::AF_INET).expect("small");
    bytes[8..10].copy_from_slice(&family.to_ne_bytes());
    bytes[12..16].copy_from_slice(&[239, 1, 2, 3]);
    buffer(&bytes)
}

#[test]
fn group_is_joined_and_left_by_number() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let socket = opened(&client, AddressFamily::Inet);
        let any = std::net::SocketAddr::from(([0, 0, 0, 0], 5000));
        socket.bind(any).wait(passive()).expect("bound");
        let set = |name| {
            let set = socket.set_raw_option(IPPROTO_IP, name, group_request());
            set.wait(passive()).0
        };
        set(wsk_sys::MCAST_LEAVE_GROUP).expect_err("no member");
        set(wsk_sys::MCAST_JOIN_GROUP).expect("joined");
        set(wsk_sys::MCAST_JOIN_GROUP).expect_err("a member already");
        set(wsk_sys::MCAST_LEAVE_GROUP).expect("left");
        drop(socket);
        client.end();
    });
}

#[test]
fn control_operations_reach_the_provider() {
    const CODES: [u32; 42] = [
        wsk_sys::SIO_ABSORB_RTRALERT,
        wsk_sys::SIO_ACQUIRE_PORT_RESERVATION,
        wsk_sys::SIO_ASSOCIATE_PORT_RESERVATION,
        wsk_sys::SIO_CPU_AFFINITY,
        wsk_sys::SIO_DELETE_PEER_TARGET_NAME,
        wsk_sys::SIO_ENABLE_CIRCULAR_QUEUEING,
        wsk_sys::SIO_FLUSH,
        wsk_sys::SIO_GET_BROADCAST_ADDRESS,
        wsk_sys::SIO_GET_INTERFACE_LIST,
        wsk_sys::SIO_GET_INTERFACE_LIST_EX,
        wsk_sys::SIO_GET_MULTICAST_FILTER,
        wsk_sys::SIO_GET_TX_TIMESTAMP,
        wsk_sys::SIO_IDEAL_SEND_BACKLOG_CHANGE,
        wsk_sys::SIO_IDEAL_SEND_BACKLOG_QUERY,
        wsk_sys::SIO_INDEX_ADD_MCAST,
        wsk_sys::SIO_INDEX_BIND,
        wsk_sys::SIO_INDEX_DEL_MCAST,
        wsk_sys::SIO_INDEX_MCASTIF,
        wsk_sys::SIO_LIMIT_BROADCASTS,
        wsk_sys::SIO_MULTICAST_SCOPE,
        wsk_sys::SIO_MULTIPOINT_LOOPBACK,
        wsk_sys::SIO_PRIORITY_HINT,
        wsk_sys::SIO_QUERY_RSS_PROCESSOR_INFO,
        wsk_sys::SIO_QUERY_RSS_SCALABILITY_INFO,
        wsk_sys::SIO_RCVALL,
        wsk_sys::SIO_RCVALL_IF,
        wsk_sys::SIO_RCVALL_IGMPMCAST,
        wsk_sys::SIO_RCVALL_MCAST,
        wsk_sys::SIO_RCVALL_MCAST_IF,
        wsk_sys::SIO_RELEASE_PORT_RESERVATION,
        wsk_sys::SIO_ROUTING_INTERFACE_CHANGE,
        wsk_sys::SIO_ROUTING_INTERFACE_QUERY,
        wsk_sys::SIO_SET_COMPATIBILITY_MODE,
        wsk_sys::SIO_SET_MULTICAST_FILTER,
        wsk_sys::SIO_SET_PEER_TARGET_NAME,
        wsk_sys::SIO_SET_SECURITY,
        wsk_sys::SIO_TCP_INFO,
        wsk_sys::SIO_TCP_INITIAL_RTO,
        wsk_sys::SIO_TCP_SET_ACK_FREQUENCY,
        wsk_sys::SIO_TCP_SET_ICW,
        wsk_sys::SIO_TIMESTAMPING,
        wsk_sys::SIO_UCAST_IF,
    ];

    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let socket = opened(&client, AddressFamily::Inet);
        for code in CODES {
            let asked = socket.raw_ioctl(code, Some(buffer(&[1, 0, 0, 0])), Some(empty(8)));
            let told = asked.wait(passive());
            let kind = told.result.unwrap_err().kind();
            assert_eq!(kind, ErrorKind::NotSupported, "{code:#x}");
            assert!(told.input.is_some() && told.output.is_some_and(|it| it.is_empty()));
        }
        drop(socket);
        client.end();
    });
}
