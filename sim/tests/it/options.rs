//! Options of sockets: every row of the table of facts, and what options do [wsk 5, 5.1, 5.2, 5.3].

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;

use crate::common::{Address, Client, Io, Socket};
use crate::control::{CATEGORIES, Connected, Control, Making, bind, get_number, open, set_number};
use crate::facts;
use wdk_sys::{
    STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_ADDRESS_COMPONENT, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED, STATUS_SUCCESS,
};
use wsk_sys::{
    IP_ADD_MEMBERSHIP, IP_DONTFRAGMENT, IP_DROP_MEMBERSHIP, IP_MTU, IP_MTU_DISCOVER,
    IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_MULTICAST_TTL, IP_PKTINFO, IP_RECEIVE_BROADCAST,
    IP_RECVECN, IP_RECVTOS, IP_RECVTTL, IP_TOS, IP_TTL, IP_UNICAST_IF, IP_USER_MTU, IPPROTO_IP,
    IPV6_ADD_MEMBERSHIP, IPV6_DONTFRAG, IPV6_DROP_MEMBERSHIP, IPV6_HOPLIMIT, IPV6_MTU,
    IPV6_MTU_DISCOVER, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_IF, IPV6_MULTICAST_LOOP, IPV6_PKTINFO,
    IPV6_RECVECN, IPV6_RECVTCLASS, IPV6_TCLASS, IPV6_UNICAST_HOPS, IPV6_UNICAST_IF, IPV6_USER_MTU,
    IPV6_V6ONLY, MCAST_JOIN_GROUP, MCAST_LEAVE_GROUP, SO_KEEPALIVE, SO_RCVBUF, SO_REUSEADDR,
    SO_WSK_EVENT_CALLBACK, SO_WSK_SECURITY, SOL_SOCKET, TCP_EXPEDITED_1122,
    TCP_FAIL_CONNECT_ON_ICMP_ERROR, TCP_FASTOPEN, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL,
    TCP_NODELAY, TCP_TIMESTAMPS, UDP_RECV_MAX_COALESCED_SIZE, UDP_SEND_MSG_SIZE,
    WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_DATAGRAM_SOCKET, WSK_FLAG_LISTEN_SOCKET,
    WSK_FLAG_STREAM_SOCKET,
};

const TCP: u32 = wsk_sys::IPPROTO::IPPROTO_TCP.cast_unsigned();
const UDP: u32 = wsk_sys::IPPROTO::IPPROTO_UDP.cast_unsigned();
const IPV6: u32 = wsk_sys::IPPROTO::IPPROTO_IPV6.cast_unsigned();
const IP: u32 = IPPROTO_IP;

/// The rows of options whose values are `ULONG`s.
fn number_options() -> Vec<facts::Row> {
    let others = ["SO_WSK_EVENT_CALLBACK", "SO_WSK_SECURITY"];
    let rows = facts::options().into_iter();
    rows.filter(|row| !others.contains(&row.name())).collect()
}

/// Runs `body` for every option of numbers at a new IPv6 socket of every category. It is told
/// whether the option exists there; stream sockets, which most pages do not know, are left out.
fn for_each_option(
    body: impl Fn(&facts::Row, Socket, &mut Io, bool) + Copy + Send + Sync + 'static,
) {
    wsk_sim::seeds(5, move |_| {
        let mut io = Io::new();
        let client = Client::new();
        for row in number_options() {
            for (category, flags) in CATEGORIES {
                if category == "stream" {
                    continue;
                }
                let socket = Making::new(flags, true).make(&client, &mut io);
                body(&row, socket, &mut io, row.applies_to(category));
                socket.close(&mut io);
            }
        }
    });
}

#[test]
fn option_of_the_facts_is_set_and_got_where_it_exists() {
    // [wsk 5.1, 5.2]
    for_each_option(|row, socket, io, exists| {
        let (name, option) = (row.name(), (row.level(), row.code()));
        assert_eq!(row.size(), size_of::<u32>(), "{name}");
        if !exists {
            assert_eq!(
                set_number(socket, io, option, 1),
                STATUS_NOT_SUPPORTED,
                "{name}"
            );
            assert_eq!(
                get_number(socket, io, option),
                Err(STATUS_NOT_SUPPORTED),
                "{name}"
            );
            return;
        }
        let default = get_number(socket, io, option).unwrap();
        match row.default().split(' ').next().unwrap().parse::<u32>() {
            Ok(expected) => assert_eq!(default, expected, "{name}"),
            Err(_) => assert_ne!(default, 0, "{name} has a default of the transport's"),
        }
        for value in [1, 0, 1] {
            assert_eq!(
                set_number(socket, io, option, value),
                STATUS_SUCCESS,
                "{name}"
            );
            assert_eq!(get_number(socket, io, option), Ok(value), "{name}");
        }
    });
}

#[test]
fn option_of_another_size_is_refused_and_stays() {
    // [wsk 5.2] a Boolean option is a ULONG, not one byte
    for_each_option(|row, socket, io, exists| {
        if !exists {
            return;
        }
        let (name, option) = (row.name(), (row.level(), row.code()));
        let before = get_number(socket, io, option).unwrap();
        for size in [0, 1, 2, 3, 5, 8] {
            let (status, _) = Control::set(option, &vec![1; size]).with_irp(socket, io);
            assert_eq!(status, STATUS_INVALID_PARAMETER, "{name} of {size} bytes");
        }
        for size in 0..4 {
            let (status, _) = Control::get(option, size).with_irp(socket, io);
            assert_eq!(status, STATUS_BUFFER_TOO_SMALL, "{name} to {size} bytes");
        }
        let (status, size) = Control::get(option, 16).with_irp(socket, io);
        assert_eq!((status, size), (STATUS_SUCCESS, row.size()), "{name}");
        assert_eq!(get_number(socket, io, option), Ok(before), "{name}");
    });
}

#[test]
fn option_before_bind_is_refused_afterwards() {
    // [wsk 5, 7.6]
    static LATE: AtomicU32 = AtomicU32::new(0);
    for_each_option(|row, socket, io, exists| {
        if !exists {
            return;
        }
        assert_eq!(bind(socket, io, "[::1]:0"), STATUS_SUCCESS);
        let (name, option) = (row.name(), (row.level(), row.code()));
        let before = get_number(socket, io, option).unwrap();
        let status = set_number(socket, io, option, 1 - before.min(1));
        if row.is_before_bind() {
            LATE.fetch_add(1, SeqCst);
            assert_eq!(status, STATUS_INVALID_DEVICE_STATE, "{name}");
            assert_eq!(get_number(socket, io, option), Ok(before), "{name}");
        } else {
            assert_eq!(status, STATUS_SUCCESS, "{name}");
        }
    });
    assert!(
        LATE.load(SeqCst) > 0,
        "the facts have options for before the bind"
    );
}

#[test]
fn stream_socket_has_the_options_of_both_its_uses() {
    // [wsk 4.8] but not conditional accept, for which its table lacks a function [wsk 4.9]
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = Making::new(WSK_FLAG_STREAM_SOCKET, true).make(&client, &mut io);
        for row in number_options() {
            let option = (row.level(), row.code());
            let tcp = row.applies_to("connection");
            let expected = if tcp {
                STATUS_SUCCESS
            } else {
                STATUS_NOT_SUPPORTED
            };
            assert_eq!(
                set_number(socket, &mut io, option, 1),
                expected,
                "{}",
                row.name()
            );
        }
        socket.close(&mut io);
    });
}

/// The options that the facts' table does not have, by the flags of the sockets that have them:
/// name, default, and a value that it can be set to.
type More = (u32, &'static [((u32, u32), u32, u32)]);

const TCP_OPTIONS: More = (
    WSK_FLAG_CONNECTION_SOCKET,
    &[
        ((TCP, TCP_NODELAY), 0, 1),
        ((TCP, TCP_EXPEDITED_1122), 0, 1),
        ((TCP, TCP_TIMESTAMPS), 0, 1),
        ((TCP, TCP_KEEPIDLE), 7200, 60),
        ((TCP, TCP_KEEPINTVL), 1, 5),
        ((TCP, TCP_KEEPCNT), 10, 3),
        ((TCP, TCP_FAIL_CONNECT_ON_ICMP_ERROR), 0, 1),
        ((IP, IP_TOS), 0, 8),
        ((IP, IP_TTL), 128, 64),
        ((IP, IP_UNICAST_IF), 0, 2_u32.to_be()),
        ((IP, IP_MTU_DISCOVER), 0, 1),
        ((IP, IP_USER_MTU), u32::MAX, 1280),
        ((IPV6, IPV6_TCLASS), 0, 8),
        ((IPV6, IPV6_UNICAST_HOPS), 128, 64),
        ((IPV6, IPV6_UNICAST_IF), 0, 2),
        ((IPV6, IPV6_MTU_DISCOVER), 0, 2),
        ((IPV6, IPV6_USER_MTU), u32::MAX, 1280),
    ],
);

const UDP_OPTIONS: More = (
    WSK_FLAG_DATAGRAM_SOCKET,
    &[
        ((UDP, UDP_SEND_MSG_SIZE), 0, 1200),
        ((UDP, UDP_RECV_MAX_COALESCED_SIZE), 0, 65_000),
        ((IP, IP_DONTFRAGMENT), 0, 1),
        ((IP, IP_PKTINFO), 0, 1),
        ((IP, IP_RECVTTL), 0, 1),
        ((IP, IP_RECVTOS), 0, 1),
        ((IP, IP_RECVECN), 0, 1),
        ((IP, IP_RECEIVE_BROADCAST), 1, 0),
        ((IP, IP_MULTICAST_IF), 0, u32::from_ne_bytes([192, 0, 2, 1])),
        ((IP, IP_MULTICAST_TTL), 1, 0),
        ((IP, IP_MULTICAST_LOOP), 1, 0),
        ((IPV6, IPV6_DONTFRAG), 0, 1),
        ((IPV6, IPV6_PKTINFO), 0, 1),
        ((IPV6, IPV6_HOPLIMIT), 0, 1),
        ((IPV6, IPV6_RECVTCLASS), 0, 1),
        ((IPV6, IPV6_RECVECN), 0, 1),
        ((IPV6, IPV6_MULTICAST_IF), 0, 2),
        ((IPV6, IPV6_MULTICAST_HOPS), 1, 255),
        ((IPV6, IPV6_MULTICAST_LOOP), 1, 0),
    ],
);

#[test]
fn options_of_the_transports_are_set_and_got() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        for (flags, options) in [TCP_OPTIONS, UDP_OPTIONS] {
            let socket = Making::new(flags, true).make(&client, &mut io);
            assert_eq!(
                set_number(socket, &mut io, (IPV6, IPV6_V6ONLY), 0),
                STATUS_SUCCESS
            );
            let other = [WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_DATAGRAM_SOCKET]
                .into_iter()
                .find(|other| *other != flags)
                .unwrap();
            let other = Making::new(other, true).make(&client, &mut io);
            for (option, default, value) in options {
                let option = *option;
                assert_eq!(
                    get_number(socket, &mut io, option),
                    Ok(*default),
                    "{option:?}"
                );
                assert_eq!(set_number(socket, &mut io, option, *value), 0, "{option:?}");
                assert_eq!(
                    get_number(socket, &mut io, option),
                    Ok(*value),
                    "{option:?}"
                );
                if option.0 == TCP || option.0 == UDP {
                    let status = set_number(other, &mut io, option, *value);
                    assert_eq!(status, STATUS_NOT_SUPPORTED, "{option:?}");
                }
            }
            socket.close(&mut io);
            other.close(&mut io);
        }
    });
}

#[test]
fn option_of_a_family_exists_at_sockets_that_serve_it() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let v4 = Making::new(WSK_FLAG_DATAGRAM_SOCKET, false).make(&client, &mut io);
        let v6 = Making::new(WSK_FLAG_DATAGRAM_SOCKET, true).make(&client, &mut io);
        let (of_v4, of_v6) = ((IP, IP_PKTINFO), (IPV6, IPV6_PKTINFO));
        assert_eq!(set_number(v4, &mut io, of_v4, 1), STATUS_SUCCESS);
        assert_eq!(set_number(v4, &mut io, of_v6, 1), STATUS_NOT_SUPPORTED);
        assert_eq!(set_number(v6, &mut io, of_v6, 1), STATUS_SUCCESS);
        assert_eq!(set_number(v6, &mut io, of_v4, 1), STATUS_NOT_SUPPORTED);
        assert_eq!(
            set_number(v6, &mut io, (IPV6, IPV6_V6ONLY), 0),
            STATUS_SUCCESS
        );
        assert_eq!(set_number(v6, &mut io, of_v4, 1), STATUS_SUCCESS);
        v4.close(&mut io);
        v6.close(&mut io);
    });
}

#[test]
fn number_out_of_range_is_refused() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = open(&client, &mut io, WSK_FLAG_DATAGRAM_SOCKET);
        for (option, value) in [
            (IP_TTL, 0),
            (IP_TTL, 256),
            (IP_MULTICAST_TTL, 256),
            (IP_TOS, 256),
            (IP_MTU_DISCOVER, 4),
        ] {
            let status = set_number(socket, &mut io, (IP, option), value);
            assert_eq!(status, STATUS_INVALID_PARAMETER, "{option} to {value}");
        }
        for unknown in [3_u32.to_be(), u32::from_ne_bytes([192, 0, 2, 9])] {
            let status = set_number(socket, &mut io, (IP, IP_MULTICAST_IF), unknown);
            assert_eq!(status, STATUS_INVALID_ADDRESS_COMPONENT, "{unknown:#x}");
        }
        socket.close(&mut io);
    });
}

#[test]
fn unknown_option_is_not_supported() {
    wsk_sim::seeds(10, |_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = open(&client, &mut io, WSK_FLAG_CONNECTION_SOCKET);
        for option in [(SOL_SOCKET, 0x7777), (TCP, 0x7777), (0x7777, SO_REUSEADDR)] {
            assert_eq!(set_number(socket, &mut io, option, 1), STATUS_NOT_SUPPORTED);
            assert_eq!(
                get_number(socket, &mut io, option),
                Err(STATUS_NOT_SUPPORTED)
            );
            let status = Control::get(option, 4).without_irp(socket);
            assert_eq!(status, STATUS_NOT_SUPPORTED);
        }
        // It can only be set, and this one only be got.
        let events = (SOL_SOCKET, SO_WSK_EVENT_CALLBACK);
        let (status, _) = Control::get(events, 16).with_irp(socket, &mut io);
        assert_eq!(status, STATUS_NOT_SUPPORTED);
        assert_eq!(
            set_number(socket, &mut io, (IP, IP_MTU), 1500),
            STATUS_NOT_SUPPORTED
        );
        socket.close(&mut io);
    });
}

#[test]
fn basic_socket_has_no_options() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = open(&client, &mut io, wsk_sys::WSK_FLAG_BASIC_SOCKET);
        for option in [
            (SOL_SOCKET, SO_KEEPALIVE),
            (SOL_SOCKET, SO_WSK_SECURITY),
            (IP, IP_TTL),
        ] {
            assert_eq!(
                get_number(socket, &mut io, option),
                Err(STATUS_NOT_SUPPORTED)
            );
        }
        socket.close(&mut io);
    });
}

#[test]
fn wsk_5_3_keep_alive_and_receive_buffer_pass_to_accepted_sockets() {
    wsk_sim::seeds(20, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let listener = open(&client, &mut io, WSK_FLAG_LISTEN_SOCKET);
        let (keep_alive, buffer) = ((SOL_SOCKET, SO_KEEPALIVE), (SOL_SOCKET, SO_RCVBUF));
        let (no_delay, sharing) = ((TCP, TCP_NODELAY), (SOL_SOCKET, SO_REUSEADDR));
        assert_eq!(set_number(listener, &mut io, keep_alive, 1), STATUS_SUCCESS);
        assert_eq!(set_number(listener, &mut io, sharing, 1), STATUS_SUCCESS);
        assert_eq!(set_number(listener, &mut io, no_delay, 1), STATUS_SUCCESS);
        assert_eq!(bind(listener, &mut io, "127.0.0.1:7"), STATUS_SUCCESS);
        assert_eq!(
            set_number(listener, &mut io, buffer, 12_345),
            STATUS_SUCCESS
        );
        let peer = sim
            .begin_to_connect("127.0.0.1:7".parse().unwrap())
            .unwrap();
        let accepted = Socket::new(listener.accept(&mut io).1);
        assert_eq!(get_number(accepted, &mut io, keep_alive), Ok(1));
        assert_eq!(get_number(accepted, &mut io, buffer), Ok(12_345));
        assert_eq!(get_number(accepted, &mut io, no_delay), Ok(0));
        assert_eq!(get_number(accepted, &mut io, sharing), Ok(0));
        drop(peer);
        accepted.close(&mut io);
        listener.close(&mut io);
    });
}

#[test]
fn fast_open_is_possible_until_connecting_has_begun() {
    // [wsk 5]
    wsk_sim::seeds(20, |sim| {
        let mut io = Io::new();
        let connected = Connected::new(sim, &mut io, "127.0.0.1:0");
        let option = (TCP, TCP_FASTOPEN);
        let status = set_number(connected.socket, &mut io, option, 1);
        assert_eq!(status, STATUS_INVALID_DEVICE_STATE);
        let fresh = connected.client.connection(&mut io, "127.0.0.1:0");
        assert_eq!(set_number(fresh, &mut io, option, 1), STATUS_SUCCESS);
        fresh.close(&mut io);
        connected.close(&mut io);
    });
}

#[test]
fn listening_stream_socket_may_change_fast_open_at_any_time() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = open(&client, &mut io, WSK_FLAG_STREAM_SOCKET);
        assert_eq!(bind(socket, &mut io, "127.0.0.1:7"), STATUS_SUCCESS);
        assert_eq!(socket.listen(&mut io).0, STATUS_SUCCESS);
        let option = (TCP, TCP_FASTOPEN);
        assert_eq!(set_number(socket, &mut io, option, 1), STATUS_SUCCESS);
        assert_eq!(get_number(socket, &mut io, option), Ok(1));
        socket.close(&mut io);
    });
}

#[test]
fn path_mtu_is_known_once_connected() {
    wsk_sim::run(|sim| {
        let mut io = Io::new();
        let connected = Connected::new(sim, &mut io, "[::1]:0");
        let option = (IPV6, IPV6_MTU);
        assert!(get_number(connected.socket, &mut io, option).unwrap() >= 1280);
        let fresh = connected.client.connection(&mut io, "[::1]:0");
        let early = get_number(fresh, &mut io, option);
        assert_eq!(early, Err(STATUS_INVALID_DEVICE_STATE));
        fresh.close(&mut io);
        connected.close(&mut io);
    });
}

#[test]
fn v6_only_socket_leaves_ipv4_alone_and_the_other_serves_it() {
    // [wsk 5] IPV6_V6ONLY is set before the bind.
    wsk_sim::seeds(20, |sim| {
        let mut io = Io::new();
        let client = Client::new();
        let target = "127.0.0.1:7".parse().unwrap();
        for (v6_only, reached) in [(1, false), (0, true)] {
            let listener = Making::new(WSK_FLAG_LISTEN_SOCKET, true).make(&client, &mut io);
            let option = (IPV6, IPV6_V6ONLY);
            assert_eq!(
                set_number(listener, &mut io, option, v6_only),
                STATUS_SUCCESS
            );
            assert_eq!(bind(listener, &mut io, "[::]:7"), STATUS_SUCCESS);
            assert_eq!(
                sim.connect(target).is_ok(),
                reached,
                "IPV6_V6ONLY {v6_only}"
            );
            listener.close(&mut io);
        }
    });
}

/// An `IP_MREQ` for the second interface.
const GROUP_V4: [u8; 8] = [233, 252, 0, 1, 192, 0, 2, 1];

/// An `IPV6_MREQ`.
fn group_v6(interface: u32) -> Vec<u8> {
    let group: std::net::Ipv6Addr = "ff02::1234".parse().unwrap();
    [&group.octets()[..], &interface.to_ne_bytes()].concat()
}

/// A `GROUP_REQ`.
fn group_request(interface: u32, group: &str) -> Vec<u8> {
    let group: std::net::IpAddr = group.parse().unwrap();
    let mut group = Address::of((group, 0).into()).0.to_vec();
    group.resize(128, 0);
    [&interface.to_ne_bytes()[..], &[0; 4], &group].concat()
}

#[test]
fn multicast_group_is_joined_once_and_left_once() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let cases = [
            (
                false,
                IP,
                IP_ADD_MEMBERSHIP,
                IP_DROP_MEMBERSHIP,
                GROUP_V4.to_vec(),
            ),
            (
                true,
                IPV6,
                IPV6_ADD_MEMBERSHIP,
                IPV6_DROP_MEMBERSHIP,
                group_v6(2),
            ),
            (
                false,
                IP,
                MCAST_JOIN_GROUP,
                MCAST_LEAVE_GROUP,
                group_request(2, "233.252.0.2"),
            ),
            (
                true,
                IPV6,
                MCAST_JOIN_GROUP,
                MCAST_LEAVE_GROUP,
                group_request(0, "ff02::5"),
            ),
        ];
        for (v6, level, join, leave, group) in cases {
            let socket = Making::new(WSK_FLAG_DATAGRAM_SOCKET, v6).make(&client, &mut io);
            let change =
                |io: &mut Io, option| Control::set((level, option), &group).with_irp(socket, io).0;
            assert_eq!(
                change(&mut io, join),
                STATUS_INVALID_DEVICE_STATE,
                "not bound yet"
            );
            let wildcard = if v6 { "[::]:0" } else { "0.0.0.0:0" };
            assert_eq!(bind(socket, &mut io, wildcard), STATUS_SUCCESS);
            assert_eq!(
                change(&mut io, leave),
                STATUS_INVALID_PARAMETER,
                "no member yet"
            );
            assert_eq!(change(&mut io, join), STATUS_SUCCESS);
            assert_eq!(
                change(&mut io, join),
                STATUS_INVALID_PARAMETER,
                "a member already"
            );
            assert_eq!(change(&mut io, leave), STATUS_SUCCESS);
            let (status, _) = Control::get((level, join), group.len()).with_irp(socket, &mut io);
            assert_eq!(status, STATUS_NOT_SUPPORTED, "it can only be set");
            socket.close(&mut io);
        }
    });
}

#[test]
fn multicast_group_that_is_none_is_refused() {
    wsk_sim::run(|_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = open(&client, &mut io, WSK_FLAG_DATAGRAM_SOCKET);
        assert_eq!(bind(socket, &mut io, "0.0.0.0:0"), STATUS_SUCCESS);
        let unknown_interface = [233, 252, 0, 1, 192, 0, 2, 9];
        let cases = [
            (
                IP_ADD_MEMBERSHIP,
                vec![192, 0, 2, 1, 0, 0, 0, 0],
                STATUS_INVALID_PARAMETER,
            ),
            (
                IP_ADD_MEMBERSHIP,
                GROUP_V4[..7].to_vec(),
                STATUS_INVALID_PARAMETER,
            ),
            (
                MCAST_JOIN_GROUP,
                group_request(0, "ff02::5"),
                STATUS_INVALID_PARAMETER,
            ),
            (
                IP_ADD_MEMBERSHIP,
                unknown_interface.to_vec(),
                STATUS_INVALID_ADDRESS_COMPONENT,
            ),
            (
                MCAST_JOIN_GROUP,
                group_request(7, "233.252.0.2"),
                STATUS_INVALID_ADDRESS_COMPONENT,
            ),
        ];
        for (option, group, expected) in cases {
            let (status, _) = Control::set((IP, option), &group).with_irp(socket, &mut io);
            assert_eq!(status, expected, "{group:?}");
        }
        socket.close(&mut io);
    });
}
