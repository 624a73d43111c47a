//! Every typed option: set and read where the simulator has it, refused by the provider where it
//! has not. Either way the number that the option stands for has reached the provider.

use std::{net::SocketAddr, time::Duration};

use crate::common::{Client, address, passive};
use wsk::{AddressFamily, ConnectionSocket, DatagramSocket, ErrorKind, ListenSocket, option};

const SCHEDULES: u64 = 20;

/// A value that was set is read back.
macro_rules! holds {
    ($socket:expr, $($option:path = $value:expr;)+) => {$(
        let set = $socket.set_option(&$option, $value).wait(passive());
        assert_eq!(set, Ok(()), "{}", stringify!($option));
        let read = $socket.option(&$option).wait(passive());
        assert_eq!(read, Ok($value), "{}", stringify!($option));
    )+};
}

/// The provider says that it has no such option to read.
macro_rules! cannot_read {
    ($socket:expr, $($option:path;)+) => {$(
        let read = $socket.option(&$option).wait(passive());
        let kind = read.unwrap_err().kind();
        assert_eq!(kind, ErrorKind::NotSupported, "{}", stringify!($option));
    )+};
}

/// The provider says that it has no such option to set, nor to read.
macro_rules! lacks {
    ($socket:expr, $($option:path = $value:expr;)+) => {$(
        let set = $socket.set_option(&$option, $value).wait(passive());
        let kind = set.unwrap_err().kind();
        assert_eq!(kind, ErrorKind::NotSupported, "{}", stringify!($option));
        cannot_read!($socket, $option;);
    )+};
}

fn connecting(client: &Client, family: AddressFamily) -> ConnectionSocket {
    let opening = ConnectionSocket::open(&client.provider, family);
    opening.wait(passive()).expect("opened")
}

fn datagrams(client: &Client, family: AddressFamily) -> DatagramSocket {
    let opening = DatagramSocket::open(&client.provider, family);
    opening.wait(passive()).expect("opened")
}

#[test]
fn options_of_sockets_hold_their_values() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let socket = connecting(&client, AddressFamily::Inet);
        holds! {
            socket,
            option::KEEP_ALIVE = true;
            option::RECEIVE_BUFFER = 4096;
            option::EXCLUSIVE_ADDRESS_USE = true;
            option::REUSE_ADDRESS = true;
        }
        drop(socket);
        let socket = datagrams(&client, AddressFamily::Inet);
        holds! { socket, option::BROADCAST = true; }
        drop(socket);
        client.end();
    });
}

/// [wsk 7.6]
#[test]
fn conditional_accept_can_be_read() {
    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let opening = ListenSocket::open(&client.provider, AddressFamily::Inet);
        let listener = opening.wait(passive()).expect("opened");
        let read = listener.option(&option::CONDITIONAL_ACCEPT).wait(passive());
        assert_eq!(read, Ok(false));
        drop(listener);
        client.end();
    });
}

#[test]
fn options_of_tcp_hold_their_values() {
    use option::tcp;

    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let socket = connecting(&client, AddressFamily::Inet);
        holds! {
            socket,
            tcp::NO_DELAY = true;
            tcp::EXPEDITED_1122 = true;
            tcp::TIMESTAMPS = true;
            tcp::KEEP_ALIVE_IDLE = Duration::from_secs(5);
            tcp::KEEP_ALIVE_INTERVAL = Duration::from_secs(6);
            tcp::KEEP_ALIVE_COUNT = 3;
            tcp::FAST_OPEN = true;
            tcp::FAIL_CONNECT_ON_ICMP_ERROR = true;
        }
        lacks! {
            socket,
            tcp::MAX_RETRANSMISSION_TIME = Duration::from_secs(5);
            tcp::MAX_RETRANSMISSION_TIME_MS = Duration::from_millis(5);
            tcp::STANDARD_URGENT = true;
            tcp::NO_URGENT = true;
            tcp::NO_SYN_RETRIES = true;
            tcp::OFFLOAD_PREFERENCE = wsk_sys::TCP_OFFLOAD_PREFERRED;
            tcp::CONGESTION_ALGORITHM = 1;
            tcp::DELAY_FIN_ACK = true;
        }
        cannot_read! { socket, tcp::MAX_SEGMENT; tcp::AT_MARK; tcp::ICMP_ERROR_INFO; }
        drop(socket);
        client.end();
    });
}

#[test]
fn options_of_udp_hold_their_values() {
    use option::udp;

    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let socket = datagrams(&client, AddressFamily::Inet);
        holds! {
            socket,
            udp::SEND_MESSAGE_SIZE = 512;
            udp::RECEIVE_MAX_COALESCED_SIZE = 1024;
        }
        drop(socket);
        client.end();
    });
}

#[test]
fn options_of_ipv4_hold_their_values() {
    use option::ipv4;

    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let socket = datagrams(&client, AddressFamily::Inet);
        holds! {
            socket,
            ipv4::TIME_TO_LIVE = 7;
            ipv4::TYPE_OF_SERVICE = 0x28;
            ipv4::DONT_FRAGMENT = true;
            ipv4::UNICAST_INTERFACE = 1;
            ipv4::MULTICAST_INTERFACE = 1;
            ipv4::MULTICAST_TIME_TO_LIVE = 7;
            ipv4::MULTICAST_LOOP = false;
            ipv4::RECEIVE_BROADCAST = false;
            ipv4::RECEIVE_PACKET_INFO = true;
            ipv4::RECEIVE_HOP_LIMIT = true;
            ipv4::RECEIVE_TYPE_OF_SERVICE = true;
            ipv4::RECEIVE_ECN = true;
            ipv4::PATH_MTU_DISCOVERY = 1;
            ipv4::USER_MTU = 1280;
        }
        drop(socket);
        client.end();
    });
}

#[test]
fn options_of_ipv6_hold_their_values() {
    use option::ipv6;

    wsk_sim::seeds(SCHEDULES, |_| {
        let client = Client::new();
        let socket = datagrams(&client, AddressFamily::Inet6);
        holds! {
            socket,
            ipv6::V6_ONLY = true;
            ipv6::UNICAST_HOPS = 7;
            ipv6::TRAFFIC_CLASS = 0x28;
            ipv6::DONT_FRAGMENT = true;
            ipv6::UNICAST_INTERFACE = 1;
            ipv6::MULTICAST_INTERFACE = 1;
            ipv6::MULTICAST_HOPS = 7;
            ipv6::MULTICAST_LOOP = false;
            ipv6::RECEIVE_PACKET_INFO = true;
            ipv6::RECEIVE_HOP_LIMIT = true;
            ipv6::RECEIVE_TRAFFIC_CLASS = true;
            ipv6::RECEIVE_ECN = true;
            ipv6::PATH_MTU_DISCOVERY = 1;
            ipv6::USER_MTU = 1280;
        }
        lacks! { socket, ipv6::PROTECTION_LEVEL = wsk_sys::PROTECTION_LEVEL_RESTRICTED; }
        drop(socket);
        client.end();
    });
}

/// They are of a path, which only a connected socket has.
#[test]
fn path_mtu_is_that_of_a_connection() {
    wsk_sim::seeds(SCHEDULES, |sim| {
        let client = Client::new();
        let (connection, peer) = client.connect(sim);
        let mtu = connection.option(&option::ipv4::PATH_MTU).wait(passive());
        assert!(mtu.is_ok_and(|bytes| bytes >= 576), "{mtu:?}");
        drop((connection, peer));
        let server = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address().port()));
        let any = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0));
        let server = sim.listen(server).map(|listener| (listener, server));
        let (listener, server) = server.expect("a free port");
        let opening = ConnectionSocket::connect_from(&client.provider, any, server);
        let connection = opening.wait(passive()).expect("connected");
        let mtu = connection.option(&option::ipv6::PATH_MTU).wait(passive());
        assert!(mtu.is_ok_and(|bytes| bytes >= 1280), "{mtu:?}");
        let unconnected = connecting(&client, AddressFamily::Inet6);
        let mtu = unconnected.option(&option::ipv6::PATH_MTU).wait(passive());
        assert_eq!(mtu.unwrap_err().kind(), ErrorKind::InvalidState);
        drop((connection, unconnected, listener));
        client.end();
    });
}
